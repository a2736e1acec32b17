//! What is told of a catalogue, of what is there, and of what came of fetching. Pure.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::diag::Diagnostic;
use crate::fetch::catalogue::{Account, Catalogue, Dataset};
use crate::fetch::download::Got;
use crate::fetch::error::Why;
use crate::fetch::run::{Done, How, Want};
use crate::fetch::shelf::State;
use crate::report::words::{count, size};
use crate::text::visible::plain;

/// What became of each file, as far as it is known.
pub type Results = [Option<Result<Done, Why>>];

/// The hosts of an account.
pub fn hosts(account: &Account) -> String {
    let hosts = account.hosts.iter().filter_map(|host| host.host_str());
    hosts.collect::<Vec<_>>().join(", ")
}

fn account<'a>(catalogue: &'a Catalogue, set: &Dataset) -> Option<&'a Account> {
    set.account.and_then(|at| catalogue.accounts.get(at))
}

/// The catalogue for people.
pub fn list(catalogue: &Catalogue, folder: &Path, wants: &[Want<'_>]) -> String {
    let mut text = String::new();
    for set in &catalogue.datasets {
        let _ = writeln!(text, "{}: {}", plain(&set.name), plain(&set.about));
        let _ = writeln!(text, "  home: {}", set.home);
        if let Some(licence) = &set.licence {
            let _ = writeln!(text, "  licence: {}", plain(licence));
        }
        if let Some(account) = account(catalogue, set) {
            let _ = writeln!(
                text,
                "  needs: {}",
                plain(account.help.as_ref().unwrap_or(&account.name))
            );
        }
        for want in wants.iter().filter(|want| want.dataset.name == set.name) {
            let path = folder.join(&want.item.to);
            let _ = writeln!(text, "  {}: {}", path.display(), state(&want.state));
        }
        text.push('\n');
    }
    text + "fetch some with `clue fetch NAME …`, all with `clue fetch --all`\n"
}

fn state(state: &Result<State, Why>) -> String {
    match state {
        Ok(State::Absent) => "not there".to_owned(),
        Ok(State::Part { bytes }) => format!("{} so far", size(*bytes)),
        Ok(State::Unchecked { bytes }) => format!("{}, not checked yet", size(*bytes)),
        Ok(State::Right { bytes, .. }) => format!("{}, ok", size(*bytes)),
        Ok(State::Wrong { bytes, .. }) => format!("{}, wrong SHA-256 sum", size(*bytes)),
        Err(why) => why.to_string(),
    }
}

/// What became of a file, in a few words.
pub fn done(done: &Result<Done, Why>) -> String {
    match done {
        Ok(Done::Present(got)) => format!("there already, {}", size(got.bytes)),
        Ok(Done::Adopted(got)) => format!(
            "there already, {}; sum not published: kept from this file",
            size(got.bytes)
        ),
        Ok(Done::Verified(got)) => format!("fetched, {}, sum verified", size(got.bytes)),
        Ok(Done::Fetched(got)) => format!(
            "fetched, {}; sum not published: kept from this first download{}",
            size(got.bytes),
            end(got)
        ),
        Ok(Done::Same(got)) => format!("fetched, {}, the same file as before", size(got.bytes)),
        Ok(Done::Other(got, before)) => format!(
            "fetched, {}; NOT the file of before: its SHA-256 sum was {before} and is now {}, which is kept{}",
            size(got.bytes),
            got.sum,
            end(got)
        ),
        Err(why) => format!("failed: {why}"),
    }
}

/// A warning, where nothing tells a whole file from the beginning of one.
fn end(got: &Got) -> &'static str {
    match got.end_told {
        true => "",
        false => "; the server did not tell its length: look whether it is whole",
    }
}

/// The end, in a line.
pub fn summary(folder: &Path, results: &Results) -> String {
    let of = |test: fn(&Result<Done, Why>) -> bool| {
        results.iter().flatten().filter(|done| test(done)).count() as u64
    };
    format!(
        "{}: {} fetched, {} there already, {} failed\n",
        folder.display(),
        count(
            of(|d| matches!(
                d,
                Ok(Done::Verified(_) | Done::Fetched(_) | Done::Same(_) | Done::Other(..))
            )),
            "file"
        ),
        of(|d| matches!(d, Ok(Done::Present(_) | Done::Adopted(_)))),
        of(Result::is_err),
    )
}

/// Everything, for programs.
pub fn json(catalogue: &Catalogue, folder: &Path, wants: &[Want<'_>], results: &Results) -> Json {
    let file = |(at, want): (usize, &Want<'_>)| {
        let mut told = json!({
            "file": folder.join(&want.item.to),
            "url": want.item.url.as_str(),
        });
        let add = match results.get(at) {
            Some(Some(done)) => done_json(done),
            _ => state_json(&want.state),
        };
        if let (Some(told), Json::Object(add)) = (told.as_object_mut(), add) {
            told.extend(add);
        }
        told
    };
    let set = |set: &Dataset| {
        let files = wants.iter().enumerate();
        let files: Vec<Json> = files
            .filter(|(_, want)| want.dataset.name == set.name)
            .map(file)
            .collect();
        let account = account(catalogue, set).map(|account| {
            json!({
                "name": account.name,
                "user_env": account.user_env,
                "password_env": account.password_env,
            })
        });
        json!({
            "name": set.name,
            "about": set.about,
            "home": set.home,
            "licence": set.licence,
            "account": account,
            "files": files,
        })
    };
    let sets = catalogue.datasets.iter();
    let chosen = sets.filter(|set| wants.iter().any(|want| want.dataset.name == set.name));
    json!({"folder": folder, "datasets": chosen.map(set).collect::<Vec<_>>()})
}

fn state_json(state: &Result<State, Why>) -> Json {
    match state {
        Ok(State::Absent) => json!({"state": "absent"}),
        Ok(State::Part { bytes }) => json!({"state": "part", "bytes": bytes}),
        Ok(State::Unchecked { bytes }) => json!({"state": "unchecked", "bytes": bytes}),
        Ok(State::Right { bytes, sum }) => {
            json!({"state": "ok", "bytes": bytes, "sha256": sum.to_string()})
        }
        Ok(State::Wrong { bytes, found, .. }) => {
            json!({"state": "wrong", "bytes": bytes, "sha256": found.to_string()})
        }
        Err(why) => json!({"state": "failed", "why": why.to_string()}),
    }
}

fn done_json(done: &Result<Done, Why>) -> Json {
    let (state, got, published) = match done {
        Ok(Done::Present(got)) => ("present", got, None),
        Ok(Done::Adopted(got)) => ("present", got, Some(false)),
        Ok(Done::Verified(got)) => ("fetched", got, Some(true)),
        Ok(Done::Fetched(got) | Done::Same(got) | Done::Other(got, _)) => {
            ("fetched", got, Some(false))
        }
        Err(why) => return json!({"state": "failed", "why": why.to_string()}),
    };
    let mut told = json!({"state": state, "bytes": got.bytes, "sha256": got.sum.to_string()});
    if let Some(published) = published {
        told["sum_published"] = published.into();
    }
    if !got.end_told && matches!(done, Ok(Done::Fetched(_) | Done::Other(..))) {
        told["length_told"] = false.into();
    }
    if let Ok(Done::Other(_, before)) = done {
        told["sha256_before"] = before.to_string().into();
    }
    told
}

/// What went wrong and how to mend it, each thing once.
pub fn faults(
    catalogue: &Catalogue,
    wants: &[Want<'_>],
    how: &How<'_>,
    results: &Results,
) -> Vec<Diagnostic> {
    let mut faults: Vec<(Vec<String>, &Why, Option<String>)> = Vec::new();
    for (want, done) in wants.iter().zip(results) {
        let Some(Err(why)) = done else {
            continue;
        };
        let name = format!("`{}`", want.item.to);
        let help = help(account(catalogue, want.dataset), want, how, why);
        match faults
            .iter_mut()
            .find(|(_, other, same)| *other == why && *same == help)
        {
            Some((names, ..)) => names.push(name),
            None => faults.push((vec![name], why, help)),
        }
    }
    let fault = |(names, why, help): (Vec<String>, &Why, Option<String>)| {
        let fault = Diagnostic::error(format!("{}: {why}", names.join(", ")));
        match help {
            Some(help) => fault.help(help),
            None => fault,
        }
    };
    faults.into_iter().map(fault).collect()
}

fn help(account: Option<&Account>, want: &Want<'_>, how: &How<'_>, why: &Why) -> Option<String> {
    let home = &want.dataset.home;
    let was_there = matches!(
        want.state,
        Ok(State::Wrong { .. } | State::Unchecked { .. })
    ) && !how.again;
    Some(match why {
        Why::Login { .. } => match account {
            Some(account) => format!(
                "check `{}` and `{}`, or what you typed",
                plain(&account.user_env),
                plain(&account.password_env)
            ),
            None => return None,
        },
        Why::Forbidden { .. } | Why::Page { .. } if account.is_some() => format!(
            "sign in at {home} and look what is missing: the data use agreement may not be signed, or a training be due"
        ),
        Why::Forbidden { .. } | Why::Page { .. } | Why::NoAccount { .. } => format!("see {home}"),
        Why::Missing { .. } | Why::Unlisted { .. } | Why::NoList { .. } => {
            format!("see {home}: it may have moved; then mend the catalogue")
        }
        Why::Sum { .. } if was_there => {
            "the file was changed or damaged: move it away, or fetch it once more with `--again`"
                .to_owned()
        }
        Why::Sum { .. } => format!("nothing of it was kept; if that stays so, see {home}"),
        Why::Changed { .. } => format!(
            "nothing of it was kept; see {home} for what changed, then take the new file with `--again`"
        ),
        Why::Unreachable { because, .. } if because.contains("certificate") => {
            "if a proxy reads along here, name its certificates with `SSL_CERT_FILE`".to_owned()
        }
        Why::Unreachable { .. } => {
            "is this computer online? a proxy is named by `HTTPS_PROXY`".to_owned()
        }
        Why::Stalled { .. } | Why::Cut { .. } | Why::Status { .. } => {
            "run again later: it goes on where it stopped".to_owned()
        }
        Why::Disk { full: true, .. } => {
            "make room, then run again: it goes on where it stopped".to_owned()
        }
        Why::Disk { .. } => "choose another folder with `--to DIR`".to_owned(),
        Why::Insecure { .. } | Why::Lost { .. } | Why::NoClient { .. } | Why::InUse => return None,
    })
}

//! What `clue verify` says.

use std::fmt::Write;

use super::compared::{Checked, Is, LACKS};
use super::data;
use super::live::Live;
use super::results::Table;
use crate::cli::{err, out};

use super::{Args, Looked, Verdict};
use crate::report::words::{count, thousands};
use crate::share::bundle::manifest::Level;
use crate::text::visible::plain;

/// Things of one kind that are named; of more, only their number is told.
const NAMED: usize = 12;

/// Names that are told together.
const TOGETHER: usize = 6;

/// Tells what was found.
pub fn tell(args: &Args, verdict: &Verdict) {
    if args.json {
        let told = serde_json::to_value(verdict).unwrap_or_default();
        out(&format!("{told}\n"));
        return;
    }
    let shown = verdict.bundle.display();
    let Some(looked) = &verdict.looked else {
        for fault in &verdict.damage {
            err(&format!(
                "damaged: {} {}\n",
                plain(&fault.member),
                fault.what
            ));
        }
        let members = count(verdict.damage.len() as u64, "member");
        out(&format!("{shown}: damaged in {members}\n"));
        return;
    };
    out(&format!(
        "{shown}: sound ({}, level {}, made by clue {})\n",
        count(looked.members as u64, "file"),
        match looked.level {
            Level::Open => "open",
            Level::NoInputs => "no-inputs",
            Level::CodeOnly => "code-only",
        },
        plain(&looked.program),
    ));
    out(&text(looked, args.data.is_some()));
    out(match &looked.live {
        _ if verdict.agrees => "all that was checked agrees\n",
        Some(live) if live.compared == 0 && !looked.differs() => {
            "nothing was compared with what the models say today\n"
        }
        _ => "something differs\n",
    });
}

fn text(looked: &Looked, has_data: bool) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "files: {} as the lock says",
        thousands(looked.files.same as u64)
    );
    list(&mut text, "differs", &looked.files.wrong);
    for input in &looked.data {
        let name = plain(&input.name);
        let told = match input.is {
            data::Is::There => continue,
            data::Is::Found => format!("found: `{name}`, the same to the byte"),
            data::Is::Other => format!("differs: `{name}` has other content than the run's"),
            data::Is::Absent => match &input.wanted {
                Some(wanted) if has_data => absent(&name, wanted),
                _ => format!("not in the bundle: `{name}` (`--data DIR`)"),
            },
            data::Is::Elsewhere => {
                let salted = input.sensitive && input.from.is_none();
                let more = match salted {
                    true => "; with it (`--data DIR`), salted hashes can be compared",
                    false => "",
                };
                format!(
                    "not in the bundle: `{name}`, which is looked for where the pipeline says{more}"
                )
            }
        };
        let _ = writeln!(text, "  {told}");
    }
    let facts: Vec<String> = looked
        .made_of
        .wrong
        .iter()
        .map(|d| d.what.clone())
        .collect();
    list(&mut text, "differs", &facts);
    let odd: Vec<String> = looked.made_of.odd.iter().map(|d| d.what.clone()).collect();
    list(&mut text, "note", &odd);
    if let Some(why) = &looked.unopened {
        let _ = writeln!(text, "stages: not checked: {}", plain(why));
        return text;
    }
    stages(&mut text, looked);
    results(&mut text, &looked.results);
    if let Some(live) = &looked.live {
        text.push_str(&again(live));
    }
    text
}

/// Of a file that is not in the user's folder: what it would have to be.
fn absent(name: &str, wanted: &data::Wanted) -> String {
    let near = wanted.near.as_deref();
    let near = near.map(|near| format!("; `{}` is there, and has other content", plain(near)));
    format!(
        "not in the bundle and not found: `{name}` of {} (BLAKE3 {}){}",
        count(wanted.bytes, "byte"),
        wanted.expected,
        near.unwrap_or_default()
    )
}

fn list(text: &mut String, word: &str, all: &[String]) {
    for one in all.iter().take(NAMED) {
        let _ = writeln!(text, "  {word}: {one}");
    }
    if all.len() > NAMED {
        let _ = writeln!(
            text,
            "  {word}: {} more",
            thousands((all.len() - NAMED) as u64)
        );
    }
}

fn stages(text: &mut String, looked: &Looked) {
    for (output, noun) in [(false, "stages"), (true, "outputs")] {
        let of = || {
            looked
                .stages
                .iter()
                .filter(|checked| checked.output == output)
        };
        let number = |is: Is| of().filter(|checked| checked.is == is).count() as u64;
        if of().next().is_none() {
            continue;
        }
        let all = of().count() as u64;
        let _ = write!(
            text,
            "{noun}: {} of {} the same to the byte",
            thousands(number(Is::Same)),
            thousands(all)
        );
        for (is, words) in [(Is::Differs, "other"), (Is::Unchecked, "not checked")] {
            if number(is) > 0 {
                let _ = write!(text, ", {} {words}", thousands(number(is)));
            }
        }
        text.push('\n');
    }
    let differing: Vec<&Checked> = looked
        .stages
        .iter()
        .filter(|c| c.is == Is::Differs)
        .collect();
    for (number, checked) in differing.iter().take(NAMED).enumerate() {
        let word = if number == 0 && differing.len() > 1 {
            "differs first"
        } else {
            "differs"
        };
        let why = checked.why.as_deref().unwrap_or_default();
        let _ = writeln!(text, "  {word}: {} {why}", named(checked));
        if let Some(first) = &checked.first {
            let key = checked.key.as_ref().map(|key| format!(" (`{key}`)"));
            let _ = writeln!(
                text,
                "    the first record that differs, number {}{}, {}",
                thousands(first.number as u64),
                key.unwrap_or_default(),
                first.how.words()
            );
        }
    }
    let mut unchecked: Vec<(&str, Vec<String>)> = Vec::new();
    for checked in looked.stages.iter().filter(|c| c.is == Is::Unchecked) {
        let why = checked.why.as_deref().unwrap_or_default();
        match unchecked.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(named(checked)),
            None => unchecked.push((why, vec![named(checked)])),
        }
    }
    let mut lacks_calls = false;
    for (why, names) in unchecked {
        let more = names.len().saturating_sub(TOGETHER);
        let named = names
            .into_iter()
            .take(TOGETHER)
            .collect::<Vec<_>>()
            .join(", ");
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let _ = writeln!(text, "  not checked: {named}{more}: {why}");
        lacks_calls |= why.ends_with(LACKS);
    }
    if lacks_calls && looked.live.is_none() {
        text.push_str(
            "  with your cache of that run (`--store DIR`) or the models (`--live`) there is more\n",
        );
    }
    for prompts in &looked.prompts {
        let all = (prompts.same + prompts.gone) as u64;
        let key = prompts.key.as_ref();
        let other = key.map(|key| format!("; another one is about `{key}`"));
        let _ = writeln!(
            text,
            "  prompts of `{}`: {} of {} as they were, by their salted hashes{}",
            plain(&prompts.stage),
            thousands(prompts.same as u64),
            count(all, "call"),
            other.unwrap_or_default(),
        );
    }
}

/// The tables of results.
fn results(text: &mut String, all: &[Table]) {
    let number = |is: Is| all.iter().filter(|table| table.is == is).count() as u64;
    if all.is_empty() {
        return;
    }
    let (same, of) = (thousands(number(Is::Same)), thousands(all.len() as u64));
    let _ = write!(text, "results: {same} of {of} tables the same");
    for (is, words) in [(Is::Differs, "other"), (Is::Unchecked, "not checked")] {
        if number(is) > 0 {
            let _ = write!(text, ", {} {words}", thousands(number(is)));
        }
    }
    text.push('\n');
    for (is, word) in [(Is::Differs, "differs"), (Is::Unchecked, "not checked")] {
        let some = all.iter().filter(|table| table.is == is);
        let lines = some.map(|table| {
            let why = table.why.as_deref().unwrap_or_default();
            let between = if is == Is::Differs { "" } else { ":" };
            format!("table of `{}`{between} {why}", plain(&table.stage))
        });
        list(text, word, &lines.collect::<Vec<_>>());
    }
}

fn named(checked: &Checked) -> String {
    format!("`{}`", plain(&checked.name))
}

/// What the models say today.
fn again(live: &Live) -> String {
    let mut text = "asked again:\n".to_owned();
    if live.compared == 0 {
        text.push_str("  nothing was compared: there are no answers then and now\n");
    }
    for stage in &live.stages {
        let _ = writeln!(
            text,
            "  `{}`: {} of {} the same, {} changed, {} not asked any more, {} new",
            plain(&stage.stage),
            thousands(stage.same as u64),
            count((stage.same + stage.changed + stage.gone) as u64, "answer"),
            thousands(stage.changed as u64),
            thousands(stage.gone as u64),
            thousands(stage.new as u64),
        );
    }
    if live.failed > 0 {
        let _ = writeln!(text, "  {} failed", count(live.failed as u64, "record"));
    }
    for score in &live.scores {
        let number =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
        let change = score.then.zip(score.now).map(|(then, now)| now - then);
        let change = change.map_or_else(String::new, |change| format!(" ({change:+.4})"));
        let _ = writeln!(
            text,
            "  {}: {} → {}{change}",
            plain(&score.name),
            number(score.then),
            number(score.now)
        );
    }
    text
}

//! `--locked`: a run that is held to a lock. Before it, everything that decides outputs must be as
//! the lock says; after it, the outputs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::codes::REFUSED;
use super::how::Args;
use super::session::{Settings, bad, color};
use super::{err, out};
use crate::diag::{Diagnostic, Sources};
use crate::engine::pipe::Pipe;
use crate::engine::run::Outcome;
use crate::engine::survey::Survey;
use crate::hash::Hash;
use crate::model::told::Served;
use crate::plan::graph::Output;
use crate::report::words::{count, thousands};
use crate::share::differ::{self, Difference, Differences, Known, Now};
use crate::share::gather::{self, Around};
use crate::share::lock::{Lock, beside};
use crate::store::Store;
use crate::text::visible::quoted;

/// Outputs that are named; of more, only their number is told.
const NAMED: usize = 6;

/// The lock that a run is held to.
pub struct Held {
    path: PathBuf,
    lock: Lock,
    now: Lock,
}

/// Which facts of a pipeline are wanted.
pub enum Facts<'a> {
    /// Those that decide.
    Plain,
    /// Also how many records files have, and what servers said.
    Counted(&'a [Served]),
}

/// The facts of a pipeline as it is now.
///
/// # Errors
/// A file that cannot be read.
pub fn facts(
    settings: &Settings,
    pipe: &Pipe,
    survey: &Survey,
    store: &Store,
    wanted: &Facts<'_>,
) -> Result<Lock, Diagnostic> {
    let (served, count) = match wanted {
        Facts::Plain => (&[][..], false),
        Facts::Counted(served) => (*served, true),
    };
    let around = Around {
        store,
        params_files: &settings.params_files,
        served,
        count,
        inside: false,
    };
    gather::lock(pipe, survey, &around)
}

/// What differs from a lock.
pub fn differences(lock: &Lock, now: &Lock, pipe: &Pipe, store: &Store) -> Differences {
    let text = |hash: Hash| {
        let mut all = pipe.pipeline.sources.all();
        let found = all.find(|(_, text)| Hash::of_bytes(text.as_bytes()) == hash);
        let found = found.map(|(_, text)| text.to_string());
        found.or_else(|| store.get_blob(hash))
    };
    let name = |at: usize| pipe.stages[at].spec.name.value.clone();
    let stages = pipe.order.iter().map(|at| {
        let sources = pipe.stages[*at].sources().map(name);
        (name(*at), sources.collect())
    });
    let stages: Vec<(String, Vec<String>)> = stages.collect();
    let known = Known {
        text: &text,
        stages: &stages,
    };
    differ::made_of(lock, now, &known)
}

/// The outputs of a pipeline's stages, inputs first.
pub fn outputs<'a>(
    pipe: &'a Pipe,
    known: impl IntoIterator<Item = Option<&'a Output>>,
) -> Vec<Now<'a>> {
    let known: Vec<Option<&Output>> = known.into_iter().collect();
    let now = pipe.order.iter().map(|at| {
        let path = pipe.stages[*at].verb.writes();
        Now {
            stage: &pipe.stages[*at].spec.name.value,
            path: path.map(|path| path.to_string_lossy().into_owned()),
            output: known.get(*at).copied().flatten(),
        }
    });
    now.collect()
}

/// Warns of what differs and should decide nothing.
pub fn tell(odd: &[Difference]) {
    for other in odd {
        err(&format!("warning: {}\n", other.what));
    }
}

/// Compares with the lock before anything runs, if the run is to be held to one.
///
/// # Errors
/// The exit code, when it was told what differs, or what is wrong with the lock.
pub fn hold(
    args: &Args,
    pipe: &Pipe,
    survey: &Survey,
    store: &Store,
) -> Result<Option<Held>, ExitCode> {
    let Some(given) = &args.how.locked else {
        return Ok(None);
    };
    let path = given.clone();
    let path = path.unwrap_or_else(|| beside(&args.common.file));
    let mut sources = Sources::default();
    let lock = Lock::read(&path, &mut sources).map_err(|fault| bad(&[fault], &sources))?;
    let now = facts(&args.common.settings, pipe, survey, store, &Facts::Plain)
        .map_err(|fault| bad(&[fault], &pipe.pipeline.sources))?;
    let found = differences(&lock, &now, pipe, store);
    if found.wrong.is_empty() {
        tell(&found.odd);
        return Ok(Some(Held { path, lock, now }));
    }
    if args.how.json {
        let told = serde_json::json!({"event": "refused", "lock": path, "differ": found});
        out(&format!("{told}\n"));
    }
    tell(&found.odd);
    err(&refusal(&path, &args.common.file, &found.wrong));
    Err(ExitCode::from(REFUSED))
}

fn refusal(path: &Path, pipeline: &Path, wrong: &[Difference]) -> String {
    let shown = path.display();
    let fault = Diagnostic::error(format!("this is not what `{shown}` was made of"));
    let notes = wrong.iter().map(|other| other.what.clone());
    let fault = notes.fold(fault, Diagnostic::note);
    let again = format!("clue lock {}", quoted(&pipeline.display().to_string()));
    let fault = fault.help(format!(
        "undo that, or run without `--locked`, and lock what you then have: `{again}`"
    ));
    let told = fault.render(&Sources::default(), color());
    format!("{told}\n\nrefused: nothing was run and nothing was sent\n")
}

impl Held {
    /// Says whether outputs are as the lock says; true if one is not.
    pub fn differs(&self, pipe: &Pipe, outcome: &Outcome, json: bool) -> bool {
        let known = outcome.stages.iter().map(|stage| stage.output.as_ref());
        let results = differ::results(&self.lock, outputs(pipe, known));
        let mut now = self.now.clone();
        for (name, model) in &mut now.models {
            let spec = pipe.models.get(name);
            let mut served = outcome.served.iter();
            let served = served.find(|served| spec.is_some_and(|spec| served.is_of(spec)));
            model.served = served.map(|served| served.told.clone());
        }
        let odd = differ::servers(&self.lock, &now);
        if json {
            let told = serde_json::json!({
                "event": "locked", "lock": self.path, "outputs": results, "servers": odd,
            });
            out(&format!("{told}\n"));
        }
        tell(&odd);
        let shown = self.path.display();
        if let Some(first) = results.differ.first() {
            let others = results.differ.len() + results.same;
            let fault = Diagnostic::error(format!(
                "{} of {} not what `{shown}` says",
                thousands(results.differ.len() as u64),
                match others {
                    1 => "1 output is".to_owned(),
                    _ => format!("{} are", count(others as u64, "output")),
                }
            ))
            .note(format!("the first is {}", first.what));
            let rest = results.differ.iter().skip(1);
            let fault = rest
                .take(NAMED)
                .fold(fault, |fault, other| fault.note(other.what.clone()));
            let told = fault.render(&Sources::default(), color());
            err(&format!("{told}\n\n"));
        } else if !json {
            let text = match results.same {
                0 => format!("locked: made of what {shown} says; it knows none of these outputs\n"),
                same => format!(
                    "locked: {} as {shown} says\n",
                    match same {
                        1 => "1 output is".to_owned(),
                        _ => format!("{} are", count(same as u64, "output")),
                    }
                ),
            };
            out(&text);
        }
        !results.differ.is_empty()
    }
}

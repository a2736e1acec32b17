//! Which run is meant: by its id, the beginning of its id, or how long ago it was.

use std::path::Path;

use crate::diag::Diagnostic;
use crate::engine::facts::Ended;
use crate::engine::runs::{RunRecord, all};
use crate::store::Store;

/// The runs of a pipeline's file that ended, newest first.
pub fn ended(store: &Store, file: &Path) -> Vec<(String, RunRecord)> {
    let path = file
        .canonicalize()
        .or_else(|_| std::path::absolute(file))
        .unwrap_or_else(|_| file.to_owned());
    let runs = all(store, Some(&path)).into_iter();
    let ended = |run: &RunRecord| {
        let facts = run.facts.as_ref();
        facts.is_none_or(|facts| facts.ended != Ended::Running) && !run.is_share()
    };
    runs.filter(|(_, run)| ended(run)).collect()
}

/// The run that a word means, and its number.
///
/// # Errors
/// There is none, or there are several.
pub fn pick(runs: &[(String, RunRecord)], file: &Path, word: &str) -> Result<usize, Diagnostic> {
    let shown = file.display();
    let ago = match word.strip_prefix("last") {
        Some("") => Some(Ok(0)),
        Some(rest) => rest.strip_prefix('~').map(str::parse::<usize>),
        None => None,
    };
    match ago {
        Some(Ok(at)) if at < runs.len() => return Ok(at),
        Some(Ok(_)) => {
            let fault = match runs.len() {
                0 => format!("no run of `{shown}` is in the cache"),
                1 => format!("only one run of `{shown}` is in the cache"),
                n => format!("only {n} runs of `{shown}` are in the cache"),
            };
            let fault = Diagnostic::error(fault);
            return Err(match runs.len() {
                0 => fault.help(format!(
                    "run it first with `clue run {shown}`, or name another cache with `--store`"
                )),
                _ => fault.help("`clue runs` lists what is there; `clue cache gc` forgets runs"),
            });
        }
        _ => {}
    }
    let mut found = (0..runs.len()).filter(|at| runs[*at].0.starts_with(word));
    let help = format!("`clue runs {shown}` lists runs with their ids; `last~1` is the one before");
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (Some(_), Some(_)) => {
            let fault = Diagnostic::error(format!("several runs begin with `{word}`"));
            Err(fault.help(help))
        }
        _ => Err(Diagnostic::error(format!("no run `{word}` of `{shown}` that ended")).help(help)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn runs_are_named_by_ids_or_by_age() {
        let run = |id: &str| {
            let run = RunRecord {
                pipeline: "/p.yaml".into(),
                params: BTreeMap::new(),
                stages: BTreeMap::new(),
                stages_in: None,
                names: std::collections::BTreeSet::new(),
                facts: None,
                stints: BTreeMap::new(),
                latencies: BTreeMap::new(),
            };
            (id.to_owned(), run)
        };
        let runs = [run("18ab-3"), run("18aa-2"), run("17-1")];
        let told = |word: &str| pick(&runs, Path::new("p.yaml"), word).map_err(|f| f.message);
        assert_eq!(told("last"), Ok(0));
        assert_eq!(told("last~2"), Ok(2));
        assert_eq!(told("17"), Ok(2));
        assert_eq!(told("18aa"), Ok(1));
        assert_eq!(told("18").unwrap_err(), "several runs begin with `18`");
        assert_eq!(told("x").unwrap_err(), "no run `x` of `p.yaml` that ended");
        assert_eq!(
            told("lastly").unwrap_err(),
            "no run `lastly` of `p.yaml` that ended"
        );
        assert_eq!(
            told("last~3").unwrap_err(),
            "only 3 runs of `p.yaml` are in the cache"
        );
    }
}

//! The tables of results in a bundle against those that its pipeline makes with the answers at hand.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::compared::{Is, LACKS};
use super::opened::{Lack, Opened};
use super::rerun::{Then, refused};
use crate::cli::paged::{Before, Seen};
use crate::cli::rehearse::{Notes, rehearse};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::stock::Source;
use crate::engine::survey::{Wanted, survey};
use crate::engine::taps::Taps;
use crate::replay::ledger::{Depth, Ledger};
use crate::report::page::{Options, Salting, choose};
use crate::report::words::count;
use crate::share::bundle::results::{Results, bytes, differs, read};
use crate::share::bundle::salt::Salt;
use crate::store::Store;
use crate::text::visible::plain;

/// A table of results.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Its stage.
    pub stage: String,
    /// What became of it.
    pub is: Is,
    /// Why it was not checked, or how it differs.
    pub why: Option<String>,
}

/// The tables as they are now.
pub struct Tables {
    /// They.
    pub results: Results,
    /// Calls that are missing, by stage.
    missing: Vec<u64>,
    /// Something that cannot be read.
    fault: Option<String>,
}

/// Makes them, of what a cache holds; `open` if texts of sensitive records are shown.
///
/// # Errors
/// They cannot be made.
pub fn tables(
    pipe: &Arc<Pipe>,
    store: &Store,
    then: &Then<'_>,
    open: bool,
) -> Result<Tables, Diagnostic> {
    let known = survey(pipe, store, &Wanted::default())?;
    let mut choice = choose(pipe, &known, true);
    choice.tables.clear();
    let notes = Notes {
        ledger: Arc::new(Ledger::new(Depth::Nothing)),
        taps: Arc::new(Taps::new(choice.taps())),
    };
    let (board, outcome) = rehearse(pipe, store, &choice.survey, Source::Nowhere, &notes)?;
    let seen = Seen {
        pipe,
        known: &known,
        choice: &choice,
        board: &board,
        outcome: &outcome,
        notes: &notes,
    };
    let options = Options {
        sensitive: open,
        limit: 0,
        live: false,
        timeless: true,
        salting: Salting::With(then.salt.map(Salt::of_page)),
    };
    let report = seen.page(Vec::new(), Before::default(), &options);
    // As it was written and read there, so that numbers are the same.
    let results = read(&bytes(pipe, &report)).map_err(Diagnostic::error)?;
    let hidden: HashSet<&str> = then.hidden.iter().map(|c| c.stage.as_str()).collect();
    let rows = board.stages.iter().enumerate();
    let missing = rows.map(|(at, row)| {
        // How far a stage comes that is stopped when others have enough is chance.
        let counts = !choice.open[at] || hidden.contains(row.name.as_str());
        let missing = row.calls.get().saturating_sub(row.cached.get());
        if counts { missing } else { 0 }
    });
    Ok(Tables {
        results,
        missing: missing.collect(),
        fault: outcome.faults.first().map(|fault| fault.message.clone()),
    })
}

/// Compares all tables of a bundle, and tells of those that it lacks.
///
/// # Errors
/// They cannot be made again.
pub fn compare(
    opened: &Opened,
    store: &Store,
    then: &Then<'_>,
    was: &Results,
    yes: bool,
) -> Result<Vec<Table>, Diagnostic> {
    let pipe = &opened.pipe;
    let now = tables(pipe, store, then, true)?;
    // As whoever made the bundle had them: texts of what was sensitive there are masked.
    let masked = match then.open {
        true => None,
        false => Some(tables(pipe, store, then, false)?),
    };
    let refused = refused(pipe, yes);
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    for (stage, table) in &was.tables {
        let (is, why) = if !seen.insert(stage) {
            (Is::Differs, Some("is there twice".to_owned()))
        } else if let Some(lack) = opened.lacks(stage) {
            (Is::Unchecked, Some(lack.words()))
        } else if let Some(again) = now.results.table(stage) {
            let same = |tables: &Tables| tables.results.table(stage) == Some(table);
            let differs = differs(table, again).filter(|_| !masked.as_ref().is_some_and(same));
            let at = pipe.find(stage);
            let lack = at.and_then(|at| lack(opened, &now, then, &refused, at));
            match (differs, lack) {
                (None, _) => (Is::Same, None),
                (Some(_), Some(why)) => (Is::Unchecked, Some(why)),
                (Some(how), None) => (Is::Differs, Some(how)),
            }
        } else {
            (Is::Differs, Some("is no table of the pipeline".to_owned()))
        };
        all.push(Table {
            stage: stage.clone(),
            is,
            why,
        });
    }
    for (stage, _) in now
        .results
        .tables
        .iter()
        .filter(|(stage, _)| was.table(stage).is_none())
    {
        all.push(Table {
            stage: stage.clone(),
            is: Is::Differs,
            why: Some("is missing".to_owned()),
        });
    }
    Ok(all)
}

/// For want of what a table cannot be made here, if it cannot.
fn lack(
    opened: &Opened,
    now: &Tables,
    then: &Then<'_>,
    refused: &HashSet<usize>,
    at: usize,
) -> Option<String> {
    let pipe = &opened.pipe;
    if refused.contains(&at) {
        return Some(Lack::Program.words());
    }
    let (mut all, mut open) = (HashSet::new(), vec![at]);
    while let Some(at) = open.pop() {
        if all.insert(at) {
            open.extend(pipe.stages[at].sources());
        }
    }
    let missing: u64 = all.iter().filter_map(|at| now.missing.get(*at)).sum();
    if missing > 0 {
        return Some(format!("needs {} {LACKS}", count(missing, "call")));
    }
    let fault = now.fault.as_ref().filter(|_| then.elsewhere);
    if let Some(fault) = fault {
        return Some(format!("could not be made: {}", plain(fault)));
    }
    // What a group is called depends on what the pipeline itself says, all of it.
    let masked = pipe.stages[at].sensitive && !then.open;
    let (_, removed) = opened.removed.first().filter(|_| masked)?;
    Some(removed.words())
}

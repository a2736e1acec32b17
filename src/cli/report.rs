//! `clue report`: one page of HTML about the last run of a pipeline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::free::free;
use super::out;
use super::paged::{Before, Seen};
use super::rehearse::{Notes, rehearse};
use super::session::{Common, bad};
use crate::diag::Diagnostic;
use crate::engine::history::{params, runs};
use crate::engine::keep::{Failure, OutFile};
use crate::engine::pipe::Pipe;
use crate::engine::runs::RunRecord;
use crate::engine::stock::Source;
use crate::engine::survey::{Wanted, survey};
use crate::engine::taps::Taps;
use crate::replay::ledger::Ledger;
use crate::report::page::{Options, Report, Salting, choose, html};
use crate::report::words::{count, size};
use crate::store::Store;
use crate::trust::outputs::outside;

/// Arguments of `clue report`.
#[derive(clap::Args)]
#[command(after_help = "\
The page is made of the cache, and asks nobody: give the params of the run. It is one file that
loads nothing, and opens in any browser of the last years.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The page to write [default: report.html beside the outputs]
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    page: Option<PathBuf>,
    /// Put in the texts and keys of records that are marked `sensitive` too
    #[arg(long)]
    include_sensitive: bool,
    /// Records of a table at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    limit: usize,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// Makes the page.
pub fn report(args: &Args) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    match written(args, &pipe) {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => bad(&faults, &pipe.pipeline.sources),
    }
}

fn written(args: &Args, pipe: &Arc<Pipe>) -> Result<(), Vec<Diagnostic>> {
    let path = place(args, pipe)?;
    let report = found(args, pipe).map_err(|fault| vec![fault])?;
    let page = html(&report);
    write(&path, page.as_bytes()).map_err(|fault| vec![fault])?;
    let overview = &report.overview;
    let tables = overview.tables.len() as u64;
    let records: usize = overview.tables.iter().map(|table| table.rows).sum();
    if args.json {
        let told = serde_json::json!({
            "event": "report", "path": path, "bytes": page.len(), "tables": tables,
            "records": records, "sensitive": overview.confidential,
        });
        out(&format!("{told}\n"));
        return Ok(());
    }
    out(&format!(
        "report: {} ({}, {}, {})\n",
        path.display(),
        count(records as u64, "record"),
        count(tables, "table"),
        size(page.len() as u64)
    ));
    if overview.hidden {
        out(
            "texts and keys of records marked `sensitive` are left out; \
             `--include-sensitive` puts them in\n",
        );
    }
    if overview.confidential {
        out("it holds texts of records marked `sensitive`: it deserves the care that they do\n");
    }
    Ok(())
}

/// Where the page goes.
fn place(args: &Args, pipe: &Pipe) -> Result<PathBuf, Vec<Diagnostic>> {
    let path = match &args.page {
        Some(path) => path.clone(),
        None => {
            // The folder of outputs may be a link that came along with the pipeline.
            let faults = outside(pipe, args.common.settings.out.is_some());
            if !faults.is_empty() {
                return Err(faults);
            }
            pipe.folders.out.join("report.html")
        }
    };
    match free(pipe, &args.common.settings, &path) {
        Ok(_) => Ok(path),
        Err(fault) => Err(vec![fault]),
    }
}

fn found(args: &Args, pipe: &Arc<Pipe>) -> Result<Report, Diagnostic> {
    let store = Store::open_read(&args.common.settings.store)?;
    ran(&store, pipe)?;
    let options = Options {
        sensitive: args.include_sensitive,
        limit: args.limit,
        live: false,
        timeless: false,
        salting: Salting::Records,
    };
    made(&store, pipe, &options)
}

/// What a page holds, of what is in the cache now.
///
/// # Errors
/// The cache or a file cannot be read.
pub fn made(store: &Store, pipe: &Arc<Pipe>, options: &Options) -> Result<Report, Diagnostic> {
    let known = survey(pipe, store, &Wanted::default())?;
    let choice = choose(pipe, &known, options.sensitive);
    let notes = Notes {
        ledger: Arc::new(Ledger::new(choice.depth)),
        taps: Arc::new(Taps::new(choice.taps()).with_lineage(pipe.stages.len())),
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
    let stages = pipe.stages.iter().map(|s| s.spec.name.value.as_str());
    let calls = notes.ledger.take_all(&stages.collect::<Vec<_>>());
    let before = Before {
        runs: same(runs(store, pipe), pipe),
        errors: errors(&pipe.folders.out.join("errors.jsonl")),
    };
    Ok(seen.page(calls, before, options))
}

/// The runs with these params in which stages worked, newest first.
///
/// # Errors
/// The pipeline never ran.
pub(super) fn ran(store: &Store, pipe: &Pipe) -> Result<Vec<RunRecord>, Diagnostic> {
    let runs = runs(store, pipe);
    if runs.is_empty() {
        let shown = store.root().display();
        let what = format!("no run of this pipeline is in the cache `{shown}`");
        let file = pipe.pipeline.file.display();
        return Err(Diagnostic::error(what).help(format!(
            "run it first with `clue run {file}`, or name another cache with `--store`"
        )));
    }
    Ok(same(runs, pipe))
}

/// Those with the pipeline's params in which stages worked.
fn same(mut runs: Vec<RunRecord>, pipe: &Pipe) -> Vec<RunRecord> {
    let now: std::collections::BTreeMap<_, _> = params(pipe).collect();
    runs.retain(|run| run.params == now && !run.stints.is_empty());
    runs
}

/// What the last run listed as failed. Without the file, nothing failed; a line that is none
/// is not worth losing the page for.
pub fn errors(path: &Path) -> Vec<Failure> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines();
    let lines = lines.filter_map(|line| serde_json::from_str(line).ok());
    lines.collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    let mut file = OutFile::create(path)?;
    file.write(bytes)?;
    file.finish().map(|_| ())
}

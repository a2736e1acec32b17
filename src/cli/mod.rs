//! The command line: one file per command. Exit codes: 0 done; 1 some records or stages
//! failed, or outputs are not as a lock says; 2 bad input or usage; 3 refused, for want of
//! consent or because something is not as a lock says; 5 a limit of calls, tokens or cost
//! reached; 130 interrupted.

mod around;
mod ask;
mod bench;
mod bundle;
mod cache;
mod check;
mod codes;
mod compare;
mod completions;
mod consent;
mod display;
mod docs;
mod ends;
mod estimate;
mod executor;
mod export;
mod fetch;
mod free;
mod graph;
mod how;
mod init;
mod lock;
mod locked;
mod man;
mod missing;
mod models;
mod old_jobs;
mod paged;
mod plan;
mod record;
mod rehearse;
mod replace;
mod replay;
mod report;
mod run;
mod runs;
mod schema;
mod scratch;
mod served;
mod session;
mod shard;
mod shared;
mod show;
mod status;
mod summary;
pub mod supervise;
mod test;
mod trace;
mod transfer;
mod trust;
mod umls;
mod verify;
mod view;
mod watch;
mod when;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};

use crate::store::Store;
use crate::text::visible::harmless;

/// Declarative, cached, resumable pipelines that build and run language-model benchmarks.
#[derive(Parser)]
#[command(name = "clue", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a first pipeline to change: with a prompt, a few records, and a test
    Init(init::Args),
    /// Run a pipeline: only what is not in the cache
    Run(run::Command),
    /// Run the tasks of a benchmark for one or more models: `run` for those in a hurry
    Bench(bench::Args),
    /// Run a pipeline, and write every call with its answer to a cassette
    Record(record::Args),
    /// Run a pipeline with the answers of a cassette, and ask nobody
    Replay(replay::Args),
    /// Test pipelines on a few records, with answers that are given: no server, no cache
    Test(test::Args),
    /// Fetch data sets, or list those that can be fetched
    Fetch(fetch::Args),
    /// Show what a run would do, and why, without doing it
    Plan(plan::PlanArgs),
    /// Say why one stage would run again
    Why(plan::WhyArgs),
    /// Show how the cache stands to each stage: fresh or not, records, calls, when it last ran
    Status(status::Args),
    /// List the runs that the cache remembers, newest first
    Runs(runs::Args),
    /// Write down what a run is made of and what came out, for `run --locked` to hold to
    Lock(lock::Args),
    /// Put a run into one file for others: pipeline, lock, calls, outputs, report
    Bundle(bundle::Args),
    /// Check a bundle: that it is whole, and that what can be made again comes out the same
    Verify(verify::Args),
    /// Check a pipeline and everything it names; all faults at once
    Check(check::Args),
    /// Show the records of a stage from the cache
    Show(show::Args),
    /// Compare two runs, two pipelines, or two models: which records and scores changed
    Compare(compare::Args),
    /// Tell one record's life: what it was made of, asked, scored, and where it ended
    Trace(trace::Args),
    /// Make a page of HTML about the last run: results, records, stages, failures
    Report(report::Args),
    /// Show the same page on this computer while a run goes on
    View(view::Args),
    /// Write what was made in the forms of others: Hugging Face, Inspect, Parquet, CSV
    Export(export::Args),
    /// Draw the stages as Mermaid, DOT or SVG
    Graph(graph::Args),
    /// Find out whether models can be asked
    #[command(subcommand)]
    Models(models::Command),
    /// Show what a pipeline would run and where it would send what, and allow it
    Trust(trust::Args),
    /// Tell what verbs, metrics, filters, models, params and outputs are, with their settings
    Docs(docs::Args),
    /// Print the JSON Schema of pipeline files, for editors
    Schema(schema::Args),
    /// Print what a shell needs to complete commands and flags
    Completions(completions::Args),
    /// Print the manual page, or write those of all commands
    Man(man::Args),
    /// Look after the cache
    #[command(subcommand)]
    Cache(cache::Command),
    /// Build the dictionary of UMLS concepts that the metric `concept_f1` needs
    #[command(subcommand)]
    Umls(umls::Command),
    /// Keep a program on a leash (used by clue itself)
    #[command(hide = true)]
    Supervise {
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
}

/// Runs the program on the process's own arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log();
    if !matches!(cli.command, Command::Supervise { .. }) {
        watch::start();
    }
    let code = run_command(cli.command);
    match LOST.load(Ordering::Relaxed) {
        true if code == ExitCode::SUCCESS => ExitCode::from(codes::FAILED),
        _ => code,
    }
}

fn run_command(command: Command) -> ExitCode {
    match command {
        Command::Init(args) => init::init(&args),
        Command::Run(command) => run::command(command),
        Command::Bench(args) => bench::bench(args),
        Command::Record(args) => record::record(&args),
        Command::Replay(args) => replay::replay(args),
        Command::Test(args) => test::test(&args),
        Command::Fetch(args) => fetch::fetch(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Why(args) => plan::why(&args),
        Command::Status(args) => status::status(&args),
        Command::Runs(args) => runs::runs(&args),
        Command::Lock(args) => lock::lock(&args),
        Command::Bundle(args) => bundle::bundle(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Check(args) => check::check(&args),
        Command::Show(args) => show::show(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Trace(args) => trace::trace(&args),
        Command::Report(args) => report::report(&args),
        Command::View(args) => view::view(args),
        Command::Export(args) => export::export(&args),
        Command::Graph(args) => graph::graph(&args),
        Command::Models(command) => models::models(&command),
        Command::Trust(args) => trust::trust(args),
        Command::Docs(args) => docs::docs(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
        Command::Cache(command) => cache::cache(&command),
        Command::Umls(command) => umls::umls(&command),
        Command::Supervise { argv } => supervise::run(&argv),
    }
}

/// `CLUE_LOG=debug` tells more, on standard error; never the content of records.
fn log() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("CLUE_LOG") {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .init();
    }
}

/// Set once results could not be printed.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints results; a reader that has gone away is no fault. Others are told at the end.
fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    // A program gets the bytes as they are; a terminal nothing that it would obey.
    let text = match stdout.is_terminal() {
        true => harmless(text, true),
        false => text.into(),
    };
    let printed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    if let Err(error) = printed
        && error.kind() != io::ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        err(&format!(
            "error: cannot write to standard output: {error}\n"
        ));
    }
}

/// Prints what is amiss in a cache, as far as it was found.
fn warn(store: &Store) {
    let mut faults = store.take_faults();
    faults.dedup();
    for fault in faults {
        err(&format!("warning: {fault}\n"));
    }
}

/// Prints what is no result. What records and files hold can make a terminal do nothing.
fn err(text: &str) {
    let text = harmless(text, session::color());
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

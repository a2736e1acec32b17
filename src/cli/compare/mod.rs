//! `clue compare`: what differs between two runs, two pipelines, or two lots of records within one
//! run. From the cache alone; asks nobody and writes nothing.

mod between;
mod over;
mod pick;
mod side;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::out;
use super::session::{Common, bad, refuse};
use super::when::when;
use crate::diag::{Diagnostic, Sources};
use crate::report::compare::{Comparison, Look, text};

/// Stages whose gains and losses are shown.
const CASES: usize = 4;

/// Arguments of `clue compare`.
#[derive(clap::Args)]
#[command(after_help = "\
Forms:
  clue compare PIPELINE                      the last run with the one before
  clue compare PIPELINE RUN [RUN]            two runs, or one with the last: an id or its beginning
                                             (`clue runs`), `last`, `last~1`, …
  clue compare PIPELINE OTHER_PIPELINE       the last run of each
  clue compare PIPELINE --stages A B         two stages of one run
  clue compare PIPELINE --between FIELD [A B]
                                             records of one run by the value of a field

It is made of the cache, with the params of the runs, and asks nobody.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Runs, or another pipeline; with `--between` two values
    #[arg(value_name = "RUN", num_args = 0..=2)]
    what: Vec<String>,
    /// Compare the records of two stages of one run, paired by their keys
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "between")]
    stages: Vec<String>,
    /// Compare records of one run that have different values of this field
    #[arg(long, value_name = "FIELD")]
    between: Option<String>,
    /// Fields that tell which records belong together, with `--stages` or `--between`
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    on: Vec<String>,
    /// The stage whose records are compared, with `--between`
    #[arg(long, value_name = "STAGE", requires = "between")]
    stage: Option<String>,
    /// The run, with `--stages` or `--between` [default: the last]
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Show gains and losses by this metric
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// How many gains and losses to show
    #[arg(long, value_name = "N", default_value_t = 3)]
    top: usize,
    /// Show texts as long as they are
    #[arg(long)]
    full: bool,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// Why there is no comparison.
enum Failed {
    /// It was told already.
    Told(ExitCode),
    Fault(Box<Diagnostic>),
}

impl From<Diagnostic> for Failed {
    fn from(fault: Diagnostic) -> Failed {
        Failed::Fault(Box::new(fault))
    }
}

impl From<ExitCode> for Failed {
    fn from(code: ExitCode) -> Failed {
        Failed::Told(code)
    }
}

/// Tells what differs.
pub fn compare(args: &Args) -> ExitCode {
    let mut comparison = match compared(args) {
        Ok(comparison) => comparison,
        Err(Failed::Told(code)) => return code,
        Err(Failed::Fault(fault)) if fault.primary.is_none() => return refuse(&fault),
        Err(Failed::Fault(fault)) => return bad(&[*fault], &Sources::default()),
    };
    if let Some(metric) = &args.metric {
        let names = comparison
            .cases
            .iter()
            .filter_map(|cases| cases.metric.as_deref());
        if !names.clone().any(|name| name == metric) {
            let fault = Diagnostic::error(format!("no score `{metric}` is compared here"));
            return refuse(&fault.suggest(metric, names));
        }
        let wanted = |name: &String| name == metric;
        comparison
            .cases
            .retain(|cases| cases.metric.as_ref().is_some_and(wanted));
    }
    if args.json {
        out(&format!("{}\n", serde_json::json!(comparison)));
        return ExitCode::SUCCESS;
    }
    // Of each stage one metric: the others are there for who asks.
    let mut told: Vec<String> = Vec::new();
    let mut others: Vec<String> = Vec::new();
    comparison.cases.retain(|cases| {
        if cases.metric.is_some() && cases.gained + cases.lost == 0 {
            return false;
        }
        let first = !told.contains(&cases.stage);
        told.push(cases.stage.clone());
        others.extend(cases.metric.clone().filter(|_| !first));
        first
    });
    others.sort();
    others.dedup();
    if !others.is_empty() {
        let others = others.join("`, `");
        let note = format!("gains and losses by `{others}`: with `--metric NAME`");
        comparison.notes.push(note);
    }
    let more = comparison.cases.len().saturating_sub(CASES);
    if more > 0 {
        comparison.cases.truncate(CASES);
        let note = format!("gains and losses of {more} more stages: with `--json`");
        comparison.notes.push(note);
    }
    let look = Look {
        full: args.full,
        color: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    out(&text(&comparison, look, &when));
    ExitCode::SUCCESS
}

fn compared(args: &Args) -> Result<Comparison, Failed> {
    if !args.common.settings.store.is_dir() {
        let shown = args.common.settings.store.display();
        let fault = Diagnostic::error(format!("no cache at `{shown}`"));
        return Err(fault.help("name it with `--store DIR`").into());
    }
    if !args.stages.is_empty() {
        none_of(&args.what, "`--stages`")?;
        return between::stages(args);
    }
    if let Some(field) = &args.between {
        return between::between(args, field);
    }
    if !args.on.is_empty() {
        let fault = Diagnostic::error("`--on` goes with `--stages` or `--between`");
        return Err(fault
            .help("records of two runs are paired by their keys")
            .into());
    }
    if args.run.is_some() {
        let fault = Diagnostic::error("`--run` goes with `--stages` or `--between`");
        return Err(fault.help("name two runs after the pipeline").into());
    }
    let file = args.common.file.clone();
    match args.what.as_slice() {
        [] => over::runs(args, (&file, "last~1"), (&file, "last")),
        [other] if is_pipeline(other) => {
            let other = PathBuf::from(other);
            over::runs(args, (&file, "last"), (&other, "last"))
        }
        [run] => over::runs(args, (&file, run), (&file, "last")),
        [a, b, ..] => over::runs(args, (&file, a), (&file, b)),
    }
}

/// True for the path of a pipeline; a run has no such name.
fn is_pipeline(word: &str) -> bool {
    let path = Path::new(word);
    let yaml = path
        .extension()
        .is_some_and(|end| end == "yaml" || end == "yml");
    yaml || path.is_file()
}

fn none_of(what: &[String], option: &str) -> Result<(), Diagnostic> {
    match what.first() {
        None => Ok(()),
        Some(word) => Err(
            Diagnostic::error(format!("{option} does not go with `{word}`"))
                .help("name another run with `--run`"),
        ),
    }
}

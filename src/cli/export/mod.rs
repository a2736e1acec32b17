//! `clue export`: what a pipeline made, in the forms of others: a data set for Hugging Face's
//! `datasets`, logs for Inspect, or one file. From the cache alone.

mod chosen;
mod file;
mod folder;
mod logs;
mod look;
mod staged;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::codes::{FAILED, REFUSED};
use super::session::{Common, bad, color};
use super::{err, out};
use crate::diag::Diagnostic;
use crate::engine::keep::OutFile;
use crate::engine::pipe::Pipe;
use crate::report::words::{count, size};
use crate::stages::contract::Fault;

/// Arguments of `clue export`.
#[derive(clap::Args)]
#[command(after_help = "\
Everything comes from the cache, and nobody is asked: run the pipeline first, and give the params of
that run. Records of data marked `sensitive` are exported with `--include-sensitive` only.
Exit codes: 0 all of it is written; 1 written, but records failed or lack answers; 2 bad input;
3 refused, because it is sensitive.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The file or the folder to write
    #[arg(short = 'o', long = "to", value_name = "PATH")]
    to: PathBuf,
    /// What to write [default: as PATH ends, else hf]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// An output to export, by its name; may be given several times [default: all with records]
    #[arg(long = "output", value_name = "NAME")]
    outputs: Vec<String>,
    /// A stage to export; may be given several times
    #[arg(long = "stage", value_name = "NAME")]
    stages: Vec<String>,
    /// hf: what the only split is called
    #[arg(
        long,
        value_name = "NAME",
        default_value = "test",
        conflicts_with = "split_by"
    )]
    split: String,
    /// hf: the field that names the split of each record
    #[arg(long, value_name = "FIELD")]
    split_by: Option<String>,
    /// hf: the license, by its SPDX identifier [default: the pipeline's `license:`]
    #[arg(long, value_name = "ID")]
    license: Option<String>,
    /// hf: a language of the texts, such as en; may be given several times
    #[arg(long = "language", value_name = "CODE")]
    languages: Vec<String>,
    /// hf: a kind of task, such as question-answering; may be given several times
    #[arg(long = "task-category", value_name = "NAME")]
    tasks: Vec<String>,
    /// Export records that are marked `sensitive` too
    #[arg(long)]
    include_sensitive: bool,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A folder that Hugging Face's `datasets` loads
    Hf,
    /// A folder of logs that Inspect reads
    Inspect,
    /// One object a line
    Jsonl,
    /// Comma-separated values
    Csv,
    /// Columns with types
    Parquet,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Hf => "hf",
            Format::Inspect => "inspect",
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }

    /// As a path ends.
    fn of(path: &Path) -> Format {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        match ending.to_lowercase().as_str() {
            "jsonl" | "ndjson" => Format::Jsonl,
            "csv" => Format::Csv,
            "parquet" => Format::Parquet,
            _ => Format::Hf,
        }
    }
}

/// Why nothing is written.
enum Stop {
    /// Something is wrong.
    Faults(Vec<Diagnostic>),
    /// It is sensitive.
    Sensitive(Box<Diagnostic>),
}

impl From<Diagnostic> for Stop {
    fn from(fault: Diagnostic) -> Stop {
        Stop::Faults(vec![fault])
    }
}

/// A file that was written.
struct Written {
    path: PathBuf,
    records: u64,
    bytes: u64,
}

/// What was done.
#[derive(Default)]
struct Done {
    files: Vec<Written>,
    /// What is missing, in lines.
    missing: Vec<String>,
    /// There are sensitive records in it.
    sensitive: bool,
    /// What is worth knowing, in lines.
    notes: Vec<String>,
}

/// Exports.
pub fn export(args: &Args) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    let format = args.format.unwrap_or_else(|| Format::of(&args.to));
    let done = match format {
        Format::Hf => folder::write(args, &pipe),
        Format::Inspect => logs::write(args, &pipe),
        format => file::write(args, &pipe, format),
    };
    match done {
        Ok(done) => told(args, format, &done),
        Err(Stop::Faults(faults)) => bad(&faults, &pipe.pipeline.sources),
        Err(Stop::Sensitive(fault)) => {
            let text = fault.render(&pipe.pipeline.sources, color());
            err(&format!("{text}\n\nrefused: nothing was written\n"));
            ExitCode::from(REFUSED)
        }
    }
}

fn told(args: &Args, format: Format, done: &Done) -> ExitCode {
    for line in &done.missing {
        err(&format!("warning: {line}\n"));
    }
    if args.json {
        let files = done.files.iter();
        let files = files
            .map(|file| json!({"path": file.path, "records": file.records, "bytes": file.bytes}));
        let told = json!({
            "event": "export", "format": format.name(), "path": args.to,
            "files": files.collect::<Vec<_>>(), "sensitive": done.sensitive,
            "missing": done.missing,
        });
        out(&format!("{told}\n"));
    } else {
        for file in &done.files {
            out(&format!(
                "written: {} ({}, {})\n",
                file.path.display(),
                count(file.records, "record"),
                size(file.bytes)
            ));
        }
        for line in &done.notes {
            out(&format!("{line}\n"));
        }
        if done.sensitive {
            out("it holds records marked `sensitive`: it deserves the care that they do\n");
        }
    }
    ExitCode::from(if done.missing.is_empty() { 0 } else { FAILED })
}

/// Refuses what is sensitive, unless the user wants it all the same. `stages` are those whose
/// records would be written, with what they are called.
fn guard<'a>(
    args: &Args,
    pipe: &Pipe,
    stages: impl IntoIterator<Item = (&'a str, usize)>,
) -> Result<bool, Stop> {
    let mut stages = stages.into_iter();
    let Some((name, stage)) = stages.find(|(_, at)| pipe.stages[*at].sensitive) else {
        return Ok(false);
    };
    if args.include_sensitive {
        return Ok(true);
    }
    let what = format!("`{name}` is made of data marked `sensitive`");
    let fault = Diagnostic::error(what)
        .at(pipe.stages[stage].spec.name.span, "")
        .help(
            "export something else with `--output` or `--stage`; or, if those who get it may have \
             the data, add `--include-sensitive`",
        );
    Err(Stop::Sensitive(Box::new(fault)))
}

/// Writes a file of the bytes that come in pieces, until there are no more: how many there are.
fn pour(
    path: &Path,
    mut more: impl FnMut(&mut Vec<u8>) -> Result<bool, Diagnostic>,
) -> Result<u64, Diagnostic> {
    let mut file = OutFile::create(path)?;
    let mut bytes = Vec::new();
    loop {
        let goes_on = more(&mut bytes)?;
        file.write(&bytes)?;
        bytes.clear();
        if !goes_on {
            return Ok(file.finish()?.1);
        }
    }
}

/// The fault of a whole file.
fn whole(fault: Fault) -> Diagnostic {
    match fault {
        Fault::Stage(fault) => *fault,
        Fault::Record(why) | Fault::Call(why) | Fault::Answer(why) => Diagnostic::error(why),
    }
}

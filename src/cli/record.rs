//! `clue record`: runs a pipeline, and writes every call that it is made of to a cassette, whether
//! the cache or a model answered it. `clue replay` and `clue test` play it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::codes::REFUSED;
use super::free::free;
use super::how;
use super::replace::replace;
use super::run::{Way, prepared};
use super::session::bad;
use super::show::stage;
use super::{err, out};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::survey::{Wanted, survey};
use crate::replay::cassette;
use crate::replay::ledger::{Depth, Ledger};
use crate::report::words::{count, size};
use crate::store::Store;

/// Arguments of `clue record`.
#[derive(clap::Args)]
#[group(skip)]
#[command(after_help = "\
A cassette is a text file: a line of JSON for each call, in an order that does not depend on which
came first. It holds the prompts, the answers and the keys of records as they are.")]
pub struct Args {
    #[command(flatten)]
    run: how::Args,
    /// The cassette to write
    #[arg(short = 'o', long, value_name = "FILE")]
    cassette: PathBuf,
    /// Leave out what was asked; answers can be played without
    #[arg(long)]
    no_prompts: bool,
    /// Record also calls about data marked `sensitive`
    #[arg(long)]
    include_sensitive: bool,
}

/// Runs and records.
pub fn record(args: &Args) -> ExitCode {
    let pipe = match args.run.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    match recorded(args, &pipe) {
        Ok(code) => code,
        Err(fault) => bad(&[*fault], &pipe.pipeline.sources),
    }
}

fn recorded(args: &Args, pipe: &Arc<Pipe>) -> Result<ExitCode, Box<Diagnostic>> {
    free(pipe, &args.run.common.settings, &args.cassette)?;
    let names = private(args, pipe)?;
    if !names.is_empty() && !args.include_sensitive {
        err(&format!(
            "a cassette would hold prompts and answers about data marked `sensitive`, as plain \
             text: those of {}\nif it may, say so with `--include-sensitive`\n",
            names.join(", ")
        ));
        return Ok(ExitCode::from(REFUSED));
    }
    let mut way = Way::of(&args.run.how);
    way.ledger = Arc::new(Ledger::new(Depth::Calls));
    way.again = true;
    let ran = prepared(&args.run, pipe, &way)?;
    if !ran.ended {
        err("nothing is recorded: the run did not come to its end\n");
        return Ok(ran.code);
    }
    let stages = pipe.stages.iter().map(|s| s.spec.name.value.as_str());
    let mut calls = way.ledger.take_calls(&stages.collect::<Vec<_>>());
    if args.no_prompts {
        calls.iter_mut().for_each(|call| call.asked = None);
    }
    let bytes = cassette::write(&pipe.pipeline.name, &calls);
    replace(&args.cassette, &bytes)?;
    if args.run.how.json {
        let told = serde_json::json!({
            "event": "recorded", "cassette": args.cassette, "calls": calls.len(),
        });
        out(&format!("{told}\n"));
    } else {
        out(&format!(
            "recorded: {} in {} ({})\n",
            count(calls.len() as u64, "call"),
            args.cassette.display(),
            size(bytes.len() as u64)
        ));
    }
    if ran.failed > 0 {
        err("records failed: calls without an answer are not on the cassette\n");
    }
    Ok(ran.code)
}

/// The stages that ask about sensitive data, as messages name them.
fn private(args: &Args, pipe: &Pipe) -> Result<Vec<String>, Box<Diagnostic>> {
    let store = Store::open_read(&args.run.common.settings.store)?;
    let until = args.run.how.until.iter();
    let until = until.map(|name| stage(pipe, name));
    let wanted = Wanted {
        until: until.collect::<Result<_, _>>()?,
        ..Wanted::default()
    };
    let asking = survey(pipe, &store, &wanted)?.asking();
    let stages = asking.into_iter().map(|at| &pipe.stages[at]);
    let private = stages.filter(|stage| stage.sensitive);
    Ok(private
        .map(|stage| format!("`{}`", stage.spec.name.value))
        .collect())
}

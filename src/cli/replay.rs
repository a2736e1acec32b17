//! `clue replay`: runs a pipeline with the answers of a cassette alone: without models, and
//! without the user's cache.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use futures::future::try_join_all;

use super::how;
use super::run::{Way, prepared};
use super::scratch::Scratch;
use super::session::{bad, refuse};
use super::{out, warn};
use crate::diag::Diagnostic;
use crate::engine::stock::Source;
use crate::replay::cassette::{self, Entry};
use crate::replay::ledger::{Depth, Ledger};
use crate::report::words::{count, thousands};
use crate::store::Store;

/// Calls that are stored together.
const TOGETHER: usize = 1024;

/// Arguments of `clue replay`.
#[derive(clap::Args)]
#[group(skip)]
#[command(after_help = "\
Nothing is read from the cache and nothing is left there: a temporary one is made in its folder if
there is one, else where temporary files go.")]
pub struct Args {
    #[command(flatten)]
    run: how::Args,
    /// The cassette
    cassette: PathBuf,
}

/// Runs with a cassette.
pub fn replay(args: Args) -> ExitCode {
    match replayed(args) {
        Ok(code) => code,
        Err(fault) => refuse(&fault),
    }
}

fn replayed(mut args: Args) -> Result<ExitCode, Diagnostic> {
    let entries = read(&args.cassette)?;
    // Removed at the end.
    let (folder, _beside) = temporary(&args.run.common.settings.store)?;
    args.run.common.settings.store = folder.path().to_owned();
    fill(folder.path(), &entries)?;
    let pipe = match args.run.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return Ok(code),
    };
    let way = Way {
        source: Source::Cassette,
        ledger: Arc::new(Ledger::new(Depth::Keys)),
        ..Way::default()
    };
    let ran = match prepared(&args.run, &pipe, &way) {
        Ok(ran) => ran,
        Err(fault) => return Ok(bad(&[*fault], &pipe.pipeline.sources)),
    };
    if ran.ended {
        let used = |entry: &&Entry| way.ledger.has_used(entry.call);
        let used = entries.iter().filter(used).count();
        told(args.run.how.json, entries.len(), used);
    }
    Ok(ran.code)
}

fn told(json: bool, all: usize, used: usize) {
    if json {
        let told = serde_json::json!({
            "event": "replayed", "calls": all, "used": used, "unused": all - used,
        });
        out(&format!("{told}\n"));
        return;
    }
    let calls = count(all as u64, "call");
    match all - used {
        0 => out(&format!("replayed: {calls}\n")),
        unused => out(&format!(
            "replayed: {} of {calls}; {} on the cassette not used\n",
            thousands(used as u64),
            thousands(unused as u64)
        )),
    }
}

/// Reads a cassette.
///
/// # Errors
/// What is wrong with it, and in which line. Lines are not shown: they may hold anything.
pub fn read(path: &Path) -> Result<Vec<Entry>, Diagnostic> {
    let shown = path.display();
    // Whatever else it is may never end.
    if path.exists() && !path.is_file() {
        return Err(Diagnostic::error(format!("`{shown}` is no regular file")));
    }
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Diagnostic::error(format!("no file `{shown}`")),
        _ => Diagnostic::error(format!("cannot read `{shown}`: {error}")),
    })?;
    cassette::read(&bytes).map_err(|fault| {
        let what = format!("`{shown}` line {} {}", fault.line, fault.what);
        let told = Diagnostic::error(what);
        match fault.help {
            Some(help) => told.help(help),
            None => told,
        }
    })
}

/// A folder for a cache, removed when dropped: inside of the user's cache if there is one, on the
/// same disk and with the same rights. That is held open so that nobody cleans it up meanwhile.
fn temporary(store: &Path) -> Result<(Scratch, Option<Store>), Diagnostic> {
    let inside = store.join("tmp");
    let beside = inside.is_dir().then(|| Store::open(store)).transpose()?;
    let made = match &beside {
        Some(_) => Scratch::inside(&inside)?,
        None => Scratch::make()?,
    };
    Ok((made, beside))
}

/// Puts the calls of a cassette into a cache.
///
/// # Errors
/// It cannot be written.
pub fn fill(store: &Path, entries: &[Entry]) -> Result<(), Diagnostic> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Diagnostic::error(format!("cannot start: {error}")))?;
    let store = Store::open(store)?;
    for some in entries.chunks(TOGETHER) {
        let stored = some
            .iter()
            .map(|entry| store.put_call(entry.call, &entry.reply));
        runtime.block_on(try_join_all(stored))?;
    }
    warn(&store);
    Ok(())
}

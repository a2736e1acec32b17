//! `clue cache`: what is in the cache, whether it is sound, and what can go.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use super::old_jobs;
use super::scratch::sweep;
use super::session::refuse;
use super::transfer::{self, Way};
use super::{out, warn};
use crate::diag::Diagnostic;
use crate::engine::runs::all;
use crate::plan::manifest::Item;
use crate::report::words::{count, size};
use crate::store::{Amount, Store};

/// Which folder, and how to tell.
#[derive(clap::Args)]
pub struct Place {
    /// The cache
    #[arg(long, value_name = "DIR", env = "CLUE_STORE", default_value = ".clue")]
    pub store: PathBuf,
    /// Tell it as JSON
    #[arg(long)]
    pub json: bool,
}

/// The commands.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Say how much is in the cache
    Stats(Place),
    /// Read everything and say what is damaged; damaged parts are made anew when needed
    Verify(Place),
    /// Remove artifacts and prompt texts that only older runs used, and what is left of jobs on
    /// clusters; calls are kept
    Gc {
        #[command(flatten)]
        place: Place,
        /// How many of the latest runs keep what they use
        #[arg(long, value_name = "N", default_value_t = 10)]
        keep_runs: usize,
        /// Say what would go, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Send what is in the cache and not there: to an S3 bucket, or to another folder
    Push(transfer::Args),
    /// Get what is there and not in the cache: from an S3 bucket, or from another folder
    Pull(transfer::Args),
}

/// Runs a command.
pub fn cache(command: &Command) -> ExitCode {
    let done = match command {
        Command::Push(args) => return transfer::transfer(args, Way::Push),
        Command::Pull(args) => return transfer::transfer(args, Way::Pull),
        Command::Stats(place) => stats(place),
        Command::Verify(place) => verify(place),
        Command::Gc {
            place,
            keep_runs,
            dry_run,
        } => gc(place, *keep_runs, *dry_run),
    };
    done.unwrap_or_else(|fault| refuse(&fault))
}

/// Checks that there is a cache.
///
/// # Errors
/// There is none.
pub fn existing(place: &Place) -> Result<(), Diagnostic> {
    if place.store.is_dir() {
        return Ok(());
    }
    Err(
        Diagnostic::error(format!("no cache at `{}`", place.store.display()))
            .help("name it with `--store DIR`"),
    )
}

fn stats(place: &Place) -> Result<ExitCode, Diagnostic> {
    existing(place)?;
    let store = Store::open_read(&place.store)?;
    let stats = store.stats();
    let jobs = old_jobs::all(&place.store);
    if place.json {
        let mut told = serde_json::json!(stats);
        told["jobs"] = serde_json::json!(jobs);
        out(&format!("{told}\n"));
    } else {
        let line = |what: &str, amount: &Amount| {
            let bytes = size(amount.bytes);
            format!("{what:<10} {:>9}  {bytes:>10}\n", amount.count)
        };
        out(&line("calls", &stats.calls));
        out(&line("results", &stats.results));
        out(&line("artifacts", &stats.artifacts));
        if jobs.count > 0 {
            out(&line("jobs", &jobs));
        }
    }
    warn(&store);
    Ok(ExitCode::SUCCESS)
}

fn verify(place: &Place) -> Result<ExitCode, Diagnostic> {
    existing(place)?;
    let store = Store::open(&place.store)?;
    let mut faults = store.take_faults();
    faults.extend(store.verify());
    faults.dedup();
    if place.json {
        out(&format!("{}\n", serde_json::json!({ "faults": faults })));
    } else if faults.is_empty() {
        out("the cache is sound\n");
    } else {
        for fault in &faults {
            out(&format!("{fault}\n"));
        }
        out(&format!("{} damaged parts\n", faults.len()));
    }
    Ok(ExitCode::from(u8::from(!faults.is_empty())))
}

fn gc(place: &Place, keep_runs: usize, dry_run: bool) -> Result<ExitCode, Diagnostic> {
    let left = sweep(dry_run);
    // A killed replay may have had no cache beside it.
    if left > 0 && !place.store.is_dir() {
        if place.json {
            out(&format!("{}\n", serde_json::json!({ "left_behind": left })));
        } else {
            out(&behind(left, dry_run));
        }
        return Ok(ExitCode::SUCCESS);
    }
    existing(place)?;
    let store = Store::open(&place.store)?;
    let runs = all(&store, None);
    let mut keep: HashSet<crate::hash::Hash> = store.call_keys().into_iter().collect();
    // Shares of a run are kept with it, and do not count.
    let whole = runs
        .iter()
        .enumerate()
        .filter(|(_, (_, run))| !run.is_share());
    let kept = whole.map(|(at, _)| at).nth(keep_runs).unwrap_or(runs.len());
    for (_, run) in &runs[..kept] {
        keep.extend(run.stages_in);
        for stage in run.stages.values() {
            keep.insert(stage.recipe);
            keep.extend(stage.output.as_ref().map(|output| output.content));
            keep.extend(stage.manifest.items.iter().filter_map(|item| match item {
                Item::Prompt { hash, .. } => Some(*hash),
                _ => None,
            }));
        }
    }
    if !dry_run {
        for (id, _) in &runs[kept..] {
            store.remove_run(id)?;
        }
    }
    let freed = store.gc(&keep, dry_run)?;
    let facts = runs[..kept]
        .iter()
        .filter_map(|(_, run)| run.facts.as_ref());
    let oldest = facts.map(|facts| facts.began).min();
    let oldest = oldest.map(|began| UNIX_EPOCH + Duration::from_millis(began));
    let jobs = old_jobs::sweep(&place.store, oldest, dry_run)?;
    if place.json {
        let mut told = serde_json::json!(freed);
        told["jobs"] = serde_json::json!(jobs);
        out(&format!("{told}\n"));
    } else {
        let bytes = freed.entries.bytes + freed.artifacts.bytes + freed.blobs.bytes + jobs.bytes;
        let would = if dry_run { "would free" } else { "freed" };
        out(&format!(
            "{would} {}: {} artifacts, {} kept texts, {} entries of the log, {} of jobs\n",
            size(bytes),
            freed.artifacts.count,
            freed.blobs.count,
            freed.entries.count,
            count(jobs.count, "folder")
        ));
        if left > 0 {
            out(&behind(left, dry_run));
        }
    }
    warn(&store);
    Ok(ExitCode::SUCCESS)
}

/// Says what commands that were killed left where temporary files go.
fn behind(left: u64, dry_run: bool) -> String {
    let would = if dry_run { "would remove" } else { "removed" };
    format!(
        "{would} {} that killed commands left behind\n",
        count(left, "folder")
    )
}

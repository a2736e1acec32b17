//! Looks whether there is anything new: in the cache, or in the pipeline's files. Makes the page
//! again then, but not all the time: what takes long is made less often.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch::Sender;

use super::Args;
use super::page::Shown;
use crate::cli::report::made;
use crate::diag::{Diagnostic, Sources};
use crate::engine::pipe::Pipe;
use crate::report::page::{Options, Report, Salting};
use crate::store::Store;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);
/// The part of its time that it may work: one in so many.
const REST: u32 = 4;

/// Looks until nobody listens any more.
pub fn look(args: &Args, mut pipe: Arc<Pipe>, shown: &Sender<Shown>) {
    let (mut seen, mut broken) = (None, false);
    let mut watched = paths(&pipe.pipeline.sources);
    let mut files = of_files(&watched);
    loop {
        let mut rest = LOOK;
        if of_files(&watched) != files {
            match args.common.tried() {
                Ok(new) => {
                    pipe = Arc::new(new);
                    watched = paths(&pipe.pipeline.sources);
                    files = of_files(&watched);
                    seen = None;
                    broken = false;
                }
                // What was there stays, and says so until there is something sound: that may come of
                // a file that is new and has a fault.
                Err(sources) => {
                    watched.extend(paths(&sources));
                    files = of_files(&watched);
                    broken = true;
                    let words = "the pipeline has faults now: they are told at the terminal";
                    shown.send_modify(|shown| shown.fault = Some(words.to_owned()));
                }
            }
        }
        let now = of_store(&args.common.settings.store);
        if !broken && seen != Some(now) {
            let began = Instant::now();
            let report = page(args, &pipe);
            rest = rest.max(began.elapsed() * REST);
            // What came in the meantime is seen the next time.
            seen = Some(now);
            shown.send_modify(|shown| match report {
                Ok(report) => shown.add(report),
                Err(fault) => shown.fault = Some(fault.message),
            });
        }
        if shown.is_closed() {
            return;
        }
        std::thread::sleep(rest);
    }
}

fn page(args: &Args, pipe: &Arc<Pipe>) -> Result<Report, Diagnostic> {
    let options = Options {
        sensitive: args.include_sensitive,
        limit: args.limit,
        live: true,
        timeless: false,
        salting: Salting::Records,
    };
    let store = Store::open_read(&args.common.settings.store)?;
    made(&store, pipe, &options)
}

fn paths(sources: &Sources) -> BTreeSet<PathBuf> {
    sources.all().map(|(path, _)| path.to_owned()).collect()
}

/// Another number once a file has another content, is gone, or is there.
fn of_files(paths: &BTreeSet<PathBuf>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        std::fs::read(path).ok().hash(&mut hasher);
    }
    hasher.finish()
}

/// Another number once something was added to a cache.
fn of_store(store: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    for name in ["calls", "runs", "artifacts"] {
        sizes(&store.join(name), &mut hasher);
    }
    hasher.finish()
}

fn sizes(folder: &Path, hasher: &mut DefaultHasher) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (path, data) in found {
        if data.is_dir() {
            sizes(&path, hasher);
        } else {
            (path, data.len()).hash(hasher);
        }
    }
}

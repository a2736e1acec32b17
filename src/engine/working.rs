//! The loop of stages that compute something expensive for each record: from the cache if it
//! is there, else on a blocking thread, a batch at a time, and stored before it is used.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::lineage::Key;
use super::worker::{Broken, Worker};
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::record::Record;
use crate::stages::contract::{Fault, Work};

/// Records that are computed together: enough to sort texts by length and fill batches.
const TOGETHER: usize = 256;

/// A record, and its result as far as it is known.
struct Item {
    record: Record,
    key: Hash,
    result: Option<Result<Json, Fault>>,
}

/// Passes every record on with its result, in the records' order.
///
/// # Errors
/// As in [`Worker`].
pub async fn work(worker: &mut Worker, mut work: Box<dyn Work>) -> Result<(), Broken> {
    let files = files(worker)?;
    let mut items: Vec<Item> = Vec::new();
    let mut missing = 0;
    let mut open = true;
    while open {
        match worker.read(0).await {
            Some(records) => {
                for record in records {
                    let key = match work.key(&record) {
                        Ok(key) => Hash::of("clue work v1", &(key, &files)),
                        Err(fault) => {
                            took(worker, &record.key, &[]);
                            worker.fault(&record.key, fault)?;
                            continue;
                        }
                    };
                    let known: Option<Json> = worker.shop.store.get_call(key);
                    missing += usize::from(known.is_none());
                    items.push(Item {
                        record,
                        key,
                        result: known.map(Ok),
                    });
                }
            }
            None => open = false,
        }
        if worker.shop.halt.is_raised() {
            return Err(Broken::Elsewhere);
        }
        if missing < TOGETHER && open {
            // What is known goes on at once, but never past what is not.
            if missing == 0 {
                settle(worker, &mut *work, std::mem::take(&mut items)).await?;
            }
        } else if worker.shop.dry {
            worker.unanswered |= missing > 0;
            for item in items.iter().filter(|item| item.result.is_none()) {
                took(worker, &item.record.key, &[]);
            }
            items.retain(|item| item.result.is_some());
            settle(worker, &mut *work, std::mem::take(&mut items)).await?;
            missing = 0;
        } else {
            let done;
            (work, done) = compute(worker, work, std::mem::take(&mut items)).await?;
            settle(worker, &mut *work, done).await?;
            missing = 0;
        }
        if worker.deserted() {
            worker.cut = true;
            return Ok(());
        }
    }
    worker.inputs_ended()
}

/// Notes what was made of a record, for those who ask.
fn took(worker: &Worker, key: &Key, made: &[Record]) {
    if let Some(lineage) = worker.shop.taps.lineage() {
        lineage.took(worker.at, 0, key, made);
    }
}

/// The content of the stage's files.
fn files(worker: &Worker) -> Result<Vec<Hash>, Diagnostic> {
    let pipe = &worker.shop.pipe;
    let stage = &pipe.stages[worker.at];
    let paths = stage.verb.files(&pipe.build(worker.at, Vec::new()));
    let hash = |path: &PathBuf| {
        worker.shop.store.hash_file(path).map_err(|e| {
            Diagnostic::error(format!("cannot read `{}`: {e}", path.display()))
                .at(stage.spec.name.span, "")
        })
    };
    paths.iter().map(hash).collect()
}

/// Computes and stores what is not known yet.
async fn compute(
    worker: &Worker,
    mut work: Box<dyn Work>,
    mut items: Vec<Item>,
) -> Result<(Box<dyn Work>, Vec<Item>), Broken> {
    // Equal tasks are one task.
    let mut asked = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        if item.result.is_none() {
            asked.entry(item.key).or_insert(at);
        }
    }
    let mut first: Vec<usize> = asked.values().copied().collect();
    first.sort_unstable();
    let records: Vec<Record> = first.iter().map(|at| items[*at].record.clone()).collect();
    let thread = tokio::task::spawn_blocking(move || {
        let results = work.work(&records);
        (work, results)
    });
    let (work, results) = thread.await.map_err(|_| Broken::Elsewhere)?;
    let mut stored = Vec::new();
    for (at, result) in first.iter().zip(&results) {
        if let Ok(result) = result {
            stored.push(worker.shop.store.put_call(items[*at].key, result));
        }
    }
    futures::future::try_join_all(stored).await?;
    let found: HashMap<Hash, Result<Json, Fault>> =
        first.iter().map(|at| items[*at].key).zip(results).collect();
    for item in &mut items {
        if item.result.is_none() {
            item.result = found.get(&item.key).cloned();
        }
    }
    Ok((work, items))
}

async fn settle(worker: &mut Worker, work: &mut dyn Work, items: Vec<Item>) -> Result<(), Broken> {
    let mut out = Vec::new();
    for item in items {
        let key = item.record.key.clone();
        let result = item
            .result
            .unwrap_or_else(|| Err(Fault::Record("the computation gave no result".to_owned())));
        let before = out.len();
        let absorbed = result.and_then(|result| work.absorb(item.record, &result, &mut out));
        took(worker, &key, out.get(before..).unwrap_or_default());
        if let Err(fault) = absorbed {
            worker.fault(&key, fault)?;
        }
    }
    worker.emit(&mut out).await?;
    worker.outlet.flush().await;
    Ok(())
}

//! The loops of stages that make, change and write records.

use tokio::sync::mpsc;

use super::edge::BATCH;
use super::keep::{ArtifactRecords, OutFile};
use super::survey::out_file;
use super::worker::{Broken, Worker};
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::record::Record;
use crate::stages::contract::{Fault, Flow, Sink, Source};

/// Batches that a blocking thread may be ahead.
const AHEAD: usize = 2;

/// Makes records on a blocking thread until there are no more or nobody wants them.
///
/// # Errors
/// As in [`Worker`].
pub async fn source(worker: &mut Worker, mut source: Box<dyn Source>) -> Result<(), Broken> {
    let make = move |out: &mut Vec<Record>| source.next(out);
    pump(worker, make).await.map_err(|broken| match broken {
        Broken::Fault(fault) => Broken::Input(fault),
        broken => broken,
    })
}

/// Reads the records of an artifact.
///
/// # Errors
/// As in [`Worker`].
pub async fn reread(worker: &mut Worker, content: Hash) -> Result<(), Broken> {
    let gone = || {
        Diagnostic::error("a part of the cache was damaged while it was read")
            .help("run again: it will be made anew")
    };
    let records = ArtifactRecords::open(&worker.shop.store, content)?;
    let mut records = records.ok_or_else(gone)?;
    let make = move |out: &mut Vec<Record>| {
        let before = out.len();
        for record in records.by_ref().take(BATCH) {
            out.push(record.map_err(|_| Fault::from(gone()))?);
        }
        Ok(out.len() > before)
    };
    pump(worker, make).await
}

async fn pump(
    worker: &mut Worker,
    mut make: impl FnMut(&mut Vec<Record>) -> Result<bool, Fault> + Send + 'static,
) -> Result<(), Broken> {
    let (tx, mut rx) = mpsc::channel::<Result<Vec<Record>, Fault>>(AHEAD);
    let halt = worker.shop.halt.clone();
    let thread = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        loop {
            if halt.is_raised() {
                return false;
            }
            let more = match make(&mut out) {
                Ok(more) => more,
                Err(fault) => {
                    let last = matches!(fault, Fault::Stage(_));
                    if tx.blocking_send(Err(fault)).is_err() || last {
                        return false;
                    }
                    true
                }
            };
            let enough = out.len() >= BATCH || !more;
            if enough && !out.is_empty() && tx.blocking_send(Ok(std::mem::take(&mut out))).is_err()
            {
                return false;
            }
            if !more {
                return true;
            }
        }
    });
    while let Some(made) = rx.recv().await {
        match made {
            Ok(mut records) => {
                worker.row().read.add(records.len() as u64);
                worker.emit(&mut records).await?;
            }
            Err(fault) => worker.fault("", fault)?,
        }
        if worker.deserted() {
            worker.cut = true;
            break;
        }
    }
    drop(rx);
    match thread.await {
        Ok(true) => Ok(()),
        Ok(false) if worker.cut => Ok(()),
        _ => Err(Broken::Elsewhere),
    }
}

/// Passes the records of every port through the operator.
///
/// # Errors
/// As in [`Worker`].
pub async fn flow(worker: &mut Worker, mut flow: Box<dyn Flow>) -> Result<(), Broken> {
    let mut out = Vec::new();
    let mut full = flow.is_full();
    'ports: for port in flow.port_order(worker.inlets.len()) {
        if full {
            break;
        }
        while let Some(records) = worker.read_wanted(port).await {
            for record in records {
                let key = record.key.clone();
                let before = out.len();
                let pushed = flow.push(port, record, &mut out);
                if let Some(lineage) = worker.shop.taps.lineage() {
                    let made = out.get(before..).unwrap_or_default();
                    match pushed {
                        Ok(()) => lineage.pushed(worker.at, (port, &key), made, &*flow),
                        Err(_) => lineage.took(worker.at, port, &key, made),
                    }
                }
                if let Err(fault) = pushed {
                    worker.fault(&key, fault)?;
                }
                if out.len() >= BATCH {
                    worker.emit(&mut out).await?;
                }
                if flow.is_full() {
                    full = true;
                    break 'ports;
                }
            }
            worker.emit(&mut out).await?;
            worker.outlet.flush().await;
            if worker.deserted() {
                worker.cut = true;
                return Ok(());
            }
        }
        if worker.cut {
            return Ok(());
        }
        if worker.inlets[port].ended().is_none() {
            return Err(Broken::Elsewhere);
        }
    }
    // Hanging up stops those who work for this stage alone.
    if full {
        worker.inlets.clear();
    }
    for turn in 0.. {
        let before = out.len();
        let drained = flow.drain(&mut out);
        if let Some(lineage) = worker.shop.taps.lineage() {
            let made = out.get(before..).unwrap_or_default();
            lineage.drained(worker.at, turn, made, &*flow);
        }
        let more = match drained {
            Ok(more) => more,
            Err(fault) => {
                worker.fault("", fault)?;
                false
            }
        };
        worker.emit(&mut out).await?;
        if worker.deserted() {
            worker.cut = true;
            return Ok(());
        }
        if worker.shop.halt.is_raised() {
            return Err(Broken::Elsewhere);
        }
        if !more {
            break;
        }
    }
    Ok(())
}

/// Writes the records into an output file.
///
/// # Errors
/// As in [`Worker`].
pub async fn sink(worker: &mut Worker, mut sink: Box<dyn Sink>) -> Result<(), Broken> {
    let Some(path) = out_file(&worker.shop.pipe, worker.at) else {
        return Err(Diagnostic::error("this stage writes no file").into());
    };
    let mut file = OutFile::create(&path)?;
    let mut bytes = Vec::new();
    while let Some(records) = worker.read(0).await {
        for record in records {
            match sink.record(&record, &mut bytes) {
                Ok(()) => worker.row().emitted.add(1),
                Err(fault) => worker.fault(&record.key, fault)?,
            }
        }
        file.write(&bytes)?;
        bytes.clear();
    }
    worker.inputs_ended()?;
    loop {
        let more = match sink.end(&mut bytes) {
            Ok(more) => more,
            Err(fault) => {
                worker.fault("", fault)?;
                false
            }
        };
        file.write(&bytes)?;
        bytes.clear();
        if worker.shop.halt.is_raised() && more {
            return Err(Broken::Elsewhere);
        }
        if !more {
            break;
        }
    }
    worker.written = Some(file.finish()?);
    Ok(())
}

//! One stage at work: where its records come from and go to, what it counts, and how it ends.
//! The loops over records are in `flow`, `asking` and `exec`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::board::{Board, Event, Events, Kind, Row, State};
use super::calls::Calls;
use super::edge::{Inlet, Outlet};
use super::halt::{Halt, Reason};
use super::keep::{Artifact, Failure, Failures};
use super::pipe::Pipe;
use super::taps::Taps;
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::model::scripts::Script;
use crate::record::Record;
use crate::spec::pipeline::OnError;
use crate::stages::contract::{Build, Fault, Operator};
use crate::store::{Store, StoreError};

/// What all stages of a run share.
#[derive(Clone)]
pub struct Shop {
    /// The pipeline.
    pub pipe: Arc<Pipe>,
    /// The cache.
    pub store: Store,
    /// Calls to models.
    pub calls: Arc<Calls>,
    /// Counters.
    pub board: Arc<Board>,
    /// What is worth telling.
    pub events: Events,
    /// The wish to stop.
    pub halt: Halt,
    /// Failed records.
    pub failures: Arc<Failures>,
    /// Where records are taken down.
    pub taps: Arc<Taps>,
    /// The files of the stages' programs as the user agreed to them.
    pub agreed: Arc<BTreeMap<usize, Vec<Script>>>,
    /// True to look only: no call is made, nothing is written.
    pub dry: bool,
}

/// Why a stage did not finish.
pub enum Broken {
    /// Its own fault.
    Fault(Box<Diagnostic>),
    /// A fault of the file that it reads.
    Input(Box<Diagnostic>),
    /// A stage before it broke, or the run stops.
    Elsewhere,
}

impl From<Diagnostic> for Broken {
    fn from(fault: Diagnostic) -> Broken {
        Broken::Fault(Box::new(fault))
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Broken {
        Broken::Fault(Box::new(error.into()))
    }
}

/// A stage at work.
pub struct Worker {
    /// What all stages share.
    pub shop: Shop,
    /// Its index.
    pub at: usize,
    /// Its inputs, by port.
    pub inlets: Vec<Inlet>,
    /// Where its records go.
    pub outlet: Outlet,
    /// Its artifact, if it leaves one.
    pub artifact: Option<Artifact>,
    /// Its file: how many bytes, and their hash.
    pub written: Option<(Hash, u64)>,
    /// All readers hung up before it was through.
    pub cut: bool,
    /// It runs to its end even if its readers have enough before.
    pub whole: bool,
    /// A dry run could not answer all of its calls.
    pub unanswered: bool,
    /// Keys of the records that an asking stage read in a dry run.
    pub keys: HashSet<String>,
}

impl Worker {
    /// Its counters.
    pub fn row(&self) -> &Row {
        &self.shop.board.stages[self.at]
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shop.pipe.stages[self.at].spec.name.value
    }

    /// Tells how far it is.
    pub fn state(&self, state: State) {
        self.row().set_state(state);
        let _ = self.shop.events.send(Event::State(self.at, state));
    }

    /// Builds the operator, with the named inputs.
    ///
    /// # Errors
    /// As [`crate::stages::contract::Verb::operator`].
    pub fn operator(&self, with: Vec<(String, minijinja::Value)>) -> Result<Operator, Diagnostic> {
        let build: Build<'_> = self.shop.pipe.build(self.at, with);
        self.shop.pipe.stages[self.at].verb.operator(&build)
    }

    /// The next records of a port, counted.
    pub async fn read(&mut self, port: usize) -> Option<Vec<Record>> {
        self.ready();
        let records = self.inlets.get_mut(port)?.next().await?;
        self.took(&records);
        Some(records)
    }

    /// The same; `None` also once nobody needs more records of this stage, which is then cut. Who
    /// asks models before it learns so that what it waits for is not needed.
    pub async fn read_wanted(&mut self, port: usize) -> Option<Vec<Record>> {
        self.ready();
        let records = tokio::select! {
            biased;
            records = self.inlets.get_mut(port)?.next() => records?,
            () = self.outlet.desertion(), if !self.whole => {
                self.cut = true;
                return None;
            }
        };
        self.took(&records);
        Some(records)
    }

    /// It begins to read.
    fn ready(&self) {
        if self.row().state() == State::Waiting {
            self.state(State::Running);
        }
    }

    /// Counts what was read.
    fn took(&self, records: &[Record]) {
        self.row().begin();
        self.row().read.add(records.len() as u64);
    }

    /// True when nobody needs more records of this stage.
    pub fn deserted(&self) -> bool {
        !self.whole && self.outlet.deserted()
    }

    /// Passes records on, and keeps them if they are to be kept.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub async fn emit(&mut self, records: &mut Vec<Record>) -> Result<(), Broken> {
        if records.is_empty() {
            return Ok(());
        }
        self.row().emitted.add(records.len() as u64);
        self.shop.taps.note(self.at, records);
        if let Some(artifact) = &mut self.artifact {
            artifact.add(records)?;
        }
        self.outlet.send(records).await;
        Ok(())
    }

    /// Notes a fault: a lost record is counted and told, anything else ends the stage.
    ///
    /// # Errors
    /// The stage, or the run, must stop.
    pub fn fault(&self, key: &str, fault: Fault) -> Result<(), Broken> {
        let (kind, why) = match fault {
            Fault::Record(why) => (Kind::Record, why),
            Fault::Call(why) => (Kind::Call, why),
            Fault::Answer(why) => (Kind::Answer, why),
            Fault::Stage(diagnostic) => return Err(Broken::Fault(diagnostic)),
        };
        self.lose(key, kind, why);
        if !self.shop.dry && self.shop.pipe.stages[self.at].spec.on_error == OnError::Stop {
            self.shop.halt.raise(Reason::Failure);
            return Err(Broken::Elsewhere);
        }
        Ok(())
    }

    /// Counts and tells a lost record, whatever `on_error` says.
    pub fn lose(&self, key: &str, kind: Kind, why: String) {
        self.row().failed.add(1);
        self.row().unread.add(u64::from(kind == Kind::Answer));
        self.shop.failures.add(Failure {
            stage: self.name().to_owned(),
            key: key.to_owned(),
            kind,
            why: why.clone(),
        });
        if self.shop.dry {
            return;
        }
        let _ = self.shop.events.send(Event::Failed {
            stage: self.at,
            key: key.to_owned(),
            kind,
            why,
        });
    }

    /// Checks that every input has ended well, unless it was not read to its end on purpose.
    ///
    /// # Errors
    /// One of them broke.
    pub fn inputs_ended(&self) -> Result<(), Broken> {
        if self.inlets.iter().all(|inlet| inlet.ended().is_some()) {
            Ok(())
        } else {
            Err(Broken::Elsewhere)
        }
    }
}

//! The cache that others share, around a run: what it lacks comes before it, and what it made goes
//! after it. Whatever is wrong with it is a warning: the run goes on with its own cache.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::codes::{INTERRUPTED, REFUSED};
use super::consent::config;
use super::how::Args;
use super::session::{color, refuse};
use super::transfer::{tell_fault, wait};
use super::{err, out};
use crate::diag::{Diagnostic, Severity, Sources};
use crate::engine::halt::Halt;
use crate::engine::pipe::Pipe;
use crate::engine::survey::{Wanted, survey};
use crate::hash::Hash;
use crate::plan::graph::Action;
use crate::remote::fault::Fault;
use crate::remote::moved::Moved;
use crate::remote::place::Place;
use crate::remote::{How, Remote};
use crate::store::Store;

/// How long an interrupted run may take to send what it made.
const BRIEFLY: Duration = Duration::from_secs(10);

/// A shared cache, and the run's own.
pub struct Shared {
    remote: Remote,
    place: Place,
    store: PathBuf,
    json: bool,
    quiet: bool,
}

impl Shared {
    /// The one that the run is to use, if there is one that can be used.
    ///
    /// # Errors
    /// The exit code, when it was told what is wrong with the place, or that nothing may go there.
    pub fn of(args: &Args) -> Result<Option<Shared>, ExitCode> {
        let config = config()?;
        let named = args.how.remote.clone().or_else(|| config.remote.clone());
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            return Ok(None);
        };
        let place = Place::parse(&named).map_err(|fault| refuse(&fault))?;
        let remote = match wait(&Halt::default(), None, Remote::open(&place))? {
            Ok(remote) => remote,
            Err(fault) => return warned(fault).map(|()| None),
        };
        if let Some(fault) = remote.refused(&config) {
            tell_fault(&fault);
            err("refused: nothing was run and nothing was sent\n");
            return Err(ExitCode::from(REFUSED));
        }
        Ok(Some(Shared {
            remote,
            place,
            store: args.common.settings.store.clone(),
            json: args.how.json,
            quiet: args.how.quiet,
        }))
    }

    /// Gets what the run lacks: all calls and results that are known there, and the outputs that it
    /// would otherwise make anew. `None` if that does not work: then nothing is sent either.
    ///
    /// # Errors
    /// The exit code: of an interruption, or of a cache of its own that cannot be used.
    pub fn pull(self, pipe: &Pipe) -> Result<Option<Shared>, ExitCode> {
        let store = self.open()?;
        let how = how(false);
        let work = async {
            let mut moved = match self.remote.pull(&store, &how).await {
                // The first run makes it.
                Err(Fault::Absent(_)) => return Ok(Moved::default()),
                other => other?,
            };
            let lacking = lacking(pipe, &store);
            if !lacking.is_empty() {
                moved.join(self.remote.get(&store, &lacking, &how).await?);
            }
            Ok(moved)
        };
        match wait(&how.halt, None, work)? {
            Ok(moved) => {
                self.tell("pulled", "from", &moved);
                Ok(Some(self))
            }
            Err(fault) => warned(fault).map(|()| None),
        }
    }

    /// Sends what is not there yet, in little time if the run was interrupted.
    pub fn push(&self, interrupted: bool) {
        let Ok(store) = self.open() else { return };
        let how = how(true);
        let most = interrupted.then_some(BRIEFLY);
        let place = &self.place;
        match wait(&how.halt, most, self.remote.push(&store, &how)) {
            Ok(Ok(moved)) => self.tell("pushed", "to", &moved),
            Ok(Err(Fault::Interrupted)) | Err(_) => err(&format!(
                "warning: not all of it was sent; `clue cache push {place}` sends the rest\n"
            )),
            Ok(Err(Fault::Input(fault) | Fault::Absent(fault) | Fault::Transfer(fault))) => {
                warn(fault, "what this run made was not sent");
            }
        }
    }

    fn open(&self) -> Result<Store, ExitCode> {
        Store::open(&self.store).map_err(|fault| refuse(&fault))
    }

    fn tell(&self, done: &str, way: &str, moved: &Moved) {
        let place = &self.place;
        if self.json {
            let told = json!({"event": done, "remote": place.to_string(), "moved": moved});
            out(&format!("{told}\n"));
        } else if !self.quiet && !moved.is_empty() {
            err(&format!("{done} {way} {place}: {}\n", moved.words()));
        }
        for line in &moved.damaged {
            err(&format!("warning: {line}\n"));
        }
    }
}

fn how(artifacts: bool) -> How {
    How {
        dry_run: false,
        artifacts,
        halt: Halt::default(),
    }
}

/// The outputs that are known, and not here. What is wrong with the pipeline's files is the run's
/// to tell.
fn lacking(pipe: &Pipe, store: &Store) -> BTreeSet<Hash> {
    let Ok(survey) = survey(pipe, store, &Wanted::default()) else {
        return BTreeSet::new();
    };
    let stages = survey.nodes.iter().zip(&survey.planned);
    stages
        .filter(|(node, planned)| node.heavy && planned.action == Action::Run)
        .filter_map(|(_, planned)| Some(planned.output.as_ref()?.content))
        .collect()
}

fn warned(fault: Fault) -> Result<(), ExitCode> {
    match fault {
        Fault::Interrupted => Err(ExitCode::from(INTERRUPTED)),
        Fault::Input(fault) | Fault::Absent(fault) | Fault::Transfer(fault) => {
            warn(fault, "the run goes on with its own cache alone");
            Ok(())
        }
    }
}

fn warn(fault: Diagnostic, so: &str) {
    let warning = Diagnostic {
        severity: Severity::Warning,
        ..fault
    };
    let told = warning.note(so).render(&Sources::default(), color());
    err(&format!("{told}\n\n"));
}

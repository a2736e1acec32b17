//! Whoever has a run made on Slurm: what it knows, and how it asks.

use std::cell::Cell;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Where;
use super::orders::plan_of;
use super::stop::Stop;
use super::submit::Submitter;
use super::teller::{Teller, asked};
use super::waves::Waves;
use crate::cli::codes::{FAILED, INTERRUPTED};
use crate::cli::how::Args;
use crate::cli::run::consented;
use crate::cli::session::refuse;
use crate::cluster::profile;
use crate::cluster::slurm::{Fault, Slurm};
use crate::cluster::states::State;
use crate::cluster::underway::{Folder, Underway, What};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::hash::Hash;
use crate::trust::need::Need;

/// Whoever has a run made on Slurm.
pub(super) struct Coordinator<'a> {
    /// Where it is made.
    pub(super) place: &'a Where,
    pub(super) profile: &'a profile::Slurm,
    pub(super) waves: Waves<'a>,
    pub(super) submitter: Submitter<'a>,
    pub(super) folder: &'a Folder,
    pub(super) slurm: Slurm,
    pub(super) stop: Stop,
    pub(super) teller: Teller,
    pub(super) agreed: Vec<Need>,
    pub(super) plan: Hash,
    pub(super) shards: u32,
    pub(super) state: Underway,
    /// Since when the controller does not answer.
    pub(super) silent: Option<Instant>,
}

/// Why it goes no further.
pub(super) enum Halt {
    /// It is over.
    Over(ExitCode),
    /// It cannot go on.
    Fault(Box<Diagnostic>),
}

impl From<Diagnostic> for Halt {
    fn from(fault: Diagnostic) -> Halt {
        Halt::Fault(Box::new(fault))
    }
}

impl From<Box<Diagnostic>> for Halt {
    fn from(fault: Box<Diagnostic>) -> Halt {
        Halt::Fault(fault)
    }
}

/// It is over, with this exit code.
pub(super) fn over(code: u8) -> Halt {
    Halt::Over(ExitCode::from(code))
}

/// Has a pipeline run on Slurm.
///
/// # Errors
/// What keeps it from going on.
pub fn run(
    args: &Args,
    pipe: &Arc<Pipe>,
    profile: profile::Slurm,
) -> Result<ExitCode, Box<Diagnostic>> {
    let settings = &args.common.settings;
    let folder = Folder::of(&settings.store, &args.common.file, &pipe.folders.out);
    let waves = Waves { args, pipe };
    let survey = match args.place.dry_run {
        true => waves.survey()?.1,
        false => waves.first_survey()?,
    };
    let agreed = match consented(args, pipe, &survey, true) {
        Ok(agreed) => agreed,
        Err(code) => return Ok(code),
    };
    let plan = plan_of(&survey);
    let io = |error| Diagnostic::error(format!("cannot start: {error}"));
    let mut coordinator = Coordinator {
        place: &args.place,
        profile: &profile,
        submitter: Submitter::new(args, pipe, &profile, &folder)?,
        folder: &folder,
        slurm: Slurm::new(folder.run()).map_err(io)?,
        stop: Stop::listen().map_err(io)?,
        teller: Teller::new(args.how.json, args.how.quiet),
        shards: args.place.shards.unwrap_or(profile.shards()),
        state: Underway::new(plan),
        silent: None,
        waves,
        agreed,
        plan,
    };
    let done = match args.place.dry_run {
        true => coordinator.show(),
        false => coordinator.begin(),
    };
    coordinator.teller.end();
    match done {
        Ok(code) | Err(Halt::Over(code)) => Ok(code),
        Err(Halt::Fault(fault)) => Err(fault),
    }
}

impl Coordinator<'_> {
    pub(super) fn log(&self, index: u32) -> std::path::PathBuf {
        self.submitter
            .log(&What::Tasks(Vec::new()), &self.state, index)
    }

    pub(super) fn tell(&mut self) {
        let tasks = &self.state.tasks;
        let logs: Vec<_> = (1..=tasks.count()).map(|index| self.log(index)).collect();
        let asked = asked(logs.iter().map(|log| log.as_path() as &Path));
        self.teller
            .progress(self.state.wave, &self.state.tasks, asked);
    }

    pub(super) fn poll(&self) -> Duration {
        self.profile.poll()
    }

    /// Asks Slurm until it answers: tasks go on while its controller is away.
    pub(super) fn ask<T>(
        &mut self,
        question: impl Fn(&Slurm) -> Result<T, Fault>,
    ) -> Result<T, Halt> {
        loop {
            let fault = match question(&self.slurm) {
                Ok(answer) => {
                    if self.silent.take().is_some() {
                        self.teller
                            .note("note", "Slurm's controller answers again", json!({}));
                    }
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            let first = self.silent.is_none();
            let since = *self.silent.get_or_insert_with(Instant::now);
            let lost = matches!(fault, Fault::Command(..));
            if first && !lost {
                let text = format!("{fault}; tasks go on, and it is asked again");
                self.teller.note("warning", &text, json!({}));
            }
            if since.elapsed() > self.profile.patience() || lost {
                self.teller.end();
                let told = Diagnostic::error(fault.to_string());
                // Another time it may work: this is no bad input.
                refuse(&told.help("run again to go on with what is under way"));
                return Err(over(FAILED));
            }
            if self.stop.within(self.poll()) {
                let text = "interrupted: jobs that were submitted go on; run again to follow them";
                self.teller.note("warning", text, json!({}));
                return Err(over(INTERRUPTED));
            }
        }
    }

    pub(super) fn is_live(&mut self, job: u64) -> Result<bool, Halt> {
        let states = self.ask(|slurm| slurm.states(job))?;
        Ok(states.values().any(State::is_live))
    }

    /// Submits a part, `more` being options for this time. While the controller is away it waits.
    pub(super) fn submit(&mut self, what: What, more: &[String]) -> Result<u64, Halt> {
        let ready = self.submitter.ready(&mut self.state, what.clone())?;
        let options = [&ready.options, more].concat();
        let again = Cell::new(false);
        let said = self.ask(|slurm| {
            // What nobody answered to may have been accepted all the same.
            if again.replace(true)
                && let Some(job) = slurm.named(&ready.name)?.last()
            {
                return Ok(Ok(*job));
            }
            match slurm.submit(&options, &ready.script) {
                Err(fault @ Fault::Silent(_)) => Err(fault),
                said => Ok(said),
            }
        })?;
        let job = match said {
            Ok(job) => job,
            Err(fault) => {
                // What was refused is not there.
                self.state.submitting = None;
                self.folder.write(&self.state)?;
                let told = Diagnostic::error(format!("cannot submit: {fault}"));
                let script = ready.script.display();
                return Err(told.note(format!("the script is `{script}`")).into());
            }
        };
        self.state.accepted(&what, job);
        self.folder.write(&self.state)?;
        Ok(job)
    }
}

/// The job that this process is, if it is one.
pub(super) fn own_job() -> Option<u64> {
    std::env::var("SLURM_JOB_ID").ok()?.parse().ok()
}

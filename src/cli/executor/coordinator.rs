//! Whoever has a run made on Slurm: what it knows, and how it asks.

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
use crate::cli::codes::INTERRUPTED;
use crate::cli::how::Args;
use crate::cli::run::consented;
use crate::cluster::profile;
use crate::cluster::slurm::{Fault, Slurm};
use crate::cluster::states::State;
use crate::cluster::underway::{Folder, Underway, What};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::hash::Hash;
use crate::trust::need::Need;

/// How long the controller may not answer before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

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
        slurm: Slurm::new().map_err(io)?,
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
            if first {
                let text = format!("{fault}; tasks go on, and it is asked again");
                self.teller.note("warning", &text, json!({}));
            }
            if since.elapsed() > PATIENCE || matches!(fault, Fault::Command(..)) {
                let told = Diagnostic::error(fault.to_string());
                return Err(told
                    .help("run again to go on with what is under way")
                    .into());
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

    /// True if this process is that job.
    pub(super) fn is_me(&self, job: u64) -> bool {
        std::env::var("SLURM_JOB_ID").is_ok_and(|id| id == job.to_string())
    }
}

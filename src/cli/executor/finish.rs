//! The end of a run on Slurm: the outputs are put together, here or in a job.

use std::process::ExitCode;

use serde_json::json;

use super::coordinator::{Coordinator, Halt};
use super::orders::Orders;
use super::submit::Submitter;
use crate::cli::codes::FAILED;
use crate::cli::run::{Way, prepared};
use crate::cluster::profile::Assemble;
use crate::cluster::states::{End, State};
use crate::cluster::tasks::Tasks;
use crate::cluster::underway::What;

impl Coordinator<'_> {
    /// Puts the outputs together, here or in a job.
    pub(super) fn assemble(&mut self) -> Result<ExitCode, Halt> {
        let here = match self.profile.assemble {
            Assemble::Here => true,
            // Who goes on in a job is there already.
            Assemble::Job if self.place.submit_only && self.place.attach => !self.waves.asks()?,
            Assemble::Job => self.state.wave == 0 && !self.waves.asks()?,
            Assemble::Auto => !self.waves.asks()?,
        };
        if here {
            return self.assemble_here();
        }
        let (survey, _) = self.waves.next()?;
        let orders = Orders::new(&survey, None, &self.agreed);
        self.state.wave += 1;
        let name = Submitter::orders(self.state.wave);
        self.folder.put(&name, &orders.text())?;
        let job = self.submit(What::Assembly, &[])?;
        let text = format!("job {job} puts the outputs together");
        self.teller.note("assembly", &text, json!({"job": job}));
        if self.place.submit_only {
            return Ok(ExitCode::SUCCESS);
        }
        self.follow_assembly(job)
    }

    fn assemble_here(&mut self) -> Result<ExitCode, Halt> {
        self.teller.end();
        // Its own display tells of it, and it hears of Ctrl-C itself.
        let ran = prepared(self.waves.args, self.waves.pipe, &Way::default())?;
        self.state.done = ran.ended;
        self.state.tasks = Tasks::default();
        self.folder.write(&self.state)?;
        Ok(ran.code)
    }

    pub(super) fn follow_assembly(&mut self, job: u64) -> Result<ExitCode, Halt> {
        let end = loop {
            let states = self.ask(|slurm| slurm.states(job))?;
            match states.get(&0) {
                Some(State::Ended(end)) => break end.clone(),
                None => break End::Forgotten,
                Some(_) => {}
            }
            if self.stop.within(self.poll()) {
                return self.cancel();
            }
        };
        let log = self.submitter.log(&What::Assembly, &self.state, 0);
        self.state.assembly = None;
        self.state.done = end == End::Done;
        self.state.tasks = Tasks::default();
        self.folder.write(&self.state)?;
        if end == End::Done && !self.waves.asks()? {
            // All is there: this tells what came out.
            return self.assemble_here();
        }
        let text = format!(
            "the job that puts the outputs together {}; its log is `{}`",
            end.words(),
            log.display()
        );
        self.teller
            .note("warning", &text, json!({"job": job, "log": log}));
        Ok(match end {
            End::Done => ExitCode::SUCCESS,
            End::Failed(code) => ExitCode::from(code),
            _ => ExitCode::from(FAILED),
        })
    }
}

//! How a run on Slurm begins: what is under way already is found, and gone on with.

use std::fs::File;
use std::process::ExitCode;

use serde_json::json;

use super::coordinator::{Coordinator, Halt, over, own_job};
use crate::cli::codes::INTERRUPTED;
use crate::cluster::states::End;
use crate::cluster::underway::Underway;
use crate::diag::Diagnostic;

/// What came of waiting for others.
struct Followed {
    /// The lock of who goes on; none if others do.
    lock: Option<File>,
    /// True if others were waited for.
    watched: bool,
}

impl Coordinator<'_> {
    /// Finds out what is under way, and goes on with it.
    pub(super) fn begin(&mut self) -> Result<ExitCode, Halt> {
        let known = self.folder.read()?;
        self.slurm.ping().map_err(|fault| {
            let told = Diagnostic::error(fault.to_string());
            told.help(match known.as_ref().is_none_or(Underway::is_over) {
                true => "nothing was submitted; `clue run` without `--executor` runs it here",
                false => "what was submitted before goes on; run again later to follow it",
            })
        })?;
        if known.is_none() && self.place.attach {
            let told = Diagnostic::error("nothing of this pipeline was ever submitted");
            return Err(told.help("leave `--attach` away to start it").into());
        }
        let followed = self.wait_for_others()?;
        let Some(_lock) = followed.lock else {
            return Ok(ExitCode::SUCCESS);
        };
        let known = self.folder.read()?;
        self.state = known.unwrap_or_else(|| Underway::new(self.plan));
        self.adopt()?;
        self.turn_from_other_plan()?;
        self.cancel_what_is_left()?;
        if self.state.tasks.given_up().next().is_some() && self.state.jobs().is_empty() {
            if followed.watched || self.place.attach {
                return Ok(self.failed());
            }
            self.state = Underway::new(self.plan);
        }
        if self.place.attach && !self.place.submit_only && self.state.is_idle() {
            let (_, wave) = self.waves.next()?;
            if wave.is_some() && !self.state.done {
                let told = Diagnostic::error("nothing of this pipeline is under way");
                return Err(told.help("leave `--attach` away to go on with it").into());
            }
            if wave.is_some() {
                let out = self.waves.pipe.folders.out.display();
                let text = format!("the run is over; its outputs are in `{out}`");
                self.teller.note("note", &text, json!({}));
                return Ok(ExitCode::SUCCESS);
            }
        }
        self.go()
    }

    /// What was of another plan must be over, or is still to be cancelled.
    fn turn_from_other_plan(&mut self) -> Result<(), Halt> {
        if self.state.plan == self.plan {
            return Ok(());
        }
        let jobs = self.state.jobs();
        for job in &jobs {
            if self.is_live(*job)? && own_job() != Some(*job) {
                let told = Diagnostic::error(format!(
                    "job {job} still runs this pipeline as it was before it was changed"
                ));
                let all = jobs.iter().map(u64::to_string).collect::<Vec<_>>();
                return Err(told
                    .help(format!(
                        "wait for it, or cancel it: `scancel {}`",
                        all.join(" ")
                    ))
                    .into());
            }
        }
        let cancelled = std::mem::take(&mut self.state.cancelled);
        self.state = Underway::new(self.plan);
        self.state.cancelled = cancelled;
        Ok(())
    }

    /// Takes over what somebody submitted who was killed before noting it.
    fn adopt(&mut self) -> Result<(), Halt> {
        let Some(submission) = self.state.submitting.take() else {
            return Ok(());
        };
        let jobs = self.ask(|slurm| slurm.named(&submission.name))?;
        if let Some(job) = jobs.last() {
            self.state.accepted(&submission.what, *job);
        }
        self.folder.write(&self.state)?;
        Ok(())
    }

    /// Sees to it that what was to be cancelled is over: what it still writes is not asked for
    /// twice. Whoever noted it may have been killed before doing it.
    fn cancel_what_is_left(&mut self) -> Result<(), Halt> {
        for job in std::mem::take(&mut self.state.cancelled) {
            let mut told = false;
            while self.is_live(job)? {
                if !told {
                    self.ask(|slurm| slurm.cancel(&[job]))?;
                    let text = format!("waiting for cancelled job {job} to end");
                    self.teller.note("note", &text, json!({"job": job}));
                    told = true;
                }
                if self.stop.within(self.poll()) {
                    return Err(over(INTERRUPTED));
                }
            }
        }
        Ok(())
    }

    /// Waits while somebody else goes on with this run, and tells how far they are.
    fn wait_for_others(&mut self) -> Result<Followed, Halt> {
        let mut watched = false;
        loop {
            let state = self.folder.read()?;
            let next = state.as_ref().and_then(|state| state.next);
            let next = next.filter(|job| own_job() != Some(*job));
            let live = match next {
                Some(job) => self.is_live(job)?.then_some(job),
                None => None,
            };
            if live.is_none() {
                let lock = self.folder.lock().map_err(|error| {
                    let folder = self.folder.0.display();
                    Diagnostic::error(format!("cannot write in `{folder}`: {error}"))
                })?;
                // Whoever had it may have had another job go on since.
                let now = self.folder.read()?.and_then(|state| state.next);
                if lock.is_some() && (now == next || now.is_none_or(|job| own_job() == Some(job))) {
                    return Ok(Followed { lock, watched });
                }
                if lock.is_some() {
                    continue;
                }
            }
            if !watched {
                let who = live.map_or("another `clue run`".to_owned(), |job| format!("job {job}"));
                let text = format!("{who} goes on with this run; this tells how far it is");
                self.teller.note("note", &text, json!({"job": live}));
                watched = true;
            }
            if self.place.submit_only && !self.place.attach {
                return Ok(Followed {
                    lock: None,
                    watched,
                });
            }
            if let Some(state) = state {
                self.state = state;
                self.glance()?;
            }
            if self.stop.within(self.poll()) {
                let text = "interrupted: it goes on without this terminal";
                self.teller.note("warning", text, json!({}));
                return Err(over(INTERRUPTED));
            }
        }
    }

    /// Looks at the tasks of somebody else, and leaves what to do about them to those.
    fn glance(&mut self) -> Result<(), Halt> {
        for job in self.state.tasks.live().into_keys() {
            let states = self.ask(|slurm| slurm.states(job))?;
            for (index, end) in self.state.tasks.seen(job, &states) {
                self.state
                    .tasks
                    .judge(index, &end, end != End::Done, 0, u32::MAX);
            }
        }
        if self.state.tasks.count() > 0 {
            self.tell();
        }
        Ok(())
    }
}

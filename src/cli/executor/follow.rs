//! Waves on Slurm: plans them, has them submitted, looks at what became of their tasks. All that it
//! knows is in the cache and in the memory of what is under way, so that whoever comes next goes on
//! where it was killed.

use std::process::ExitCode;

use serde_json::json;

use super::coordinator::{Coordinator, Halt, over, own_job};
use super::orders::{Orders, plan_of};
use super::submit::Submitter;
use super::teller::asked;
use crate::cli::codes::{FAILED, INTERRUPTED};
use crate::cli::out;
use crate::cluster::script::{ranges, shell};
use crate::cluster::states::End;
use crate::cluster::tasks::{Tasks, Verdict};
use crate::cluster::underway::What;
use crate::diag::Diagnostic;
use crate::engine::shard::Shard;

impl Coordinator<'_> {
    /// Prints what would be submitted first.
    pub(super) fn show(&mut self) -> Result<ExitCode, Halt> {
        if !self.planned()? {
            out("nothing would be submitted: the cache has all answers\n");
            return Ok(ExitCode::SUCCESS);
        }
        let open = self.state.tasks.open();
        let array = self.array(&open);
        let batch = self
            .submitter
            .batch(&self.state, &What::Tasks(open), "clue");
        let options = batch.options.iter().chain([&array]);
        let options: Vec<String> = options.map(|option| shell(option)).collect();
        out(&format!("# sbatch {}\n{}", options.join(" "), batch.text));
        Ok(ExitCode::SUCCESS)
    }

    /// Plans, submits and looks until the outputs are there.
    pub(super) fn go(&mut self) -> Result<ExitCode, Halt> {
        loop {
            if let Some(job) = self.state.assembly {
                return self.follow_assembly(job);
            }
            self.look()?;
            let open = self.state.tasks.open();
            if !open.is_empty() {
                self.submit_tasks(open)?;
                if self.place.submit_only {
                    return self.leave();
                }
            } else if !self.state.tasks.live().is_empty() {
                if self.place.submit_only && !self.place.attach {
                    return self.leave();
                }
            } else if self.state.tasks.given_up().next().is_some() {
                return Ok(self.failed());
            } else if self.planned()? {
                continue;
            } else {
                return self.assemble();
            }
            self.tell();
            if self.stop.within(self.poll()) {
                return self.cancel();
            }
        }
    }

    /// Looks at the tasks, and judges those that are over.
    fn look(&mut self) -> Result<(), Halt> {
        let mut ended = Vec::new();
        let live = self.state.tasks.live();
        let count: usize = live.values().map(Vec::len).sum();
        for job in live.into_keys() {
            let states = self.ask(|slurm| slurm.states(job))?;
            ended.extend(self.state.tasks.seen(job, &states));
        }
        if ended.is_empty() {
            return Ok(());
        }
        let cancelled = ended
            .iter()
            .filter(|(_, end)| *end == End::Cancelled)
            .count();
        if cancelled > 1 && cancelled == count {
            // One may have been in the way of something. All at once are meant.
            self.state.cancel(own_job());
            self.folder.write(&self.state)?;
            let text = "all tasks were cancelled: the run stops; run again to go on";
            self.teller.note("warning", text, json!({}));
            return Err(over(FAILED));
        }
        self.judge(&ended)?;
        self.folder.write(&self.state)?;
        Ok(())
    }

    fn judge(&mut self, ended: &[(u32, End)]) -> Result<(), Halt> {
        // What ended well is believed; the next plan finds what is not there.
        let bad: Vec<&(u32, End)> = ended.iter().filter(|(_, end)| *end != End::Done).collect();
        let count = self.state.tasks.count();
        let shards: Vec<Shard> = bad
            .iter()
            .map(|(index, _)| Shard {
                index: *index,
                count,
            })
            .collect();
        let lacking = match shards.is_empty() {
            true => Vec::new(),
            false => {
                let orders = self.folder.0.join(Submitter::orders(self.state.wave));
                let orders = Orders::read(&orders)?;
                self.waves.lacking(|survey| orders.wave(survey), &shards)?
            }
        };
        for (index, end) in ended.iter().filter(|(_, end)| *end == End::Done) {
            self.state.tasks.judge(*index, end, false, 0, 0);
        }
        let retries = self.profile.retries;
        for ((index, end), lacks) in bad.into_iter().zip(lacking) {
            let log = self.log(*index);
            let asked = asked([log.as_path()]);
            let tasks = &mut self.state.tasks;
            let verdict = tasks.judge(*index, end, lacks, asked, retries);
            let failures = self.state.tasks.get(*index).map_or(0, |task| task.failures);
            let more = match verdict {
                Verdict::Done => "; its share is done all the same".to_owned(),
                Verdict::Further => "; it got further, and is submitted again".to_owned(),
                Verdict::Again => format!("; it is submitted again ({failures} of {retries})"),
                Verdict::GiveUp => String::new(),
            };
            let wave = self.state.wave;
            let text = format!("task {index}/{count} of wave {wave} {}{more}", end.words());
            let facts = json!({"wave": wave, "task": index, "end": end.words(), "log": log});
            self.teller.note("task", &text, facts);
        }
        Ok(())
    }

    /// Plans the next wave; false if there is none, or none that gets further.
    fn planned(&mut self) -> Result<bool, Halt> {
        let (survey, wave) = self.waves.next()?;
        if plan_of(&survey) != self.plan {
            let told = Diagnostic::error("the pipeline or its files changed while it was run");
            return Err(told.help("run again to go on with it as it is now").into());
        }
        let Some(wave) = wave else {
            return Ok(false);
        };
        let stages: Vec<String> = wave
            .stages()
            .map(|at| survey.nodes[at].name.clone())
            .collect();
        self.state.repeats = match stages == self.state.stages {
            true => self.state.repeats + 1,
            false => 0,
        };
        if self.state.repeats > self.profile.retries {
            // Records failed that may fail: a whole run can leave them out, a wave cannot.
            return Ok(false);
        }
        self.state.wave += 1;
        self.state.done = false;
        self.state.stages = stages;
        self.state.tasks = Tasks::new(self.shards);
        if !self.place.dry_run {
            let orders = Orders::new(&survey, Some(&wave), &self.agreed);
            let name = Submitter::orders(self.state.wave);
            self.folder.put(&name, &orders.text())?;
            self.folder.write(&self.state)?;
        }
        Ok(true)
    }

    fn array(&self, tasks: &[u32]) -> String {
        let most = self.profile.max_running().map(|most| format!("%{most}"));
        format!("--array={}{}", ranges(tasks), most.unwrap_or_default())
    }

    fn submit_tasks(&mut self, tasks: Vec<u32>) -> Result<(), Halt> {
        let array = self.array(&tasks);
        let count = tasks.len();
        let job = self.submit(What::Tasks(tasks), &[array])?;
        let wave = self.state.wave;
        let stages = self.state.stages.iter().map(|stage| format!("`{stage}`"));
        let stages = stages.collect::<Vec<_>>().join(", ");
        let tasks = if count == 1 { "task" } else { "tasks" };
        let text = format!("wave {wave} ({stages}): {count} {tasks} submitted as job {job}");
        let facts = json!({"wave": wave, "job": job, "tasks": count, "stages": self.state.stages});
        self.teller.note("submitted", &text, facts);
        Ok(())
    }

    /// Has a job go on once the tasks are over, and ends.
    fn leave(&mut self) -> Result<ExitCode, Halt> {
        let jobs: Vec<u64> = self.state.tasks.live().into_keys().collect();
        let jobs = jobs
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(":");
        let after = format!("--dependency=afterany:{jobs}");
        let job = self.submit(What::Next, &[after])?;
        let text = format!(
            "job {job} goes on once they are over; follow it with the same command and `--attach`"
        );
        self.teller.note("left", &text, json!({"job": job}));
        Ok(ExitCode::SUCCESS)
    }

    /// Tells of tasks that were given up.
    pub(super) fn failed(&self) -> ExitCode {
        let count = self.state.tasks.count();
        let wave = self.state.wave;
        for (index, how) in self.state.tasks.given_up() {
            let log = self.log(index);
            let text = format!(
                "task {index}/{count} of wave {wave} {how}; its log is `{}`",
                log.display()
            );
            let facts = json!({"wave": wave, "task": index, "end": how, "log": log});
            self.teller.note("warning", &text, facts);
        }
        let text = "the run stops: what is in the cache stays; run again to go on";
        self.teller.note("warning", text, json!({}));
        ExitCode::from(FAILED)
    }

    /// Ctrl-C: cancels all that is under way.
    pub(super) fn cancel(&mut self) -> Result<ExitCode, Halt> {
        // Noted first: if this is killed meanwhile, the next run does it.
        self.state.cancel(own_job());
        self.folder.write(&self.state)?;
        let jobs = &self.state.cancelled;
        let listed = jobs
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(" ");
        let text = match self.slurm.cancel(jobs) {
            Ok(()) => format!("interrupted: job {listed} is cancelled; run again to go on"),
            Err(fault) => format!(
                "interrupted, but job {listed} is not cancelled: {fault}; running again cancels it \
                 and goes on, or do so yourself: `scancel {listed}`"
            ),
        };
        self.teller.note("warning", &text, json!({"jobs": jobs}));
        Ok(ExitCode::from(INTERRUPTED))
    }
}

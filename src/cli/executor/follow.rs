//! A run on Slurm: plans waves, has them submitted, looks at what became of their tasks, and puts
//! the outputs together. All that it knows is in the cache and in the memory of what is under way,
//! so that whoever comes next goes on where it was killed.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Where;
use super::orders::{Orders, plan_of};
use super::stop::Stop;
use super::submit::Submitter;
use super::teller::{Teller, asked};
use super::waves::Waves;
use crate::cli::codes::{FAILED, INTERRUPTED};
use crate::cli::out;
use crate::cli::run::{Args, Way, consented, prepared};
use crate::cluster::profile::{self, Assemble};
use crate::cluster::script::{ranges, shell};
use crate::cluster::slurm::{Fault, Slurm};
use crate::cluster::states::{End, State};
use crate::cluster::tasks::{Tasks, Verdict};
use crate::cluster::underway::{Folder, Underway, What};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::shard::Shard;
use crate::hash::Hash;
use crate::trust::need::Need;

/// How long the controller may not answer before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Whoever has a run made on Slurm.
struct Coordinator<'a> {
    place: &'a Where,
    profile: &'a profile::Slurm,
    waves: Waves<'a>,
    submitter: Submitter<'a>,
    folder: &'a Folder,
    slurm: Slurm,
    stop: Stop,
    teller: Teller,
    agreed: Vec<Need>,
    plan: Hash,
    shards: u32,
    state: Underway,
    /// Since when the controller does not answer.
    silent: Option<Instant>,
}

/// Why it goes no further.
enum Halt {
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

fn over(code: u8) -> Halt {
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
    let (_, survey) = waves.survey()?;
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
        shards: args.place.shards.unwrap_or(profile.shards),
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
    /// Prints what would be submitted first.
    fn show(&mut self) -> Result<ExitCode, Halt> {
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

    /// Finds out what is under way, and goes on with it.
    fn begin(&mut self) -> Result<ExitCode, Halt> {
        self.slurm.ping().map_err(|fault| {
            let told = Diagnostic::error(fault.to_string());
            told.help("nothing was submitted; `clue run` without `--executor` runs it here")
        })?;
        let known = self.folder.read()?;
        if known.is_none() && self.place.attach {
            let told = Diagnostic::error("nothing of this pipeline was ever submitted");
            return Err(told.help("leave `--attach` away to start it").into());
        }
        let followed = self.wait_for_others()?;
        let Some(_lock) = followed.lock else {
            return Ok(ExitCode::SUCCESS);
        };
        self.load()?;
        self.adopt()?;
        self.forget_what_was_cancelled()?;
        if self.state.tasks.given_up().next().is_some() && self.state.jobs().is_empty() {
            if followed.watched || self.place.attach {
                return Ok(self.failed());
            }
            self.state = Underway::new(self.plan);
        }
        self.go()
    }

    /// Reads what is under way; what was of another plan must be over.
    fn load(&mut self) -> Result<(), Halt> {
        self.state = match self.folder.read()? {
            None => Underway::new(self.plan),
            Some(state) if state.plan == self.plan => state,
            Some(old) => {
                for job in old.jobs() {
                    if self.is_live(job)? && !self.is_me(job) {
                        let told = Diagnostic::error(format!(
                            "job {job} still runs this pipeline as it was before it was changed"
                        ));
                        let all = old.jobs().iter().map(u64::to_string).collect::<Vec<_>>();
                        return Err(told
                            .help(format!(
                                "wait for it, or cancel it: `scancel {}`",
                                all.join(" ")
                            ))
                            .into());
                    }
                }
                Underway::new(self.plan)
            }
        };
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

    /// Waits until cancelled jobs are over: what they still write is not asked for twice.
    fn forget_what_was_cancelled(&mut self) -> Result<(), Halt> {
        for job in std::mem::take(&mut self.state.cancelled) {
            let mut told = false;
            while self.is_live(job)? {
                if !told {
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

    /// Plans, submits and looks until the outputs are there.
    fn go(&mut self) -> Result<ExitCode, Halt> {
        loop {
            if let Some(job) = self.state.assembly {
                return self.follow_assembly(job);
            }
            self.look()?;
            let open = self.state.tasks.open();
            if !open.is_empty() {
                self.submit(open)?;
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
            self.state.cancel();
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
            self.state.tasks.judge(*index, end, false, 0);
        }
        let retries = self.profile.retries;
        for ((index, end), lacks) in bad.into_iter().zip(lacking) {
            let verdict = self.state.tasks.judge(*index, end, lacks, retries);
            let failures = self.state.tasks.get(*index).map_or(0, |task| task.failures);
            let more = match verdict {
                Verdict::Done => "; its share is done all the same".to_owned(),
                Verdict::Again => format!("; it is submitted again ({failures} of {retries})"),
                Verdict::GiveUp => String::new(),
            };
            let wave = self.state.wave;
            let text = format!("task {index}/{count} of wave {wave} {}{more}", end.words());
            let log = self.log(*index);
            let facts = json!({"wave": wave, "task": index, "end": end.words(), "log": log});
            self.teller.note("task", &text, facts);
        }
        Ok(())
    }

    fn log(&self, index: u32) -> std::path::PathBuf {
        self.submitter
            .log(&What::Tasks(Vec::new()), &self.state, index)
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
        let most = self.profile.max_running.map(|most| format!("%{most}"));
        format!("--array={}{}", ranges(tasks), most.unwrap_or_default())
    }

    fn submit(&mut self, tasks: Vec<u32>) -> Result<(), Halt> {
        let array = self.array(&tasks);
        let count = tasks.len();
        let what = What::Tasks(tasks);
        let job = self
            .submitter
            .submit(&self.slurm, &mut self.state, what, vec![array])?;
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
        let after = vec![format!("--dependency=afterany:{jobs}")];
        let job = self
            .submitter
            .submit(&self.slurm, &mut self.state, What::Next, after)?;
        let text = format!(
            "job {job} goes on once they are over; follow it with the same command and `--attach`"
        );
        self.teller.note("left", &text, json!({"job": job}));
        Ok(ExitCode::SUCCESS)
    }

    /// Puts the outputs together, here or in a job.
    fn assemble(&mut self) -> Result<ExitCode, Halt> {
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
        let job =
            self.submitter
                .submit(&self.slurm, &mut self.state, What::Assembly, Vec::new())?;
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

    fn follow_assembly(&mut self, job: u64) -> Result<ExitCode, Halt> {
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

    /// Tells of tasks that were given up.
    fn failed(&self) -> ExitCode {
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
    fn cancel(&mut self) -> Result<ExitCode, Halt> {
        let jobs = self.state.jobs();
        let jobs: Vec<u64> = jobs.into_iter().filter(|job| !self.is_me(*job)).collect();
        let listed = jobs
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(" ");
        self.slurm.cancel(&jobs).map_err(|fault| {
            Diagnostic::error(format!("cannot cancel: {fault}"))
                .help(format!("do it later: `scancel {listed}`"))
        })?;
        self.state.cancel();
        self.folder.write(&self.state)?;
        let text = format!("interrupted: job {listed} is cancelled; run again to go on");
        self.teller.note("warning", &text, json!({"jobs": jobs}));
        Ok(ExitCode::from(INTERRUPTED))
    }

    fn tell(&mut self) {
        let tasks = &self.state.tasks;
        let logs: Vec<_> = (1..=tasks.count()).map(|index| self.log(index)).collect();
        let asked = asked(logs.iter().map(|log| log.as_path() as &Path));
        self.teller
            .progress(self.state.wave, &self.state.tasks, asked);
    }

    fn poll(&self) -> Duration {
        Duration::from_secs_f64(self.profile.poll)
    }

    /// Asks Slurm until it answers: tasks go on while its controller is away.
    fn ask<T>(&mut self, question: impl Fn(&Slurm) -> Result<T, Fault>) -> Result<T, Halt> {
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

    fn is_live(&mut self, job: u64) -> Result<bool, Halt> {
        let states = self.ask(|slurm| slurm.states(job))?;
        Ok(states.values().any(State::is_live))
    }

    /// True if this process is that job.
    fn is_me(&self, job: u64) -> bool {
        std::env::var("SLURM_JOB_ID").is_ok_and(|id| id == job.to_string())
    }
}

/// What came of waiting for others.
struct Followed {
    /// The lock of who goes on; none if others do.
    lock: Option<File>,
    /// True if others were waited for.
    watched: bool,
}

impl Coordinator<'_> {
    /// Waits while somebody else goes on with this run, and tells how far they are.
    fn wait_for_others(&mut self) -> Result<Followed, Halt> {
        let mut watched = false;
        loop {
            let state = self.folder.read()?;
            let next = state.as_ref().and_then(|state| state.next);
            let next = next.filter(|job| !self.is_me(*job));
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
                if lock.is_some() && (now == next || now.is_none_or(|job| self.is_me(job))) {
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
                    .judge(index, &end, end != End::Done, u32::MAX);
            }
        }
        if self.state.tasks.count() > 0 {
            self.tell();
        }
        Ok(())
    }
}

//! The commands of Slurm, as one run uses them: a job whose name does not hold the run's is none of
//! its jobs. Each has a time within which it must answer: a controller that is down keeps them
//! waiting for minutes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::runtime::Runtime;

use super::states::{State, of_sacct, of_scontrol};

/// How long a question may take: longer than most sites let one wait (`MessageTimeout`).
const ANSWER: Duration = Duration::from_secs(60);
/// How long a submission may take: a busy controller lets one wait.
const SUBMISSION: Duration = Duration::from_secs(90);

/// Why Slurm did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The command is not there or cannot run.
    #[error("cannot run `{0}`: {1}")]
    Command(&'static str, io::Error),
    /// The controller does not answer.
    #[error("Slurm's controller does not answer ({0})")]
    Silent(String),
    /// It refused, in its words.
    #[error("`{0}` says: {1}")]
    Refused(&'static str, String),
}

/// What commands say that did not reach the controller, or did not hear from it (`slurm_errno.c`).
/// What they asked for may have been done all the same.
const SILENCE: [&str; 4] = [
    "Unable to contact slurm controller",
    "Socket timed out on send/recv operation",
    "Zero Bytes were transmitted or received",
    "backup controller in standby mode",
];

/// A way to Slurm, for one run.
pub struct Slurm {
    runtime: Runtime,
    run: String,
}

struct Said {
    good: bool,
    out: String,
    err: String,
}

impl Slurm {
    /// A way to the Slurm of this machine, for jobs whose names hold this.
    ///
    /// # Errors
    /// The operating system lets us wait for nothing.
    pub fn new(run: String) -> io::Result<Slurm> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Slurm { runtime, run })
    }

    fn say(
        &self,
        program: &'static str,
        words: &[String],
        within: Duration,
    ) -> Result<Said, Fault> {
        let output = async {
            let child = Command::new(program)
                .args(words)
                // Lists of tasks are cut off otherwise.
                .env("SLURM_BITSTR_LEN", "0")
                .stdin(Stdio::null())
                // Ctrl-C in the terminal is for `clue` alone.
                .process_group(0)
                .kill_on_drop(true)
                .output();
            tokio::time::timeout(within, child).await
        };
        let output = match self.runtime.block_on(output) {
            Ok(output) => output.map_err(|error| Fault::Command(program, error))?,
            Err(_) => {
                let seconds = within.as_secs();
                let why = format!("`{program}` took more than {seconds} seconds");
                return Err(Fault::Silent(why));
            }
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let said = Said {
            good: output.status.success(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        if !said.good && SILENCE.iter().any(|words| said.err.contains(words)) {
            return Err(Fault::Silent(format!("`{program}` says: {}", brief(&said))));
        }
        Ok(said)
    }

    /// Asks whether a controller is there, which is told at once.
    ///
    /// # Errors
    /// None is, or Slurm is not.
    pub fn ping(&self) -> Result<(), Fault> {
        let said = self.say("scontrol", &["ping".to_owned()], ANSWER)?;
        let all = format!("{}\n{}", said.out, said.err);
        let mut lines = all.lines().map(str::trim);
        if lines
            .clone()
            .any(|line| line.starts_with("Slurmctld(") && line.ends_with("UP"))
        {
            return Ok(());
        }
        let line = lines
            .find(|line| !line.is_empty())
            .unwrap_or("it says nothing");
        Err(Fault::Silent(line.to_owned()))
    }

    /// Submits a script: the job's number.
    ///
    /// # Errors
    /// It was refused, or nobody answered. Then it may have been accepted all the same.
    pub fn submit(&self, options: &[String], script: &Path) -> Result<u64, Fault> {
        self.ping()?;
        let mut words = vec!["--parsable".to_owned()];
        words.extend_from_slice(options);
        words.push(script.display().to_string());
        let said = self.say("sbatch", &words, SUBMISSION)?;
        // `12`, or `12;cluster`.
        let id = said
            .out
            .split(';')
            .next()
            .and_then(|id| id.trim().parse().ok());
        id.filter(|_| said.good)
            .ok_or_else(|| Fault::Refused("sbatch", brief(&said)))
    }

    /// The numbers of jobs of this name that are there.
    ///
    /// # Errors
    /// Nobody answered.
    pub fn named(&self, name: &str) -> Result<Vec<u64>, Fault> {
        self.ping()?;
        let words = ["--noheader", "--states=all", "--format=%F"].map(str::to_owned);
        let words = [words.to_vec(), vec![format!("--name={name}")]].concat();
        let said = self.say("squeue", &words, ANSWER)?;
        if !said.good {
            return Err(Fault::Refused("squeue", brief(&said)));
        }
        let mut ids: Vec<u64> = said
            .out
            .lines()
            .filter_map(|id| id.trim().parse().ok())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// The states of a job's tasks; none if Slurm does not remember it. A controller that lost its
    /// memory may have given the job's number to another.
    ///
    /// # Errors
    /// Nobody answered.
    pub fn states(&self, job: u64) -> Result<BTreeMap<u32, State>, Fault> {
        self.ping()?;
        let words = ["-o", "show", "job", &job.to_string()].map(str::to_owned);
        let said = self.say("scontrol", &words, ANSWER)?;
        if said.good {
            return Ok(of_scontrol(&said.out, &self.run));
        }
        if !brief(&said).contains("Invalid job id") {
            return Err(Fault::Refused("scontrol", brief(&said)));
        }
        // It is over for long. Most sites keep accounts; else nobody knows, and what is in the cache
        // has to tell.
        let format = ["--noheader", "--parsable2", "--allocations"];
        let mut words: Vec<String> = format.map(str::to_owned).to_vec();
        words.push("--format=JobID,State,ExitCode,JobName".to_owned());
        words.push(format!("--jobs={job}"));
        let said = self.say("sacct", &words, ANSWER);
        Ok(said.map_or_else(|_| BTreeMap::new(), |said| of_sacct(&said.out, &self.run)))
    }

    /// Cancels jobs, which end a while later.
    ///
    /// # Errors
    /// Nobody answered.
    pub fn cancel(&self, jobs: &[u64]) -> Result<(), Fault> {
        if jobs.is_empty() {
            return Ok(());
        }
        self.ping()?;
        let words: Vec<String> = jobs.iter().map(u64::to_string).collect();
        let words = [vec!["--quiet".to_owned()], words].concat();
        let said = self.say("scancel", &words, ANSWER)?;
        // Of jobs that are over already it says so, which is no fault.
        if said.good || brief(&said).contains("Invalid job id") {
            return Ok(());
        }
        Err(Fault::Refused("scancel", brief(&said)))
    }
}

fn brief(said: &Said) -> String {
    let text = if said.err.is_empty() {
        &said.out
    } else {
        &said.err
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(3).collect::<Vec<_>>().join("; ")
}

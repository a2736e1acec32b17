//! The memory of what is under way on a cluster: `jobs/<run>/state.json` in the cache. Whoever
//! follows a run holds its lock; each change is written as a whole before it is acted on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::tasks::Tasks;
use crate::diag::Diagnostic;
use crate::hash::Hash;

/// The version of the file's form.
const VERSION: u32 = 1;

/// What is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Underway {
    version: u32,
    /// The plan: another one has nothing to do with these jobs.
    pub plan: Hash,
    /// Which wave it is, from 1; 0 before the first.
    pub wave: u32,
    /// The stages that the wave shares out.
    pub stages: Vec<String>,
    /// How often in a row a wave was the same as the one before, with nothing failed.
    pub repeats: u32,
    /// Its tasks.
    pub tasks: Tasks,
    /// A submission that was begun, and may have been accepted.
    pub submitting: Option<Submission>,
    /// The job that goes on once the tasks are over, if nobody waits for them.
    pub next: Option<u64>,
    /// The job that puts the outputs together.
    pub assembly: Option<u64>,
    /// Jobs that are to be cancelled, noted before they are; they may not be over.
    pub cancelled: Vec<u64>,
    /// True once the outputs are there.
    pub done: bool,
}

/// A submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The job's name, which no other job has.
    pub name: String,
    /// What is submitted.
    pub what: What,
}

/// What is submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// These tasks.
    Tasks(Vec<u32>),
    /// The job that goes on.
    Next,
    /// The job that puts the outputs together.
    Assembly,
}

impl Underway {
    /// Nothing of this plan is under way.
    pub fn new(plan: Hash) -> Underway {
        Underway {
            version: VERSION,
            plan,
            wave: 0,
            stages: Vec::new(),
            repeats: 0,
            tasks: Tasks::default(),
            submitting: None,
            next: None,
            assembly: None,
            cancelled: Vec::new(),
            done: false,
        }
    }

    /// Notes that a submission was accepted as this job.
    pub fn accepted(&mut self, what: &What, job: u64) {
        self.submitting = None;
        match what {
            What::Tasks(tasks) => self.tasks.submitted(job, tasks),
            What::Next => self.next = Some(job),
            What::Assembly => self.assembly = Some(job),
        }
    }

    /// All jobs that may not be over.
    pub fn jobs(&self) -> Vec<u64> {
        let tasks = self.tasks.live().into_keys();
        let mut jobs: Vec<u64> = tasks.chain(self.next).chain(self.assembly).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs
    }

    /// True if no task waits or runs, nor is anybody putting the outputs together.
    pub fn is_idle(&self) -> bool {
        self.tasks.live().is_empty() && self.assembly.is_none()
    }

    /// True if, as far as is noted, no job of it waits or runs.
    pub fn is_over(&self) -> bool {
        self.submitting.is_none() && self.cancelled.is_empty() && self.jobs().is_empty()
    }

    /// Notes that all jobs are to be cancelled, but for the one that notes it.
    pub fn cancel(&mut self, but: Option<u64>) {
        let mut cancelled = self.jobs();
        cancelled.append(&mut self.cancelled);
        cancelled.retain(|job| Some(*job) != but);
        *self = Underway {
            cancelled,
            ..Underway::new(self.plan)
        };
    }
}

/// The folder of a run's jobs: scripts, logs, and the state.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    /// The folder of what runs this pipeline into these outputs.
    pub fn of(store: &Path, pipeline: &Path, out: &Path) -> Folder {
        let real = |path: &Path| {
            let found = path.canonicalize().or_else(|_| std::path::absolute(path));
            found.unwrap_or_else(|_| path.to_owned())
        };
        let texts = [real(pipeline), real(out)].map(|path| path.display().to_string());
        let name = Hash::of("clue cluster run v1", &texts).short();
        Folder(real(store).join("jobs").join(name))
    }

    /// What the names of all its jobs hold, and of no other run's.
    pub fn run(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// What is under way; none if nothing ever was.
    ///
    /// # Errors
    /// It cannot be read: then nobody can say what is under way.
    pub fn read(&self) -> Result<Option<Underway>, Diagnostic> {
        let file = self.state();
        let fault = |why: String| {
            Diagnostic::error(format!("cannot read `{}`: {why}", file.display()))
                .help("if no job of this pipeline is under way (`squeue --me`), remove the file")
        };
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(error.to_string())),
        };
        let state: Underway =
            serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))?;
        if state.version != VERSION {
            return Err(fault("another version of `clue` wrote it".to_owned()));
        }
        Ok(Some(state))
    }

    /// Writes what is under way.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, state: &Underway) -> Result<(), Diagnostic> {
        let mut text = serde_json::to_string_pretty(state).unwrap_or_default();
        text.push('\n');
        self.put("state.json", &text)
    }

    /// Writes a file as a whole.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, name: &str, text: &str) -> Result<(), Diagnostic> {
        let put = || -> io::Result<()> {
            std::fs::create_dir_all(&self.0)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(self.0.join(name)).map_err(|e| e.error)?;
            Ok(())
        };
        let path = self.0.join(name);
        put().map_err(|error| {
            Diagnostic::error(format!("cannot write `{}`: {error}", path.display()))
        })
    }

    /// The lock of who follows the run, held for as long as this lives; none if somebody else
    /// has it. Where the file system has no locks everybody gets it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn lock(&self) -> io::Result<Option<File>> {
        std::fs::create_dir_all(&self.0)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.0.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            _ => Ok(Some(file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_remembered() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::of(dir.path(), Path::new("p.yaml"), Path::new("out"));
        assert!(folder.read().expect("nothing").is_none());
        let mut state = Underway::new(Hash::of_bytes(b"plan"));
        state.tasks = Tasks::new(2);
        state.accepted(&What::Tasks(vec![1, 2]), 12);
        state.accepted(&What::Next, 13);
        folder.write(&state).expect("written");
        let read = folder.read().expect("sound").expect("there");
        assert_eq!(read.jobs(), [12, 13]);
        assert_eq!(read.tasks, state.tasks);
        assert!(!state.is_over());
        state.cancel(Some(13));
        assert_eq!((state.jobs(), &state.cancelled), (vec![], &vec![12]));
        assert!(!state.is_over());
        assert!(Underway::new(state.plan).is_over());
    }

    #[test]
    fn one_follows_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder(dir.path().join("jobs/a"));
        let first = folder.lock().expect("a lock");
        assert!(first.is_some());
        assert!(folder.lock().expect("no fault").is_none());
        drop(first);
        assert!(folder.lock().expect("a lock").is_some());
    }

    #[test]
    fn damage_is_told_and_not_taken_for_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder(dir.path().to_owned());
        for text in ["{", "{}", "[]"] {
            folder.put("state.json", text).expect("written");
            assert!(folder.read().is_err(), "{text}");
        }
    }
}

//! Gets parts of a run ready for Slurm: writes the script, and notes that it is about to be submitted.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use super::words;
use crate::cli::how::Args;
use crate::cluster::profile;
use crate::cluster::script::{self, Job, Word, options, script};
use crate::cluster::underway::{Folder, Submission, Underway, What};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::turns::Amounts;

/// Whatever all submissions of a run have in common.
pub struct Submitter<'a> {
    /// The command's arguments.
    pub args: &'a Args,
    /// The pipeline.
    pub pipe: &'a Arc<Pipe>,
    /// What Slurm is asked for.
    pub profile: &'a profile::Slurm,
    /// The folder of its jobs.
    pub folder: &'a Folder,
    /// The folder that all work in.
    pub dir: PathBuf,
    /// The path of `clue` where tasks run.
    pub program: String,
    /// The path of this program.
    pub own: String,
}

/// A job as it would be submitted.
pub struct Batch {
    /// Options for `sbatch`.
    pub options: Vec<String>,
    /// The script's name.
    pub file: String,
    /// The script.
    pub text: String,
}

/// A part of a run as it can be submitted.
pub struct Ready {
    /// The job's name, which no other job has.
    pub name: String,
    /// Options for `sbatch`.
    pub options: Vec<String>,
    /// The file of the script.
    pub script: PathBuf,
}

impl<'a> Submitter<'a> {
    /// Gets ready to submit.
    ///
    /// # Errors
    /// The working folder or this program's own path is not known.
    pub fn new(
        args: &'a Args,
        pipe: &'a Arc<Pipe>,
        profile: &'a profile::Slurm,
        folder: &'a Folder,
    ) -> Result<Submitter<'a>, Diagnostic> {
        let unknown = |error| Diagnostic::error(format!("cannot tell where this runs: {error}"));
        let own = std::env::current_exe().map_err(unknown)?;
        let program = profile
            .program
            .as_ref()
            .map(|program| program.value.clone());
        Ok(Submitter {
            args,
            pipe,
            profile,
            folder,
            dir: std::env::current_dir().map_err(unknown)?,
            program: program.unwrap_or_else(|| own.display().to_string()),
            own: own.display().to_string(),
        })
    }

    /// The name of a wave's orders.
    pub fn orders(wave: u32) -> String {
        format!("wave-{wave}.json")
    }

    /// The log of a task.
    pub fn log(&self, what: &What, state: &Underway, task: u32) -> PathBuf {
        let name = match what {
            What::Tasks(_) => format!("wave-{}.task-{task}.log", state.wave),
            What::Next => "next.log".to_owned(),
            What::Assembly => "assembly.log".to_owned(),
        };
        self.folder.0.join(name)
    }

    /// What would be submitted, under a name.
    pub fn batch(&self, state: &Underway, what: &What, name: &str) -> Batch {
        let Underway { wave, tasks, .. } = state;
        let count = tasks.count();
        let pipeline = &self.pipe.pipeline.name;
        let (file, more, about) = match what {
            What::Tasks(_) => (
                format!("wave-{wave}.sh"),
                words::task(count),
                format!("wave {wave} of `{pipeline}`, shared out among {count} tasks"),
            ),
            What::Next => (
                "next.sh".to_owned(),
                words::next(&self.args.place),
                format!("`{pipeline}` goes on once a wave is over"),
            ),
            What::Assembly => (
                "assembly.sh".to_owned(),
                vec!["--json".into()],
                format!("the rest of `{pipeline}`, and its outputs"),
            ),
        };
        // It is in no container, and `program` may be a path in one.
        let outside = *what == What::Next && !self.profile.container.is_empty();
        let program = if outside { &self.own } else { &self.program };
        let needs = self.needs();
        let lacking = needs.iter().filter(|(name, amount)| {
            let said = self
                .args
                .how
                .resources
                .iter()
                .any(|(said, _)| said == *name);
            !said && **amount > 1.0
        });
        let lacking: Vec<(String, f64)> = lacking.map(|(name, n)| (name.clone(), *n)).collect();
        let said = self.args.how.resources.iter().cloned();
        let words: Vec<Word> = [
            words::run(self.args, program),
            words::resources(said.chain(lacking)),
            more,
            words::orders(&self.folder.0.join(Submitter::orders(*wave))),
        ]
        .concat();
        let log = match what {
            What::Tasks(_) => {
                let folder = script::pattern(&self.folder.0);
                format!("{folder}/wave-{wave}.task-%a.log")
            }
            _ => script::pattern(&self.log(what, state, 0)),
        };
        let works = *what != What::Next;
        let job = Job {
            name,
            about: &format!("Written by clue: {about}."),
            dir: &self.dir,
            log: &log,
            words: &words,
            gpus: needs.get("gpu").map_or(0, |amount| amount.ceil() as u32),
            works,
            needs: &self.variables(),
        };
        Batch {
            options: options(self.profile, &job),
            text: script(self.profile, &job),
            file,
        }
    }

    /// The most that one of the pipeline's servers needs of each thing.
    fn needs(&self) -> Amounts {
        let mut most = Amounts::new();
        let served = self
            .pipe
            .models
            .values()
            .filter_map(|model| model.serve.as_ref());
        for (name, amount) in served.flat_map(|serve| &serve.resources) {
            let known = most.entry(name.clone()).or_insert(0.0);
            *known = known.max(*amount);
        }
        most
    }

    /// The variables that models and params take from the environment.
    fn variables(&self) -> Vec<String> {
        let tokens = self
            .pipe
            .models
            .values()
            .filter_map(|model| model.key_env.clone());
        let params = std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.starts_with("CLUE_PARAM_"));
        tokens.chain(params).collect()
    }

    /// Gets a part ready: its script is there, and it is noted that it may have been submitted.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn ready(&self, state: &mut Underway, what: What) -> Result<Ready, Diagnostic> {
        let name = self.name(&what, state.wave);
        let batch = self.batch(state, &what, &name);
        self.folder.put(&batch.file, &batch.text)?;
        state.submitting = Some(Submission {
            name: name.clone(),
            what,
        });
        self.folder.write(state)?;
        Ok(Ready {
            name,
            options: batch.options,
            script: self.folder.0.join(&batch.file),
        })
    }

    /// A name that no other job has.
    fn name(&self, what: &What, wave: u32) -> String {
        let kind = match what {
            What::Tasks(_) => format!("w{wave}"),
            What::Next => "next".to_owned(),
            What::Assembly => "end".to_owned(),
        };
        let random = RandomState::new().build_hasher().finish() as u32;
        let pipeline = script::label(&self.pipe.pipeline.name);
        format!("clue-{pipeline}-{kind}-{}-{random:08x}", self.folder.run())
    }
}

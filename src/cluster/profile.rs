//! Profiles: what a cluster is asked for. A YAML file, named by its path, or by the name it has in
//! the user's own folder of profiles.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diag::{Diagnostic, Sources};
use crate::spec::decode::Src;
use crate::spec::document;
use crate::spec::home::home;

/// How many tasks share the work where nobody says.
const SHARDS: u32 = 4;
/// Seconds between looks, where nobody says, and what may be said.
const POLL: f64 = 5.0;
const POLLS: std::ops::RangeInclusive<f64> = 0.05..=3600.0;
/// Seconds that the controller may not answer, where nobody says, and what may be said.
const PATIENCE: f64 = 1800.0;
const PATIENCES: std::ops::RangeInclusive<f64> = 0.0..=604_800.0;
/// How often a task is submitted again.
const RETRIES: u32 = 2;

/// What clusters are asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// For `--executor slurm`.
    pub slurm: Slurm,
    /// For `--executor k8s`.
    pub k8s: K8s,
}

/// What Slurm is asked for, for each task.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Slurm {
    /// `--partition`.
    pub partition: Option<Src<Word>>,
    /// `--account`.
    pub account: Option<Src<Word>>,
    /// `--qos`.
    pub qos: Option<Src<Word>>,
    /// `--time`: the longest that a task may take, such as `"2:00:00"`.
    pub time: Option<Src<Word>>,
    /// `--cpus-per-task`.
    pub cpus: Option<u32>,
    /// `--mem`, such as `16G`.
    pub mem: Option<Src<Word>>,
    /// `--gpus`; instead of what servers of the pipeline need.
    pub gpus: Option<Src<Word>>,
    /// `--gres`; instead of what servers of the pipeline need.
    pub gres: Option<Src<Word>>,
    /// `--constraint`.
    pub constraint: Option<Src<Word>>,
    /// How many tasks share the work.
    pub shards: Option<Src<u32>>,
    /// How many of them may run at once.
    pub max_running: Option<Src<u32>>,
    /// How often a task that failed is submitted again.
    pub retries: u32,
    /// A command that runs the words after it in a container, such as `[apptainer, exec, a.sif]`.
    pub container: Vec<Src<String>>,
    /// The path of `clue` where tasks run.
    pub program: Option<Src<String>>,
    /// Lines of shell before each task, such as `module load cuda`.
    pub setup: Vec<Src<String>>,
    /// Environment variables of tasks. They are written to the script: no secrets.
    pub env: BTreeMap<String, Src<String>>,
    /// The only variables of your environment that tasks get, besides those that models name and
    /// those of `clue` itself; all if left out.
    pub export: Option<Vec<Src<String>>>,
    /// Other options of `sbatch`, one each.
    pub options: Vec<Src<String>>,
    /// Where the outputs are put together.
    pub assemble: Assemble,
    /// Seconds between looks at what became of tasks.
    pub poll: Option<Src<f64>>,
    /// Seconds that Slurm's controller may not answer, while tasks are under way.
    pub patience: Option<Src<f64>>,
}

/// Where the outputs are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Assemble {
    /// Here, unless a model has to be asked.
    #[default]
    Auto,
    /// Here.
    Here,
    /// In a job.
    Job,
}

/// What Kubernetes is asked for, for each task.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct K8s {
    /// The image that `clue` is in.
    pub image: Option<Src<String>>,
    /// The namespace of the jobs.
    pub namespace: Option<Src<String>>,
    /// The claim of the volume that all tasks share, with the project and the cache on it.
    pub claim: Src<String>,
    /// Where tasks have that volume.
    pub mount: Src<String>,
    /// The project's folder on it.
    pub folder: Src<String>,
    /// The secret that has the variables with tokens that models name.
    pub secret: Src<String>,
    /// CPUs of a task.
    pub cpus: Option<Src<Word>>,
    /// Memory of a task, such as `16Gi`.
    pub memory: Option<Src<Word>>,
    /// GPUs (`nvidia.com/gpu`) of a task; instead of what servers of the pipeline need.
    pub gpus: Option<u32>,
    /// Labels of the nodes that tasks may run on.
    pub node_selector: BTreeMap<String, Src<String>>,
    /// How many tasks share the work.
    pub shards: Option<Src<u32>>,
    /// How many of them may run at once.
    pub max_running: Option<Src<u32>>,
    /// How often a task that failed is begun again.
    pub retries: u32,
    /// The path of `clue` in the image.
    pub program: Src<String>,
    /// Environment variables of tasks.
    pub env: BTreeMap<String, Src<String>>,
}

/// A text, or a number that is taken for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Word {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Text(text) => f.write_str(text),
            Word::Number(number) => write!(f, "{number}"),
        }
    }
}

impl Default for Slurm {
    fn default() -> Slurm {
        Slurm {
            partition: None,
            account: None,
            qos: None,
            time: None,
            cpus: None,
            mem: None,
            gpus: None,
            gres: None,
            constraint: None,
            shards: None,
            max_running: None,
            retries: RETRIES,
            container: Vec::new(),
            program: None,
            setup: Vec::new(),
            env: BTreeMap::new(),
            export: None,
            options: Vec::new(),
            assemble: Assemble::default(),
            poll: None,
            patience: None,
        }
    }
}

impl Default for K8s {
    fn default() -> K8s {
        K8s {
            image: None,
            namespace: None,
            claim: unplaced("clue"),
            mount: unplaced("/work"),
            folder: unplaced("."),
            secret: unplaced("clue"),
            cpus: None,
            memory: None,
            gpus: None,
            node_selector: BTreeMap::new(),
            shards: None,
            max_running: None,
            retries: RETRIES,
            program: unplaced("clue"),
            env: BTreeMap::new(),
        }
    }
}

/// A value that stands in no file.
fn unplaced(text: &str) -> Src<String> {
    Src {
        value: text.to_owned(),
        span: crate::diag::Span {
            file: crate::diag::FileId(0),
            start: 0,
            end: 0,
        },
    }
}

impl Profile {
    /// The profile of a path or name; without one the profile `default`, if the user has that.
    ///
    /// # Errors
    /// What is wrong with it, each at its place in the file.
    pub fn load(named: Option<&str>) -> Result<Profile, (Vec<Diagnostic>, Sources)> {
        let mut sources = Sources::default();
        let file = match find(named) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(Profile::default()),
            Err(fault) => return Err((vec![*fault], sources)),
        };
        read(&file, &mut sources).map_err(|faults| (faults, sources))
    }
}

/// The folder of the user's profiles.
fn folder() -> Option<PathBuf> {
    home("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("clue/profiles"))
}

fn find(named: Option<&str>) -> Result<Option<PathBuf>, Box<Diagnostic>> {
    let Some(name) = named else {
        let file = folder().map(|dir| dir.join("default.yaml"));
        return Ok(file.filter(|file| file.exists()));
    };
    let is_path = name.contains('/') || name.ends_with(".yaml") || name.ends_with(".yml");
    if is_path {
        return Ok(Some(PathBuf::from(name)));
    }
    let folder = folder().unwrap_or_default();
    let file = folder.join(format!("{name}.yaml"));
    if file.exists() {
        return Ok(Some(file));
    }
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let names: Vec<String> = entries
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    let fault = Diagnostic::error(format!("no profile `{name}`"))
        .note(format!("looked for `{}`", file.display()));
    Err(Box::new(
        fault.suggest(name, names.iter().map(String::as_str)),
    ))
}

fn read(file: &Path, sources: &mut Sources) -> Result<Profile, Vec<Diagnostic>> {
    let profile: Profile = document::read(file, sources)?;
    let mut faults = Vec::new();
    profile.slurm.check(&mut faults);
    profile.k8s.check(&mut faults);
    if faults.is_empty() {
        Ok(profile)
    } else {
        Err(faults)
    }
}

/// One line of visible text; anything else could be more than it seems.
fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// What `sbatch` options are not for a profile: `clue` says them itself.
const OWN: [&str; 9] = [
    "--array",
    "-a",
    "--job-name",
    "-J",
    "--output",
    "-o",
    "--dependency",
    "-d",
    "--wrap",
];

impl Slurm {
    /// How many tasks share the work.
    pub fn shards(&self) -> u32 {
        count(&self.shards).unwrap_or(SHARDS)
    }

    /// How many of them may run at once.
    pub fn max_running(&self) -> Option<u32> {
        count(&self.max_running)
    }

    /// The time between looks.
    pub fn poll(&self) -> Duration {
        Duration::from_secs_f64(self.poll.as_ref().map_or(POLL, |poll| poll.value))
    }

    /// How long the controller may not answer.
    pub fn patience(&self) -> Duration {
        let seconds = self.patience.as_ref();
        Duration::from_secs_f64(seconds.map_or(PATIENCE, |seconds| seconds.value))
    }

    fn check(&self, faults: &mut Vec<Diagnostic>) {
        let words = [
            &self.partition,
            &self.account,
            &self.qos,
            &self.time,
            &self.mem,
            &self.gpus,
            &self.gres,
            &self.constraint,
        ];
        for word in words.into_iter().flatten() {
            if !is_line(&word.to_string()) {
                faults.push(Diagnostic::error("expected one line of text").at(word.span, ""));
            }
        }
        let lines = self.options.iter().chain(&self.container);
        for line in lines.chain(&self.program).filter(|line| !is_line(line)) {
            faults.push(Diagnostic::error("expected one line of text").at(line.span, ""));
        }
        for option in &self.options {
            let name = option.split(['=', ' ']).next().unwrap_or_default();
            if !option.starts_with('-') {
                let fault = Diagnostic::error("expected an option of `sbatch`");
                faults.push(fault.at(option.span, "").help("such as `--exclusive`"));
            } else if option.starts_with("--")
                && name.len() < option.find('=').unwrap_or(option.len())
            {
                let fault = Diagnostic::error("expected one option, as `--name=value`");
                faults.push(fault.at(option.span, ""));
            } else if OWN.contains(&name) {
                let fault = Diagnostic::error(format!("`{name}` is not for a profile to say"));
                faults.push(fault.at(option.span, "`clue` says it itself"));
            }
        }
        check_names(&self.env, faults);
        for name in self.export.iter().flatten().filter(|name| !is_name(name)) {
            faults.push(not_a_name().at(name.span, ""));
        }
        check_seconds(&self.poll, &POLLS, faults);
        check_seconds(&self.patience, &PATIENCES, faults);
        check_counts([&self.shards, &self.max_running], faults);
    }
}

impl K8s {
    /// How many tasks share the work.
    pub fn shards(&self) -> u32 {
        count(&self.shards).unwrap_or(SHARDS)
    }

    /// How many of them may run at once.
    pub fn max_running(&self) -> Option<u32> {
        count(&self.max_running)
    }

    fn check(&self, faults: &mut Vec<Diagnostic>) {
        check_names(&self.env, faults);
        check_counts([&self.shards, &self.max_running], faults);
        let labels = [
            Some(&self.claim),
            Some(&self.secret),
            self.namespace.as_ref(),
        ];
        for label in labels.into_iter().flatten() {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
            if label.is_empty() || !label.chars().all(fits) {
                let fault = Diagnostic::error("expected a name of Kubernetes");
                faults.push(
                    fault
                        .at(label.span, "")
                        .help("such a name is made of `a-z`, `0-9`, `-` and `.`"),
                );
            }
        }
        if !self.mount.starts_with('/') {
            faults.push(Diagnostic::error("expected an absolute path").at(self.mount.span, ""));
        }
    }
}

fn count(said: &Option<Src<u32>>) -> Option<u32> {
    said.as_ref().map(|count| count.value)
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(fits) && name.starts_with(|c: char| !c.is_ascii_digit())
}

fn not_a_name() -> Diagnostic {
    Diagnostic::error("expected the name of an environment variable")
}

fn check_names(env: &BTreeMap<String, Src<String>>, faults: &mut Vec<Diagnostic>) {
    for (_, value) in env.iter().filter(|(name, _)| !is_name(name)) {
        faults.push(not_a_name().at(value.span, "the value of what has no such name"));
    }
}

fn check_seconds(
    said: &Option<Src<f64>>,
    fits: &std::ops::RangeInclusive<f64>,
    faults: &mut Vec<Diagnostic>,
) {
    if let Some(said) = said.as_ref().filter(|said| !fits.contains(said)) {
        let (least, most) = (fits.start(), fits.end());
        let fault = Diagnostic::error(format!("expected {least} to {most} seconds"));
        faults.push(fault.at(said.span, ""));
    }
}

fn check_counts(counts: [&Option<Src<u32>>; 2], faults: &mut Vec<Diagnostic>) {
    for count in counts.into_iter().flatten() {
        if !(1..=MOST_SHARDS).contains(&count.value) {
            let fault = Diagnostic::error(format!("expected a number from 1 to {MOST_SHARDS}"));
            faults.push(fault.at(count.span, ""));
        }
    }
}

/// The most tasks; Slurm's own limit (`MaxArraySize`) is mostly lower.
pub const MOST_SHARDS: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<Profile, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.yaml");
        std::fs::write(&file, text).expect("written");
        let mut sources = Sources::default();
        read(&file, &mut sources).map_err(|faults| {
            let faults = faults.iter().map(|fault| fault.render(&sources, false));
            let text = faults.collect::<Vec<_>>().join("\n\n");
            text.replace(&file.display().to_string(), "a.yaml")
        })
    }

    #[test]
    fn texts_may_be_numbers() {
        let profile = told("slurm: {mem: 4000, time: '1:00:00', gpus: 1}").expect("sound");
        let text = |word: Option<Src<Word>>| word.map(|word| word.to_string());
        assert_eq!(text(profile.slurm.mem).as_deref(), Some("4000"));
        assert_eq!(text(profile.slurm.time).as_deref(), Some("1:00:00"));
        assert_eq!(profile.slurm.retries, RETRIES);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let all = [
            "slurm: {partiton: a}",
            "slurm: {partition: \"a\\nb\"}",
            "slurm: {options: [--array=1-9, exclusive, \"--a --b\"]}",
            "slurm: {env: {a b: c}}",
            "slurm: {assemble: there}",
            "slurm: {shards: 0, max_running: 10001, poll: 0, patience: -1}",
            "k8s: {claim: A_b, mount: work}",
        ];
        let all = all.map(|text| told(text).expect_err(text));
        insta::assert_snapshot!(all.join("\n\n"));
    }
}

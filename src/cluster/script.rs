//! Batch scripts of Slurm and the options that go with them, as text. Options are words of the
//! command line, which has precedence over the environment, and where nothing has to be quoted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::profile::Slurm;

/// What a job does.
pub struct Job<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is, for who reads the script.
    pub about: &'a str,
    /// The folder that it works in.
    pub dir: &'a Path,
    /// The file of what it says; `%a` stands for the task.
    pub log: &'a str,
    /// The words of its command.
    pub words: &'a [Word],
    /// What it needs of GPUs, if the profile does not say.
    pub gpus: u32,
    /// True for tasks, false for what looks after them: that needs no GPU.
    pub works: bool,
    /// Variables of the environment that it needs, if the profile names others.
    pub needs: &'a [String],
}

/// A word of a command in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// This text.
    Text(String),
    /// The share: which task of so many it is.
    Share(u32),
}

impl<T: Into<String>> From<T> for Word {
    fn from(text: T) -> Word {
        Word::Text(text.into())
    }
}

/// A word as a shell reads it: whatever is in it is nothing but text.
pub fn shell(word: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(simple) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The options for `sbatch`, but for those that change from one submission to the next.
pub fn options(profile: &Slurm, job: &Job<'_>) -> Vec<String> {
    let mut options = vec![
        format!("--job-name={}", job.name),
        format!("--output={}", job.log),
        "--open-mode=append".to_owned(),
        format!("--chdir={}", job.dir.display()),
        "--kill-on-invalid-dep=yes".to_owned(),
        format!("--export={}", export(profile, job.needs)),
    ];
    let mut add = |name: &str, value: Option<String>| {
        options.extend(value.map(|value| format!("--{name}={value}")));
    };
    add(
        "partition",
        profile.partition.as_ref().map(|w| w.to_string()),
    );
    add("account", profile.account.as_ref().map(|w| w.to_string()));
    add("qos", profile.qos.as_ref().map(|w| w.to_string()));
    add("time", profile.time.as_ref().map(|w| w.to_string()));
    add("cpus-per-task", profile.cpus.map(|n| n.to_string()));
    add("mem", profile.mem.as_ref().map(|w| w.to_string()));
    if job.works {
        add(
            "constraint",
            profile.constraint.as_ref().map(|w| w.to_string()),
        );
        add("gpus", profile.gpus.as_ref().map(|w| w.to_string()));
        let needed = (profile.gpus.is_none() && job.gpus > 0).then(|| format!("gpu:{}", job.gpus));
        let said = profile.gres.as_ref().map(|w| w.to_string());
        add("gres", said.or(needed));
    }
    options.extend(profile.options.iter().map(|option| option.value.clone()));
    options
}

/// Variables that `clue` itself and its way to models depend on.
const ALWAYS: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "CLUE_CONFIG",
    "SLURM_CONF",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// Which variables tasks get, by name: their values never stand in a script.
fn export(profile: &Slurm, needs: &[String]) -> String {
    let Some(named) = &profile.export else {
        return "ALL".to_owned();
    };
    let named = named.iter().map(|name| name.value.as_str());
    let always = ALWAYS.into_iter().chain(needs.iter().map(String::as_str));
    let mut names: Vec<&str> = always.chain(named).collect();
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

/// The script.
pub fn script(profile: &Slurm, job: &Job<'_>) -> String {
    let mut text = String::from("#!/bin/bash\n");
    for line in job.about.lines() {
        let _ = writeln!(text, "# {line}");
    }
    // What is wrong before the command must not be met by it.
    text.push_str("set -e\n");
    let env: BTreeMap<_, _> = profile.env.iter().collect();
    for (name, value) in env {
        let _ = writeln!(text, "export {name}={}", shell(value));
    }
    for line in &profile.setup {
        let _ = writeln!(text, "{}", line.value);
    }
    if profile.export.is_some() {
        // Else `srun`, which containers may need, would leave out what was set since.
        text.push_str("export SLURM_EXPORT_ENV=ALL\n");
    }
    let before = container(profile, job);
    let words = job.words.iter().map(|word| match word {
        Word::Text(word) => shell(word),
        Word::Share(count) => format!("\"$SLURM_ARRAY_TASK_ID/{count}\""),
    });
    let words: Vec<String> = before.into_iter().chain(words).collect();
    // In the shell's place, so that signals reach it.
    let _ = writeln!(text, "exec {}", words.join(" "));
    text
}

/// The words before the command, which have it run in a container, in the same folder as outside:
/// many begin in another one.
fn container(profile: &Slurm, job: &Job<'_>) -> Vec<String> {
    // Slurm's commands are no part of containers: what looks after tasks needs them.
    if !job.works || profile.container.is_empty() {
        return Vec::new();
    }
    let words = profile.container.iter().map(|word| shell(word));
    let shells = ["/bin/sh", "-c", GO].map(shell);
    let dir = shell(&job.dir.display().to_string());
    words.chain(shells).chain([dir]).collect()
}

/// Goes to the first word and runs the others. What is not there will not be there next time either.
const GO: &str = r#"cd "$0" || exit 2; exec "$@""#;

/// A path in a pattern for names of files, in which `%` means something.
pub fn pattern(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// A part of a job's name: what every site's tools can show.
pub fn label(text: &str) -> String {
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    text.chars().take(40).map(fits).collect()
}

/// Indices as `sbatch` and `scontrol` list them, such as `1-3,7`.
pub fn ranges(indices: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &at in indices {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == at => *last = at,
            _ => ranges.push((at, at)),
        }
    }
    let texts = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn profile(yaml: &str) -> Slurm {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.yaml");
        std::fs::write(&file, yaml).expect("written");
        let profile = super::super::profile::Profile::load(file.to_str());
        profile.map_err(|(faults, _)| faults).expect("sound").slurm
    }

    fn told(yaml: &str, works: bool) -> String {
        let profile = profile(yaml);
        let words = [
            "/opt/clue".into(),
            "run".into(),
            "it's $(here).yaml".into(),
            "--shard".into(),
            Word::Share(4),
        ];
        let job = Job {
            name: "clue-p-1",
            about: "Written by clue.\nWave 1 of `p`.",
            dir: Path::new("/data/my project"),
            log: "/data/my project/.clue/task-%a.log",
            words: &words,
            gpus: 1,
            works,
            needs: &["API_TOKEN".to_owned()],
        };
        format!(
            "{}\n\n{}",
            options(&profile, &job).join("\n"),
            script(&profile, &job)
        )
    }

    #[test]
    fn scripts_hold_what_the_profile_says() {
        insta::assert_snapshot!("plain", told("slurm: {}", true));
        let all = "slurm:\n  partition: gpu\n  account: lab\n  qos: short\n  time: \"2:00:00\"\n  \
                   cpus: 8\n  mem: 32G\n  gres: 'gpu:a100:2'\n  constraint: 'a100&nvlink'\n  \
                   container: [apptainer, exec, --nv, 'my image.sif']\n  setup: [module load cuda]\n  \
                   env: {HF_HOME: '/data/it''s $HOME'}\n  export: [HF_TOKEN]\n  \
                   options: [--exclusive, '--comment=a b']\n";
        insta::assert_snapshot!("all", told(all, true));
        insta::assert_snapshot!("follow_up", told(all, false));
    }

    #[test]
    fn ranges_are_short() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3,7,9-10");
        assert_eq!(ranges(&[]), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_shell_gets_words_as_they_were(words in proptest::collection::vec("[^\u{0}]{0,12}", 1..20)) {
            let quoted: Vec<String> = words.iter().map(|word| shell(word)).collect();
            let script = format!("printf '%s\\0' {}", quoted.join(" "));
            let said = Command::new("bash").args(["-c", &script]).output().expect("bash").stdout;
            let said = String::from_utf8(said).expect("UTF-8");
            let said: Vec<&str> = said.split_terminator('\0').collect();
            prop_assert_eq!(said, words);
        }
    }
}

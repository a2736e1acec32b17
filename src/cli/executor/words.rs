//! The words of commands that do a part of a run elsewhere: the same flags, but for those that say
//! who does it.

use std::path::Path;

use super::Where;
use crate::cli::how::Args;
use crate::cluster::script::Word;

/// The command that does all that a plan holds, by this program.
pub fn run(args: &Args, program: &str) -> Vec<Word> {
    let common = &args.common;
    let settings = &common.settings;
    let mut words: Vec<Word> = vec![program.into(), "run".into(), path(&common.file)];
    let mut flag = |name: &str, value: Word| words.extend([name.into(), value]);
    for (name, value) in &settings.params {
        flag("-p", format!("{name}={value}").into());
    }
    for file in &settings.params_files {
        flag("--params", path(file));
    }
    if let Some(dir) = &settings.out {
        flag("--out", path(dir));
    }
    flag("--store", path(&settings.store));
    for dir in &settings.prompts {
        flag("--prompts", path(dir));
    }
    for stage in &args.how.until {
        flag("--until", stage.into());
    }
    words
}

/// What is added for a task of so many.
pub fn task(count: u32) -> Vec<Word> {
    // Its summary names no record's content, and others read it.
    vec!["--json".into(), "--shard".into(), Word::Share(count)]
}

/// What is added for whoever has orders.
pub fn orders(file: &Path) -> Vec<Word> {
    vec!["--orders".into(), path(file)]
}

/// What is added for how much a machine has of what servers need.
pub fn resources(amounts: impl IntoIterator<Item = (String, f64)>) -> Vec<Word> {
    let amounts = amounts.into_iter();
    let words =
        amounts.map(|(name, amount)| ["--resources".into(), format!("{name}={amount}").into()]);
    words.flatten().collect()
}

/// What is added for the job that goes on where nobody waits.
pub fn next(place: &Where) -> Vec<Word> {
    let flags = ["--json", "--executor", "slurm", "--submit-only", "--attach"];
    let mut words: Vec<Word> = flags.map(Word::from).to_vec();
    if let Some(profile) = &place.profile {
        words.extend(["--profile".into(), profile.into()]);
    }
    if let Some(shards) = place.shards {
        words.extend(["--shards".into(), shards.to_string().into()]);
    }
    words
}

fn path(path: &Path) -> Word {
    path.display().to_string().into()
}

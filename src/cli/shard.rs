//! `clue run --shard`: which wave comes next, and one machine's plan in it.

use std::path::PathBuf;
use std::sync::Arc;

use super::rehearse::{Notes, rehearse_with};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::shard::{Shard, Wave};
use crate::engine::stock::{Refused, Source};
use crate::engine::survey::Survey;
use crate::store::Store;

/// Said where the cache has all answers.
pub const ALL_THERE: &str =
    "nothing is left to share out: `clue run` without `--shard` puts the outputs together\n";

/// The next wave of a plan; none if the cache has all answers that a run would ask for.
///
/// # Errors
/// The rehearsal cannot start.
pub fn next_wave(
    pipe: &Arc<Pipe>,
    store: &Store,
    survey: &Survey,
) -> Result<Option<Wave>, Diagnostic> {
    // What was refused for good holds up no wave.
    let refused = Refused::LetBe;
    let (_, rehearsed) = rehearse_with(
        pipe,
        store,
        survey,
        Source::Later,
        &Notes::default(),
        refused,
    )?;
    Ok(Wave::next(survey, &pipe.order, &rehearsed))
}

/// The file of a share's failures, in the output folder.
pub fn errors(pipe: &Pipe, shard: Shard) -> PathBuf {
    let Shard { index, count } = shard;
    let name = format!("errors.shard-{index}-of-{count}.jsonl");
    pipe.folders.out.join(name)
}

/// Those of all shares, that lie in the output folder.
pub fn all_errors(pipe: &Pipe) -> impl Iterator<Item = PathBuf> {
    let files = std::fs::read_dir(&pipe.folders.out).into_iter().flatten();
    files.flatten().map(|file| file.path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("errors.shard-") && name.ends_with(".jsonl"))
    })
}

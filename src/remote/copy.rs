//! From one store on disk into another.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use super::fault::Fault;
use super::moved::Moved;
use super::{How, has_ended};
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::store::{Adopted, Kind, Part, Store};

/// Copies what `to` lacks. Outputs first, so that no result is known without its output.
pub(super) fn copy(from: &Store, to: &Store, how: &How) -> Result<Moved, Fault> {
    let mut moved = Moved::default();
    let (have, there) = (from.parts(), to.parts());
    let lacking = |part: &Part, bytes: u64| how.wants(part) && there.get(part) != Some(&bytes);
    let wanted: Vec<(&Part, u64)> = have
        .iter()
        .map(|(part, bytes)| (part, *bytes))
        .filter(|(part, bytes)| lacking(part, *bytes))
        .collect();
    let is_run = |part: &Part| matches!(part, Part::Run(_));
    for (part, bytes) in wanted.iter().filter(|(part, _)| !is_run(part)) {
        one(from, to, part, *bytes, how, &mut moved)?;
    }
    entries(from, to, how, &mut moved)?;
    for (part, bytes) in wanted.iter().filter(|(part, _)| is_run(part)) {
        one(from, to, part, *bytes, how, &mut moved)?;
    }
    Ok(moved)
}

/// Copies these outputs, as far as `from` has them.
pub(super) fn outputs(
    from: &Store,
    to: &Store,
    contents: &BTreeSet<Hash>,
    how: &How,
) -> Result<Moved, Fault> {
    let mut moved = Moved::default();
    for content in contents {
        let part = Part::Artifact(*content);
        if let Ok(data) = fs::metadata(from.path_of(&part)) {
            one(from, to, &part, data.len(), how, &mut moved)?;
        }
    }
    Ok(moved)
}

fn one(
    from: &Store,
    to: &Store,
    part: &Part,
    bytes: u64,
    how: &How,
    moved: &mut Moved,
) -> Result<(), Fault> {
    stop(how)?;
    let path = from.path_of(part);
    if matches!(part, Part::Run(_)) && !has_ended(&path) && part.is_sound(&path).unwrap_or(true) {
        return Ok(());
    }
    if how.dry_run {
        moved.add(part, bytes);
        return Ok(());
    }
    let file = to.incoming()?;
    match fs::copy(&path, file.path()) {
        Ok(_) => {}
        // Cleaned up meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(Fault::Transfer(Diagnostic::error(format!(
                "cannot copy `{}`: {error}",
                path.display()
            ))));
        }
    }
    match to.adopt(part, file)? {
        Adopted::Taken => moved.add(part, bytes),
        Adopted::There => {}
        Adopted::Damaged => moved
            .damaged
            .push(format!("`{}` is damaged: it is left out", path.display())),
    }
    Ok(())
}

fn entries(from: &Store, to: &Store, how: &How, moved: &mut Moved) -> Result<(), Fault> {
    let there = to.entries();
    let mut lacking: Vec<(Kind, Hash)> = from.entries().difference(&there).copied().collect();
    lacking.sort_unstable_by_key(|(kind, key)| (kind.byte(), *key));
    if how.dry_run {
        moved.entries = from.weigh(&lacking);
    } else {
        let mut intake = to.intake();
        for entry in lacking {
            if how.halt.is_raised() {
                intake.finish()?;
                return Err(Fault::Interrupted);
            }
            // What is damaged is told by the store itself.
            intake.take_entry(from, entry)?;
        }
        moved.entries = intake.finish()?;
    }
    moved.damaged.extend(from.take_faults());
    Ok(())
}

fn stop(how: &How) -> Result<(), Fault> {
    match how.halt.is_raised() {
        true => Err(Fault::Interrupted),
        false => Ok(()),
    }
}

//! What came of a test against what was expected, and what of it is taken as expected. Only what
//! was played soundly is, and nothing of data marked `sensitive` unless the user says so.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::case::Case;
use super::compare;
use super::play::{May, Played, Unplayed, at_fault};
use super::update;
use crate::cli::replace::replace;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::survey::out_file;
use crate::engine::taps::Taps;
use crate::report::words::count;

/// What came of a test.
pub struct Came<'a> {
    /// The test.
    pub case: &'a Case,
    /// Its pipeline.
    pub pipe: &'a Pipe,
    /// What its stages emitted.
    pub taps: &'a Taps,
    /// Which stages' values are not shown.
    pub hidden: &'a [bool],
    /// The files that outputs must equal, resolved.
    pub files: &'a BTreeMap<String, PathBuf>,
}

/// Why something is not taken as expected.
#[derive(Default)]
struct Withheld {
    unsound: bool,
    sensitive: bool,
    unpaired: bool,
    unwritten: bool,
}

impl Came<'_> {
    /// Adds to what is known of a test what is not as expected; with `--update`, and if nothing
    /// went wrong before, what came is taken as expected where that can be done.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn compare(&self, may: &May, played: &mut Played) -> Result<(), Unplayed> {
        let mut withheld = Withheld::default();
        let sound = played.wrong.is_empty();
        let takes = |hidden: bool, withheld: &mut Withheld| {
            let lacks = hidden && !may.include_sensitive;
            withheld.unsound |= may.update && !sound;
            withheld.sensitive |= may.update && sound && lacks;
            may.update && sound && !lacks
        };
        let mut files = Vec::new();
        for (name, path) in self.case.file.expect.outputs.iter() {
            let Some((bytes, hidden)) = self.output(name) else {
                played.wrong.push(format!("`{name}` was not written"));
                continue;
            };
            let Some(differs) = self.differs(name, path, &bytes, hidden)? else {
                continue;
            };
            match self.files.get(name) {
                Some(file) if takes(hidden, &mut withheld) => {
                    let shown = self.case.join(path);
                    files.push((file, bytes, format!("`{}`", shown.display())));
                }
                _ => played.wrong.push(differs),
            }
        }
        for (name, wanted) in self.case.file.expect.text.iter() {
            match self.output(name) {
                Some((bytes, hidden)) => {
                    let differs = compare::text(name, wanted.as_bytes(), &bytes, hidden);
                    played.wrong.extend(differs);
                }
                None => played.wrong.push(format!("`{name}` was not written")),
            }
        }
        let mut edits = Vec::new();
        let mut told = Vec::new();
        let mut values = Vec::new();
        for (name, wanted) in self.case.file.expect.records.iter() {
            let Some(at) = self.pipe.find(name) else {
                continue;
            };
            let before = edits.len();
            let hidden = self.hidden[at];
            let found = self.taps.take(at);
            withheld.unpaired |= may.update && sound && !compare::paired(wanted, &found);
            for wrong in compare::records(name, wanted, &found, hidden) {
                let other = wrong.other.as_ref();
                let other = other.filter(|_| takes(hidden, &mut withheld));
                let (root, text) = (&self.case.root, &self.case.text);
                // What can be written is, and the rest is told.
                match other.and_then(|other| update::edit(root, text, name, other)) {
                    Some(edit) => {
                        edits.push(edit);
                        told.push(wrong.told);
                    }
                    None => played.wrong.push(wrong.told),
                }
            }
            let new = (edits.len() - before) as u64;
            if new > 0 {
                values.push(format!("{} of `{name}`", count(new, "value")));
            }
        }
        for (file, bytes, shown) in files {
            replace(file, &bytes)?;
            played.updated.push(shown);
        }
        if !edits.is_empty() {
            match update::edited(&self.case.root, &self.case.text, &edits) {
                Some(new) => {
                    update::write(&self.case.path, &self.case.text, &new)?;
                    played.updated.append(&mut values);
                }
                None => {
                    withheld.unwritten = true;
                    played.wrong.append(&mut told);
                }
            }
        }
        played.wrong.extend(withheld.told());
        Ok(())
    }

    /// What an output holds, and whether that is not shown; `None` if it was not written.
    fn output(&self, name: &str) -> Option<(Vec<u8>, bool)> {
        let mut stages = self.pipe.stages.iter();
        let at = stages.position(|stage| stage.verb.writes() == Some(Path::new(name)))?;
        let bytes = std::fs::read(out_file(self.pipe, at)?).ok()?;
        Some((bytes, self.hidden[at]))
    }

    fn differs(
        &self,
        name: &str,
        path: &str,
        bytes: &[u8],
        hidden: bool,
    ) -> Result<Option<String>, Unplayed> {
        let shown = self.case.join(path);
        match std::fs::read(&shown) {
            Ok(wanted) => Ok(compare::text(name, &wanted, bytes, hidden)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(format!(
                "there is no `{}` to compare `{name}` with; `--update{}` writes it",
                shown.display(),
                if hidden { " --include-sensitive" } else { "" }
            ))),
            Err(error) => {
                let what = format!("cannot read `{}`: {error}", shown.display());
                let keys = ["expect", "outputs", name];
                Err(at_fault(self.case, Diagnostic::error(what), &keys))
            }
        }
    }
}

impl Withheld {
    fn told(&self) -> Vec<String> {
        let all = [
            (
                self.unsound,
                "not updated: first mend what went wrong otherwise",
            ),
            (
                self.sensitive,
                "not updated: what comes from data marked `sensitive`; take that as well with \
                 `--include-sensitive`",
            ),
            (
                self.unpaired,
                "not updated: values of records whose number is another; which belongs to which \
                 is not known",
            ),
            (
                self.unwritten,
                "not updated: the values in the test file, which would not read as the same \
                 otherwise; write them by hand",
            ),
        ];
        let all = all.iter().filter(|(is, _)| *is);
        all.map(|(_, text)| (*text).to_owned()).collect()
    }
}

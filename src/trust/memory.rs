//! What the user agreed to: for each pipeline file, the hashes of what it may do. Owns the files
//! in `$XDG_STATE_HOME/clue/trust` (else `~/.local/state/clue/trust`), one for each pipeline.
//!
//! A file is replaced as a whole, so that one that is read is whole; of two that write at once
//! one wins, and what the other said is asked for again.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::home;
use super::need::Need;
use crate::diag::Diagnostic;
use crate::hash::Hash;

/// What was agreed to for one pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The pipeline's file, resolved.
    pub pipeline: PathBuf,
    /// Hashes of needs, each with the line that the user read.
    pub needs: BTreeMap<Hash, String>,
}

impl Agreed {
    /// Those that were not agreed to.
    pub fn open(&self, needs: Vec<Need>) -> Vec<Need> {
        let new = |need: &Need| !self.needs.contains_key(&need.hash());
        needs.into_iter().filter(new).collect()
    }
}

/// The folder of what was agreed to.
#[derive(Clone, Debug)]
pub struct Memory {
    folder: Option<PathBuf>,
}

impl Memory {
    /// The user's.
    pub fn of_user() -> Memory {
        Memory {
            folder: home("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("clue/trust")),
        }
    }

    fn place(&self, pipeline: &Path) -> Option<(PathBuf, PathBuf)> {
        let real = pipeline.canonicalize().ok()?;
        let name = Hash::of("clue trusted pipeline v1", &real.to_string_lossy());
        let file = self.folder.as_ref()?.join(format!("{name}.json"));
        Some((real, file))
    }

    /// What was agreed to for a pipeline. What cannot be read was not agreed to.
    pub fn of(&self, pipeline: &Path) -> Agreed {
        let Some((real, file)) = self.place(pipeline) else {
            return Agreed::default();
        };
        let known = read(&file).filter(|agreed| agreed.pipeline == real);
        known.unwrap_or(Agreed {
            pipeline: real,
            needs: BTreeMap::new(),
        })
    }

    /// Adds needs to what was agreed to.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&self, pipeline: &Path, needs: &[Need]) -> Result<(), Diagnostic> {
        let mut agreed = self.of(pipeline);
        let (_, file) = self.place(pipeline).ok_or_else(|| {
            Diagnostic::error("nowhere to remember what you allow: `HOME` is not set")
        })?;
        let new = needs.iter().map(|need| (need.hash(), need.line()));
        agreed.needs.extend(new);
        write(&file, &agreed).map_err(|error| {
            Diagnostic::error(format!("cannot write `{}`: {error}", file.display()))
        })
    }

    /// Forgets what was agreed to for a pipeline; false if there was nothing.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget(&self, pipeline: &Path) -> Result<bool, Diagnostic> {
        // Of one that is gone, too: by the path that it had.
        let gone = std::path::absolute(pipeline).unwrap_or_else(|_| pipeline.to_owned());
        let real = pipeline.canonicalize().unwrap_or(gone);
        let mut found = false;
        for (file, agreed) in self.files() {
            if agreed.pipeline == real {
                found = true;
                remove(&file)?;
            }
        }
        Ok(found)
    }

    /// Forgets everything: for how many pipelines.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget_all(&self) -> Result<usize, Diagnostic> {
        let files = self.files();
        files.iter().try_for_each(|(file, _)| remove(file))?;
        Ok(files.len())
    }

    /// All that was agreed to, by the pipelines' paths.
    pub fn all(&self) -> Vec<Agreed> {
        let mut all: Vec<Agreed> = self.files().into_iter().map(|(_, agreed)| agreed).collect();
        all.sort_by(|a, b| a.pipeline.cmp(&b.pipeline));
        all
    }

    fn files(&self) -> Vec<(PathBuf, Agreed)> {
        let folder = self.folder.as_ref();
        let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok());
        let files = entries.into_iter().flatten().flatten();
        let files = files.map(|entry| entry.path());
        let files = files.filter(|file| file.extension().is_some_and(|end| end == "json"));
        files
            .filter_map(|file| Some((file.clone(), read(&file)?)))
            .collect()
    }
}

fn read(file: &Path) -> Option<Agreed> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn write(file: &Path, agreed: &Agreed) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // For the user's eyes only, as temporary files are.
    let mut temp = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut temp, agreed)?;
    temp.write_all(b"\n")?;
    temp.as_file().sync_all()?;
    temp.persist(file).map(drop).map_err(|error| error.error)
}

fn remove(file: &Path) -> Result<(), Diagnostic> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Diagnostic::error(format!(
            "cannot remove `{}`: {error}",
            file.display()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::need::Act;
    use super::*;

    fn need(host: &str) -> Need {
        Need {
            act: Act::Send {
                host: host.to_owned(),
                proxy: None,
                token: None,
            },
            purposes: vec!["model `m`".to_owned()],
        }
    }

    #[test]
    fn what_was_agreed_to_is_not_asked_for_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let (a, b) = (dir.path().join("a.yaml"), dir.path().join("b.yaml"));
        for file in [&a, &b] {
            std::fs::write(file, "").expect("written");
        }
        let memory = Memory {
            folder: Some(dir.path().join("state")),
        };
        let open = |file: &Path| memory.of(file).open(vec![need("x"), need("y")]).len();
        assert_eq!(open(&a), 2);
        memory.add(&a, &[need("x")]).expect("written");
        assert_eq!(open(&a), 1);
        memory.add(&a, &[need("y")]).expect("written");
        assert_eq!((open(&a), open(&b)), (0, 2));
        assert_eq!(memory.all().len(), 1);
        // What is damaged was not agreed to.
        let file = memory.place(&a).expect("a place").1;
        std::fs::write(&file, "{").expect("written");
        assert_eq!(open(&a), 2);
        memory.add(&a, &[need("y")]).expect("written");
        assert!(memory.forget(&a).expect("removed"));
        assert!(!memory.forget(&a).expect("nothing"));
        assert_eq!(open(&a), 2);
    }

    #[test]
    fn many_may_write_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let pipeline = dir.path().join("a.yaml");
        std::fs::write(&pipeline, "").expect("written");
        let memory = Memory {
            folder: Some(dir.path().join("state")),
        };
        std::thread::scope(|scope| {
            for at in 0..8 {
                let (memory, pipeline) = (&memory, &pipeline);
                scope.spawn(move || memory.add(pipeline, &[need(&at.to_string())]));
            }
        });
        let agreed = memory.of(&pipeline).needs.len();
        assert!((1..=8).contains(&agreed), "{agreed}");
    }
}

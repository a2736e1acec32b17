//! Files that ship with clue and are used from any folder below: found here or in a folder
//! around.

use std::path::{Path, PathBuf};

use crate::diag::Diagnostic;

/// The file `name`, here or in the nearest folder around. `flag` names it instead.
///
/// # Errors
/// There is none.
pub fn find(name: &str, flag: &str) -> Result<PathBuf, Diagnostic> {
    if Path::new(name).is_file() {
        return Ok(PathBuf::from(name));
    }
    let here = std::env::current_dir()
        .map_err(|error| Diagnostic::error(format!("no folder to be in: {error}")))?;
    let mut around = here.ancestors().map(|folder| folder.join(name));
    around.find(|file| file.is_file()).ok_or_else(|| {
        Diagnostic::error(format!("no file `{name}` here or in a folder around")).help(format!(
            "go to a folder with clue's pipelines, or name the file with `{flag} FILE`"
        ))
    })
}

//! Chat prompts: one Jinja template that yields the turns of a chat.
//!
//! Blocks `{% system %}`, `{% user %}` and `{% assistant %}` are turns; a template without
//! them is one user turn. A last assistant block is the beginning of the answer. The content
//! of records is never parsed: a note that says `{% user %}` stays a note. A `{% schema %}` block
//! holds a JSON Schema for the answer, the same for all records; it is no template and no turn.
//!
//! Owns the files of a prompt and the way from a record to a [`Chat`]; knows nothing of
//! stages or models' wire formats.

mod files;
mod names;
mod render;
mod roles;
mod scan;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::Environment;

use crate::diag::{Diagnostic, Sources, Span};
use crate::hash::Hash;
use crate::jinja::expr::Scope;
use crate::model::chat::Chat;
use crate::spec::fence::Fence;

/// A prompt that can be rendered: its files are read, and its templates are parsed.
#[derive(Debug)]
pub struct Prompt {
    /// What decides what it renders to: each of its files as messages name it, the hash of
    /// the text, and the text. The prompt itself comes first.
    pub files: Vec<(String, Hash, Arc<str>)>,
    /// The paths of the files that were read, in the same order.
    pub paths: Vec<PathBuf>,
    env: Environment<'static>,
    names: Vec<(String, Span)>,
    has_roles: bool,
    schemas: Vec<(Span, String)>,
}

impl Prompt {
    /// Reads a prompt and the files that it includes, imports or extends. A file in one of
    /// `prompt_dirs` that has the same path below `prompts/` is read in its stead. The files
    /// are added to `sources`; they lie inside of the fence, or in `prompt_dirs`.
    ///
    /// # Errors
    /// Every fault: missing files, text that is not UTF-8, syntax errors, role blocks that do
    /// not match, files that include each other. A fault about `path` itself has no place.
    pub fn load(
        path: &Path,
        prompt_dirs: &[PathBuf],
        fence: &Fence,
        sources: &mut Sources,
    ) -> Result<Prompt, Vec<Diagnostic>> {
        let files = files::Reader::read(path, prompt_dirs, fence, sources)?;
        let env = render::environment(&files)?;
        Ok(Prompt {
            names: names::names(&files, &env),
            has_roles: files.iter().any(|file| file.rewritten.has_roles),
            schemas: files.iter().flat_map(files::File::schemas).collect(),
            paths: files.iter().map(|file| file.actual.clone()).collect(),
            files: files
                .into_iter()
                .map(|file| {
                    let hash = Hash::of_bytes(file.text.as_bytes());
                    (file.name, hash, file.text)
                })
                .collect(),
            env,
        })
    }

    /// The chat for one record.
    ///
    /// # Errors
    /// Why there is none, in one line with the prompt's file and line. It holds no values:
    /// those may be patient data.
    pub fn render(&self, scope: &Scope) -> Result<Chat, String> {
        render::render(self, scope)
    }

    /// The texts of its `schema` blocks, in all of its files, with their places.
    pub fn schemas(&self) -> &[(Span, String)] {
        &self.schemas
    }

    /// The names that the prompt reads from outside, with plain attributes
    /// (`params.max_notes`), each at the first place in each file. Names that it asks for
    /// with `is defined` or `default` are left out: they need not exist.
    pub fn names(&self) -> &[(String, Span)] {
        &self.names
    }
}

//! Diagnostics: faults in the user's files, with file, line, column, snippet, what was
//! expected, and a suggestion. Owns the texts of the files; prints nothing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A file among the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u16);

/// A range of bytes in a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The part of this span from `start` to `end`, counted in bytes from the span's start.
    pub fn within(self, start: usize, end: usize) -> Span {
        let at = |n: usize| self.start.saturating_add(n as u32);
        Span {
            file: self.file,
            start: at(start),
            end: at(end),
        }
    }
}

/// The user's files that messages may point into.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<(PathBuf, Arc<str>)>,
}

impl Sources {
    /// Adds a file, or returns the id it already has.
    pub fn add(&mut self, path: &Path, text: impl Into<Arc<str>>) -> FileId {
        if let Some(id) = self.find(path) {
            return id;
        }
        self.files.push((path.to_owned(), text.into()));
        FileId((self.files.len() - 1) as u16)
    }

    /// All files, with their whole texts.
    pub fn all(&self) -> impl Iterator<Item = (&Path, &Arc<str>)> {
        self.files.iter().map(|(path, text)| (path.as_path(), text))
    }

    /// The id of a file that was added under exactly this path.
    pub fn find(&self, path: &Path) -> Option<FileId> {
        self.files
            .iter()
            .position(|(p, _)| p == path)
            .map(|at| FileId(at as u16))
    }

    /// The whole text of a file.
    pub fn text(&self, file: FileId) -> &Arc<str> {
        &self.files[usize::from(file.0)].1
    }

    /// The path of a file, as it was given.
    pub fn path(&self, file: FileId) -> &Path {
        &self.files[usize::from(file.0)].0
    }

    /// The text that a span covers; empty if the span is out of bounds.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file)
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// Line and column of a span's start, both from 1, the column in characters.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let text = self.text(span.file);
        let mut start = (span.start as usize).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// The span of a whole line (from 1) without its line break.
    pub fn line_span(&self, file: FileId, line: usize) -> Span {
        let text = self.text(file);
        let mut start = 0;
        for (at, row) in text.split_inclusive('\n').enumerate() {
            if at + 1 == line {
                let end = start + row.trim_end_matches(['\n', '\r']).len();
                return Span {
                    file,
                    start: start as u32,
                    end: end as u32,
                };
            }
            start += row.len();
        }
        Span {
            file,
            start: text.len() as u32,
            end: text.len() as u32,
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing can run.
    Error,
    /// Worth knowing.
    Warning,
}

/// One fault, with where it is and how to mend it.
///
/// Style: lower case, backticks round literals, no final full stop. Messages never hold the
/// content of records: those may be patient data.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where, and a short label for it (may be empty).
    pub primary: Option<(Span, String)>,
    /// Other places that matter, each with a label.
    pub related: Vec<(Span, String)>,
    /// What was expected, or other facts, one line each.
    pub notes: Vec<String>,
    /// How to mend it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with no place.
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            primary: None,
            related: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning with no place.
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(message)
        }
    }

    /// Sets the place.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.primary = Some((span, label.into()));
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.related.push((span, label.into()));
        self
    }

    /// Adds a line of fact.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// Suggests the nearest of `names`, or lists them when none is near.
    #[must_use]
    pub fn suggest<'a>(self, wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Diagnostic {
        let names: Vec<&str> = names.into_iter().collect();
        match nearest(wrong, names.iter().copied()) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None if names.is_empty() => self,
            None => {
                let list = names
                    .iter()
                    .map(|n| format!("`{n}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                self.note(format!("known here: {list}"))
            }
        }
    }

    /// The message as a person reads it, in the manner of `rustc`.
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        let mut files: Vec<FileId> = Vec::new();
        for (span, _) in self.primary.iter().chain(&self.related) {
            if !files.contains(&span.file) {
                files.push(span.file);
            }
        }
        for file in files {
            let text: &str = sources.text(file);
            // Never inside a character, wherever a span came from.
            let whole = |at: u32| text.floor_char_boundary((at as usize).min(text.len()));
            let place = |span: &Span| {
                let end = whole(span.end);
                whole(span.start).min(end)..end
            };
            let mut snippet =
                Snippet::source(text).path(sources.path(file).to_string_lossy().into_owned());
            for (span, label) in self.primary.iter().filter(|(s, _)| s.file == file) {
                snippet = snippet.annotation(
                    AnnotationKind::Primary
                        .span(place(span))
                        .label(label.as_str()),
                );
            }
            for (span, label) in self.related.iter().filter(|(s, _)| s.file == file) {
                snippet = snippet.annotation(
                    AnnotationKind::Context
                        .span(place(span))
                        .label(label.as_str()),
                );
            }
            group = group.element(snippet);
        }
        for note in &self.notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group]).to_string()
    }
}

/// The nearest of `names` to `wrong`, if one is near enough to be a slip of the pen.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    names
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&lower, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| {
            *distance <= 1 + name.chars().count().max(lower.chars().count()) / 4
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Sorts faults by place, and leaves the same fault at the same place there once: a file may be
/// used several times.
pub fn in_order(faults: &mut Vec<Diagnostic>) {
    let place = |fault: &Diagnostic| fault.primary.as_ref().map(|(span, _)| *span);
    faults.sort_by_key(place);
    let mut told = HashSet::new();
    faults.retain(|fault| match place(fault) {
        Some(span) => told.insert((span, fault.message.clone())),
        None => true,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_slips_only() {
        assert_eq!(
            nearest("max_note", ["max_notes", "notes"]),
            Some("max_notes")
        );
        assert_eq!(nearest("fro", ["from", "load"]), Some("from"));
        assert_eq!(nearest("banana", ["from", "load"]), None);
    }

    #[test]
    fn a_message_shows_its_place() {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("a.yaml"), "x: 1\nyy: 2\n");
        let text = Diagnostic::error("unknown key `yy`")
            .at(
                Span {
                    file,
                    start: 5,
                    end: 7,
                },
                "not known here",
            )
            .suggest("yy", ["y"])
            .render(&sources, false);
        assert!(text.contains("a.yaml:2:1"), "{text}");
        assert!(text.contains("did you mean `y`?"), "{text}");
    }
}

//! Which files a prompt is made of. Owns how names become paths (next to the file that says
//! them, then under the nearest folder `prompts`), how `--prompts DIR` shadows them, and the
//! reading. Knows nothing of rendering.

use std::fs;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::roles::{Rewritten, rewrite};
use super::scan::{Kind, Piece, scan};
use crate::diag::{Diagnostic, FileId, Sources, Span, nearest};
use crate::spec::fence::Fence;
use crate::spec::file::bytes;

/// A file of a prompt.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// The name that messages and manifests use: from the folder `prompts` on, if there is
    /// one, so that it is the same from wherever the run is started.
    pub name: String,
    /// Its id among the sources.
    pub id: FileId,
    /// Its text.
    pub text: Arc<str>,
    /// The pieces of its text.
    pub pieces: Vec<Piece>,
    /// Its text as Jinja gets it.
    pub rewritten: Rewritten,
    /// The files that it names, each with its number in the list of files; `None` for one
    /// that may be missing, and is.
    pub links: Vec<(String, Option<usize>)>,
    /// The file that was read: of another folder, if one shadows it.
    pub actual: PathBuf,
    /// Where it lies, as if nothing shadowed it.
    path: PathBuf,
}

impl File {
    /// The texts of its `schema` blocks, with their places.
    pub fn schemas(&self) -> impl Iterator<Item = (Span, String)> {
        let text = |span: &Span| self.text.get(span.start as usize..span.end as usize);
        let spans = self.rewritten.schemas.iter();
        spans.map(move |span| (*span, text(span).unwrap_or("").to_owned()))
    }
}

/// Reads a prompt and all files that it names.
pub(super) struct Reader<'a> {
    prompt_dirs: &'a [PathBuf],
    fence: &'a Fence,
    sources: &'a mut Sources,
    files: Vec<File>,
    /// The files that are being read, each with the place that names the next one.
    open: Vec<(usize, Span)>,
    faults: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reads the prompt at `path`. The first file is the prompt itself, the others follow in
    /// the order in which they are first named.
    ///
    /// # Errors
    /// Every fault. One that is about `path` itself has no place: the caller knows where it
    /// is named.
    pub fn read(
        path: &Path,
        prompt_dirs: &[PathBuf],
        fence: &Fence,
        sources: &mut Sources,
    ) -> Result<Vec<File>, Vec<Diagnostic>> {
        let mut reader = Reader {
            prompt_dirs,
            fence,
            sources,
            files: Vec::new(),
            open: Vec::new(),
            faults: Vec::new(),
        };
        let path = normal(path);
        match reader.lies(&path) {
            Some(actual) => {
                reader.file(path, &actual, None);
            }
            None => reader.missing(&path.to_string_lossy(), std::slice::from_ref(&path), None),
        }
        if reader.faults.is_empty() {
            Ok(reader.files)
        } else {
            Err(reader.faults)
        }
    }

    /// Where the file for `path` really lies: in the first folder that shadows it, or there.
    fn lies(&self, path: &Path) -> Option<PathBuf> {
        let shadows = below_prompts(path).into_iter();
        shadows
            .flat_map(|below| self.prompt_dirs.iter().map(move |dir| dir.join(&below)))
            .chain([path.to_owned()])
            .find(|path| path.is_file())
    }

    fn file(&mut self, path: PathBuf, actual: &Path, from: Option<Span>) -> Option<usize> {
        let text = self.text(actual, from)?;
        let id = self.sources.add(actual, text);
        // What is known already stays, so that all stages see one text.
        let text = self.sources.text(id).clone();
        let pieces = scan(&text);
        let rewritten = rewrite(&text, &pieces, id).unwrap_or_else(|mut faults| {
            self.faults.append(&mut faults);
            Rewritten::default()
        });
        let number = self.files.len();
        self.files.push(File {
            name: self.name(&path),
            id,
            text: text.clone(),
            pieces: pieces.clone(),
            rewritten,
            links: Vec::new(),
            actual: actual.to_owned(),
            path,
        });
        for piece in pieces.iter().filter(|piece| piece.kind == Kind::Block) {
            self.link(number, &text, piece);
        }
        Some(number)
    }

    /// Follows a tag that names another file.
    fn link(&mut self, from: usize, text: &str, piece: &Piece) {
        let (start, code) = piece.code(text);
        let id = self.files[from].id;
        let span = |start: usize, end: usize| Span {
            file: id,
            start: start as u32,
            end: end as u32,
        };
        let link = match link(text, piece) {
            None => return,
            Some(Ok(link)) => link,
            Some(Err(word)) => {
                self.faults.push(
                    Diagnostic::error(format!("`{word}` needs one quoted file name"))
                        .at(span(start, start + code.len()), "")
                        .note("prompts are read before the run: the name cannot be computed"),
                );
                return;
            }
        };
        let name = link.name;
        if self.files[from]
            .links
            .iter()
            .any(|(known, _)| known == name)
        {
            return;
        }
        let place = span(link.place.start, link.place.end);
        let candidates = candidates(&self.files[from].path, name);
        let lies = candidates
            .iter()
            .find_map(|path| self.lies(path).map(|actual| (path.clone(), actual)));
        let target = match lies {
            Some((path, actual)) => {
                self.open.push((from, place));
                let target = self.visit(path, &actual, place);
                self.open.pop();
                target
            }
            None => {
                if !link.may_miss {
                    self.missing(name, &candidates, Some(place));
                }
                None
            }
        };
        self.files[from].links.push((name.to_owned(), target));
    }

    /// Reads a file that another one names, unless it is known.
    fn visit(&mut self, path: PathBuf, actual: &Path, place: Span) -> Option<usize> {
        let Some(known) = self.files.iter().position(|file| file.path == path) else {
            return self.file(path, actual, Some(place));
        };
        if let Some(at) = self.open.iter().position(|(file, _)| *file == known) {
            let names: Vec<String> = self.open[at..]
                .iter()
                .map(|(file, _)| *file)
                .chain([known])
                .map(|file| format!("`{}`", self.files[file].name))
                .collect();
            let mut fault =
                Diagnostic::error(format!("prompts include each other: {}", names.join(" → ")))
                    .at(place, "closes the circle");
            for (_, span) in &self.open[at..self.open.len() - 1] {
                fault = fault.also(*span, "");
            }
            self.faults.push(fault);
        }
        Some(known)
    }

    fn text(&mut self, path: &Path, from: Option<Span>) -> Option<String> {
        let name = path.display();
        let given = self.prompt_dirs.iter().any(|dir| path.starts_with(dir));
        if !given && let Some(fault) = self.fence.fault(path, &name.to_string()) {
            self.fault(fault, from);
            return None;
        }
        let fault = match bytes(path).map(String::from_utf8) {
            Ok(Ok(text)) => {
                return Some(match text.strip_prefix('\u{feff}') {
                    Some(rest) => rest.to_owned(),
                    None => text,
                });
            }
            Ok(Err(error)) => {
                let valid = error.utf8_error().valid_up_to();
                let (before, after) = error.as_bytes().split_at(valid);
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                let byte = after.first().copied().unwrap_or_default();
                Diagnostic::error(format!(
                    "`{name}`: line {line}: byte 0x{byte:02x} is not UTF-8"
                ))
                .help("convert the file to UTF-8")
            }
            Err(error) => Diagnostic::error(format!("cannot read `{name}`: {error}")),
        };
        self.fault(fault, from);
        None
    }

    fn missing(&mut self, name: &str, candidates: &[PathBuf], from: Option<Span>) {
        let mut fault = Diagnostic::error(format!("no prompt file `{name}`"));
        let near = candidates.iter().find_map(|path| {
            let wrong = path.file_name()?.to_str()?;
            let there = neighbours(&self.all_of(path));
            let right = nearest(wrong, there.iter().map(String::as_str))?;
            let folder = name.strip_suffix(wrong).unwrap_or("");
            Some(format!("{folder}{right}"))
        });
        if from.is_some() {
            for path in candidates {
                fault = fault.note(format!("looked for `{}`", path.display()));
            }
        }
        if let Some(near) = near {
            fault = fault.help(format!("did you mean `{near}`?"));
        }
        self.fault(fault, from);
    }

    /// A path and those that shadow it.
    fn all_of(&self, path: &Path) -> Vec<PathBuf> {
        let below = below_prompts(path);
        let shadows = self.prompt_dirs.iter().zip(below.iter().cycle());
        [path.to_owned()]
            .into_iter()
            .chain(shadows.map(|(dir, below)| dir.join(below)))
            .collect()
    }

    fn fault(&mut self, fault: Diagnostic, from: Option<Span>) {
        self.faults.push(match from {
            Some(span) => fault.at(span, ""),
            None => fault,
        });
    }

    fn name(&self, path: &Path) -> String {
        let short = below_prompts(path).map(|below| Path::new("prompts").join(below));
        short
            .map(|short| short.display().to_string())
            .filter(|short| self.files.iter().all(|file| file.name != *short))
            .unwrap_or_else(|| path.display().to_string())
    }
}

const LINKS: [&str; 4] = ["include", "import", "from", "extends"];

/// A tag that names another file.
struct Link<'t> {
    /// The name as it is quoted.
    name: &'t str,
    /// The place of the quoted text.
    place: Range<usize>,
    /// True when the file need not exist.
    may_miss: bool,
}

/// The link that a tag is. An error is the word of a tag that should be one, but does not
/// name its file by one quoted text.
fn link<'t>(text: &'t str, piece: &Piece) -> Option<Result<Link<'t>, &'static str>> {
    let (start, code) = piece.code(text);
    let word = LINKS.into_iter().find(|word| {
        let rest = code.strip_prefix(word);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })?;
    let rest = code[word.len()..].trim_ascii_start();
    let end = start + code.len();
    let quoted = piece
        .strings
        .first()
        .filter(|at| at.start == end - rest.len());
    let link = quoted.and_then(|place| {
        let name = &text[place.start + 1..place.end - 1];
        let tail: Vec<&str> = text[place.end..end].split_ascii_whitespace().collect();
        let fits = match (word, tail.first().copied()) {
            ("include", first) => matches!(first, None | Some("ignore" | "with" | "without")),
            ("import", first) => first == Some("as"),
            ("from", first) => first == Some("import"),
            (_, first) => first.is_none(),
        };
        (fits && !name.is_empty() && !name.contains('\\')).then(|| Link {
            name,
            place: place.clone(),
            may_miss: tail.first() == Some(&"ignore"),
        })
    });
    Some(link.ok_or(word))
}

/// Where a name may lie: next to the file that says it, then in the nearest folder `prompts`
/// above that file.
fn candidates(from: &Path, name: &str) -> Vec<PathBuf> {
    let folder = from.parent().unwrap_or(Path::new(""));
    let mut all = vec![normal(&folder.join(name))];
    let root = folder
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name == "prompts"));
    if let Some(root) = root {
        let path = normal(&root.join(name));
        if !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

/// The path after the last folder `prompts`.
fn below_prompts(path: &Path) -> Option<PathBuf> {
    let parts: Vec<Component> = path.components().collect();
    let folders = &parts[..parts.len().saturating_sub(1)];
    let at = folders
        .iter()
        .rposition(|part| part.as_os_str() == "prompts")?;
    Some(parts[at + 1..].iter().collect())
}

/// The path without `.` and `..` as far as they can be resolved by its text alone.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        let above = matches!(out.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if above => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// The names of the files next to these paths, in order.
fn neighbours(paths: &[PathBuf]) -> Vec<String> {
    let folders = paths.iter().filter_map(|path| path.parent());
    let mut names: Vec<String> = folders
        .map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        })
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names.dedup();
    names
}

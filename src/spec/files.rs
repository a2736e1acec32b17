//! Reads a pipeline file and the files that it includes by name: they share its space of
//! names. Instances of other pipelines (`include` with a map) are left to `instances`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::fence::Fence;
use super::file;
use super::node::{Key, Node, NodeValue};
use crate::diag::{Diagnostic, Sources, Span};

/// Keys at the top of a pipeline file.
pub const TOP_KEYS: [&str; 11] = [
    "clue",
    "name",
    "description",
    "cite",
    "license",
    "params",
    "models",
    "stages",
    "outputs",
    "include",
    "on_error",
];

/// Most files that one pipeline may be made of.
const MAX_FILES: usize = 256;

/// One file.
pub struct Part {
    /// What it says.
    pub root: Node,
    /// Its folder.
    pub dir: PathBuf,
}

impl Part {
    /// The entries of a map at the top.
    pub fn section(&self, name: &str) -> impl Iterator<Item = (&Key, &Node, &Path)> {
        let entries = self.root.get(name).map_or(&[][..], Node::entries);
        entries.iter().map(|(k, n)| (k, n, self.dir.as_path()))
    }

    /// What it includes.
    pub fn includes(&self) -> &[Node] {
        match self.root.get("include") {
            Some(node) => match &node.value {
                NodeValue::Seq(items) => &items[..],
                _ => std::slice::from_ref(node),
            },
            None => &[],
        }
    }
}

/// A file with what it includes by name, itself first.
pub type Parts = Rc<Vec<Part>>;

/// The files read so far.
#[derive(Default)]
pub struct Files {
    /// Their texts.
    pub sources: Sources,
    /// What is wrong with them.
    pub faults: Vec<Diagnostic>,
    /// The files that may be read.
    pub fence: Fence,
    done: HashMap<PathBuf, Parts>,
    read: usize,
}

/// A file and its includes, while they are read.
#[derive(Default)]
struct Reading {
    parts: Vec<Part>,
    done: Vec<PathBuf>,
    open: Vec<PathBuf>,
}

impl Files {
    /// A file with its includes, each once; empty if it cannot be read. `included` is the
    /// place that names it.
    pub fn parts(&mut self, path: &Path, included: Option<Span>) -> Parts {
        let real = real(path);
        if let Some(parts) = self.done.get(&real) {
            return parts.clone();
        }
        let mut reading = Reading::default();
        self.read(path, included, &mut reading);
        let parts = Rc::new(reading.parts);
        self.done.insert(real, parts.clone());
        parts
    }

    fn read(&mut self, path: &Path, included: Option<Span>, reading: &mut Reading) {
        let real = real(path);
        let fault = |message: String| match included {
            Some(span) => Diagnostic::error(message).at(span, ""),
            None => Diagnostic::error(message),
        };
        if reading.open.contains(&real) {
            self.faults
                .push(fault(format!("`{}` includes itself", path.display())));
            return;
        }
        if reading.done.contains(&real) {
            return;
        }
        if self.read >= MAX_FILES {
            self.faults
                .push(fault(format!("more than {MAX_FILES} files are included")));
            return;
        }
        // Before anything of it could be told.
        if let Some(span) = included
            && let Some(fault) = self.fence.fault(path, &path.display().to_string())
        {
            self.faults.push(fault.at(span, "included here"));
            return;
        }
        self.read += 1;
        reading.done.push(real.clone());
        let root = match file::read(path, &mut self.sources) {
            Ok((_, root)) => root,
            Err(mut error) => {
                if let (None, Some(span)) = (&error.primary, included) {
                    error = error.at(span, "included here");
                }
                self.faults.push(error);
                return;
            }
        };
        if !matches!(root.value, NodeValue::Map(_)) {
            self.faults.push(
                Diagnostic::error(format!("expected a pipeline, found {}", root.kind()))
                    .at(root.span, "")
                    .help("begin the file with `clue: 1`"),
            );
            return;
        }
        file::duplicates(&root, &mut self.faults);
        top(&root, &mut self.faults);
        let dir = file::folder(path);
        let part = Part {
            root,
            dir: dir.clone(),
        };
        let includes: Vec<Node> = part.includes().to_vec();
        reading.parts.push(part);
        reading.open.push(real);
        for node in includes {
            match &node.value {
                NodeValue::Str(text) => {
                    self.read(&file::join(&dir, text), Some(node.span), reading);
                }
                NodeValue::Map(_) => {}
                _ => self.faults.push(
                    Diagnostic::error(format!("expected a file to include, found {}", node.kind()))
                        .at(node.span, ""),
                ),
            }
        }
        reading.open.pop();
    }
}

/// A path by which a file is known.
pub fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Checks the keys at the top of a file.
fn top(root: &Node, faults: &mut Vec<Diagnostic>) {
    match root.get("clue") {
        None => faults.push(
            Diagnostic::error("missing key `clue`")
                .at(root.span, "")
                .help("begin the file with `clue: 1`"),
        ),
        Some(node) => match node.value {
            NodeValue::Int(1) => {}
            NodeValue::Int(n) => faults.push(
                Diagnostic::error(format!(
                    "this clue reads version 1 of the language, not {n}"
                ))
                .at(node.span, ""),
            ),
            _ => faults.push(
                Diagnostic::error(format!("expected `clue: 1`, found {}", node.kind()))
                    .at(node.span, ""),
            ),
        },
    }
    for (key, node) in root.entries() {
        let (fits, expected) = match key.name.as_str() {
            "name" | "description" | "license" => (node.as_str().is_some(), "text"),
            "cite" => (
                matches!(node.value, NodeValue::Str(_) | NodeValue::Seq(_)),
                "text or a list of texts",
            ),
            "params" | "models" | "stages" | "outputs" => (
                matches!(node.value, NodeValue::Map(_) | NodeValue::Null),
                "a map",
            ),
            name if TOP_KEYS.contains(&name) => (true, ""),
            name => {
                faults.push(
                    Diagnostic::error(format!("unknown key `{name}`"))
                        .at(key.span, "")
                        .suggest(name, TOP_KEYS),
                );
                continue;
            }
        };
        if !fits {
            faults.push(
                Diagnostic::error(format!("expected {expected}, found {}", node.kind()))
                    .at(node.span, ""),
            );
        }
    }
}

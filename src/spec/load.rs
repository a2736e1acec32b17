//! From a file and its includes to a [`Pipeline`], or to everything that is wrong with it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::node::{Key, Node, NodeValue};
use super::pipeline::{ModelEntry, OnError, Overrides, Pipeline};
use super::shapes::Shapes;
use super::stages::{Reader, check_inputs, remove, source};
use super::subst::Filler;
use super::{cycles, file, params};
use crate::diag::{Diagnostic, Sources, Span};

/// Keys at the top of a pipeline file.
pub const TOP_KEYS: [&str; 10] = [
    "clue",
    "name",
    "description",
    "cite",
    "params",
    "models",
    "stages",
    "outputs",
    "include",
    "on_error",
];

/// Most files that one pipeline may be made of.
const MAX_FILES: usize = 256;

/// What came of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The pipeline, as far as it could be read; all of it if there is no fault.
    pub pipeline: Option<Pipeline>,
    /// Every file that was read, for the places of faults.
    pub sources: Sources,
    /// Everything that is wrong.
    pub faults: Vec<Diagnostic>,
}

struct Part {
    root: Node,
    dir: PathBuf,
}

impl Part {
    fn section(&self, name: &str) -> impl Iterator<Item = (&Key, &Node, &Path)> {
        let entries = self.root.get(name).map_or(&[][..], Node::entries);
        entries.iter().map(|(k, n)| (k, n, self.dir.as_path()))
    }
}

/// Loads a pipeline. All faults are found at once, as far as one does not hide another.
pub fn load(path: &Path, overrides: &Overrides, shapes: &Shapes) -> Loaded {
    let mut files = Files::default();
    files.read(path, None);
    let Files {
        mut sources,
        mut faults,
        parts,
        ..
    } = files;
    let pipeline = parts
        .first()
        .and_then(|_| build(path, &parts, overrides, shapes, &mut sources, &mut faults));
    faults.sort_by_key(|fault| fault.primary.as_ref().map(|(span, _)| *span));
    Loaded {
        pipeline,
        sources,
        faults,
    }
}

/// Reads a file and what it includes, each once.
#[derive(Default)]
struct Files {
    sources: Sources,
    faults: Vec<Diagnostic>,
    parts: Vec<Part>,
    done: Vec<PathBuf>,
    open: Vec<PathBuf>,
}

impl Files {
    fn read(&mut self, path: &Path, included: Option<Span>) {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let fault = |message: String| match included {
            Some(span) => Diagnostic::error(message).at(span, ""),
            None => Diagnostic::error(message),
        };
        if self.open.contains(&real) {
            self.faults
                .push(fault(format!("`{}` includes itself", path.display())));
            return;
        }
        if self.done.contains(&real) {
            return;
        }
        if self.done.len() >= MAX_FILES {
            self.faults
                .push(fault(format!("more than {MAX_FILES} files are included")));
            return;
        }
        self.done.push(real.clone());
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
        let includes = root.get("include").cloned();
        self.parts.push(Part {
            root,
            dir: dir.clone(),
        });
        self.open.push(real);
        for node in includes.iter().flat_map(|node| match &node.value {
            NodeValue::Seq(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        }) {
            match node.as_str() {
                Some(text) => self.read(&file::join(&dir, text), Some(node.span)),
                None => self.faults.push(
                    Diagnostic::error(format!("expected a file to include, found {}", node.kind()))
                        .at(node.span, ""),
                ),
            }
        }
        self.open.pop();
    }
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
            "name" | "description" => (node.as_str().is_some(), "text"),
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

fn build(
    path: &Path,
    parts: &[Part],
    overrides: &Overrides,
    shapes: &Shapes,
    sources: &mut Sources,
    faults: &mut Vec<Diagnostic>,
) -> Option<Pipeline> {
    for section in ["params", "models"] {
        unique(parts, &[section], faults);
    }
    unique(parts, &["stages", "outputs"], faults);
    let declared: Vec<_> = parts
        .iter()
        .flat_map(|part| part.section("params"))
        .map(|(key, node, dir)| params::declare(key, node, dir, faults))
        .collect();
    let values = params::resolve(&declared, overrides, sources, faults);
    let mut filler = Filler::new(&values, shapes);
    let mut reader = Reader {
        shapes,
        filler: &mut filler,
        on_error: OnError::Finish,
    };
    let main = parts.first()?;
    for part in parts.iter().rev() {
        // The main file comes last here, and decides.
        if let Some(on_error) = part.root.get("on_error").and_then(|n| reader.on_error(n)) {
            reader.on_error = on_error;
        }
    }
    let models: Vec<ModelEntry> = parts
        .iter()
        .flat_map(|part| part.section("models"))
        .map(|(key, node, dir)| ModelEntry {
            name: source(key),
            node: reader.config(node, &shapes.model),
            dir: dir.to_owned(),
        })
        .collect();
    let mut entries = Vec::new();
    let mut unread = Vec::new();
    for (key, node, dir) in parts.iter().flat_map(|part| part.section("stages")) {
        match reader.stage(key, node, dir) {
            Some(entry) => entries.push(entry),
            None => unread.push(key.name.clone()),
        }
    }
    for (key, node, dir) in parts.iter().flat_map(|part| part.section("outputs")) {
        entries.extend(reader.output(key, node, dir));
    }
    faults.append(&mut filler.faults);
    check_inputs(&entries, &unread, faults);
    let all: Vec<_> = entries.iter().map(|e| e.stage.clone()).collect();
    cycles::check(&all, faults);
    let stages = remove(entries, faults);
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
    Some(Pipeline {
        name: main
            .root
            .get("name")
            .and_then(Node::as_str)
            .map(str::to_owned)
            .or(stem)
            .unwrap_or_default(),
        file: path.to_owned(),
        dir: main.dir.clone(),
        sources: sources.clone(),
        params: values.into_iter().map(|(param, _)| param).collect(),
        models,
        stages,
    })
}

/// Reports names that are used in more than one place. Duplicates within one map are
/// reported as such already.
fn unique(parts: &[Part], sections: &[&str], faults: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<&str, (usize, &str, Span)> = HashMap::new();
    for (at, part) in parts.iter().enumerate() {
        for section in sections {
            for (key, _, _) in part.section(section) {
                match seen.get(key.name.as_str()) {
                    Some((part, map, first)) if (*part, *map) != (at, *section) => faults.push(
                        Diagnostic::error(format!("the name `{}` is used twice", key.name))
                            .at(key.span, "again here")
                            .also(*first, "first here"),
                    ),
                    Some(_) => {}
                    None => {
                        seen.insert(&key.name, (at, section, key.span));
                    }
                }
            }
        }
    }
}

//! One space of names: a file with what it includes by name, under the values its params have
//! there. A pipeline has one, and one more for each instance of another pipeline.

use std::path::PathBuf;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use super::decode::Src;
use super::files::{Files, Part, Parts, real};
use super::instances::instances;
use super::params::{self, Given};
use super::pipeline::{ModelEntry, OnError, Scope};
use super::shapes::Shapes;
use super::stages::{Entry, Reader};
use super::subst::Filler;
use crate::diag::{Diagnostic, Span};

/// Most instances that one pipeline may be made of.
pub const MAX_SCOPES: usize = 10_000;

/// A pipeline while it is loaded.
pub struct Loading<'a> {
    shapes: &'a Shapes,
    /// What was read.
    pub files: Files,
    /// Spaces of names, the main file's first.
    pub scopes: Vec<Scope>,
    /// Models of all of them.
    pub models: Vec<ModelEntry>,
    /// Stages of all of them.
    pub entries: Vec<Entry>,
    /// Full names of stages at fault.
    pub unread: Vec<String>,
    open: Vec<PathBuf>,
    /// The main file's folder.
    main_dir: PathBuf,
}

/// Where a space of names comes from.
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// What its stages' names begin with: empty, or ending in `/`.
    pub prefix: String,
    /// What names the file, if another file does.
    pub included: Option<Span>,
}

impl<'a> Loading<'a> {
    /// Nothing yet.
    pub fn new(shapes: &'a Shapes) -> Loading<'a> {
        Loading {
            shapes,
            files: Files::default(),
            scopes: Vec::new(),
            models: Vec::new(),
            entries: Vec::new(),
            unread: Vec::new(),
            open: Vec::new(),
            main_dir: PathBuf::new(),
        }
    }

    /// Adds a space of names, and those of the instances in it. Its files.
    pub fn scope(&mut self, place: &Place, given: &Given<'_>, on_error: OnError) -> Parts {
        let real = real(&place.path);
        let parts = self.files.parts(&place.path, place.included);
        let whole = if self.open.contains(&real) {
            Some(format!("`{}` includes itself", place.path.display()))
        } else if self.scopes.len() >= MAX_SCOPES {
            Some(format!("more than {MAX_SCOPES} instances"))
        } else {
            None
        };
        if let Some(message) = whole {
            let fault = Diagnostic::error(message);
            self.files.faults.push(match place.included {
                Some(span) => fault.at(span, ""),
                None => fault,
            });
            return Parts::default();
        }
        self.open.push(real);
        self.fill(place, &parts, given, on_error);
        self.open.pop();
        parts
    }

    fn fill(&mut self, place: &Place, parts: &[Part], given: &Given<'_>, on_error: OnError) {
        if let Some(main) = parts.first().filter(|_| place.included.is_none()) {
            self.main_dir.clone_from(&main.dir);
        }
        let faults = &mut self.files.faults;
        for section in ["params", "models"] {
            unique(parts, &[section], faults);
        }
        unique(parts, &["stages", "outputs"], faults);
        let declared: Vec<_> = parts
            .iter()
            .flat_map(|part| part.section("params"))
            .map(|(key, node, dir)| params::declare(key, node, dir, faults))
            .collect();
        let values = params::resolve(&declared, given, &mut self.files.sources, faults);
        let mut filler = Filler::new(&values, self.shapes);
        let scope = self.scopes.len();
        self.scopes.push(Scope {
            prefix: place.prefix.clone(),
            params: values.iter().map(|(param, _)| param.clone()).collect(),
        });
        let mut reader = Reader {
            shapes: self.shapes,
            filler: &mut filler,
            on_error,
            scope,
            prefix: &place.prefix,
        };
        for part in parts.iter().rev() {
            // The main file comes last here, and decides.
            if let Some(on_error) = part.root.get("on_error").and_then(|n| reader.on_error(n)) {
                reader.on_error = on_error;
            }
        }
        let on_error = reader.on_error;
        for (key, node, dir) in parts.iter().flat_map(|part| part.section("models")) {
            // One that a param gives is the user's, not this file's.
            let given = node.as_str().is_some();
            self.models.push(ModelEntry {
                local: key.name.clone(),
                name: reader.full(key),
                node: reader.config(node, &self.shapes.model),
                dir: if given { &self.main_dir } else { dir }.to_owned(),
                scope,
            });
        }
        let of = |part: &Part| part.section("stages").count() + part.section("outputs").count();
        self.entries.reserve(parts.iter().map(of).sum());
        let items = |section| {
            parts
                .iter()
                .flat_map(move |part| part.section(section))
                .collect()
        };
        let stages: Vec<_> = items("stages");
        for (entry, (key, ..)) in reader.stages(&stages).into_iter().zip(&stages) {
            match entry {
                Some(entry) => self.entries.push(entry),
                None => self.unread.push(reader.full(key).value),
            }
        }
        let outputs: Vec<_> = items("outputs");
        let outputs = reader.outputs(&outputs);
        self.entries.extend(outputs.into_iter().flatten());
        let instances = instances(parts, &place.prefix, &mut filler);
        self.files.faults.append(&mut filler.found.faults);
        for instance in instances {
            let given = Given::Bound {
                own: &instance.params,
                dir: &instance.dir,
                outer: &values,
            };
            let before = self.entries.len();
            self.scope(&instance.place, &given, on_error);
            for (key, outer) in instance.inputs {
                let name = format!("{}{}", instance.place.prefix, key.name);
                self.stand_in(before, &name, key.span, outer);
            }
        }
    }

    /// Takes a stage out of an instance: who read it reads another one from outside.
    fn stand_in(&mut self, first: usize, name: &str, span: Span, outer: Src<String>) {
        let own = &mut self.entries[first..];
        let is_it = |e: &Entry| !e.stage.is_output && e.stage.name.value == name;
        let Some(at) = own.iter().position(is_it) else {
            if !self.unread.iter().any(|unread| unread == name) {
                let names = own.iter().filter(|e| !e.stage.is_output);
                let names = names.map(|e| e.stage.name.as_str());
                let fault = Diagnostic::error(format!("no stage `{name}`")).at(span, "");
                self.files.faults.push(fault.suggest(name, names));
            }
            return;
        };
        let entry = &mut own[at];
        entry.kept = false;
        let stage = Arc::make_mut(&mut entry.stage);
        stage.from = vec![outer];
        stage.with.clear();
    }
}

/// Reports names that are used in more than one place. Duplicates within one map are
/// reported as such already.
fn unique(parts: &[Part], sections: &[&str], faults: &mut Vec<Diagnostic>) {
    let all = parts
        .iter()
        .flat_map(|part| sections.iter().map(|s| part.section(s).count()));
    let mut seen: HashMap<&str, (usize, &str, Span)> = HashMap::with_capacity(all.sum());
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

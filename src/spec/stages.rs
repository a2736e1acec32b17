//! Stages and outputs: which verb, which inputs, and whether they exist.

use std::path::{Component, Path};
use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use serde_json::Value as Json;

use super::decode::{Src, decode};
use super::node::{Key, Node, NodeValue};
use super::params::is_name;
use super::pipeline::{OnError, StageSpec};
use super::shape::Checker;
use super::shapes::Shapes;
use super::subst::Filler;
use crate::diag::{Diagnostic, Span};
use crate::parallel;

/// Keys of a stage that are not verbs.
pub const STAGE_KEYS: [&str; 4] = ["from", "with", "on_error", "when"];

/// A stage, and whether its `when` keeps it.
pub struct Entry {
    /// The stage; not shared yet.
    pub stage: Arc<StageSpec>,
    /// False when `when` is false.
    pub kept: bool,
}

/// Reads stages one by one.
pub struct Reader<'a, 'f> {
    /// The shapes of verbs.
    pub shapes: &'a Shapes,
    /// Fills params in.
    pub filler: &'f mut Filler<'a>,
    /// The pipeline's `on_error`.
    pub on_error: OnError,
    /// The space of names that they belong to.
    pub scope: usize,
    /// What names in it begin with.
    pub prefix: &'f str,
}

/// A key of a map with its value, and the folder of the file that holds it.
type Item<'a> = (&'a Key, &'a Node, &'a Path);

impl<'a> Reader<'a, '_> {
    /// Reads stages, in their order; none for those that have no verb.
    pub fn stages(&mut self, items: &[Item<'_>]) -> Vec<Option<Entry>> {
        self.each(items, |reader, item| reader.stage(item))
    }

    /// Reads outputs, in their order.
    pub fn outputs(&mut self, items: &[Item<'_>]) -> Vec<Option<Entry>> {
        self.each(items, |reader, item| reader.output(item))
    }

    /// Many on several threads: no stage needs another one to be read.
    fn each(
        &mut self,
        items: &[Item<'_>],
        read: impl for<'f> Fn(&mut Reader<'a, 'f>, Item<'_>) -> Option<Entry> + Sync,
    ) -> Vec<Option<Entry>> {
        let entries = parallel::map(items, |item| {
            let mut filler = self.filler.fork();
            let mut reader = Reader {
                filler: &mut filler,
                ..*self
            };
            (read(&mut reader, *item), filler.found)
        });
        let kept = entries.into_iter().map(|(entry, found)| {
            self.filler.found.append(found);
            entry
        });
        kept.collect()
    }

    /// A name of this space as the whole pipeline knows it.
    pub fn full(&self, key: &Key) -> Src<String> {
        Src {
            value: format!("{}{}", self.prefix, key.name),
            span: key.span,
        }
    }

    /// Reads a stage; none when it has no verb.
    fn stage(&mut self, (key, node, dir): Item<'_>) -> Option<Entry> {
        if !matches!(node.value, NodeValue::Map(_)) {
            self.expected("a map", node);
            return None;
        }
        let shapes = self.shapes;
        let mut verbs = Vec::new();
        for (name, value) in node.entries() {
            if STAGE_KEYS.contains(&name.name.as_str()) {
                continue;
            }
            match shapes.verbs.get(&name.name) {
                Some(schema) => verbs.push((name, value, schema)),
                None => {
                    let known = shapes.verbs.keys().map(String::as_str).chain(STAGE_KEYS);
                    self.filler.found.faults.push(
                        Diagnostic::error(format!("unknown verb `{}`", name.name))
                            .at(name.span, "")
                            .suggest(&name.name, known),
                    );
                }
            }
        }
        let all_known = verbs.len() + self.common_keys(node) == node.entries().len();
        if verbs.is_empty() && all_known {
            self.filler.found.faults.push(
                Diagnostic::error(format!("stage `{}` has no verb", key.name))
                    .at(key.span, "")
                    .suggest("", shapes.verbs.keys().map(String::as_str)),
            );
        }
        if let [(first, ..), (second, ..), ..] = verbs.as_slice()
            && first.name != second.name
        {
            self.filler.found.faults.push(
                Diagnostic::error(format!(
                    "stage `{}` has two verbs, `{}` and `{}`",
                    key.name, first.name, second.name
                ))
                .at(second.span, "second")
                .also(first.span, "first")
                .help("make two stages of it"),
            );
        }
        let (mut stage, kept) = self.common(key, node, dir);
        let (verb, value, schema) = *verbs.first()?;
        stage.verb = source(verb);
        stage.config = self.config(value, schema);
        let stage = Arc::new(stage);
        Some(Entry { stage, kept })
    }

    /// Reads an output as a stage with the verb `write`.
    fn output(&mut self, (key, node, dir): Item<'_>) -> Option<Entry> {
        if !stays_inside(&key.name) {
            self.filler.found.faults.push(
                Diagnostic::error(format!("output `{}` is not a plain path", key.name))
                    .at(key.span, "")
                    .help("name a file inside the output folder, such as `scores/all.json`"),
            );
        }
        if !matches!(node.value, NodeValue::Map(_)) {
            self.expected("a map", node);
            return None;
        }
        let (mut stage, kept) = self.common(key, node, dir);
        if node.get("from").is_none() {
            self.filler.found.faults.push(
                Diagnostic::error(format!("output `{}` has no `from`", key.name))
                    .at(key.span, "")
                    .help("say which stage it writes: `from: STAGE`"),
            );
        }
        let mut rest: Vec<(Key, Node)> = Vec::new();
        for (name, value) in node.entries() {
            if name.name == "path" {
                self.filler
                    .found
                    .faults
                    .push(Diagnostic::error("an output's name is its path").at(name.span, ""));
            } else if !STAGE_KEYS.contains(&name.name.as_str()) {
                rest.push((name.clone(), value.clone()));
            }
        }
        let path = Node {
            span: key.span,
            value: NodeValue::Str(self.full(key).value),
        };
        let name = Key {
            name: "path".to_owned(),
            span: key.span,
        };
        rest.push((name, path));
        let config = Node {
            span: node.span,
            value: NodeValue::Map(rest.into()),
        };
        let shapes = self.shapes;
        stage.config = match shapes.verbs.get("write") {
            Some(schema) => self.config(&config, schema),
            None => config,
        };
        stage.is_output = true;
        let stage = Arc::new(stage);
        Some(Entry { stage, kept })
    }

    fn common_keys(&self, node: &Node) -> usize {
        node.entries()
            .iter()
            .filter(|(key, _)| STAGE_KEYS.contains(&key.name.as_str()))
            .count()
    }

    /// What stages and outputs have in common, and whether `when` keeps it. The verb is `write`
    /// until it is known.
    fn common(&mut self, key: &Key, node: &Node, dir: &Path) -> (StageSpec, bool) {
        let kept = node.get("when").is_none_or(|when| self.filler.when(when));
        let from = node
            .get("from")
            .map_or_else(Vec::new, |from| self.from(from));
        let with = node
            .get("with")
            .map_or_else(Vec::new, |with| self.with(with));
        let on_error = match node.get("on_error") {
            Some(node) => self.on_error(node).unwrap_or(self.on_error),
            None => self.on_error,
        };
        let stage = StageSpec {
            name: self.full(key),
            from,
            with,
            verb: Src {
                value: "write".to_owned(),
                span: key.span,
            },
            config: Node {
                span: node.span,
                value: NodeValue::Null,
            },
            on_error,
            is_output: false,
            dir: dir.to_owned(),
            scope: self.scope,
        };
        (stage, kept)
    }

    /// Fills params in and checks the shape.
    pub fn config(&mut self, node: &Node, schema: &Json) -> Node {
        let mut node = self.filler.fill(node, &[schema]);
        if matches!(node.value, NodeValue::Null) && self.shapes.wants_map(schema) {
            node.value = NodeValue::Map(Arc::default());
        }
        let faults = Checker {
            shapes: self.shapes,
            unknown: &self.filler.found.unknown,
        }
        .check(&node, schema);
        self.filler.found.faults.extend(faults);
        node
    }

    /// Reads `on_error`.
    pub fn on_error(&mut self, node: &Node) -> Option<OnError> {
        let before = self.filler.found.faults.len();
        let shapes = self.shapes;
        let node = self.config(node, &shapes.on_error);
        if self.filler.found.faults.len() > before || self.filler.found.unknown.contains(&node.span)
        {
            return None;
        }
        match decode(&node) {
            Ok(OnError::Skip(share)) if !(0.0..=1.0).contains(&share) => {
                self.filler.found.faults.push(
                    Diagnostic::error(format!("expected a share from 0 to 1, found {share}"))
                        .at(node.get("skip").unwrap_or(&node).span, ""),
                );
                None
            }
            Ok(on_error) => Some(on_error),
            Err(fault) => {
                self.filler.found.faults.push(fault);
                None
            }
        }
    }

    fn from(&mut self, node: &Node) -> Vec<Src<String>> {
        let node = self.filler.fill(node, &[]);
        let items = match &node.value {
            NodeValue::Seq(items) => &items[..],
            _ => std::slice::from_ref(&node),
        };
        items.iter().filter_map(|item| self.name(item)).collect()
    }

    fn with(&mut self, node: &Node) -> Vec<(String, Src<String>)> {
        let node = self.filler.fill(node, &[]);
        if !matches!(node.value, NodeValue::Map(_)) {
            self.expected("a map of names and stages", &node);
        }
        let mut with = Vec::new();
        for (key, value) in node.entries() {
            if !is_name(&key.name) || key.name == "params" {
                self.filler.found.faults.push(
                    Diagnostic::error(format!("`{}` cannot name an input", key.name))
                        .at(key.span, "")
                        .help("use letters, digits and `_`; `params` is taken"),
                );
            }
            if let Some(stage) = self.name(value) {
                with.push((key.name.clone(), stage));
            }
        }
        with
    }

    fn name(&mut self, node: &Node) -> Option<Src<String>> {
        if self.filler.found.unknown.contains(&node.span) {
            return None;
        }
        let Some(name) = node.as_str() else {
            self.expected("the name of a stage", node);
            return None;
        };
        Some(Src {
            value: format!("{}{name}", self.prefix),
            span: node.span,
        })
    }

    fn expected(&mut self, what: &str, node: &Node) {
        self.filler.found.faults.push(
            Diagnostic::error(format!("expected {what}, found {}", node.kind())).at(node.span, ""),
        );
    }
}

/// Puts the stages that they mean in place of inputs with `*`, which stands for any text
/// without `/`. Stages that `when` removes are not meant.
pub fn expand(entries: &mut [Entry], faults: &mut Vec<Diagnostic>) {
    let open = |stage: &StageSpec| stage.from.iter().any(|input| input.contains('*'));
    if !entries.iter().any(|entry| open(&entry.stage)) {
        return;
    }
    let names: Vec<String> = entries
        .iter()
        .filter(|e| e.kept && !e.stage.is_output)
        .map(|e| e.stage.name.value.clone())
        .collect();
    for entry in entries {
        let mut from = Vec::new();
        let stage = Arc::make_mut(&mut entry.stage);
        for input in std::mem::take(&mut stage.from) {
            if !input.contains('*') {
                from.push(input);
                continue;
            }
            let before = from.len();
            let meant = names.iter().filter(|name| means(&input, name));
            from.extend(meant.map(|name| Src {
                value: name.clone(),
                span: input.span,
            }));
            if from.len() == before && entry.kept {
                faults.push(
                    Diagnostic::error(format!("no stage is called like `{}`", input.value))
                        .at(input.span, "")
                        .help("`*` stands for any part of a name without `/`"),
                );
            }
        }
        stage.from = from;
    }
}

/// True if a name fits a pattern, part for part between `/`.
fn means(pattern: &str, name: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), name.split('/'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(p, n)| part_fits(p, n))
}

fn part_fits(pattern: &str, part: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == part;
    };
    let Some(mut left) = part.strip_prefix(start) else {
        return false;
    };
    // The first place will do for every piece but the last, which must end the name.
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

/// Reports inputs that are not stages. `unread` are stages at fault, reported already.
pub fn check_inputs(entries: &[Entry], unread: &[String], faults: &mut Vec<Diagnostic>) {
    let names = || {
        let stages = entries.iter().filter(|e| !e.stage.is_output);
        let read = stages.map(|e| e.stage.name.as_str());
        read.chain(unread.iter().map(String::as_str))
    };
    let known: HashSet<&str> = names().collect();
    for entry in entries {
        let with = entry.stage.with.iter().map(|(_, stage)| stage);
        for input in entry.stage.from.iter().chain(with) {
            if known.contains(input.as_str()) {
                continue;
            }
            let is_output = entries.iter().any(|e| e.stage.name.value == input.value);
            faults.push(if is_output {
                Diagnostic::error(format!("`{}` is an output and cannot be read", input.value))
                    .at(input.span, "")
                    .help("read the stage that it writes")
            } else {
                Diagnostic::error(format!("no stage `{}`", input.value))
                    .at(input.span, "")
                    .suggest(input, names())
            });
        }
    }
}

/// Takes out the stages that `when` removes; who read them reads what they would have read.
pub fn remove(entries: Vec<Entry>, faults: &mut Vec<Diagnostic>) -> Vec<Arc<StageSpec>> {
    let gone: HashMap<String, Vec<Src<String>>> = entries
        .iter()
        .filter(|e| !e.kept)
        .map(|e| (e.stage.name.value.clone(), e.stage.from.clone()))
        .collect();
    let kept = entries.into_iter().filter(|e| e.kept);
    let mut stages: Vec<Arc<StageSpec>> = kept.map(|e| e.stage).collect();
    if gone.is_empty() {
        return stages;
    }
    let mut fault = |stage: &StageSpec, input: &Src<String>, why: &str| {
        faults.push(
            Diagnostic::error(format!(
                "`{}` reads `{}`, which `when` removes and which {why}",
                stage.name.value, input.value
            ))
            .at(input.span, ""),
        );
    };
    for stage in stages.iter_mut().map(Arc::make_mut) {
        let mut from = Vec::new();
        for input in &stage.from {
            let found = through(input, &gone);
            if found.is_empty() {
                fault(stage, input, "has no input to pass on");
            }
            from.extend(found);
        }
        let mut with = Vec::new();
        for (name, input) in &stage.with {
            match through(input, &gone).as_slice() {
                [one] => with.push((name.clone(), one.clone())),
                [] => fault(stage, input, "has no input to pass on"),
                _ => fault(stage, input, "has more than one input to pass on"),
            }
        }
        (stage.from, stage.with) = (from, with);
    }
    stages
}

/// The stages that stand in for `input`. Places stay those of the reader. Circles have been
/// reported before; the count of steps only keeps this finite.
fn through(input: &Src<String>, gone: &HashMap<String, Vec<Src<String>>>) -> Vec<Src<String>> {
    let mut found = Vec::new();
    let mut open = vec![input.value.clone()];
    let mut steps = 0;
    while let Some(name) = open.pop() {
        steps += 1;
        match gone.get(&name) {
            Some(from) if steps < 10_000 => {
                open.extend(from.iter().rev().map(|f| f.value.clone()));
            }
            Some(_) => {}
            None => found.push(Src {
                value: name,
                span: input.span,
            }),
        }
    }
    found
}

/// A key as a value with its place.
pub fn source(key: &Key) -> Src<String> {
    let Key { name, span } = key;
    let span: Span = *span;
    Src {
        value: name.clone(),
        span,
    }
}

/// True for a path that leads to nothing but a file below where it starts.
pub fn stays_inside(name: &str) -> bool {
    let path = Path::new(name);
    !name.is_empty()
        && !name.ends_with(['/', '\\'])
        && !name.contains(['\0', '\\'])
        && !name.contains("//")
        && !name.split('/').any(|part| part == ".")
        && path.components().all(|c| matches!(c, Component::Normal(_)))
}

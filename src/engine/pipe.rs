//! A pipeline whose verbs and models are understood and checked. Owns the step from names to
//! things; runs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use foldhash::HashMap;
use minijinja::{Environment, Value};

use crate::diag::{Diagnostic, Sources, in_order};
use crate::jinja::expr::Shared;
use crate::model::spec::ModelSpec;
use crate::parallel;
use crate::plan::graph;
use crate::spec::node::{Node, NodeValue};
use crate::spec::pipeline::{Pipeline, Scope, StageSpec};
use crate::stages::contract::{Build, Check, FieldSet, Look, Parsed};
use crate::stages::registry::AnyVerb;
use crate::stages::{VERBS, verb};

/// The environment of all expressions; it lives as long as the program.
pub static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(crate::jinja::environment);

/// The folders of a run.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Where outputs go.
    pub out: PathBuf,
    /// Where operators may put temporary files.
    pub temp: PathBuf,
    /// Folders that shadow the prompts' own.
    pub prompts: Vec<PathBuf>,
}

/// A checked pipeline.
pub struct Pipe {
    /// What the file says.
    pub pipeline: Pipeline,
    /// Its stages, in the file's order.
    pub stages: Vec<Stage>,
    /// Indices of the stages, inputs first.
    pub order: Vec<usize>,
    /// Models by their names in the whole pipeline.
    pub models: BTreeMap<String, Arc<ModelSpec>>,
    /// What stages can name, for each space of names.
    pub scopes: Vec<Names>,
    /// The folders.
    pub folders: Folders,
}

/// What the stages of one space of names can name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The values of the params.
    pub params: Value,
    /// Models by their names there.
    pub models: BTreeMap<String, Arc<ModelSpec>>,
}

/// A stage whose verb is understood.
pub struct Stage {
    /// What the file says.
    pub spec: Arc<StageSpec>,
    /// Its verb.
    pub verb: Box<dyn AnyVerb>,
    /// The stages it reads, in order of ports.
    pub inputs: Vec<usize>,
    /// Named inputs.
    pub with: Vec<(String, usize)>,
    /// Those of them that have a source in common with an input.
    pub kin: Vec<String>,
    /// True when its records come from data that is marked `sensitive`.
    pub sensitive: bool,
}

impl Stage {
    /// Every stage it reads.
    pub fn sources(&self) -> impl Iterator<Item = usize> {
        self.inputs
            .iter()
            .copied()
            .chain(self.with.iter().map(|(_, at)| *at))
    }
}

/// Understands and checks a pipeline; all faults at once. `known` are the faults found while
/// it was read: with some, the rest is checked all the same.
///
/// # Errors
/// All faults, with the sources (prompts included) that they point into.
pub fn understand(
    pipeline: Pipeline,
    folders: Folders,
    known: Vec<Diagnostic>,
) -> Result<Pipe, (Vec<Diagnostic>, Sources)> {
    let sound = known.is_empty();
    let mut faults = known;
    let mut sources = pipeline.sources.clone();
    let mut scopes: Vec<Names> = pipeline.scopes.iter().map(names).collect();
    let mut models = BTreeMap::new();
    for entry in &pipeline.models {
        let model = ModelSpec::from_node(&entry.name, &entry.node);
        match model.and_then(|model| model.with_template(&entry.node, &entry.dir, &pipeline.fence))
        {
            Ok(model) => {
                let model = Arc::new(model);
                if let Some(scope) = scopes.get_mut(entry.scope) {
                    scope.models.insert(entry.local.clone(), model.clone());
                }
                models.insert(entry.name.value.clone(), model);
            }
            // Faults of shape are among the known ones.
            Err(found) if sound => faults.extend(found),
            Err(_) => {}
        }
    }
    let mut found = Vec::new();
    let stages = decode(&pipeline, &mut found);
    if sound {
        faults.append(&mut found);
    }
    let mut pipe = Pipe {
        order: Vec::new(),
        pipeline,
        stages,
        models,
        scopes,
        folders,
    };
    match graph::order(&links(&pipe.stages)) {
        Ok(order) => pipe.order = order,
        Err(_) if sound => faults.push(Diagnostic::error("the stages form a cycle")),
        Err(_) => {}
    }
    check(&mut pipe, &mut sources, &mut faults);
    // Warnings would not stop a run; there are none yet.
    if faults.is_empty() {
        pipe.pipeline.sources = sources;
        Ok(pipe)
    } else {
        in_order(&mut faults);
        Err((faults, sources))
    }
}

fn names(scope: &Scope) -> Names {
    let params = scope.params.iter();
    Names {
        params: Value::from_pairs(params.map(|p| (p.name.clone(), p.value.clone()))),
        models: BTreeMap::new(),
    }
}

fn links(stages: &[Stage]) -> Vec<Vec<usize>> {
    stages
        .iter()
        .map(|stage| stage.sources().collect())
        .collect()
}

/// Decodes the verbs; stages whose settings do not fit are left out.
fn decode(pipeline: &Pipeline, faults: &mut Vec<Diagnostic>) -> Vec<Stage> {
    let mut stages = Vec::with_capacity(pipeline.stages.len());
    let verbs = parallel::map(&pipeline.stages, |spec| decode_verb(spec));
    for (spec, verb) in pipeline.stages.iter().zip(verbs) {
        match verb {
            Ok(verb) => stages.push(Stage {
                inputs: Vec::new(),
                with: Vec::new(),
                kin: Vec::new(),
                sensitive: false,
                verb,
                spec: spec.clone(),
            }),
            Err(fault) => faults.push(fault),
        }
    }
    let all = stages.iter().enumerate();
    let places: HashMap<String, usize> = all
        .map(|(at, stage)| (stage.spec.name.value.clone(), at))
        .collect();
    let at = |name: &str| places.get(name).copied();
    for stage in &mut stages {
        stage.inputs = stage.spec.from.iter().filter_map(|name| at(name)).collect();
        let with = stage.spec.with.iter();
        stage.with = with
            .filter_map(|(name, stage)| Some((name.clone(), at(stage)?)))
            .collect();
    }
    for at in 0..stages.len() {
        stages[at].kin = kin(&stages, at);
    }
    stages
}

fn decode_verb(spec: &StageSpec) -> Result<Box<dyn AnyVerb>, Diagnostic> {
    let Some(def) = verb(&spec.verb) else {
        let fault = Diagnostic::error(format!("no verb `{}`", spec.verb.value));
        let known = VERBS.iter().map(|verb| verb.name);
        return Err(fault.at(spec.verb.span, "").suggest(&spec.verb, known));
    };
    (def.decode)(&spec.config)
}

/// The named inputs of a stage that have a source in common with its input.
fn kin(stages: &[Stage], at: usize) -> Vec<String> {
    let stage = &stages[at];
    if stage.with.is_empty() {
        return Vec::new();
    }
    let mine = origins(stages, &stage.inputs);
    let related = |from: usize| origins(stages, &[from]).iter().any(|at| mine.contains(at));
    let with = stage.with.iter().filter(|(_, from)| related(*from));
    with.map(|(name, _)| name.clone()).collect()
}

/// These stages, and all that they read, directly or not.
fn origins(stages: &[Stage], from: &[usize]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = from.to_vec();
    while let Some(at) = open.pop() {
        if found.insert(at) {
            open.extend(&stages[at].inputs);
        }
    }
    found
}

fn check(pipe: &mut Pipe, sources: &mut Sources, faults: &mut Vec<Diagnostic>) {
    let spaces: Vec<(Vec<String>, Vec<String>)> = known_names(&pipe.pipeline);
    let mut parsed = Parsed::default();
    let mut looks = looks(pipe);
    let mut fields: Vec<FieldSet> = vec![FieldSet::unknown(); pipe.stages.len()];
    for at in pipe.order.clone() {
        let stage = &pipe.stages[at];
        let (least, most) = stage.verb.inputs();
        let given = stage.spec.from.len();
        if given < least || given > most {
            faults.push(wrong_inputs(stage, least, most));
            continue;
        }
        if !faults.is_empty() && unfilled(&stage.spec.config) {
            // A param has a fault of its own: what would stand here is not known.
            continue;
        }
        let inputs: Vec<FieldSet> = if stage.inputs.len() == given {
            stage.inputs.iter().map(|i| fields[*i].clone()).collect()
        } else {
            // Some input has a fault of its own.
            vec![FieldSet::unknown(); given]
        };
        let with: Vec<String> = stage
            .spec
            .with
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        fields[at] = stage.verb.check(&mut Check {
            inputs: &inputs,
            build: pipe.build(at, Vec::new()),
            look: looks[at].take(),
            with: &with,
            params: &spaces[stage.spec.scope].0,
            models: &spaces[stage.spec.scope].1,
            sources,
            parsed: &mut parsed,
            faults,
        });
        let marked = stage.spec.config.get("sensitive");
        let marked = marked.is_some_and(|node| matches!(node.value, NodeValue::Bool(true)));
        let inherited = stage.sources().any(|i| pipe.stages[i].sensitive);
        pipe.stages[at].sensitive = marked || inherited;
    }
}

/// What the beginnings of files say, of the stages that read no other one.
fn looks(pipe: &Pipe) -> Vec<Option<Look>> {
    let look = |at: &usize| {
        let stage = &pipe.stages[*at];
        let first = stage.spec.from.is_empty();
        let build = first.then(|| pipe.build(*at, Vec::new()))?;
        stage.verb.look(&build)
    };
    let all: Vec<usize> = (0..pipe.stages.len()).collect();
    parallel::map(&all, look)
}

/// The names of params and models in each space of names.
fn known_names(pipeline: &Pipeline) -> Vec<(Vec<String>, Vec<String>)> {
    let mut spaces: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for scope in &pipeline.scopes {
        let params = scope.params.iter().map(|p| p.name.clone());
        spaces.push((params.collect(), Vec::new()));
    }
    for model in &pipeline.models {
        if let Some((_, models)) = spaces.get_mut(model.scope) {
            models.push(model.local.clone());
        }
    }
    spaces
}

/// True when a whole setting waits for the value of a param.
fn unfilled(node: &Node) -> bool {
    match &node.value {
        NodeValue::Str(text) => text.starts_with("{{") && text.contains("params"),
        NodeValue::Seq(items) => items.iter().any(unfilled),
        NodeValue::Map(entries) => entries.iter().any(|(_, node)| unfilled(node)),
        _ => false,
    }
}

fn wrong_inputs(stage: &Stage, least: usize, most: usize) -> Diagnostic {
    let verb = stage.verb.name();
    let given = stage.spec.from.len();
    let text = match (least, most) {
        (0, 0) => format!("`{verb}` reads no other stage"),
        (a, b) if a == b && a == 1 => format!("`{verb}` reads one stage, not {given}"),
        (a, b) if a == b => format!("`{verb}` reads {a} stages, not {given}"),
        (a, b) if b == usize::MAX => format!("`{verb}` reads at least {a} stages, not {given}"),
        (a, b) => format!("`{verb}` reads {a} to {b} stages, not {given}"),
    };
    let fault = Diagnostic::error(text).at(stage.spec.verb.span, "");
    if given == 0 {
        fault.help("add `from:` with the name of a stage")
    } else {
        fault
    }
}

impl Pipe {
    /// The models that a stage asks.
    pub fn asked(&self, at: usize) -> Vec<Arc<ModelSpec>> {
        let build = self.build(at, Vec::new());
        let names = self.stages[at].verb.traces(&build).models;
        let models = names.iter().filter_map(|name| build.models.get(name));
        models.cloned().collect()
    }

    /// What a stage's verb is checked and built with.
    pub fn build(&self, at: usize, with: Vec<(String, Value)>) -> Build<'_> {
        let names = &self.scopes[self.stages[at].spec.scope];
        Build {
            dir: &self.stages[at].spec.dir,
            fence: &self.pipeline.fence,
            out_dir: &self.folders.out,
            temp_dir: &self.folders.temp,
            env: &ENVIRONMENT,
            shared: Arc::new(Shared {
                params: names.params.clone(),
                with,
            }),
            kin: &self.stages[at].kin,
            prompt_dirs: &self.folders.prompts,
            models: &names.models,
        }
    }

    /// A stage's index by its name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|s| s.spec.name.value == name)
    }

    /// The folder that a model's paths start from.
    pub fn model_dir(&self, name: &str) -> &Path {
        let entry = self.pipeline.models.iter().find(|m| m.name.value == name);
        entry.map_or(&self.pipeline.dir, |m| &m.dir)
    }
}

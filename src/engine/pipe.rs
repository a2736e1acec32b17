//! A pipeline whose verbs and models are understood and checked. Owns the step from names to
//! things; runs nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use minijinja::{Environment, Value};

use crate::diag::{Diagnostic, Sources};
use crate::jinja::expr::Shared;
use crate::model::spec::ModelSpec;
use crate::plan::graph;
use crate::spec::node::{Node, NodeValue};
use crate::spec::pipeline::{Pipeline, StageSpec};
use crate::stages::contract::{Build, Check, FieldSet};
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
    /// Models by name.
    pub models: BTreeMap<String, Arc<ModelSpec>>,
    /// The values of the params.
    pub params: Value,
    /// The folders.
    pub folders: Folders,
}

/// A stage whose verb is understood.
pub struct Stage {
    /// What the file says.
    pub spec: StageSpec,
    /// Its verb.
    pub verb: Box<dyn AnyVerb>,
    /// The stages it reads, in order of ports.
    pub inputs: Vec<usize>,
    /// Named inputs.
    pub with: Vec<(String, usize)>,
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
    let params = Value::from_pairs(
        pipeline
            .params
            .iter()
            .map(|param| (param.name.clone(), param.value.clone())),
    );
    let mut models = BTreeMap::new();
    for entry in &pipeline.models {
        match ModelSpec::from_node(&entry.name, &entry.node) {
            Ok(model) => {
                models.insert(entry.name.value.clone(), Arc::new(model));
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
        params,
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
        faults.sort_by_key(|fault| fault.primary.as_ref().map(|(span, _)| *span));
        Err((faults, sources))
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
    let mut stages = Vec::new();
    for spec in &pipeline.stages {
        let Some(def) = verb(&spec.verb) else {
            faults.push(
                Diagnostic::error(format!("no verb `{}`", spec.verb.value))
                    .at(spec.verb.span, "")
                    .suggest(&spec.verb, VERBS.iter().map(|verb| verb.name)),
            );
            continue;
        };
        match (def.decode)(&spec.config) {
            Ok(verb) => stages.push(Stage {
                inputs: Vec::new(),
                with: Vec::new(),
                sensitive: false,
                verb,
                spec: spec.clone(),
            }),
            Err(fault) => faults.push(fault),
        }
    }
    let names: Vec<String> = stages.iter().map(|s| s.spec.name.value.clone()).collect();
    let at = |name: &str| names.iter().position(|known| known == name);
    for stage in &mut stages {
        stage.inputs = stage.spec.from.iter().filter_map(|name| at(name)).collect();
        let with = stage.spec.with.iter();
        stage.with = with
            .filter_map(|(name, stage)| Some((name.clone(), at(stage)?)))
            .collect();
    }
    stages
}

fn check(pipe: &mut Pipe, sources: &mut Sources, faults: &mut Vec<Diagnostic>) {
    let params: Vec<String> = pipe
        .pipeline
        .params
        .iter()
        .map(|p| p.name.clone())
        .collect();
    let models = pipe.pipeline.models.iter();
    let models: Vec<String> = models.map(|model| model.name.value.clone()).collect();
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
            with: &with,
            params: &params,
            models: &models,
            sources,
            faults,
        });
        let marked = stage.verb.settings()["sensitive"] == serde_json::Value::Bool(true);
        let inherited = stage.sources().any(|i| pipe.stages[i].sensitive);
        pipe.stages[at].sensitive = marked || inherited;
    }
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
    /// What a stage's verb is checked and built with.
    pub fn build(&self, at: usize, with: Vec<(String, Value)>) -> Build<'_> {
        Build {
            dir: &self.stages[at].spec.dir,
            out_dir: &self.folders.out,
            temp_dir: &self.folders.temp,
            env: &ENVIRONMENT,
            shared: Arc::new(Shared {
                params: self.params.clone(),
                with,
            }),
            prompt_dirs: &self.folders.prompts,
            models: &self.models,
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

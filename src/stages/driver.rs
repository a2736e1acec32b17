//! Runs a verb in a test the way the engine does: YAML in, records out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use minijinja::{Environment, Value};

use super::contract::{Build, Check, Fault, FieldSet, Operator, Parsed};
use crate::diag::{Diagnostic, Sources};
use crate::jinja::expr::Shared;
use crate::model::spec::ModelSpec;
use crate::record::{Fields, Record};
use crate::spec::fence::Fence;
use crate::spec::node::Node;

/// The environment of all tests.
pub fn env() -> &'static Environment<'static> {
    static ENV: OnceLock<Environment<'static>> = OnceLock::new();
    ENV.get_or_init(crate::jinja::environment)
}

/// The models of all tests: one, `writer`.
pub fn models() -> &'static BTreeMap<String, Arc<ModelSpec>> {
    static MODELS: OnceLock<BTreeMap<String, Arc<ModelSpec>>> = OnceLock::new();
    let writer = || Arc::new(ModelSpec::new("writer", "w"));
    MODELS.get_or_init(|| BTreeMap::from([("writer".to_owned(), writer())]))
}

/// A record from JSON.
pub fn record(key: &str, json: &str) -> Record {
    let fields: Fields = serde_json::from_str(json).expect("a JSON object");
    Record {
        key: key.into(),
        fields,
    }
}

/// A list of records from JSON objects, with keys 1, 2, ….
pub fn records(json: &[&str]) -> Vec<Record> {
    let numbered = json.iter().enumerate();
    numbered
        .map(|(at, json)| record(&(at + 1).to_string(), json))
        .collect()
}

/// Records as `key {json}`.
pub fn show(records: &[Record]) -> Vec<String> {
    let json = |fields| serde_json::to_string(fields).expect("serializes");
    records
        .iter()
        .map(|record| format!("{} {}", record.key, json(&record.fields)))
        .collect()
}

/// A verb with its settings, in a folder.
pub struct Stage {
    verb: &'static str,
    node: Node,
    sources: Sources,
    dir: PathBuf,
    fence: Fence,
    with: Vec<(String, Value)>,
    kin: Vec<String>,
}

impl Stage {
    /// The verb `name` with settings in YAML.
    pub fn new(name: &'static str, yaml: &str) -> Stage {
        Stage::within(Path::new("."), name, yaml)
    }

    /// The same in another folder.
    pub fn within(dir: &Path, verb: &'static str, yaml: &str) -> Stage {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("test.yaml"), yaml);
        let node = Node::parse(&sources, file).expect("valid YAML");
        Stage {
            verb,
            node,
            sources,
            dir: dir.to_owned(),
            fence: Fence::none(),
            with: Vec::new(),
            kin: Vec::new(),
        }
    }

    /// The same with a named input that has the input's records.
    pub fn kin(mut self, name: &str) -> Stage {
        self.kin.push(name.to_owned());
        self
    }

    /// The same with a named input.
    pub fn with(mut self, name: &str, records: Vec<Record>) -> Stage {
        let list = records.iter().map(Record::to_value);
        self.with.push((name.to_owned(), list.collect()));
        self
    }

    /// What its operator is built with.
    pub fn build(&self) -> Build<'_> {
        Build {
            dir: &self.dir,
            fence: &self.fence,
            out_dir: &self.dir,
            temp_dir: Path::new("/tmp"),
            env: env(),
            shared: Arc::new(Shared {
                params: Value::from_pairs([("n", 2)]),
                with: self.with.clone(),
            }),
            prompt_dirs: &[],
            models: models(),
            kin: &self.kin,
        }
    }

    /// The verb itself.
    pub fn verb(&self) -> Box<dyn super::registry::AnyVerb> {
        let def = super::verb(self.verb).expect("a verb");
        (def.decode)(&self.node).expect("settings that fit")
    }

    /// What the check says: the output's fields, and the faults as people see them.
    pub fn check(&self, inputs: &[&[&str]]) -> (FieldSet, Vec<String>) {
        let inputs: Vec<FieldSet> = inputs
            .iter()
            .map(|names| FieldSet {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                open: false,
            })
            .collect();
        let mut faults = Vec::new();
        let mut sources = self.sources.clone();
        let with: Vec<String> = self.with.iter().map(|(name, _)| name.clone()).collect();
        let (verb, build) = (self.verb(), self.build());
        let fields = verb.check(&mut Check {
            inputs: &inputs,
            look: verb.look(&build),
            build,
            with: &with,
            params: &["n".to_owned()],
            models: &["writer".to_owned()],
            sources: &mut sources,
            parsed: &mut Parsed::default(),
            faults: &mut faults,
        });
        let render = |fault: &Diagnostic| fault.render(&sources, false);
        (fields, faults.iter().map(render).collect())
    }

    /// The settings, as they go into keys.
    pub fn settings(&self) -> serde_json::Value {
        self.verb().settings()
    }

    /// Runs it. Records that fail are in the second list; what ends the stage is the error.
    pub fn run(&self, inputs: Vec<Vec<Record>>) -> Result<(Vec<Record>, Vec<String>), String> {
        let (mut out, mut lost) = (Vec::new(), Vec::new());
        let mut settle = |result: Result<bool, Fault>| match result {
            Ok(more) => Ok(more),
            Err(Fault::Record(why) | Fault::Call(why) | Fault::Answer(why)) => {
                lost.push(why);
                Ok(true)
            }
            Err(Fault::Stage(diagnostic)) => Err(diagnostic.message),
        };
        match self.verb().operator(&self.build()).map_err(|d| d.message)? {
            Operator::Source(mut source) => while settle(source.next(&mut out))? {},
            Operator::Flow(mut flow) => {
                let mut inputs: Vec<Option<Vec<Record>>> = inputs.into_iter().map(Some).collect();
                for port in flow.port_order(inputs.len()) {
                    for record in inputs[port].take().into_iter().flatten() {
                        if !flow.is_full() {
                            settle(flow.push(port, record, &mut out).map(|()| true))?;
                        }
                    }
                }
                while settle(flow.drain(&mut out))? {}
            }
            _ => return Err("not a stage of records".to_owned()),
        }
        Ok((out, lost))
    }

    /// Runs it on one input, and shows what comes out; no record may fail.
    pub fn flow(&self, input: Vec<Record>) -> Vec<String> {
        let (out, lost) = self.run(vec![input]).expect("runs");
        assert!(lost.is_empty(), "{lost:?}");
        show(&out)
    }

    /// The bytes that a sink writes, and the records that failed.
    pub fn bytes(&self, input: &[Record]) -> (String, Vec<String>) {
        let (bytes, lost) = self.raw(input);
        (String::from_utf8(bytes).expect("UTF-8"), lost)
    }

    /// The same, of formats that are no text.
    pub fn raw(&self, input: &[Record]) -> (Vec<u8>, Vec<String>) {
        let Ok(Operator::Sink(mut sink)) = self.verb().operator(&self.build()) else {
            panic!("not a sink");
        };
        let (mut bytes, mut lost) = (Vec::new(), Vec::new());
        for record in input {
            match sink.record(record, &mut bytes) {
                Ok(()) => {}
                Err(Fault::Record(why) | Fault::Call(why) | Fault::Answer(why)) => {
                    lost.push(why);
                }
                Err(Fault::Stage(diagnostic)) => panic!("{}", diagnostic.message),
            }
        }
        while sink.end(&mut bytes).map_err(|_| ()).expect("ends") {}
        (bytes, lost)
    }
}

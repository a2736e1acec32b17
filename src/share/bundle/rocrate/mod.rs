//! `ro-crate-metadata.json`: what a bundle is, for programs that know neither clue nor its
//! pipelines. RO-Crate 1.2 (<https://w3id.org/ro/crate/1.2>) with the profile Workflow Run Crate 0.5
//! (<https://w3id.org/ro/wfrun/workflow/0.5>): the pipeline is the workflow, the run is the action,
//! params are what went in, outputs what came out. Pure.
//!
//! A file that was left out is a value with its hash, not a file: whoever has it can compare.

mod terms;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::cite::Work;
use super::manifest::{self, Manifest, Role};
use crate::share::lock::Lock;
use terms::{ABOUT, BIOSCHEMAS, NO_DATE, PROFILES, about, entity, format_of, hash, id, ids, place};

/// The name of the file.
pub const NAME: &str = "ro-crate-metadata.json";
/// A file of the bundle, other than this one.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its place in the bundle.
    pub path: String,
    /// What it is for.
    pub role: Role,
    /// Its size in bytes; none for the manifest, which holds the hash of this file.
    pub bytes: Option<u64>,
    /// Its SHA-256 in hex digits, if somebody computed it.
    pub sha256: Option<String>,
}

/// The run that the bundle is of.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// When it began, as `2026-11-25T00:50:09+00:00`.
    pub began: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
}

/// What is described.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The lock in the bundle.
    pub lock: &'a Lock,
    /// Its manifest; `files` is not read.
    pub manifest: &'a Manifest,
    /// Its files.
    pub files: &'a [Listed],
    /// What the pipeline says that it makes.
    pub description: Option<&'a str>,
    /// Its license, as SPDX calls it or as an address.
    pub license: Option<&'a str>,
    /// Its `cite:`.
    pub cite: &'a [String],
    /// The run; none if there was none, as at the level `code-only`.
    pub run: Option<&'a Run>,
}

/// The bytes of the file.
pub fn write(facts: &Facts<'_>) -> Vec<u8> {
    let mut crate_ = Crate {
        facts,
        graph: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        went_in: Vec::new(),
        came_out: Vec::new(),
        examples: BTreeMap::new(),
    };
    crate_.params();
    crate_.data();
    crate_.results();
    crate_.models();
    crate_.files();
    let mut graph = vec![
        json!({
            "@id": NAME,
            "@type": "CreativeWork",
            "name": "RO-Crate metadata",
            "about": id("./"),
            "conformsTo": id("https://w3id.org/ro/crate/1.2"),
        }),
        crate_.root(),
    ];
    if let Some(run) = facts.run {
        graph.push(crate_.action(run));
    }
    graph.append(&mut crate_.graph);
    graph.extend(crate_.around());
    let json = json!({"@context": "https://w3id.org/ro/crate/1.2/context", "@graph": graph});
    let mut bytes = serde_json::to_vec_pretty(&json).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

struct Crate<'a> {
    facts: &'a Facts<'a>,
    graph: Vec<Json>,
    /// Formal parameters.
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// What there was in their places.
    went_in: Vec<String>,
    came_out: Vec<String>,
    /// Files by their place, and the formal parameters that they stand for.
    examples: BTreeMap<String, String>,
}

impl Crate<'_> {
    fn workflow(&self) -> String {
        place(&self.facts.manifest.pipeline)
    }

    /// A formal parameter, and what stands in its place.
    fn formal(&mut self, kind: &str, name: &str, of: &Json, example: Option<&str>) -> String {
        let formal = format!("#{kind}/{}", place(name));
        self.graph.push(entity(json!({
            "@id": formal,
            "@type": "FormalParameter",
            "name": name,
            "additionalType": of,
            "conformsTo": id(BIOSCHEMAS[1].0),
            "workExample": example.map(id),
        })));
        formal
    }

    fn value(&mut self, at: &str, name: &str, of: Option<&str>, more: Json) {
        let mut value = Map::new();
        value.insert("@id".to_owned(), at.into());
        value.insert("@type".to_owned(), "PropertyValue".into());
        value.insert("name".to_owned(), name.into());
        value.insert("exampleOfWork".to_owned(), of.map_or(Json::Null, id));
        if let Json::Object(more) = more {
            value.extend(more);
        }
        self.graph.push(entity(Json::Object(value)));
    }

    fn params(&mut self) {
        for (name, value) in &self.facts.lock.params {
            let kind = match value {
                Json::Bool(_) => "Boolean",
                Json::Number(n) if n.is_f64() => "Float",
                Json::Number(_) => "Integer",
                Json::String(_) => "Text",
                _ => "PropertyValue",
            };
            let value = match value {
                Json::Array(_) | Json::Object(_) | Json::Null => value.to_string().into(),
                plain => plain.clone(),
            };
            let example = format!("#value/{}", place(name));
            let formal = self.formal("param", name, &json!(kind), Some(&example));
            self.value(&example, name, Some(&formal), json!({"value": value}));
            self.inputs.push(formal);
            self.went_in.push(example);
        }
    }

    /// Files that stages read.
    fn data(&mut self) {
        for data in &self.facts.manifest.data {
            let (place_of, there) = (data.place.as_deref().map(place), data.there);
            let example = match &place_of {
                Some(at) if there => at.clone(),
                _ => format!("#data/{}", place(&data.label)),
            };
            let kind = if there {
                json!("File")
            } else {
                json!("PropertyValue")
            };
            // One param may lead to several files; what is named by no param is named by itself.
            let name = data.label.as_str();
            let formal = self.formal("input", name, &kind, Some(&example));
            if there {
                self.examples.insert(example.clone(), formal.clone());
            } else {
                let why = if data.sensitive {
                    "holds sensitive records and was left out; this is its hash"
                } else {
                    "was left out; this is its hash"
                };
                self.value(&example, &data.name, Some(&formal), hash(&data.hash, why));
            }
            self.inputs.push(formal);
            self.went_in.push(example);
        }
    }

    /// What the run wrote.
    fn results(&mut self) {
        if self.facts.run.is_none() {
            return;
        }
        for (name, made) in &self.facts.lock.outputs {
            let at = format!("outputs/{name}");
            let there = self.facts.files.iter().any(|file| file.path == at);
            let example = if there {
                place(&at)
            } else {
                format!("#made/{}", place(name))
            };
            let kind = if there {
                json!("File")
            } else {
                json!("PropertyValue")
            };
            let formal = self.formal("output", name, &kind, Some(&example));
            if there {
                self.examples.insert(example.clone(), formal.clone());
            } else {
                let why = "is not in the bundle; this is its hash";
                self.value(&example, name, Some(&formal), hash(&made.hash, why));
            }
            self.outputs.push(formal);
            self.came_out.push(example);
        }
        let also = |file: &&Listed| matches!(file.role, Role::Results | Role::Report);
        let also = self.facts.files.iter().filter(also);
        self.came_out.extend(also.map(|file| place(&file.path)));
    }

    fn models(&mut self) {
        for (name, model) in &self.facts.lock.models {
            let text = |key: &str| model.identity.get(key).and_then(Json::as_str);
            let told = model.served.as_ref();
            let weights = told.and_then(|told| told.weights.clone());
            let server = told.and_then(|told| {
                let server = told.server.as_deref()?;
                let version = told.version.as_deref().unwrap_or_default();
                Some(
                    format!(", served by {server} {version}")
                        .trim_end()
                        .to_owned(),
                )
            });
            let at = format!("#model/{}", place(name));
            self.graph.push(entity(json!({
                "@id": at,
                "@type": "CreativeWork",
                "name": text("id").unwrap_or(name),
                "alternateName": name,
                "description": format!("the language model{}", server.unwrap_or_default()),
                "version": text("revision").map(str::to_owned).or(weights),
            })));
            self.went_in.push(at);
        }
    }

    fn files(&mut self) {
        for file in self.facts.files {
            let at = place(&file.path);
            let formal = self.examples.get(&at);
            let is_workflow = file.path == self.facts.manifest.pipeline;
            let mut of = Map::new();
            if is_workflow {
                let manifest = self.facts.manifest;
                of = self.described();
                of.insert("name".to_owned(), manifest.name.clone().into());
            }
            let kind = match is_workflow {
                true => json!(["File", "SoftwareSourceCode", "ComputationalWorkflow"]),
                false => json!("File"),
            };
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let mut all = json!({
                "@id": at,
                "@type": kind,
                "name": name,
                "description": match file.path.as_str() {
                    manifest::NAME => "the list of what is in the bundle, for clue",
                    _ => about(file.role),
                },
                "encodingFormat": format_of(name),
                "contentSize": file.bytes.map(|bytes| bytes.to_string()),
                "sha256": file.sha256,
                "exampleOfWork": formal.map(|formal| id(formal)),
            });
            if file.role == Role::Readme {
                all["about"] = id("./");
            }
            if let Json::Object(all) = &mut all {
                all.extend(of);
            }
            self.graph.push(entity(all));
        }
    }

    /// What is said of the pipeline's file beside.
    fn described(&self) -> Map<String, Json> {
        let manifest = self.facts.manifest;
        let version = self.facts.lock.files.iter();
        let version = version
            .filter(|(name, _)| manifest.pipeline.ends_with(name.as_str()))
            .max_by_key(|(name, _)| name.len())
            .map(|(_, hash)| hash.short());
        let of = json!({
            "version": version,
            "conformsTo": id(BIOSCHEMAS[0].0),
            "programmingLanguage": id("#language"),
            "softwareRequirements": id("#clue"),
            "input": ids(&self.inputs),
            "output": ids(&self.outputs),
        });
        match of {
            Json::Object(entries) => entries,
            _ => Map::new(),
        }
    }

    fn root(&self) -> Json {
        let facts = self.facts;
        let name = &facts.manifest.name;
        let description = facts
            .description
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let made = format!("a run of the pipeline {name}, as clue bundled it");
        let date = facts
            .run
            .and_then(|run| run.ended.clone().or(run.began.clone()));
        let conforms = match facts.run {
            Some(_) => &PROFILES[..],
            // What was not run conforms to no profile of runs.
            None => &PROFILES[2..],
        };
        let conforms: Vec<String> = conforms.iter().map(|(at, ..)| (*at).to_owned()).collect();
        let files: Vec<String> = facts.files.iter().map(|file| place(&file.path)).collect();
        let works: Vec<String> = self.works().into_iter().map(|(at, _)| at).collect();
        entity(json!({
            "@id": "./",
            "@type": "Dataset",
            "name": name,
            "description": description.unwrap_or(&made),
            "datePublished": date.as_deref().unwrap_or(NO_DATE),
            "license": id(&self.license()),
            "conformsTo": ids(&conforms),
            "mainEntity": id(&self.workflow()),
            "mentions": facts.run.map(|_| id("#run")),
            "citation": ids(&works),
            "creditText": facts.cite.join("; "),
            "hasPart": ids(&files),
        }))
    }

    fn action(&self, run: &Run) -> Json {
        let name = &self.facts.manifest.name;
        entity(json!({
            "@id": "#run",
            "@type": "CreateAction",
            "name": format!("run of {name}"),
            "description": format!("clue {} ran the pipeline {name}", self.facts.lock.program),
            "instrument": id(&self.workflow()),
            "object": ids(&self.went_in),
            "result": ids(&self.came_out),
            "startTime": run.began,
            "endTime": run.ended,
            "actionStatus": "http://schema.org/CompletedActionStatus",
        }))
    }

    fn license(&self) -> String {
        match self
            .facts
            .license
            .map(str::trim)
            .filter(|license| !license.is_empty())
        {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => place(url),
            Some(name) => format!("https://spdx.org/licenses/{}", place(name)),
            None => "#license".to_owned(),
        }
    }

    /// Works to cite that have an address, with that.
    fn works(&self) -> Vec<(String, Work)> {
        let mut works: BTreeMap<String, Work> = BTreeMap::new();
        for work in self.facts.cite.iter().map(|text| Work::of(text)) {
            if let Some(address) = work.address() {
                works.entry(place(&address)).or_insert(work);
            }
        }
        works.into_iter().collect()
    }

    /// What the others name: profiles, language, program, license, works to cite.
    fn around(&self) -> Vec<Json> {
        let profiles = match self.facts.run {
            Some(_) => &PROFILES[..],
            None => &PROFILES[2..],
        };
        let profile = |at: &str, name: &str, version: &str| json!({"@id": at, "@type": ["CreativeWork", "Profile"], "name": name, "version": version});
        let mut all: Vec<Json> = profiles
            .iter()
            .map(|(at, name, v)| profile(at, name, v))
            .collect();
        let both = if self.inputs.is_empty() && self.outputs.is_empty() {
            1
        } else {
            2
        };
        let schemas = BIOSCHEMAS[..both].iter();
        all.extend(schemas.map(|(at, name)| profile(at, name, "1.0-RELEASE")));
        all.push(json!({
            "@id": "#language",
            "@type": "ComputerLanguage",
            "name": "clue",
            "description": "the language of clue's pipelines, in YAML",
            "version": "1",
            "url": id(ABOUT),
        }));
        all.push(json!({
            "@id": "#clue",
            "@type": "SoftwareApplication",
            "name": "clue",
            "description": "runs pipelines that make and run benchmarks of language models",
            "version": self.facts.lock.program,
            "url": id(ABOUT),
        }));
        let mut works = self.works();
        if !works.iter().any(|(at, _)| at == ABOUT) {
            works.push((
                ABOUT.to_owned(),
                Work {
                    title: "where clue's benchmark is described".to_owned(),
                    ..Work::default()
                },
            ));
        }
        all.extend(works.into_iter().map(|(at, work)| {
            entity(json!({
                "@id": at,
                "@type": "CreativeWork",
                "name": work.title,
                "description": work.text,
            }))
        }));
        let (name, description) = match self.facts.license {
            Some(license) if !license.trim().is_empty() => (
                license.trim(),
                "the license of the pipeline, by its own word",
            ),
            _ => (
                "not stated",
                "the pipeline names no license: ask whoever made it",
            ),
        };
        all.push(json!({
            "@id": self.license(),
            "@type": "CreativeWork",
            "name": name,
            "description": description,
        }));
        all
    }
}

/// What the manifest is called in the list of files.
pub fn of_manifest() -> Listed {
    Listed {
        path: manifest::NAME.to_owned(),
        role: Role::Lock,
        bytes: None,
        sha256: None,
    }
}

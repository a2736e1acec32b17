//! What there are docs of: verbs, metrics, filters, and the parts of a pipeline file. All of it
//! comes from where editors have it.

use serde::Serialize;
use serde_json::Value as Json;

use super::tree::{Schemas, Setting, paragraphs};
use crate::cli::session::{metric_shapes, shapes};
use crate::jinja::builtin;
use crate::jinja::filters::{FILTERS, TESTS};
use crate::metrics::METRICS;
use crate::spec::{Shapes, json_schema};
use crate::stages::VERBS;

/// Something that there are docs of.
#[derive(Clone, Debug, Serialize)]
pub struct Topic {
    /// `verb`, `metric`, `filter`, `test` or `part`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What is written behind it, in words, where it is no map of settings.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What it is.
    pub about: String,
    /// Its settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
}

impl Topic {
    /// What it is, in a sentence.
    pub fn sentence(&self) -> &str {
        let first = self.about.split("\n\n").next().unwrap_or("");
        // Not behind `e.g.`.
        let ends = |at: &usize| {
            let next = first.get(at + 2..).and_then(|rest| rest.chars().next());
            next.is_some_and(char::is_uppercase)
        };
        let mut dots = first.match_indices(". ").map(|(at, _)| at);
        match dots.find(ends).and_then(|at| first.get(..at)) {
            Some(sentence) => sentence,
            None => first.trim_end_matches('.'),
        }
    }
}

/// Parts of a pipeline file, each with the key at its top, and the word for one of them.
const PARTS: [(&str, &str); 5] = [
    ("params", "param"),
    ("models", "model"),
    ("stages", "stage"),
    ("outputs", "output"),
    ("include", "includes"),
];

/// All topics, in the order in which they are listed.
pub fn topics() -> Vec<Topic> {
    let language = shapes();
    let mut topics = Vec::new();
    let verbs = VERBS.iter().map(|verb| verb.name);
    topics.extend(of_shapes("verb", verbs, &language));
    let names = METRICS.iter().map(|metric| metric.name);
    topics.extend(of_shapes("metric", names, &metric_shapes()));
    topics.extend(parts(&language));
    for (kind, all) in [
        ("filter", [FILTERS, builtin::FILTERS]),
        ("test", [TESTS, builtin::TESTS]),
    ] {
        topics.extend(all.concat().into_iter().map(|(name, about)| Topic {
            kind,
            name: name.to_owned(),
            of: None,
            about: about.to_owned(),
            settings: Vec::new(),
        }));
    }
    topics
}

fn of_shapes<'a>(
    kind: &'static str,
    names: impl Iterator<Item = &'a str>,
    shapes: &Shapes,
) -> Vec<Topic> {
    let schemas = Schemas { defs: &shapes.defs };
    let topic = |name: &str| {
        let schema = shapes.verbs.get(name).unwrap_or(&Json::Null);
        Topic {
            kind,
            name: name.to_owned(),
            of: Some(schemas.words(schema)).filter(|of| of != "map"),
            about: schemas.about(schema),
            settings: schemas.settings(schema),
        }
    };
    names.map(topic).collect()
}

fn parts(language: &Shapes) -> Vec<Topic> {
    let schema = json_schema(language);
    let empty = serde_json::Map::new();
    let schemas = Schemas {
        defs: schema["$defs"].as_object().unwrap_or(&empty),
    };
    let mut all: Vec<Topic> = Vec::new();
    let top = schema["properties"].as_object().unwrap_or(&empty);
    let keys = top.iter().map(|(name, schema)| Setting {
        name: name.clone(),
        of: String::new(),
        required: name == "clue",
        default: None,
        about: paragraphs(schema["description"].as_str().unwrap_or("")),
        choices: Vec::new(),
        settings: Vec::new(),
    });
    all.push(Topic {
        kind: "part",
        name: "pipeline".to_owned(),
        of: None,
        about: "What stands at the top of a pipeline file.".to_owned(),
        settings: keys.collect(),
    });
    for (name, _) in PARTS {
        let schema = &schema["properties"][name];
        let mut settings = schemas.settings(schema);
        // Verbs have docs of their own.
        if name == "stages" {
            settings.retain(|setting| crate::stages::verb(&setting.name).is_none());
        }
        all.push(Topic {
            kind: "part",
            name: name.to_owned(),
            of: None,
            about: schemas.about(schema),
            settings,
        });
    }
    all
}

/// The topics that a word stands for: one by its name, or all of a kind.
pub fn find<'a>(all: &'a [Topic], word: &str) -> Vec<&'a Topic> {
    let named: Vec<&Topic> = all.iter().filter(|topic| topic.name == word).collect();
    if !named.is_empty() {
        return named;
    }
    if let Some((part, _)) = PARTS.iter().find(|(_, one)| *one == word) {
        return all.iter().filter(|topic| topic.name == *part).collect();
    }
    let kind = word.strip_suffix('s').unwrap_or(word);
    let of_kind = all
        .iter()
        .filter(|topic| topic.kind == kind && kind != "part");
    of_kind.collect()
}

/// All words that stand for something.
pub fn words(all: &[Topic]) -> Vec<&str> {
    let mut words: Vec<&str> = all.iter().map(|topic| topic.name.as_str()).collect();
    words.extend(["verbs", "metrics", "filters", "tests"]);
    words
}

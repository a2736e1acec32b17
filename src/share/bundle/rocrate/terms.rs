//! Words of RO-Crates: profiles, identifiers, media types.

use serde_json::{Map, Value as Json, json};

use crate::share::bundle::manifest::Role;

/// What stands for a date that is not known, as the format wants one.
pub const NO_DATE: &str = "1970-01-01";
/// Where clue is described.
pub const ABOUT: &str = "https://arxiv.org/abs/2404.04067";
/// The profiles that a crate of a run keeps to: address, name, version.
pub const PROFILES: [(&str, &str, &str); 3] = [
    (
        "https://w3id.org/ro/wfrun/process/0.5",
        "Process Run Crate",
        "0.5",
    ),
    (
        "https://w3id.org/ro/wfrun/workflow/0.5",
        "Workflow Run Crate",
        "0.5",
    ),
    (
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
        "Workflow RO-Crate",
        "1.0",
    ),
];
/// The profiles of workflows and of their params: address, name.
pub const BIOSCHEMAS: [(&str, &str); 2] = [
    (
        "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE",
        "ComputationalWorkflow",
    ),
    (
        "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE",
        "FormalParameter",
    ),
];

/// A reference.
pub fn id(id: &str) -> Json {
    json!({"@id": id})
}

/// One as it is, several as a list; nothing is left out.
pub fn ids<'a>(all: impl IntoIterator<Item = &'a String>) -> Json {
    let mut all: Vec<Json> = all.into_iter().map(|one| id(one)).collect();
    match all.len() {
        1 => all.remove(0),
        _ => Json::Array(all),
    }
}

/// An entity without what is null or empty.
pub fn entity(value: Json) -> Json {
    let Json::Object(entries) = value else {
        return value;
    };
    let there = |value: &Json| match value {
        Json::Null => false,
        Json::Array(items) => !items.is_empty(),
        Json::String(text) => !text.is_empty(),
        _ => true,
    };
    let entries = entries.into_iter().filter(|(_, value)| there(value));
    Json::Object(entries.collect::<Map<_, _>>())
}

/// A path or name as part of an identifier: characters that mean something there are escaped.
pub fn place(path: &str) -> String {
    let mut place = String::with_capacity(path.len());
    for c in path.chars() {
        if c.is_control() || " \"#%<>?[\\]^`{|}".contains(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                place.push_str(&format!("%{byte:02X}"));
            }
        } else {
            place.push(c);
        }
    }
    place
}

/// A hash as the value of something that is not there.
pub fn hash(hash: &crate::hash::Hash, why: &str) -> Json {
    json!({"propertyID": "BLAKE3", "value": hash, "description": why})
}

/// What a file is for, in words.
pub fn about(role: Role) -> &'static str {
    match role {
        Role::Crate => "this description",
        Role::Citation => "how to cite the pipeline",
        Role::Readme => "what the bundle is, and how to verify it",
        Role::Lock => "hashes of all that the run was made of, and of what came out",
        Role::Pipeline => "a file of the pipeline",
        Role::Prompt => "a prompt",
        Role::File => "a file that the pipeline reads",
        Role::Data => "data that a stage reads",
        Role::Calls => "the calls to language models with their answers",
        Role::HiddenCalls => "salted hashes of calls about sensitive records",
        Role::Records => "hashes of the records that stages made",
        Role::Output => "an output of the run",
        Role::Results => "the results in tables",
        Role::Report => "a page about the run",
    }
}

/// The media type of a file, by the ending of its name.
pub fn format_of(name: &str) -> &'static str {
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_lowercase());
    match ending.as_deref() {
        Some("json") => "application/json",
        Some("jsonl") => "application/jsonl",
        Some("yaml" | "yml" | "lock" | "cff") => "application/yaml",
        Some("md") => "text/markdown",
        Some("html") => "text/html",
        Some("csv") => "text/csv",
        Some("tsv") => "text/tab-separated-values",
        Some("txt" | "j2" | "jinja" | "py" | "sh" | "tex") => "text/plain",
        Some("gz") => "application/gzip",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("parquet") => "application/vnd.apache.parquet",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

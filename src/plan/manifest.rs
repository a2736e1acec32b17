//! What decides a stage's output, item by item. One list feeds both the key and the text that
//! says why a stage has to run again.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize, Serializer};

use crate::hash::{Canonical, Context, Hash, canonical_json};
use crate::text::secret::{redact, without};

/// Everything that decides a stage's output, apart from its inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The items, in a fixed order.
    pub items: Vec<Item>,
}

/// One thing that decides a stage's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Item {
    /// The verb and its semantic version.
    Verb {
        /// Its name.
        name: String,
        /// Its version.
        version: u32,
    },
    /// The verb's settings, with params already filled in.
    Settings {
        /// As JSON.
        value: Canonical,
    },
    /// The names under which other stages are read, in order.
    With {
        /// The names.
        names: Vec<String>,
    },
    /// A param that an expression or prompt reads.
    Param {
        /// Its name.
        name: String,
        /// Its value.
        value: serde_json::Value,
    },
    /// A prompt or a file that it includes.
    Prompt {
        /// Its path as the pipeline names it.
        path: String,
        /// Hash of its text.
        hash: Hash,
    },
    /// A data file or script.
    File {
        /// Its path.
        path: String,
        /// Hash of its content.
        hash: Hash,
    },
    /// What a model is: id, sampling, and how it is spoken to; not where it runs.
    Model {
        /// Its name in the pipeline.
        name: String,
        /// What decides its answers.
        value: serde_json::Value,
    },
}

/// What keys of stages are made under.
static CONTEXT: LazyLock<Context> = LazyLock::new(|| Context::new("clue stage v1"));

/// A manifest as keys have it. It is made once, and the inputs are added for each key.
#[derive(Clone, Debug)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// The key of a stage with this manifest over inputs with these identities.
    ///
    /// Version 1: the canonical JSON of a map of `inputs` and `manifest`.
    pub fn key(&self, inputs: &[Hash]) -> Hash {
        let mut before = Vec::with_capacity(32 + 67 * inputs.len());
        before.extend(b"{\"inputs\":[");
        for (at, input) in inputs.iter().enumerate() {
            before.extend(if at == 0 { "\"" } else { ",\"" }.bytes());
            before.extend(input.digits());
            before.push(b'"');
        }
        before.extend(b"],\"manifest\":");
        Hash::under(&CONTEXT, &[&before, &self.0, b"}"])
    }
}

/// An item without its name, if that is the path of a file or the name of a model.
struct Unlabelled<'a>(&'a Item);

impl Serialize for Unlabelled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let label = String::new();
        let item = match self.0 {
            Item::File { hash, .. } => Item::File {
                path: label,
                hash: *hash,
            },
            Item::Prompt { hash, .. } => Item::Prompt {
                path: label,
                hash: *hash,
            },
            Item::Model { value, .. } => Item::Model {
                name: label,
                value: value.clone(),
            },
            item @ (Item::Settings { .. }
            | Item::With { .. }
            | Item::Verb { .. }
            | Item::Param { .. }) => return item.serialize(serializer),
        };
        item.serialize(serializer)
    }
}

/// What is known of the time of an old manifest.
pub struct Then<'a> {
    /// An earlier or present prompt text by its hash.
    pub text: &'a dyn Fn(Hash) -> Option<String>,
    /// Params that have another value now.
    pub params: &'a [ParamChange],
    /// What stands in no value that is told: the values of params that are called as secrets are.
    pub secrets: &'a [String],
}

impl Then<'_> {
    /// A value with this name as it is told.
    fn told(&self, name: &str, value: &serde_json::Value) -> String {
        let value = without(self.secrets, redact(name, value.clone()));
        brief(&value)
    }

    /// A param that has another value.
    fn param(&self, name: &str, was: &serde_json::Value, now: &serde_json::Value) -> String {
        let (was, now) = (self.told(name, was), self.told(name, now));
        format!("param {name} {was} → {now}")
    }
}

/// A param that has another value than before.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamChange {
    /// Its name.
    pub name: String,
    /// Its value before.
    pub was: serde_json::Value,
    /// Its value now.
    pub now: serde_json::Value,
}

impl Manifest {
    /// What keys are made of. Paths of files are left out: content decides, not where it lies.
    pub fn seal(&self) -> Sealed {
        let mut json = Vec::with_capacity(512);
        for item in &self.items {
            json.push(if json.is_empty() { b'[' } else { b',' });
            // As they would be written too: every manifest has these two.
            match item {
                Item::Verb { name, version } if plain(name) => {
                    let verb = format!(r#"{{"is":"verb","name":"{name}","version":{version}}}"#);
                    json.extend(verb.bytes());
                }
                Item::Settings { value } => {
                    json.extend(b"{\"is\":\"settings\",\"value\":");
                    json.extend(value.text().as_bytes());
                    json.push(b'}');
                }
                item => json.extend(canonical_json(&Unlabelled(item))),
            }
        }
        json.extend(if json.is_empty() { "[]" } else { "]" }.bytes());
        Sealed(json)
    }

    /// The key of a stage with this manifest over inputs with these identities.
    pub fn key(&self, inputs: &[Hash]) -> Hash {
        self.seal().key(inputs)
    }

    /// The names of files, prompts and models, which decide nothing.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match item {
            Item::File { path, .. } | Item::Prompt { path, .. } => Some(path.as_str()),
            Item::Model { name, .. } => Some(name.as_str()),
            Item::Settings { .. } | Item::With { .. } | Item::Verb { .. } | Item::Param { .. } => {
                None
            }
        })
    }

    /// What changed since `old`, in the user's words.
    pub fn changes(&self, old: &Manifest, then: &Then<'_>) -> Vec<String> {
        let mut changes = Vec::new();
        for item in &self.items {
            match (item, old.items.iter().find(|other| item.names_same(other))) {
                (_, Some(other)) if other == item => {}
                (item, Some(other)) => item.change(other, then, &mut changes),
                (item, None) => changes.push(format!("{} is new", item.title())),
            }
        }
        for item in &old.items {
            if !self.items.iter().any(|other| item.names_same(other)) {
                changes.push(format!("{} is no longer used", item.title()));
            }
        }
        changes
    }
}

/// True for names that are their own JSON.
fn plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Item {
    fn names_same(&self, other: &Item) -> bool {
        match (self, other) {
            (Item::Verb { .. }, Item::Verb { .. })
            | (Item::Settings { .. }, Item::Settings { .. })
            | (Item::With { .. }, Item::With { .. }) => true,
            (Item::Param { name: a, .. }, Item::Param { name: b, .. })
            | (Item::Prompt { path: a, .. }, Item::Prompt { path: b, .. })
            | (Item::File { path: a, .. }, Item::File { path: b, .. })
            | (Item::Model { name: a, .. }, Item::Model { name: b, .. }) => a == b,
            _ => false,
        }
    }

    fn title(&self) -> String {
        match self {
            Item::Verb { name, .. } => format!("verb `{name}`"),
            Item::Settings { .. } => "its settings".to_owned(),
            Item::With { .. } => "`with`".to_owned(),
            Item::Param { name, .. } => format!("param {name}"),
            Item::Prompt { path, .. } | Item::File { path, .. } => path.clone(),
            Item::Model { name, .. } => format!("model {name}"),
        }
    }

    fn change(&self, old: &Item, then: &Then<'_>, changes: &mut Vec<String>) {
        match (self, old) {
            (
                Item::Verb { name, version },
                Item::Verb {
                    name: was,
                    version: before,
                },
            ) => {
                changes.push(if name == was {
                    format!("verb `{name}` has a new version ({before} → {version})")
                } else {
                    format!("verb `{was}` → `{name}`")
                });
            }
            (Item::Settings { value }, Item::Settings { value: was }) => {
                json_changes(("", ""), &was.value(), &value.value(), then, changes);
            }
            (Item::Param { name, value }, Item::Param { value: was, .. }) => {
                changes.push(then.param(name, was, value));
            }
            (Item::Prompt { path, hash }, Item::Prompt { hash: was, .. }) => {
                let line = (then.text)(*was)
                    .zip((then.text)(*hash))
                    .map(|(was, now)| first_difference(&was, &now));
                changes.push(match line {
                    Some(line) => format!("{path} line {line} changed"),
                    None => format!("{path} changed"),
                });
            }
            (Item::Model { name, value }, Item::Model { value: was, .. }) => {
                let prefix = format!("model {name}: ");
                json_changes((&prefix, ""), was, value, then, changes);
            }
            _ => changes.push(format!("{} changed", self.title())),
        }
    }
}

/// The number (from 1) of the first line that differs.
pub fn first_difference(was: &str, now: &str) -> usize {
    let same = was
        .lines()
        .zip(now.lines())
        .take_while(|(a, b)| a == b)
        .count();
    same + 1
}

/// What changed of a value. `name` is its own, and `prefix` tells the way to it.
fn json_changes(
    (prefix, name): (&str, &str),
    was: &serde_json::Value,
    now: &serde_json::Value,
    then: &Then<'_>,
    changes: &mut Vec<String>,
) {
    // A setting that changed exactly as a param did was filled in from it.
    if let Some(param) = then.params.iter().find(|p| p.was == *was && p.now == *now) {
        let text = then.param(&param.name, was, now);
        if !changes.contains(&text) {
            changes.push(text);
        }
        return;
    }
    let (serde_json::Value::Object(a), serde_json::Value::Object(b)) = (was, now) else {
        let (was, now) = (then.told(name, was), then.told(name, now));
        changes.push(format!("{prefix}{was} → {now}"));
        return;
    };
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        match (a.get(key), b.get(key)) {
            (Some(x), Some(y)) if x != y => {
                let prefix = format!("{prefix}{key} ");
                json_changes((&prefix, key), x, y, then, changes);
            }
            (Some(x), None) => {
                changes.push(format!("{prefix}{key} {} removed", then.told(key, x)));
            }
            (None, Some(y)) => changes.push(format!("{prefix}{key} {} added", then.told(key, y))),
            _ => {}
        }
    }
}

fn brief(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        text
    } else {
        text.chars().take(57).chain("…".chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(max: i64, prompt: &[u8]) -> Manifest {
        Manifest {
            items: vec![
                Item::Param {
                    name: "max_notes".into(),
                    value: max.into(),
                },
                Item::Prompt {
                    path: "prompts/statements.j2".into(),
                    hash: Hash::of_bytes(prompt),
                },
            ],
        }
    }

    #[test]
    fn changes_are_told_in_the_users_words() {
        let texts = |hash: Hash| {
            [&b"a\nb\n"[..], &b"a\nc\n"[..]]
                .into_iter()
                .find(|t| Hash::of_bytes(t) == hash)
                .map(|t| String::from_utf8_lossy(t).into_owned())
        };
        let changes = manifest(10, b"a\nc\n").changes(
            &manifest(4000, b"a\nb\n"),
            &Then {
                text: &texts,
                params: &[],
                secrets: &[],
            },
        );
        assert_eq!(
            changes,
            [
                "param max_notes 4000 → 10",
                "prompts/statements.j2 line 2 changed"
            ]
        );
    }

    #[test]
    fn the_scheme_of_keys_is_pinned() {
        let manifest = manifest(1, b"x");
        let inputs = [Hash::of_bytes(b"a"), Hash::of_bytes(b"b")];
        let prompt = Hash::of_bytes(b"x");
        let json = serde_json::json!({"inputs": inputs, "manifest": [
            {"is": "param", "name": "max_notes", "value": 1},
            {"is": "prompt", "path": "", "hash": prompt},
        ]});
        assert_eq!(manifest.key(&inputs), Hash::of("clue stage v1", &json));
    }

    #[test]
    fn paths_do_not_decide() {
        let mut moved = manifest(1, b"x");
        if let Item::Prompt { path, .. } = &mut moved.items[1] {
            *path = "elsewhere.j2".into();
        }
        assert_eq!(moved.key(&[]), manifest(1, b"x").key(&[]));
        assert_ne!(manifest(2, b"x").key(&[]), manifest(1, b"x").key(&[]));
    }
}

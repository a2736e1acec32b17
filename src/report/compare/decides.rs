//! What differs of what two runs were made of, in the words of the user's files.

use std::collections::BTreeMap;

use similar::TextDiff;

use super::data::Decides;
use crate::engine::runs::RunRecord;
use crate::hash::Hash;
use crate::plan::manifest::{Item, Manifest, ParamChange, Then};
use crate::text::secret::secrets;

/// Lines around a difference.
const AROUND: usize = 1;

/// What differs: each thing once, with the stages that it is about, in the order of `stages`. A
/// prompt's text is found by its hash, if it is still there.
pub fn decides(
    a: &RunRecord,
    b: &RunRecord,
    stages: &[String],
    text: &dyn Fn(Hash) -> Option<String>,
) -> Vec<Decides> {
    let params: Vec<ParamChange> = changed(&a.params, &b.params);
    let secrets = secrets(a.params.iter().chain(&b.params));
    let then = Then {
        text,
        params: &params,
        secrets: &secrets,
    };
    let mut found: Vec<Decides> = Vec::new();
    let mut add = |stage: &str, what: String, diff: Option<String>| {
        let mut known = found.iter_mut();
        match known.find(|known| known.what == what && known.diff == diff) {
            Some(known) => known.stages.push(stage.to_owned()),
            None => found.push(Decides {
                stages: vec![stage.to_owned()],
                what,
                diff,
            }),
        }
    };
    for name in stages {
        let (Some(old), Some(new)) = (a.stages.get(name), b.stages.get(name)) else {
            continue;
        };
        let mut prompts = prompts(&old.manifest, &new.manifest);
        // Names of files, prompts and models decide nothing.
        let (was, is) = alike(&old.manifest, &new.manifest);
        for what in is.changes(&was, &then) {
            // The same prompt, under another name.
            let moved = |prompt: &Prompt| {
                let Some(from) = &prompt.from else {
                    return false;
                };
                what == format!("{} is new", prompt.path)
                    || what == format!("{from} is no longer used")
            };
            if prompts.iter().any(moved) {
                continue;
            }
            let about = |prompt: &Prompt| {
                let rest = what.strip_prefix(&prompt.path);
                rest.is_some_and(|rest| rest == " changed" || rest.starts_with(" line "))
            };
            let at = prompts.iter().position(about);
            let diff = at.map(|at| prompts.remove(at).diff(text));
            add(name, what, diff);
        }
        for prompt in prompts {
            let from = prompt.from.as_ref();
            let what = from.map(|from| format!("{from} → {}", prompt.path));
            add(
                name,
                what.unwrap_or_else(|| prompt.path.clone()),
                Some(prompt.diff(text)),
            );
        }
        let inputs = |inputs: &[String]| inputs.join("`, `");
        if old.inputs != new.inputs {
            let (was, is) = (inputs(&old.inputs), inputs(&new.inputs));
            add(name, format!("reads `{was}` → `{is}`"), None);
        }
    }
    found
}

/// Both manifests without what is in both of them under different names.
fn alike(old: &Manifest, new: &Manifest) -> (Manifest, Manifest) {
    let nameless = |item: &Item| -> Option<Item> {
        let mut item = item.clone();
        match &mut item {
            Item::File { path, .. } | Item::Prompt { path, .. } => path.clear(),
            Item::Model { name, .. } => name.clear(),
            _ => return None,
        }
        Some(item)
    };
    let without = |some: &Manifest, others: &Manifest| -> Manifest {
        let others: Vec<Item> = others.items.iter().filter_map(nameless).collect();
        let items = some.items.iter();
        let own = items.filter(|item| nameless(item).is_none_or(|item| !others.contains(&item)));
        Manifest {
            items: own.cloned().collect(),
        }
    };
    (without(old, new), without(new, old))
}

/// Params with another value.
fn changed(
    a: &BTreeMap<String, serde_json::Value>,
    b: &BTreeMap<String, serde_json::Value>,
) -> Vec<ParamChange> {
    let changed = b.iter().filter_map(|(name, now)| {
        let was = a.get(name)?.clone();
        let now = now.clone();
        let name = name.clone();
        (was != now).then_some(ParamChange { name, was, now })
    });
    changed.collect()
}

/// A prompt that differs.
struct Prompt {
    path: String,
    /// Its path before, if that was another.
    from: Option<String>,
    was: Hash,
    is: Hash,
}

impl Prompt {
    /// Its lines that differ.
    fn diff(&self, text: &dyn Fn(Hash) -> Option<String>) -> String {
        match text(self.was).zip(text(self.is)) {
            Some((was, is)) => lines(&was, &is),
            None => "its text is no longer in the cache".to_owned(),
        }
    }
}

/// The prompts of a stage that differ: those of one name, and of those with another name the only
/// one.
fn prompts(old: &Manifest, new: &Manifest) -> Vec<Prompt> {
    let of = |manifest: &Manifest| -> BTreeMap<String, Hash> {
        let items = manifest.items.iter();
        let prompts = items.filter_map(|item| match item {
            Item::Prompt { path, hash } => Some((path.clone(), *hash)),
            _ => None,
        });
        prompts.collect()
    };
    let (old, new) = (of(old), of(new));
    let both = new.iter().filter_map(|(path, is)| {
        let was = old.get(path)?;
        (was != is).then(|| Prompt {
            path: path.clone(),
            from: None,
            was: *was,
            is: *is,
        })
    });
    let mut found: Vec<Prompt> = both.collect();
    let without = |some: &BTreeMap<String, Hash>, others: &BTreeMap<String, Hash>| {
        let some = some.iter().filter(|(path, _)| !others.contains_key(*path));
        some.map(|(path, hash)| (path.clone(), *hash))
            .collect::<Vec<_>>()
    };
    if let ([(was, a)], [(is, b)]) = (&*without(&old, &new), &*without(&new, &old))
        && a != b
    {
        found.push(Prompt {
            path: is.clone(),
            from: Some(was.clone()),
            was: *a,
            is: *b,
        });
    }
    found
}

fn lines(was: &str, is: &str) -> String {
    let diff = TextDiff::from_lines(was, is);
    diff.unified_diff().context_radius(AROUND).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: i64, prompt: (&str, &str)) -> RunRecord {
        let hash = Hash::of_bytes(prompt.1.as_bytes());
        let items = serde_json::json!([
            {"is": "settings", "value": {"n": n}},
            {"is": "prompt", "path": prompt.0, "hash": hash},
        ]);
        let stage = serde_json::json!({
            "manifest": {"items": items}, "recipe": hash, "inputs": [], "output": null,
        });
        let stages = serde_json::json!({"s": stage, "t": stage});
        RunRecord {
            pipeline: "/p.yaml".into(),
            params: [("n".to_owned(), n.into())].into(),
            stages: serde_json::from_value(stages).expect("stages"),
            names: std::collections::BTreeSet::new(),
            stages_in: None,
            facts: None,
            stints: BTreeMap::new(),
            latencies: BTreeMap::new(),
        }
    }

    #[test]
    fn one_thing_is_told_once_with_its_lines() {
        let texts = ["a\nb\n", "a\nc\n"];
        let text = |hash: Hash| {
            let text = texts
                .iter()
                .find(|text| Hash::of_bytes(text.as_bytes()) == hash);
            text.map(|text| (*text).to_owned())
        };
        let names = ["s".to_owned(), "t".to_owned()];
        let (a, b) = (run(1, ("p.j2", texts[0])), run(2, ("p.j2", texts[1])));
        let found = decides(&a, &b, &names, &text);
        let told: Vec<&str> = found.iter().map(|found| found.what.as_str()).collect();
        assert_eq!(told, ["param n 1 → 2", "p.j2 line 2 changed"]);
        assert_eq!(found[1].stages, ["s", "t"]);
        let diff = found[1].diff.as_deref().expect("lines");
        assert!(diff.contains("\n-b\n+c\n"), "{diff}");
        assert!(decides(&a, &a, &names, &text).is_empty());
        // The same prompt in another place.
        let moved = run(1, ("q.j2", texts[0]));
        assert!(decides(&a, &moved, &names, &text).is_empty());
        // Another name, and a text that is gone.
        let other = run(1, ("q.j2", "else"));
        let found = decides(&a, &other, &names, &text);
        let last = found.last().expect("found");
        assert_eq!(last.what, "p.j2 → q.j2");
        assert_eq!(found.len(), 1, "{found:?}");
        let gone = "its text is no longer in the cache";
        assert_eq!(last.diff.as_deref(), Some(gone));
    }
}

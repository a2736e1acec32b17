//! Manifests of Kubernetes: an indexed Job for each wave, and one that puts the outputs together.
//! Pure. All but the first are suspended, since each needs what the one before it leaves.

use serde_json::{Map, Value as Json, json};

use super::profile::K8s;
use crate::share::yaml::quoted;

/// Exit codes that another try would end with, too.
const STAY: [u8; 3] = [2, 3, 5];
/// The longest name of a job whose pods' names fit.
const LONGEST: usize = 50;

/// What the jobs are about.
pub struct About<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// How many waves.
    pub waves: u32,
    /// How many tasks share one.
    pub shards: u32,
    /// The words of the command that does all that is left.
    pub words: &'a [String],
    /// Variables that params are set with here.
    pub params: &'a [(String, String)],
    /// Variables with tokens, that models name.
    pub tokens: &'a [String],
    /// What servers need of GPUs, if the profile does not say.
    pub gpus: u32,
}

/// The jobs, in the order in which they are to run.
pub fn jobs(profile: &K8s, image: &str, about: &About<'_>) -> Vec<Json> {
    let wave = |at: u32| {
        // Indices are from 0 there, and from 1 here.
        let share = format!(
            "exec \"$@\" --shard \"$((JOB_COMPLETION_INDEX + 1))/{}\"",
            about.shards
        );
        let shell = ["/bin/sh", "-c", &share, "clue"].map(str::to_owned);
        let words = [shell.to_vec(), about.words.to_vec()].concat();
        let stays = json!({
            "action": "FailIndex",
            "onExitCodes": {"operator": "In", "values": STAY},
        });
        // A node that is lost is nobody's fault.
        let lost = json!({
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        });
        let running = profile
            .max_running()
            .unwrap_or(about.shards)
            .min(about.shards);
        json!({
            "completionMode": "Indexed",
            "completions": about.shards,
            "parallelism": running,
            "backoffLimitPerIndex": profile.retries,
            "podFailurePolicy": {"rules": [stays, lost]},
            "suspend": at > 1,
            "template": template(profile, image, about, &words),
        })
    };
    let last = json!({
        "backoffLimit": profile.retries,
        "suspend": about.waves > 0,
        "template": template(profile, image, about, about.words),
    });
    let waves = (1..=about.waves).map(|at| job(profile, about, &format!("wave-{at}"), wave(at)));
    waves
        .chain([job(profile, about, "outputs", last)])
        .collect()
}

fn job(profile: &K8s, about: &About<'_>, part: &str, spec: Json) -> Json {
    let name = name(about.pipeline);
    let mut metadata = json!({
        "name": format!("{name}-{part}"),
        "labels": {"app.kubernetes.io/name": "clue", "app.kubernetes.io/instance": name},
    });
    if let Some(namespace) = &profile.namespace {
        metadata["namespace"] = json!(namespace.value);
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
}

fn template(profile: &K8s, image: &str, about: &About<'_>, words: &[String]) -> Json {
    let mut container = json!({
        "name": "clue",
        "image": image,
        "command": words.iter().map(|word| literal(word)).collect::<Vec<_>>(),
        "workingDir": folder(profile),
        "env": env(profile, about),
        "volumeMounts": [{"name": "shared", "mountPath": profile.mount.value}],
    });
    let resources = resources(profile, about.gpus);
    if !resources.is_empty() {
        // The same amounts as limits: what is asked for is what is got.
        container["resources"] = json!({"requests": resources, "limits": resources});
    }
    let mut pod = json!({
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{
            "name": "shared",
            "persistentVolumeClaim": {"claimName": profile.claim.value},
        }],
    });
    if !profile.node_selector.is_empty() {
        let labels = profile.node_selector.iter();
        let labels: Map<String, Json> = labels
            .map(|(name, value)| (name.clone(), json!(value.value)))
            .collect();
        pod["nodeSelector"] = Json::Object(labels);
    }
    json!({"spec": pod})
}

/// A text in which nothing is a variable that Kubernetes would put in.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn folder(profile: &K8s) -> String {
    let mount = profile.mount.trim_end_matches('/');
    match profile.folder.trim_start_matches("./").trim_matches('/') {
        "" | "." => format!("{mount}/"),
        folder => format!("{mount}/{folder}"),
    }
}

fn env(profile: &K8s, about: &About<'_>) -> Vec<Json> {
    let given = profile.env.iter();
    let given = given.map(|(name, value)| (name, &value.value));
    let params = about.params.iter().map(|(name, value)| (name, value));
    let plain = given
        .chain(params)
        .map(|(name, value)| json!({"name": name, "value": literal(value)}));
    let tokens = about.tokens.iter().map(|name| {
        let from = json!({"secretKeyRef": {"name": profile.secret.value, "key": name}});
        json!({"name": name, "valueFrom": from})
    });
    plain.chain(tokens).collect()
}

fn resources(profile: &K8s, gpus: u32) -> Map<String, Json> {
    let gpus = profile.gpus.unwrap_or(gpus);
    let amounts = [
        (
            "cpu",
            profile.cpus.as_ref().map(|amount| amount.to_string()),
        ),
        (
            "memory",
            profile.memory.as_ref().map(|amount| amount.to_string()),
        ),
        ("nvidia.com/gpu", (gpus > 0).then(|| gpus.to_string())),
    ];
    let amounts = amounts.into_iter();
    amounts
        .filter_map(|(name, amount)| Some((name.to_owned(), json!(amount?))))
        .collect()
}

/// A name as Kubernetes takes it.
fn name(pipeline: &str) -> String {
    let lower = pipeline.to_lowercase();
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = format!("clue-{lower}")
        .chars()
        .map(fits)
        .take(LONGEST)
        .collect();
    name.trim_end_matches('-').to_owned()
}

/// The jobs as one YAML file.
pub fn yaml(jobs: &[Json]) -> String {
    let texts = jobs.iter().map(|job| {
        let mut text = String::new();
        block(job, 0, &mut text);
        text
    });
    texts.collect::<Vec<_>>().join("---\n")
}

/// A value in lines of its own. All texts are in double quotes: whichever version of YAML somebody
/// reads, none is taken for anything else.
fn block(value: &Json, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            for (name, value) in entries {
                text.push_str(&indent);
                text.push_str(&key(name));
                text.push(':');
                after(value, depth + 1, text);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                let mut lines = String::new();
                match item {
                    Json::Object(_) | Json::Array(_) => block(item, depth + 1, &mut lines),
                    _ => lines = format!("{indent}  {}\n", flat(item)),
                }
                // The mark takes the place of the first line's indent.
                let rest = lines.get(indent.len() + 2..).unwrap_or_default();
                text.push_str(&format!("{indent}- {rest}"));
            }
        }
        _ => text.push_str(&format!("{indent}{}\n", flat(value))),
    }
}

/// A value on a line.
fn flat(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), quoted)
}

/// A value behind a name: on the same line if it fits there.
fn after(value: &Json, depth: usize, text: &mut String) {
    let opens = match value {
        Json::Object(entries) => !entries.is_empty(),
        Json::Array(items) => !items.is_empty(),
        _ => false,
    };
    if opens {
        text.push('\n');
        block(value, depth, text);
    } else {
        text.push_str(&format!(" {}\n", flat(value)));
    }
}

fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./-_".contains(c);
    match name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Json::from),
            (-1000_i64..1000).prop_map(Json::from),
            "[ -~äß\n\t]{0,9}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                proptest::collection::btree_map("[a-zA-Z./: -]{1,6}", inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn yaml_is_read_as_what_it_was(value in values()) {
            let value = json!({"value": value});
            let read: Json = serde_yaml::from_str(&yaml(std::slice::from_ref(&value))).expect("YAML");
            prop_assert_eq!(read, value);
        }
    }

    #[test]
    fn names_are_such_as_kubernetes_takes() {
        assert_eq!(name("Notes v2_x"), "clue-notes-v2-x");
        assert!(name(&"a.".repeat(80)).len() <= LONGEST);
    }
}

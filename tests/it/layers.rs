//! Who may import whom: nothing imports upwards, so there are no cycles between modules.

use std::path::Path;

use crate::support::root;

/// The layers of `src/lib.rs`, lowest first. A module may import its own layer's only if
/// that comes before it here.
const LAYERS: [&str; 26] = [
    "diag", "hash", "parallel", "record", "rng", "text", "jinja", "spec", "plan", "store",
    "tokens", "metrics", "model", "prompt", "replay", "stages", "engine", "trust", "report",
    "share", "fetch", "cluster", "remote", "cli", "main", "lib",
];

fn check(module: &str, path: &Path, faults: &mut Vec<String>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder").flatten() {
            check(module, &entry.path(), faults);
        }
        return;
    }
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let text = std::fs::read_to_string(path).expect("read");
    let begins = |at: &usize| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let places = text.match_indices("crate::").map(|(at, _)| at);
    // A name may end in the same letters.
    for part in places
        .filter(begins)
        .map(|at| &text[at + "crate::".len()..])
    {
        let name: String = part
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        // No name is a list, whose members would go unseen.
        if rank(&name).is_none() || rank(&name) > rank(module) {
            faults.push(format!("{} imports `{name}`", path.display()));
        }
    }
}

#[test]
fn nothing_imports_upwards() {
    let mut faults = Vec::new();
    for entry in std::fs::read_dir(root().join("src"))
        .expect("src")
        .flatten()
    {
        let path = entry.path();
        let module = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("UTF-8");
        assert!(LAYERS.contains(&module), "`{module}` is in no layer");
        check(module, &path, &mut faults);
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// No task lives in Rust: the names of the pipelines' tasks stand in no source file.
#[test]
fn no_task_is_named_in_the_source() {
    let tasks = std::fs::read_dir(root().join("pipelines/tasks")).expect("the tasks");
    let stem = |path: std::path::PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let names: Vec<String> = tasks
        .flatten()
        .filter_map(|entry| stem(entry.path()))
        .filter(|name| name != "text_scores")
        .collect();
    assert!(names.len() >= 6, "{names:?}");
    let mut folders = vec![root().join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("read");
            let text = text.to_lowercase().replace([' ', '-'], "_");
            let named = names.iter().filter(|name| text.contains(name.as_str()));
            found.extend(named.map(|name| format!("{}: {name}", path.display())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

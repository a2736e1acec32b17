//! Who may import whom: nothing imports upwards, so there are no cycles between modules.

use std::path::Path;

use crate::support::root;

/// The layers of `src/lib.rs`, lowest first. A module may import its own layer's only if
/// that comes before it here.
const LAYERS: [&str; 20] = [
    "diag", "hash", "record", "rng", "text", "jinja", "spec", "plan", "store", "tokens", "metrics",
    "model", "prompt", "stages", "engine", "report", "fetch", "cli", "main", "lib",
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
    for part in text.split("crate::").skip(1) {
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

//! Reads the user's YAML files into [`Sources`], with one clear fault for each that cannot
//! be read, and finds duplicate keys. Knows nothing of what the keys mean.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::node::{Node, NodeValue};
use crate::diag::{Diagnostic, FileId, Sources, Span};

/// Reads and parses a file.
///
/// # Errors
/// One diagnostic: missing, a folder, not UTF-8, empty, or not YAML.
pub fn read(path: &Path, sources: &mut Sources) -> Result<(FileId, Node), Diagnostic> {
    let shown = path.display();
    if path.is_dir() {
        return Err(Diagnostic::error(format!(
            "`{shown}` is a folder, not a file"
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Diagnostic::error(format!("no file `{shown}`")),
        _ => Diagnostic::error(format!("cannot read `{shown}`: {error}")),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|b| *b == b'\n').count();
        Diagnostic::error(format!(
            "`{shown}` is not UTF-8: first bad byte at offset {at}, line {line}"
        ))
        .help("save it as UTF-8")
    })?;
    if u32::try_from(text.len()).is_err() {
        return Err(Diagnostic::error(format!("`{shown}` is too large")));
    }
    let file = sources.add(path, text);
    let node = Node::parse(sources, file)?;
    if matches!(node.value, NodeValue::Null) {
        return Err(Diagnostic::error(format!("`{shown}` is empty")));
    }
    Ok((file, node))
}

/// Reports every key that a map holds twice, anywhere.
pub fn duplicates(node: &Node, faults: &mut Vec<Diagnostic>) {
    match &node.value {
        NodeValue::Map(entries) => {
            let mut seen: HashMap<&str, Span> = HashMap::new();
            for (key, value) in entries {
                match seen.get(key.name.as_str()) {
                    Some(first) => faults.push(
                        Diagnostic::error(format!("duplicate key `{}`", key.name))
                            .at(key.span, "again here")
                            .also(*first, "first here"),
                    ),
                    None => {
                        seen.insert(&key.name, key.span);
                    }
                }
                duplicates(value, faults);
            }
        }
        NodeValue::Seq(items) => items.iter().for_each(|item| duplicates(item, faults)),
        _ => {}
    }
}

/// The folder of a file, `.` for a plain file name.
pub fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A path seen from a folder, without a leading `./`.
pub fn join(dir: &Path, path: &str) -> PathBuf {
    if dir == Path::new(".") {
        PathBuf::from(path)
    } else {
        dir.join(path)
    }
}

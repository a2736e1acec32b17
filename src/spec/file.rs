//! Reads the user's YAML files into [`Sources`], with one clear fault for each that cannot
//! be read, and finds duplicate keys. Knows nothing of what the keys mean.

use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use foldhash::{HashMap, HashMapExt};

use super::node::{Key, Node, NodeValue};
use crate::diag::{Diagnostic, FileId, Sources, Span};

/// Most bytes of a file that people write.
const MOST: u64 = 16 << 20;

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
    let bytes = bytes(path).map_err(|error| match error.kind() {
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
    let file = sources.add(path, text);
    let node = Node::parse(sources, file)?;
    if matches!(node.value, NodeValue::Null) {
        return Err(Diagnostic::error(format!("`{shown}` is empty")));
    }
    Ok((file, node))
}

/// The bytes of a file that people write, if it is not too large.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len().min(MOST);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    // A device may never end.
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other(format!(
            "it has more than {} MB",
            MOST >> 20
        )));
    }
    Ok(bytes)
}

/// Reports every key that a map holds twice, anywhere.
pub fn duplicates(node: &Node, faults: &mut Vec<Diagnostic>) {
    match &node.value {
        NodeValue::Map(entries) => {
            let mut twice = |key: &Key, first: Span| {
                let fault = Diagnostic::error(format!("duplicate key `{}`", key.name));
                faults.push(fault.at(key.span, "again here").also(first, "first here"));
            };
            // To look through a few is faster than to keep them in order.
            if entries.len() <= FEW {
                for (at, (key, _)) in entries.iter().enumerate() {
                    let mut earlier = entries[..at].iter().map(|(key, _)| key);
                    if let Some(first) = earlier.find(|earlier| earlier.name == key.name) {
                        twice(key, first.span);
                    }
                }
            } else {
                let mut known: HashMap<&str, Span> = HashMap::with_capacity(entries.len());
                for (key, _) in entries.iter() {
                    match known.entry(&key.name) {
                        Entry::Occupied(first) => twice(key, *first.get()),
                        Entry::Vacant(place) => {
                            place.insert(key.span);
                        }
                    }
                }
            }
            let values = entries.iter().map(|(_, value)| value);
            values.for_each(|value| duplicates(value, faults));
        }
        NodeValue::Seq(items) => items.iter().for_each(|item| duplicates(item, faults)),
        _ => {}
    }
}

/// How many entries a map has at most that is looked through for each of them.
const FEW: usize = 16;

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

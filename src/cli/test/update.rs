//! Takes what came as what is expected: files are replaced, and single values in a test file are
//! written in the place of the old ones. Everything else in the file stays as it is.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use super::compare::Other;
use crate::diag::{Diagnostic, Span};
use crate::engine::keep::OutFile;
use crate::spec::node::{Node, NodeValue};

/// Replaces a file as a whole.
///
/// # Errors
/// It cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    let mut file = OutFile::create(path)?;
    file.write(bytes)?;
    file.finish().map(|_| ())
}

/// What a test file must say instead: the place, and the new text. `None` where the old value
/// is more than a word or a text in quotes: that is the user's to write.
pub fn edit(root: &Node, text: &str, stage: &str, other: &Other) -> Option<(Span, String)> {
    if matches!(other.found, Json::Array(_) | Json::Object(_)) {
        return None;
    }
    let records = root.get("expect")?.get("records")?.get(stage)?;
    let [at, field] = &other.path;
    let record = match &records.value {
        NodeValue::Seq(items) => items.get(at.parse::<usize>().ok()?)?,
        _ => records.get(at)?,
    };
    let node = record.get(field)?;
    let span = node.span;
    let old = text.get(span.start as usize..span.end as usize)?;
    let plain = match &node.value {
        NodeValue::Seq(_) | NodeValue::Map(_) | NodeValue::Null => false,
        _ => !old.is_empty() && !old.contains('\n') && !old.starts_with(['|', '>', '&', '*', '!']),
    };
    // JSON is YAML as well.
    plain.then(|| (span, other.found.to_string()))
}

/// Writes edits into a file that has this text.
///
/// # Errors
/// The file cannot be written, or is another by now.
pub fn apply(path: &Path, text: &str, mut edits: Vec<(Span, String)>) -> Result<(), Diagnostic> {
    if edits.is_empty() {
        return Ok(());
    }
    if fs::read(path).ok().as_deref() != Some(text.as_bytes()) {
        let what = format!("`{}` was changed during the test", path.display());
        return Err(Diagnostic::error(what).help("run the test again"));
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut new = text.to_owned();
    for (span, value) in edits {
        new.replace_range(span.start as usize..span.end as usize, &value);
    }
    replace(path, new.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;

    #[test]
    fn single_values_are_written_in_their_places() {
        const TEXT: &str = "expect:\n  records:\n    a:\n      \"1\": {x: 1.5, y: 'old'}  # why\n      \
                            \"2\":\n        x: word\n        y: |\n          block\n        z: [1]\n    \
                            b:\n      - {é: \"ö\"}\n";
        let mut sources = Sources::default();
        let file = sources.add(Path::new("t.yaml"), TEXT);
        let root = Node::parse(&sources, file).expect("YAML");
        let other = |stage, at: &str, field: &str, found: Json| {
            let other = Other {
                path: [at.to_owned(), field.to_owned()],
                found,
            };
            edit(&root, TEXT, stage, &other)
        };
        let edits: Vec<_> = [
            other("a", "1", "x", 2.into()),
            other("a", "1", "y", "it's: new".into()),
            other("a", "2", "x", Json::Null),
            other("b", "0", "é", "ß".into()),
        ]
        .into_iter()
        .map(|edit| edit.expect("can be written"))
        .collect();
        assert!(other("a", "2", "y", "new".into()).is_none());
        assert!(other("a", "2", "z", 1.into()).is_none());
        assert!(other("a", "1", "x", Json::Array(Vec::new())).is_none());
        assert!(other("a", "3", "x", 1.into()).is_none());
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("t.yaml");
        fs::write(&path, TEXT).expect("written");
        apply(&path, TEXT, edits.clone()).expect("applied");
        let new = fs::read_to_string(&path).expect("read");
        let wanted = TEXT
            .replace("1.5", "2")
            .replace("'old'", "\"it's: new\"")
            .replace("word", "null")
            .replace("\"ö\"", "\"ß\"");
        assert_eq!(new, wanted);
        assert!(apply(&path, TEXT, edits).is_err(), "it is another by now");
    }
}

//! Takes what came as what is expected: single values in a test file are written in the place of
//! the old ones. Everything else in the file stays as it is, which is checked before it is written.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value as Json;

use super::compare::Other;
use crate::cli::replace::replace;
use crate::diag::{Diagnostic, Sources, Span};
use crate::spec::node::{Node, NodeValue};

/// A value of a test file that is to be another.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The keys and indices that lead to it.
    path: Vec<String>,
    span: Span,
    value: Json,
}

/// What a test file must say instead. `None` where the old value is more than a word or a text in
/// quotes: that is the user's to write.
pub fn edit(root: &Node, text: &str, stage: &str, other: &Other) -> Option<Edit> {
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
    let path = ["expect", "records", stage, at, field];
    plain.then(|| Edit {
        path: path.map(str::to_owned).to_vec(),
        span,
        value: other.found.clone(),
    })
}

/// A value as YAML: JSON is that as well, but for characters that YAML wants escaped.
fn yaml(value: &Json) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        let code = u32::from(c);
        // Those that YAML does not take as they are, or may take for the end of a line.
        let odd = matches!(code, 0x7f..=0x9f | 0x2028 | 0x2029 | 0xfeff | 0xfdd0..=0xfdef)
            || matches!(code, 0xfffe | 0xffff);
        if odd {
            text.push_str(&format!("\\u{code:04x}"));
        } else {
            text.push(c);
        }
    }
    text
}

/// A test file's text with these values in it; `None` if it would not read as the same but for
/// them.
pub fn edited(root: &Node, text: &str, edits: &[Edit]) -> Option<String> {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.span.start));
    let mut new = text.to_owned();
    for edit in &edits {
        let span = edit.span.start as usize..edit.span.end as usize;
        new.get(span.clone())?;
        new.replace_range(span, &yaml(&edit.value));
    }
    let mut sources = Sources::default();
    let file = sources.add(Path::new("new"), new.as_str());
    let tree = Node::parse(&sources, file).ok()?;
    let values = edits.iter().map(|edit| (edit.path.as_slice(), &edit.value));
    same(root, &tree, &mut Vec::new(), &values.collect()).then_some(new)
}

/// True if two trees are the same, but for these values, which the new one has.
fn same(old: &Node, new: &Node, at: &mut Vec<String>, values: &HashMap<&[String], &Json>) -> bool {
    if let Some(value) = values.get(at.as_slice()) {
        return is(new, value);
    }
    let mut inner = |name: String, old: &Node, new: &Node| {
        at.push(name);
        let same = same(old, new, at, values);
        at.pop();
        same
    };
    match (&old.value, &new.value) {
        (NodeValue::Null, NodeValue::Null) => true,
        (NodeValue::Bool(a), NodeValue::Bool(b)) => a == b,
        (NodeValue::Int(a), NodeValue::Int(b)) => a == b,
        (NodeValue::Float(a), NodeValue::Float(b)) => a.to_bits() == b.to_bits(),
        (NodeValue::Str(a), NodeValue::Str(b)) => a == b,
        (NodeValue::Seq(a), NodeValue::Seq(b)) => {
            let mut pairs = a.iter().zip(b.iter()).enumerate();
            a.len() == b.len() && pairs.all(|(at, (a, b))| inner(at.to_string(), a, b))
        }
        (NodeValue::Map(a), NodeValue::Map(b)) => {
            let mut pairs = a.iter().zip(b.iter());
            a.len() == b.len()
                && pairs.all(|((key, a), (other, b))| {
                    key.name == other.name && inner(key.name.clone(), a, b)
                })
        }
        _ => false,
    }
}

fn is(node: &Node, value: &Json) -> bool {
    match &node.value {
        NodeValue::Null => value.is_null(),
        NodeValue::Bool(found) => value.as_bool() == Some(*found),
        NodeValue::Int(found) => value.as_i64() == Some(*found),
        NodeValue::Float(found) => value.is_number() && value.as_f64() == Some(*found),
        NodeValue::Str(found) => value.as_str() == Some(found),
        _ => false,
    }
}

/// Writes a test file that had this text.
///
/// # Errors
/// The file cannot be written, or is another by now.
pub fn write(path: &Path, text: &str, new: &str) -> Result<(), Diagnostic> {
    if std::fs::read(path).ok().as_deref() != Some(text.as_bytes()) {
        let what = format!("`{}` was changed during the test", path.display());
        return Err(Diagnostic::error(what).help("run the test again"));
    }
    replace(path, new.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

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
        let new = edited(&root, TEXT, &edits).expect("reads as the same");
        let wanted = TEXT
            .replace("1.5", "2")
            .replace("'old'", "\"it's: new\"")
            .replace("word", "null")
            .replace("\"ö\"", "\"ß\"");
        assert_eq!(new, wanted);
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("t.yaml");
        fs::write(&path, TEXT).expect("written");
        write(&path, TEXT, &new).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("read"), wanted);
        assert!(write(&path, TEXT, &new).is_err(), "it is another by now");
    }

    /// A file in which field `x` of the one record stands as `value`, with `text` for what came.
    fn taken(value: &str, found: &Json) -> Option<Json> {
        let text = format!("expect: {{records: {{a: [{{x: {value}}}]}}, n: {value}}}\n");
        let mut sources = Sources::default();
        let file = sources.add(Path::new("t.yaml"), text.as_str());
        let root = Node::parse(&sources, file).expect("YAML");
        let other = Other {
            path: ["0".to_owned(), "x".to_owned()],
            found: found.clone(),
        };
        let new = edited(&root, &text, &[edit(&root, &text, "a", &other)?])?;
        let file = sources.add(Path::new("new.yaml"), new.as_str());
        let new = Node::parse(&sources, file).expect("YAML");
        let NodeValue::Seq(items) = &new.get("expect")?.get("records")?.get("a")?.value else {
            return None;
        };
        Some(match &items[0].get("x")?.value {
            NodeValue::Str(text) => text.as_str().into(),
            NodeValue::Int(n) => (*n).into(),
            NodeValue::Float(x) => (*x).into(),
            NodeValue::Bool(b) => (*b).into(),
            _ => Json::Null,
        })
    }

    #[test]
    fn any_text_is_written_so_that_it_reads_as_it_was() {
        let odd =
            "\u{7f}\u{80}\u{85}\u{9f}\u{2028}\u{feff}\u{fdd0}\u{fffe}\u{ffff}\u{0}\t\n\r\\\"/é😀";
        for text in [odd, "", "null", " a: b # c ", "---", "\u{1fffe}"] {
            let value = Json::from(text);
            assert_eq!(taken("old", &value), Some(value.clone()), "{text:?}");
        }
        let numbers = [Json::from(1e300), Json::from(1e-7), Json::from(-3)];
        for value in numbers {
            assert_eq!(taken("1", &value), Some(value.clone()), "{value}");
        }
    }

    #[test]
    fn what_would_change_anything_else_is_not_written() {
        const TEXT: &str = "expect: {records: {a: [&r {x: old}], b: [*r]}}\n";
        let mut sources = Sources::default();
        let file = sources.add(Path::new("t.yaml"), TEXT);
        let root = Node::parse(&sources, file).expect("YAML");
        let other = Other {
            path: ["0".to_owned(), "x".to_owned()],
            found: "new".into(),
        };
        let one = edit(&root, TEXT, "a", &other).expect("a word");
        assert_eq!(edited(&root, TEXT, &[one]), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_reads_as_it_was(text in "(?s).{0,12}", old in "[a-z]{1,3}|'[a-z ]{0,3}'") {
            let value = Json::from(text);
            let found = taken(&old, &value);
            prop_assert!(found.is_none() || found == Some(value));
        }
    }
}

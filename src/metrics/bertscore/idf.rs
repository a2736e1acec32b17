//! Weights of tokens by how rare they are among reference texts. Knows no model.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::diag::Diagnostic;

/// What each token weighs.
#[derive(Debug)]
pub enum Weights {
    /// One each, but for the tokens that begin and end every text: nothing.
    Plain {
        /// Those tokens.
        ends: [u32; 2],
    },
    /// Inverse document frequency: ln((texts + 1) / (texts with the token + 1)). It is 0 for
    /// the tokens that are in every text.
    Idf {
        /// Of tokens that are in some text.
        seen: HashMap<u32, f32>,
        /// Of all others.
        unseen: f32,
    },
}

impl Weights {
    /// Inverse document frequencies from the tokens of each text.
    pub fn idf<'a>(texts: impl ExactSizeIterator<Item = &'a [u32]>) -> Weights {
        let all = texts.len() as f64 + 1.0;
        let mut counts: HashMap<u32, f64> = HashMap::new();
        for text in texts {
            let distinct: HashSet<u32> = text.iter().copied().collect();
            for token in distinct {
                *counts.entry(token).or_default() += 1.0;
            }
        }
        let weight = |count: f64| (all / (count + 1.0)).ln() as f32;
        Weights::Idf {
            seen: counts
                .into_iter()
                .map(|(token, count)| (token, weight(count)))
                .collect(),
            unseen: weight(0.0),
        }
    }

    /// The weights of a text's tokens.
    pub fn of(&self, tokens: &[u32]) -> Vec<f32> {
        let weight = |token: &u32| match self {
            Weights::Plain { ends } if ends.contains(token) => 0.0,
            Weights::Plain { .. } => 1.0,
            Weights::Idf { seen, unseen } => seen.get(token).copied().unwrap_or(*unseen),
        };
        tokens.iter().map(weight).collect()
    }
}

/// The texts of a file: one a line; in a `.jsonl` file, JSON texts or lists of texts.
///
/// # Errors
/// The file cannot be read, is empty, or has a line of another kind.
pub fn texts(path: &Path) -> Result<Vec<String>, Diagnostic> {
    let shown = path.display();
    let content = fs::read_to_string(path)
        .map_err(|e| Diagnostic::error(format!("cannot read `{shown}`: {e}")))?;
    let json = path
        .extension()
        .is_some_and(|ext| ext.eq_ignore_ascii_case("jsonl"));
    let mut texts = Vec::new();
    for (at, line) in content.lines().enumerate() {
        if !json {
            texts.push(line.to_owned());
        } else if !line.trim().is_empty() && !add(line, &mut texts) {
            let what = format!(
                "line {} of `{shown}` is not a JSON text or list of texts",
                at + 1
            );
            return Err(Diagnostic::error(what));
        }
    }
    if texts.is_empty() {
        return Err(Diagnostic::error(format!("`{shown}` has no texts")));
    }
    Ok(texts)
}

/// False if the line is neither a text nor a list of them.
fn add(line: &str, texts: &mut Vec<String>) -> bool {
    let items = match serde_json::from_str(line) {
        Ok(Value::Array(items)) => items,
        Ok(item) => vec![item],
        Err(_) => return false,
    };
    items.into_iter().all(|item| match item {
        Value::String(text) => {
            texts.push(text);
            true
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_tokens_weigh_more() {
        let texts: [&[u32]; 3] = [&[1, 5, 5, 2], &[1, 6, 2], &[1, 5, 2]];
        let weights = Weights::idf(texts.into_iter());
        let log = |x: f64| x.ln() as f32;
        assert_eq!(
            weights.of(&[1, 5, 6, 7]),
            [0.0, log(4.0 / 3.0), log(2.0), log(4.0)]
        );
        let plain = Weights::Plain { ends: [1, 2] };
        assert_eq!(plain.of(&[1, 5, 2]), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn files_are_lines_or_json_lines() {
        let temp = tempfile::tempdir().expect("a folder");
        let read = |name: &str, content: &str| {
            let path = temp.path().join(name);
            fs::write(&path, content).expect("written");
            texts(&path).map_err(|fault| fault.message)
        };
        assert_eq!(
            read("a.txt", "a b\n\"c\"\n"),
            Ok(vec!["a b".into(), "\"c\"".into()])
        );
        let lists = read("a.jsonl", "\"a\\nb\"\n\n[\"c\", \"d\"]\n");
        assert_eq!(lists, Ok(vec!["a\nb".into(), "c".into(), "d".into()]));
        let wrong = read("b.jsonl", "\"a\"\n{\"b\": 1}\n").expect_err("an object");
        assert!(
            wrong.contains("line 2") && !wrong.contains("\"b\""),
            "{wrong}"
        );
        assert!(read("c.txt", "").expect_err("empty").contains("no texts"));
    }
}

//! Which names a prompt reads from outside, and where. Jinja's own analysis sees one file at
//! a time and forgets places; this adds what other files of the prompt define, and finds the
//! names again. Errs on the side of silence: what may be defined is not reported.

use std::collections::HashSet;
use std::sync::LazyLock;

use minijinja::Environment;
use regex::Regex;

use super::files::File;
use super::roles::FUNCTION;
use super::scan::Kind;
use crate::diag::Span;

/// The names, in the order of the files and of their places.
pub(super) fn names(files: &[File], env: &Environment<'_>) -> Vec<(String, Span)> {
    let mut set = HashSet::new();
    let mut bound = HashSet::new();
    for code in files.iter().flat_map(blocks) {
        definitions(&code, &mut set, &mut bound);
    }
    let mut all = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let Ok(template) = env.get_template(&file.name) else {
            continue;
        };
        let code = masked(file);
        let optional: HashSet<&str> = OPTIONAL
            .as_ref()
            .map(|regex| regex.captures_iter(&code).filter_map(|c| c.get(1)))
            .into_iter()
            .flatten()
            .filter(|name| !code[..name.start()].trim_end().ends_with('.'))
            .map(|name| name.as_str())
            .collect();
        let mut found: Vec<(String, Span)> = template
            .undeclared_variables(true)
            .into_iter()
            .filter(|name| {
                let root = name.split('.').next().unwrap_or(name);
                root != FUNCTION
                    && !set.contains(root)
                    && !optional.contains(root)
                    && (number == 0 || !bound.contains(root))
            })
            .map(|name| {
                let span = place(&code, &name, file);
                (name, span)
            })
            .collect();
        found.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        all.append(&mut found);
    }
    all
}

/// `x is defined`, `x is not defined`, `x | default(…)`.
static OPTIONAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"([A-Za-z_]\w*)\s*(?:is\s+(?:not\s+)?(?:un)?defined\b|\|\s*d(?:efault)?\b)").ok()
});

/// The code of the blocks of a file.
fn blocks(file: &File) -> impl Iterator<Item = String> {
    let blocks = file.pieces.iter().filter(|piece| piece.kind == Kind::Block);
    blocks.map(|piece| piece.code(&file.text).1.to_owned())
}

/// Adds the names that a block defines: for all that follows (`set`), or within (`bound`).
fn definitions(code: &str, set: &mut HashSet<String>, bound: &mut HashSet<String>) {
    let (word, rest) = code.split_at(code.find(|c| !is_word(c)).unwrap_or(code.len()));
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c| !is_word(c));
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    match word {
        "set" => set.extend(words(rest.split(['=', '|']).next().unwrap_or(""))),
        "import" => set.extend(words(rest).pop()),
        "from" => set.extend(words(rest)),
        "macro" | "call" => {
            bound.extend(words(rest));
            set.extend(words(rest).into_iter().next().filter(|_| word == "macro"));
        }
        "for" => bound.extend(words(rest.split(" in ").next().unwrap_or(""))),
        "with" => bound.extend(words(rest)),
        _ => {}
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The file's text with a blank for each byte that is not code, so that places stay.
fn masked(file: &File) -> String {
    let mut out = vec![b' '; file.text.len()];
    for piece in &file.pieces {
        if matches!(piece.kind, Kind::Expr | Kind::Block) {
            let inner = piece.inner.clone();
            out[inner.clone()].copy_from_slice(&file.text.as_bytes()[inner]);
            for string in &piece.strings {
                out[string.clone()].fill(b' ');
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// The first place of a dotted name as a whole; of its root, if it is written with gaps.
fn place(code: &str, name: &str, file: &File) -> Span {
    let root = name.split('.').next().unwrap_or(name);
    let at = whole(code, name).or_else(|| whole(code, root));
    let (start, end) = at.unwrap_or((0, 0));
    Span {
        file: file.id,
        start: start as u32,
        end: end as u32,
    }
}

fn whole(code: &str, name: &str) -> Option<(usize, usize)> {
    code.match_indices(name)
        .map(|(at, _)| (at, at + name.len()))
        .find(|(start, end)| {
            let before = code[..*start].chars().next_back();
            let after = code[*end..].chars().next();
            !before.is_some_and(|c| is_word(c) || c == '.') && !after.is_some_and(is_word)
        })
}

//! Both ways of reading must give the same tree, places and all.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{ordinary, whole};
use crate::diag::FileId;

/// Whether the quick way read it; a panic where it read anything else than the other.
fn same(text: &str) -> bool {
    let Some(quick) = ordinary::read(text, FileId(3)) else {
        return false;
    };
    let whole = whole::read(text, FileId(3)).unwrap_or_else(|e| panic!("{text:?}\n{e:?}"));
    assert_eq!(format!("{quick:?}"), format!("{whole:?}"), "{text:?}");
    true
}

fn yaml_under(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_under(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn files_of_this_project_are_read_the_quick_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["pipelines", "examples", "tests"] {
        yaml_under(&root.join(folder), &mut files);
    }
    assert!(files.len() > 20, "{files:?}");
    let mut others = files.clone();
    others.retain(|file| !same(&std::fs::read_to_string(file).unwrap()));
    assert!(others.len() * 5 < files.len(), "{others:#?}");
}

#[test]
fn scalars_mean_the_same() {
    let scalars = "~ null Null NULL nULL true True TRUE tRUE false False yes no on off y n
        0 1 -1 +1 007 -07 0x1F 0o17 0b11 1_000 1e3 1E-3 1e999 .5 -.5 +.5 5. . .. -.inf .INF
        +.Inf .nan .NaN nan inf -inf infinity 12:30 2024-01-01 1.2.3 9223372036854775807
        9223372036854775808 -9223372036854775809 18446744073709551616 --- ... -- -a a- .a
        truest nullable 12px 1,000 0x 0xZZ 1-2 é ½ ١ = << ' ' \"5\" '' !!str #";
    for scalar in scalars.split_whitespace() {
        for text in [
            format!("a: {scalar}"),
            format!("{scalar}: a"),
            format!("- {scalar}\n- {scalar} # why\n"),
            format!("[{scalar}, {{{scalar}: {scalar}}}]"),
            scalar.to_owned(),
        ] {
            same(&text);
        }
    }
    assert!(same("a: 5\nb: [x, 1.5, true]\nc:\nd: ~\n"));
}

#[test]
fn what_is_not_ordinary_is_left_to_the_other_way() {
    for text in [
        "",
        "# nothing\n",
        "a: &x 1\nb: *x\n",
        "a: {<<: {b: 1}}",
        "a: !!str 5\n",
        "1: a\n",
        "{a: 1}: b\n",
        "%YAML 1.2\n---\na: 1\n",
        "a: 1\n---\nb: 1\n",
        "a: [1\n",
        "a: b: c\n",
        "a: b\n  c\n",
        "a:\tb\n",
        "a: b\r\n",
        "\u{feff}a: b\n",
    ] {
        assert!(!same(text), "{text:?}");
    }
    let deep = "[".repeat(100) + &"]".repeat(100);
    assert!(!same(&deep));
    assert!(same("a: ü\nb: ü # ü\n"));
}

proptest! {
    #[test]
    fn whatever_is_written_means_the_same(pieces in proptest::collection::vec(
        prop::sample::select(vec![
            "a", "key", "ü", "a: ", ":", ": ", ":\n", "\n", "\n ", "\n  ", "\n    ", "\n\n",
            "- ", "\n- ", "\n  - ", "\n  a: ", "\n    a: ", "  ", "[", "]", "{", "}", ", ", ",",
            "{a: b}", "[a, b]", "|\n  ", "|-\n    ", ">\n  ", ">-\n    ", "'", "\"", "\\n",
            "\\\"", "# x\n", " # x", "5", "-1.5e3", "007", "~", "null", "true", "False", "<<", "-",
            "-x", ".", "%", "a:b", "a b", "&x ", "*x", "!t ", "---\n", "...\n", "? ", "\t", "\r\n",
        ]), 0..24,
    )) {
        same(&pieces.concat());
    }
}

//! Text that a terminal shows as it is: nothing in it can be obeyed, hide, or stand for
//! something else. For whatever comes from a pipeline and is shown before the user agrees.

/// Text with all characters that are not plainly visible written out.
pub fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let keep = matches!(c, '"' | '\'' | '\\');
            let escaped = (!keep).then(|| c.escape_debug());
            keep.then_some(c)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// A word of a command line, quoted where a shell would need it.
pub fn quoted(word: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%{}".contains(c);
    if !word.is_empty() && word.chars().all(simple) {
        return word.to_owned();
    }
    format!("'{}'", plain(word).replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_disguise_itself() {
        assert_eq!(
            plain("a\u{1b}[2K\r\u{202e}\"ü"),
            r#"a\u{1b}[2K\r\u{202e}"ü"#
        );
        assert_eq!(quoted("serve.py"), "serve.py");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's \u{7}"), r"'it'\''s \u{7}'");
    }
}

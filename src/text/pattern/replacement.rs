//! What a match is replaced by, in the flavour of Python's `re.sub`: `\1`, `\g<1>`,
//! `\g<name>`, and the escapes of a string.

use regex::{Captures, Replacer};

/// A parsed replacement.
#[derive(Clone, Debug)]
pub struct Replacement(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Group(usize),
    Named(String),
}

impl Replacement {
    /// Parses a replacement.
    ///
    /// # Errors
    /// What is wrong with it, in one line that does not quote it.
    pub fn parse(source: &str) -> Result<Replacement, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = source.chars();
        while let Some(c) = rest.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            let piece = match rest.next() {
                Some(digit @ '0'..='9') => {
                    let mut digits = digit.to_string();
                    if let Some(second @ '0'..='9') = rest.clone().next() {
                        rest.next();
                        digits.push(second);
                    }
                    group(&digits)
                }
                Some('g') => {
                    let (name, after) = rest
                        .as_str()
                        .strip_prefix('<')
                        .and_then(|rest| rest.split_once('>'))
                        .ok_or("`\\g` needs a group, as in `\\g<1>`")?;
                    rest = after.chars();
                    group(name)
                }
                Some('n') => Piece::Text("\n".to_owned()),
                Some('r') => Piece::Text("\r".to_owned()),
                Some('t') => Piece::Text("\t".to_owned()),
                Some('\\') => Piece::Text("\\".to_owned()),
                Some(c) if c.is_ascii_alphabetic() => {
                    return Err(format!("`\\{c}` is not known in a replacement"));
                }
                Some(c) => Piece::Text(format!("\\{c}")),
                None => return Err("the replacement ends in a single backslash".to_owned()),
            };
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(piece);
        }
        pieces.push(Piece::Text(text));
        Ok(Replacement(pieces))
    }

    /// Checks that the groups exist in a pattern.
    ///
    /// # Errors
    /// Which one does not.
    pub fn check(&self, regex: &regex::Regex) -> Result<(), String> {
        for piece in &self.0 {
            match piece {
                Piece::Group(number) if *number >= regex.captures_len() => {
                    return Err(format!("the pattern has no group {number}"));
                }
                Piece::Named(name) if !regex.capture_names().flatten().any(|n| n == name) => {
                    return Err("the pattern has no group of that name".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn group(name: &str) -> Piece {
    match name.parse() {
        Ok(number) => Piece::Group(number),
        Err(_) => Piece::Named(name.to_owned()),
    }
}

impl Replacer for &Replacement {
    fn replace_append(&mut self, found: &Captures<'_>, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(number) => {
                    out.push_str(found.get(*number).map_or("", |group| group.as_str()));
                }
                Piece::Named(name) => {
                    out.push_str(found.name(name).map_or("", |group| group.as_str()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(pattern: &str, by: &str, text: &str) -> Result<String, String> {
        let regex = crate::text::pattern::compile(pattern)?;
        let by = Replacement::parse(by)?;
        by.check(&regex)?;
        Ok(regex.replace_all(text, &by).into_owned())
    }

    #[test]
    fn groups_are_pythons() {
        assert_eq!(
            replace(r"(\d+)(?P<u>mg)", r"\g<u> $1 \1\n\\", "5mg"),
            Ok("mg $1 5\n\\".to_owned())
        );
        assert_eq!(replace("(a)|(b)", r"[\2]", "ab"), Ok("[][b]".to_owned()));
        assert!(replace("a", r"\1", "a").is_err());
        assert!(replace("a", r"\g<x", "a").is_err());
        assert!(replace("a", r"\", "a").is_err());
    }
}

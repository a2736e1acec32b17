//! Python's notion of white space, which the reference's texts were cut with.
//!
//! It is Unicode's `White_Space` and the four separators U+001C to U+001F, which Rust's
//! `char::is_whitespace` leaves out.

/// True for what `str.isspace` and `\s` call white space in Python.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// The text without white space at both ends: `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of them, as Python 3.11 lists them.
    #[test]
    fn white_space_is_pythons() {
        let ours: Vec<u32> = (0..=0x10_ffff)
            .filter_map(char::from_u32)
            .filter(|c| is_space(*c))
            .map(u32::from)
            .collect();
        let pythons: Vec<u32> = (0x9..=0xd)
            .chain(0x1c..=0x20)
            .chain([0x85, 0xa0, 0x1680])
            .chain(0x2000..=0x200a)
            .chain([0x2028, 0x2029, 0x202f, 0x205f, 0x3000])
            .collect();
        assert_eq!(ours, pythons);
    }

    #[test]
    fn strip_takes_both_ends() {
        assert_eq!(strip("\u{1c} a b\u{3000}\n"), "a b");
        assert_eq!(strip("\u{200b}"), "\u{200b}");
    }
}

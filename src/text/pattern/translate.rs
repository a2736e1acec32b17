//! From Python's pattern syntax to that of the `regex` crate. Knows syntax only; what it does
//! not know it leaves to the crate's own parser.

use std::iter::Peekable;
use std::str::Chars;

/// White space as in Python: with the four separators that the crate leaves out.
const SPACE: &str = r"\s\x1c-\x1f";

/// Parts of words as in Python: letters and all numbers, but no marks that combine.
const WORD: &str = r"\p{L}\p{N}_";

/// The pattern in the crate's syntax.
///
/// # Errors
/// What Python has and the crate has not, in one line that does not quote the pattern.
pub fn translate(pattern: &str) -> Result<String, String> {
    let mut walk = Walk {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len() + 16),
        verbose: false,
    };
    let mut repeated = false;
    while let Some(c) = walk.rest.next() {
        let after_repeat = std::mem::replace(&mut repeated, false);
        match c {
            '\\' => walk.escape(false)?,
            '[' => walk.class()?,
            '(' => walk.group()?,
            '{' => repeated = walk.braces(),
            '*' | '+' | '?' => {
                if after_repeat && c == '+' {
                    return Err("possessive repeats such as `*+` are not supported".to_owned());
                }
                repeated = !after_repeat;
                walk.out.push(c);
            }
            '#' if walk.verbose => {
                walk.out.push('#');
                for c in walk.rest.by_ref() {
                    walk.out.push(c);
                    if c == '\n' {
                        break;
                    }
                }
            }
            c => walk.out.push(c),
        }
    }
    Ok(walk.out)
}

struct Walk<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// `(?x)`: a `#` begins a comment.
    verbose: bool,
}

impl Walk<'_> {
    /// What follows a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(c) = self.rest.next() else {
            return Err("it ends in a single backslash".to_owned());
        };
        match (c, in_class) {
            ('s', true) => self.out.push_str(SPACE),
            ('w', true) => self.out.push_str(WORD),
            ('s', false) => self.set("[", SPACE),
            ('w', false) => self.set("[", WORD),
            ('S', _) => self.set("[^", SPACE),
            ('W', _) => self.set("[^", WORD),
            ('b', true) => self.out.push_str(r"\x08"),
            ('Z', false) => self.out.push_str(r"\z"),
            ('0', _) => self.out.push_str(r"\x00"),
            ('1'..='9', false) => return Err(BACK_REFERENCE.to_owned()),
            ('<' | '>', _) => self.out.push(c),
            (c, _) if !c.is_ascii() => self.out.push(c),
            (c, _) => {
                self.out.push('\\');
                self.out.push(c);
            }
        }
        Ok(())
    }

    fn set(&mut self, open: &str, content: &str) {
        self.out.push_str(open);
        self.out.push_str(content);
        self.out.push(']');
    }

    /// A class. Python knows no classes within classes and no set operations: what would mean
    /// one is escaped.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        while let Some(c) = self.rest.next() {
            if c == ']' && !first {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            self.member(c)?;
            // A range, unless the `-` is the last of the class.
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|end| end != ']') {
                self.rest.next();
                self.out.push('-');
                if let Some(end) = self.rest.next() {
                    self.member(end)?;
                }
            }
        }
        Err("unclosed character class".to_owned())
    }

    fn member(&mut self, c: char) -> Result<(), String> {
        match c {
            '\\' => return self.escape(true),
            '[' | ']' | '&' | '~' | '-' | '^' | '#' | ' ' => {
                self.out.push('\\');
                self.out.push(c);
            }
            c => self.out.push(c),
        }
        Ok(())
    }

    /// What follows an opening parenthesis.
    fn group(&mut self) -> Result<(), String> {
        if self.rest.peek() != Some(&'?') {
            self.out.push('(');
            return Ok(());
        }
        let ahead: String = self.rest.clone().skip(1).take(2).collect();
        let missing = match ahead.as_str() {
            s if s.starts_with('=') || s.starts_with('!') => {
                "look-ahead (`(?=`, `(?!`) is not supported"
            }
            "<=" | "<!" => "look-behind (`(?<=`, `(?<!`) is not supported",
            "P=" => BACK_REFERENCE,
            s if s.starts_with('>') => "atomic groups (`(?>`) are not supported",
            s if s.starts_with('(') => "conditions (`(?(`) are not supported",
            s if s.starts_with('#') => {
                // A comment, up to the next parenthesis.
                return match self.rest.find(|c| *c == ')') {
                    Some(_) => Ok(()),
                    None => Err("unclosed comment".to_owned()),
                };
            }
            _ => {
                let flags = self.rest.clone().skip(1);
                for flag in flags.take_while(char::is_ascii_alphabetic) {
                    match flag {
                        'a' | 'L' => return Err(format!("the flag `{flag}` is not supported")),
                        'x' => self.verbose = true,
                        'P' => break,
                        _ => {}
                    }
                }
                self.out.push('(');
                return Ok(());
            }
        };
        Err(missing.to_owned())
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}` repeat; any other brace is itself. True for a repeat.
    fn braces(&mut self) -> bool {
        let inner: String = self
            .rest
            .clone()
            .take_while(|c| c.is_ascii_digit() || *c == ',')
            .collect();
        let closed = self.rest.clone().nth(inner.len()) == Some('}');
        if !closed || inner.is_empty() || inner.matches(',').count() > 1 {
            self.out.push_str(r"\{");
            return false;
        }
        self.rest.nth(inner.len());
        self.out.push('{');
        if inner.starts_with(',') {
            self.out.push('0');
        }
        self.out.push_str(&inner);
        self.out.push('}');
        true
    }
}

const BACK_REFERENCE: &str = "back-references (`\\1`, `(?P=…)`) are not supported";

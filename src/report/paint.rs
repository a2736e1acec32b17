//! Colours of a terminal, or none.

/// Paints words. Whether it does is the caller's to find out (terminal, `NO_COLOR`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    /// True where colours are wanted.
    pub on: bool,
}

impl Paint {
    /// What matters.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What may be overlooked.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What went wrong.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What is well.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What costs something.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

//! A tokenizer from a `tokenizer.json`, the form in which Hugging Face's models come.

use std::path::Path;

use tokenizers::Tokenizer;

use super::Split;
use crate::diag::Diagnostic;

/// A tokenizer from disk.
pub struct Disk(Tokenizer);

/// Reads a `tokenizer.json`. What it says of padding and cutting suits the use that it was made
/// for, and is switched off.
///
/// # Errors
/// The file cannot be read, or is no tokenizer.
pub fn open(path: &Path) -> Result<Tokenizer, Diagnostic> {
    let shown = path.display();
    let text = std::fs::read(path)
        .map_err(|e| Diagnostic::error(format!("cannot read `{shown}`: {e}")))?;
    let fault = |why| Diagnostic::error(format!("`{shown}` is not a tokenizer: {why}"));
    let mut tokenizer = Tokenizer::from_bytes(&text).map_err(fault)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(fault)?;
    Ok(tokenizer)
}

impl Disk {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(path: &Path) -> Result<Disk, Diagnostic> {
        open(path).map(Disk)
    }

    /// Cuts a text into tokens, on request with the tokenizer's marks for its start and end.
    ///
    /// # Errors
    /// The tokenizer fails; one line without the text.
    pub fn split(&self, text: &str, marks: bool) -> Result<Split, String> {
        let encoded = self.0.encode(text, marks);
        let encoded = encoded.map_err(|_| "the tokenizer failed".to_owned())?;
        let is_mark = encoded.get_special_tokens_mask();
        let count = is_mark.len();
        let marked = |mask: &&u32| **mask == 1;
        let before = is_mark.iter().take_while(marked).count();
        let after = is_mark[before..].iter().rev().take_while(marked).count();
        let mut end = 0;
        let offsets = encoded.get_offsets().get(before..count - after);
        let ends = offsets.unwrap_or_default().iter().map(|(_, to)| {
            // A normalizer may move tokens about.
            end = end.max(*to).min(text.len());
            end
        });
        Ok(Split {
            ends: ends.collect(),
            before: encoded.get_tokens()[..before].to_vec(),
            after,
        })
    }
}

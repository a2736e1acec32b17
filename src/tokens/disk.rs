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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 4] = [
        "Troponin 10.3 ng/ml,  naïve T‑cells – 3 µL⁻¹ ✅ 😀😀.\n\n--------------\n\nDear Mr. Ärger",
        "\n \t leading and trailing \n",
        "",
        "ﬁrst İstanbul ΣΑΣ e\u{301} 漢字",
    ];

    fn tokenizers() -> impl Iterator<Item = (&'static str, Disk)> {
        let folders = ["bertscore/tiny-roberta", "bertscore/tiny-bert", "tokenizer"];
        folders.into_iter().map(|folder| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
            let disk = Disk::open(&root.join(folder).join("tokenizer.json"));
            (
                folder,
                disk.unwrap_or_else(|fault| panic!("{}", fault.message)),
            )
        })
    }

    #[test]
    fn the_first_tokens_are_a_beginning_that_has_no_more() {
        for (name, disk) in tokenizers() {
            for text in TEXTS {
                let split = disk.split(text, false).expect("splits");
                let mut before = 0;
                for n in 0..split.count() + 2 {
                    let (first, kept) = split.first(text, n);
                    assert!(text.starts_with(&first) && kept <= n, "{name} {n}");
                    assert!(first.len() >= before, "{name} {n}: shorter than with fewer");
                    before = first.len();
                    let again = disk.split(&first, false).expect("splits");
                    assert!(again.count() <= n, "{name}: {first:?} has more than {n}");
                }
                let (all, _) = split.first(text, split.count());
                assert_eq!(all.trim_end(), text.trim_end(), "{name}");
            }
        }
    }

    #[test]
    fn marks_are_counted_on_request() {
        for (name, disk) in tokenizers() {
            let plain = disk.split("a b", false).expect("splits");
            let marked = disk.split("a b", true).expect("splits");
            let marks = if name == "tokenizer" { 1 } else { 2 };
            assert_eq!(marked.count(), plain.count() + marks, "{name}");
            let (first, kept) = marked.first("a b", 1);
            assert!(
                kept == 1 && first.starts_with(['<', '[']),
                "{name}: {first}"
            );
            assert_eq!(plain.first("a b", 9).0, "a b", "{name}");
        }
    }
}

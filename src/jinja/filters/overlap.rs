//! How alike two texts are, for choosing examples.

use std::collections::HashSet;

use minijinja::{Error, State};

use super::charge;

/// Jaccard's index of the texts' sets of words: letters and digits between anything else, in
/// lower case. 0 if neither has a word. (P. Jaccard, The distribution of the flora in the
/// alpine zone, New Phytologist 11, 1912.)
pub fn overlap(state: &State, text: &str, other: &str) -> Result<f64, Error> {
    charge(state, text)?;
    charge(state, other)?;
    let (a, b) = (words(text), words(other));
    let both = a.intersection(&b).count();
    let either = a.len() + b.len() - both;
    Ok(if either == 0 {
        0.0
    } else {
        both as f64 / either as f64
    })
}

fn words(text: &str) -> HashSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

//! Porter's stemmer with the extensions of NLTK's `PorterStemmer` (its default mode), which is
//! the one that ROUGE uses. Knows words of lower-case ASCII letters and digits; digits count
//! as consonants.
//!
//! Steps and their numbers are those of M. F. Porter, "An algorithm for suffix stripping",
//! Program 14.3 (1980).

/// Words whose stem is not found by rule.
const IRREGULAR: &[(&[u8], &[u8])] = &[
    (b"sky", b"sky"),
    (b"skies", b"sky"),
    (b"dying", b"die"),
    (b"lying", b"lie"),
    (b"tying", b"tie"),
    (b"news", b"news"),
    (b"innings", b"inning"),
    (b"inning", b"inning"),
    (b"outings", b"outing"),
    (b"outing", b"outing"),
    (b"cannings", b"canning"),
    (b"canning", b"canning"),
    (b"howe", b"howe"),
    (b"proceed", b"proceed"),
    (b"exceed", b"exceed"),
    (b"succeed", b"succeed"),
];

/// Step 2: the first suffix that fits is replaced, if what is before it has a measure above 0.
const STEP_2: &[(&[u8], &[u8])] = &[
    (b"ational", b"ate"),
    (b"tional", b"tion"),
    (b"enci", b"ence"),
    (b"anci", b"ance"),
    (b"izer", b"ize"),
    (b"bli", b"ble"),
    (b"entli", b"ent"),
    (b"eli", b"e"),
    (b"ousli", b"ous"),
    (b"ization", b"ize"),
    (b"ation", b"ate"),
    (b"ator", b"ate"),
    (b"alism", b"al"),
    (b"iveness", b"ive"),
    (b"fulness", b"ful"),
    (b"ousness", b"ous"),
    (b"aliti", b"al"),
    (b"iviti", b"ive"),
    (b"biliti", b"ble"),
    (b"fulli", b"ful"),
];

/// Step 3, under the same condition.
const STEP_3: &[(&[u8], &[u8])] = &[
    (b"icate", b"ic"),
    (b"ative", b""),
    (b"alize", b"al"),
    (b"iciti", b"ic"),
    (b"ical", b"ic"),
    (b"ful", b""),
    (b"ness", b""),
];

/// Step 4: dropped where a measure above 1 is before it. `ion` needs an `s` or `t` too.
const STEP_4: &[&[u8]] = &[
    b"al", b"ance", b"ence", b"er", b"ic", b"able", b"ible", b"ant", b"ement", b"ment", b"ent",
    b"ion", b"ou", b"ism", b"ate", b"iti", b"ous", b"ive", b"ize",
];

/// Replaces a word by its stem.
pub fn stem(word: &mut Vec<u8>) {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word.as_slice()) {
        replace_end(word, word.len(), stem);
        return;
    }
    if word.len() <= 2 {
        return;
    }
    plural(word);
    past_or_gerund(word);
    final_y(word);
    double_suffix(word);
    replace_first(word, STEP_3);
    single_suffix(word);
    tidy(word);
}

/// Step 1a, with NLTK's `ties` → `tie`.
fn plural(word: &mut Vec<u8>) {
    if word.ends_with(b"ies") {
        let kept = if word.len() == 4 { 1 } else { 2 };
        word.truncate(word.len() - kept);
    } else if word.ends_with(b"sses") {
        word.truncate(word.len() - 2);
    } else if word.ends_with(b"s") && !word.ends_with(b"ss") {
        word.pop();
    }
}

/// Step 1b, with NLTK's `died` → `die`, `spied` → `spi`.
fn past_or_gerund(word: &mut Vec<u8>) {
    if word.ends_with(b"ied") {
        let dropped = if word.len() == 4 { 1 } else { 2 };
        word.truncate(word.len() - dropped);
        return;
    }
    if let Some(stem) = word.strip_suffix(b"eed") {
        if measure(stem) > 0 {
            word.pop();
        }
        return;
    }
    let ends: [&[u8]; 2] = [b"ed", b"ing"];
    let Some(stem) = ends
        .iter()
        .filter_map(|end| word.strip_suffix(*end))
        .find(|stem| vowels(stem).any(|vowel| vowel))
    else {
        return;
    };
    word.truncate(stem.len());
    if word.ends_with(b"at") || word.ends_with(b"bl") || word.ends_with(b"iz") {
        word.push(b'e');
    } else if ends_double_consonant(word) {
        if !word.ends_with(b"l") && !word.ends_with(b"s") && !word.ends_with(b"z") {
            word.pop();
        }
    } else if measure(word) == 1 && ends_short(word) {
        word.push(b'e');
    }
}

/// Step 1c as NLTK has it: `y` becomes `i` after a consonant that is not the whole stem.
fn final_y(word: &mut [u8]) {
    let Some((last, stem)) = word.split_last_mut() else {
        return;
    };
    if *last == b'y' && stem.len() > 1 && vowels(stem).last() == Some(false) {
        *last = b'i';
    }
}

/// Step 2. `alli` becomes `al` first, so that the suffix before it is seen as well; `logi`
/// counts its `l` to the stem.
fn double_suffix(word: &mut Vec<u8>) {
    if let Some(stem) = word.strip_suffix(b"alli") {
        if measure(stem) == 0 {
            return;
        }
        word.truncate(word.len() - 2);
    }
    if let Some(stem) = word.strip_suffix(b"ogi")
        && stem.ends_with(b"l")
    {
        if measure(stem) > 0 {
            word.pop();
        }
        return;
    }
    replace_first(word, STEP_2);
}

/// Step 4.
fn single_suffix(word: &mut Vec<u8>) {
    let Some(stem) = STEP_4.iter().find_map(|end| {
        let stem = word.strip_suffix(*end)?;
        Some((*end, stem))
    }) else {
        return;
    };
    let (end, stem) = stem;
    let allowed = end != b"ion" || stem.ends_with(b"s") || stem.ends_with(b"t");
    if allowed && measure(stem) > 1 {
        word.truncate(stem.len());
    }
}

/// Steps 5a and 5b: a last `e`, and one of two last `l`.
fn tidy(word: &mut Vec<u8>) {
    if let Some(stem) = word.strip_suffix(b"e") {
        let m = measure(stem);
        if m > 1 || (m == 1 && !ends_short(stem)) {
            word.pop();
        }
    }
    if word.ends_with(b"ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
}

/// Applies the first rule whose suffix fits, if the stem's measure is above 0.
fn replace_first(word: &mut Vec<u8>, rules: &[(&[u8], &[u8])]) {
    let found = rules.iter().find(|(end, _)| word.ends_with(end));
    if let Some((end, by)) = found
        && measure(&word[..word.len() - end.len()]) > 0
    {
        replace_end(word, end.len(), by);
    }
}

fn replace_end(word: &mut Vec<u8>, dropped: usize, by: &[u8]) {
    word.truncate(word.len() - dropped);
    word.extend_from_slice(by);
}

/// For each letter, whether it is a vowel; `y` is one after a consonant.
fn vowels(word: &[u8]) -> impl Iterator<Item = bool> + '_ {
    word.iter().scan(true, |before, letter| {
        *before = match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => true,
            b'y' => !*before,
            _ => false,
        };
        Some(*before)
    })
}

/// How often a vowel is followed by a consonant: Porter's `m`.
fn measure(stem: &[u8]) -> usize {
    let after = vowels(stem).skip(1);
    vowels(stem).zip(after).filter(|(a, b)| *a && !*b).count()
}

fn ends_double_consonant(word: &[u8]) -> bool {
    matches!(word, [.., a, b] if a == b) && vowels(word).last() == Some(false)
}

/// Porter's `*o`: ends in consonant, vowel, consonant, the last not `w`, `x` or `y`; NLTK adds
/// words of just vowel and consonant.
fn ends_short(word: &[u8]) -> bool {
    let shape: Vec<bool> = vowels(word).collect();
    match shape.as_slice() {
        [true, false] => true,
        [.., false, true, false] => !matches!(word.last(), Some(b'w' | b'x' | b'y')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    /// Lines of a word and the stem that NLTK gives it.
    #[test]
    fn stems_are_nltks() {
        for line in include_str!("../../../tests/golden/units/porter.txt").lines() {
            let (word, expected) = line.split_once(' ').expect("two words");
            let mut stemmed = word.as_bytes().to_vec();
            stem(&mut stemmed);
            assert_eq!(String::from_utf8_lossy(&stemmed), expected, "{word}");
        }
    }

    proptest! {
        #[test]
        fn no_word_panics(word in "[a-eiosy0-9ltz]{0,12}(ed|ing|ies|ation|alli|logi|ion|e|ll)?") {
            stem(&mut word.into_bytes());
        }
    }
}

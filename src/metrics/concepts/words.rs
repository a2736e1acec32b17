//! Texts as the linker sees them: words in a plain form, and where a text pauses. Names of the
//! dictionary and texts that are judged go through the same code. Knows no dictionary.
//!
//! - A word is a run of letters and digits after Unicode's compatibility decomposition (NFKD)
//!   without accents; everything else separates words.
//! - Its plain form is in lower case and without a plural `s`; the `s` of `'s` is dropped.
//! - A word of two to five characters in capitals has that form as well (`MS`, `B12`; `UTIs` as
//!   `UTI`): an abbreviation.
//! - A text pauses at `, ; : . ! ?` before anything but a word (a `.` after a single letter is no
//!   pause), at brackets, at `* # | •`, at a dash with white space beside it, and at an empty
//!   line. No name reaches across a pause; in names pauses do not count.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The words of a text. Buffers are kept from text to text.
#[derive(Debug, Default)]
pub struct Words {
    /// The plain forms with a space between them.
    plain: String,
    /// The forms in capitals, one after the other.
    capitals: String,
    spans: Vec<Span>,
    /// The word that is being read, in its own case.
    raw: String,
}

#[derive(Debug)]
struct Span {
    plain: Range<usize>,
    /// Empty if the word is no abbreviation.
    capitals: Range<usize>,
    pause: bool,
}

/// What stands between two words, as far as it was read.
#[derive(Default)]
struct Gap {
    /// How many characters.
    length: usize,
    /// The last of them.
    last: Option<char>,
    /// A line ended, and only white space came since.
    line_end: bool,
    /// A dash came after white space, or is the first thing in the text.
    dash: bool,
    pause: bool,
}

impl Words {
    /// Reads a text.
    pub fn read(&mut self, text: &str) {
        self.plain.clear();
        self.capitals.clear();
        self.spans.clear();
        self.raw.clear();
        if text.is_ascii() {
            self.scan(text.bytes().map(char::from));
        } else {
            self.scan(text.nfkd().filter(|c| !is_accent(*c)));
        }
    }

    fn scan(&mut self, text: impl Iterator<Item = char>) {
        let mut gap = Gap::default();
        let mut text = text.peekable();
        while let Some(c) = text.next() {
            if is_word(c) {
                self.raw.push(c);
                continue;
            }
            let after_letter = self.end_word(&mut gap);
            let ends = !text.peek().copied().is_some_and(is_word);
            gap.add(c, ends, after_letter);
        }
        self.end_word(&mut gap);
    }

    /// Takes in the word that was read, if there is one; true if it is a single letter.
    fn end_word(&mut self, gap: &mut Gap) -> bool {
        if self.raw.is_empty() {
            return false;
        }
        let possessive = gap.length == 1 && gap.last == Some('\'') && !self.spans.is_empty();
        let dropped = possessive && self.raw.eq_ignore_ascii_case("s");
        let letter = self.raw.chars().nth(1).is_none() && self.raw.chars().all(char::is_alphabetic);
        if dropped {
            // What follows may still be apart from the word before by a pause.
            gap.length = 0;
            gap.last = None;
        } else {
            self.push(gap.pause);
            *gap = Gap::default();
        }
        self.raw.clear();
        letter && !dropped
    }

    fn push(&mut self, pause: bool) {
        if !self.plain.is_empty() {
            self.plain.push(' ');
        }
        let start = self.plain.len();
        self.plain
            .extend(self.raw.chars().flat_map(char::to_lowercase));
        singular(&mut self.plain, start);
        let capitals = self.capitals.len();
        if let Some(short) = abbreviation(&self.raw) {
            self.capitals.push_str(short);
        }
        self.spans.push(Span {
            plain: start..self.plain.len(),
            capitals: capitals..self.capitals.len(),
            pause,
        });
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The plain form of a word; empty if there is none.
    pub fn plain(&self, at: usize) -> &str {
        let span = self.spans.get(at);
        span.and_then(|span| self.plain.get(span.plain.clone()))
            .unwrap_or("")
    }

    /// A word as an abbreviation, if it looks like one.
    pub fn capitals(&self, at: usize) -> Option<&str> {
        let range = self.spans.get(at)?.capitals.clone();
        self.capitals.get(range).filter(|short| !short.is_empty())
    }

    /// True if the text pauses before a word.
    pub fn pause_before(&self, at: usize) -> bool {
        self.spans.get(at).is_some_and(|span| span.pause)
    }

    /// What the dictionary keeps the text under, if the text may be a name: a single
    /// abbreviation in capitals, else the plain forms. A name has a word of three letters or
    /// more, other than numbers and function words; or it is an abbreviation of two.
    pub fn key(&self) -> Option<&str> {
        if self.len() == 1
            && let Some(short) = self.capitals(0)
        {
            return Some(short).filter(|_| !is_function_word(self.plain(0)));
        }
        let telling = |at| {
            let word = self.plain(at);
            word.chars().nth(2).is_some()
                && !word.chars().all(char::is_numeric)
                && !is_function_word(word)
        };
        (0..self.len()).any(telling).then_some(&self.plain)
    }
}

impl Gap {
    /// Takes in a character that is in no word. `ends`: no word follows at once.
    fn add(&mut self, c: char, ends: bool, after_letter: bool) {
        let c = match c {
            '\u{2018}' | '\u{2019}' | '`' => '\'',
            c => c,
        };
        let first = self.length == 0;
        let space = c.is_whitespace();
        if self.dash && space {
            self.pause = true;
        }
        self.dash = false;
        match c {
            '.' if first && after_letter => {}
            ',' | ';' | ':' | '.' | '!' | '?' => self.pause |= ends,
            '(' | ')' | '[' | ']' | '{' | '}' | '*' | '#' | '|' | '•' => self.pause = true,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' => {
                self.pause |= self.last.is_some_and(char::is_whitespace);
                self.dash = true;
            }
            '\n' if self.line_end => self.pause = true,
            _ => {}
        }
        self.line_end = c == '\n' || (self.line_end && space);
        self.length += 1;
        self.last = Some(c);
    }
}

fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Marks of scripts that have them belong to their words.
fn is_word(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphanumeric(),
        false => c.is_alphanumeric() || is_combining_mark(c),
    }
}

/// Takes the plural's `s` from the word that begins at `start`: `ies` becomes `y`, and the `s`
/// of `ss`, `us` and `is` stays.
fn singular(words: &mut String, start: usize) {
    let word = words.get(start..).unwrap_or("");
    let stays = ["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    if word.len() < 4 || !word.ends_with('s') || stays {
        return;
    }
    let end = words.len();
    if word.len() > 4 && word.ends_with("ies") {
        words.truncate(end - 3);
        words.push('y');
    } else {
        words.truncate(end - 1);
    }
}

/// Two to five capitals and digits, at least one of them a capital; a small `s` after them is a
/// plural's.
fn abbreviation(word: &str) -> Option<&str> {
    let fits = |word: &str| {
        let count = word.chars().take(6).count();
        (2..=5).contains(&count)
            && word.chars().all(|c| c.is_uppercase() || c.is_numeric())
            && word.chars().any(char::is_uppercase)
    };
    let one = word.strip_suffix('s').unwrap_or(word);
    fits(one).then_some(one)
}

/// Words that are in every text and name nothing, whatever the dictionary says (`all`, `was`).
const FUNCTION_WORDS: &str = "a about above after again against all almost already also although \
    am among an and another any are around as at away back be because been before being below \
    between both but by can cannot could did do does doing done down due during each either else \
    ever every few for from further get gets getting give given go goes going got had has have \
    having he her here hers herself him himself his how however i if in into is it its itself \
    just let like made make many may me might mine more most much must my myself neither no none \
    nor not now of off often on once one only onto or other others ought our ours ourselves out \
    over own per please put quite rather really same seem seems shall she should since so some \
    somewhat soon still such take taken than that the their theirs them themselves then there \
    these they this those though through thus to together too toward towards two under until up \
    upon us very via was we well went were what when where whether which while who whom whose \
    why will with within without would yes yet you your yours yourself";

fn is_function_word(plain: &str) -> bool {
    static WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let words = FUNCTION_WORDS.split_whitespace();
        let plain = words.map(|word| {
            let mut word = word.to_owned();
            singular(&mut word, 0);
            word
        });
        plain.collect()
    });
    WORDS.contains(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    fn read(text: &str) -> Words {
        let mut words = Words::default();
        words.read(text);
        words
    }

    fn plain(text: &str) -> String {
        read(text).plain
    }

    fn key(text: &str) -> Option<String> {
        read(text).key().map(str::to_owned)
    }

    /// The words with a bar at each pause.
    fn pauses(text: &str) -> String {
        let words = read(text);
        let word = |at| {
            let bar = if words.pause_before(at) { "| " } else { "" };
            format!("{bar}{}", words.plain(at))
        };
        (0..words.len()).map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_have_one_plain_form() {
        assert_eq!(plain("Crohn's  DISEASE"), "crohn disease");
        assert_eq!(plain("Crohn\u{2019}s\ndisease"), "crohn disease");
        assert_eq!(plain("Sjögren, MÉNIÈRE, İzmir"), "sjogren meniere izmir");
        assert_eq!(plain("X-ray/ﬁstula µg ①"), "x ray fistula μg 1");
        assert_eq!(plain("biopsies masses legs virus crisis pus"), {
            "biopsy masse leg virus crisis pus"
        });
        assert_eq!(plain("it's 's don't s"), "it s don t s");
        assert_eq!(plain(""), "");
    }

    #[test]
    fn texts_pause() {
        assert_eq!(
            pauses("pain; chest (left) clear. No\nfever, 3.5 and 1,000"),
            "pain | chest | left | clear | no fever | 3 5 and 1 000"
        );
        assert_eq!(
            pauses("E. coli - x-ray -cough\n \nrash *swelling end."),
            "e coli | x ray | cough | rash | swelling end"
        );
        assert_eq!(pauses("the patient's, leg"), "the patient | leg");
        assert_eq!(pauses("one\n- two\r\nthree\r\n\r\nfour"), {
            "one | two three | four"
        });
    }

    #[test]
    fn abbreviations_keep_their_capitals() {
        let short = |text| read(text).capitals(0).map(str::to_owned);
        assert_eq!(short("MS").as_deref(), Some("MS"));
        assert_eq!(short("UTIs").as_deref(), Some("UTI"));
        assert_eq!(short("B12").as_deref(), Some("B12"));
        for word in ["Ms", "A", "12", "FEVERS", "CTx", "as"] {
            assert_eq!(short(word), None, "{word}");
        }
    }

    #[test]
    fn what_names_nothing_is_no_name() {
        assert_eq!(key("Chest pains").as_deref(), Some("chest pain"));
        assert_eq!(key("CT").as_deref(), Some("CT"));
        assert_eq!(key("CT scan").as_deref(), Some("ct scan"));
        assert_eq!(key("vitamin D").as_deref(), Some("vitamin d"));
        for text in [
            "", "ct", "ALL", "was", "Does", "up to 3", "1234", "x y", "…",
        ] {
            assert_eq!(key(text), None, "{text}");
        }
    }

    /// Every character alone, so that none has a form that changes when it is read again.
    #[test]
    fn the_plain_form_of_every_character_is_stable() {
        let mut words = Words::default();
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            words.read(c.encode_utf8(&mut [0; 4]));
            let once = words.plain.clone();
            words.read(&once);
            assert_eq!(words.plain, once, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(
            text in "[A-Ca-cIiEeSsYy12.,'’ (\\-\u{301}İßμ]{0,16}|\\PC{0,40}"
        ) {
            let once = plain(&text);
            prop_assert_eq!(plain(&once), &*once);
            if let Some(first) = key(&text) {
                prop_assert_eq!(key(&first), Some(first.clone()));
            }
        }

        #[test]
        fn ascii_is_read_as_any_text(text in "[ -~\n]{0,40}") {
            let mut slow = Words::default();
            slow.scan(text.nfkd());
            prop_assert_eq!(slow.plain, plain(&text));
        }
    }
}

//! Whether words of sensitive records stand in texts that are to leave: no run of five words,
//! no key, and no short value that tells who somebody is, as a whole ([`words`]). Memory follows
//! the texts, not the records, which stream by. Tells places and numbers, never what was found.

mod fold;
mod index;
mod tags;
mod views;
pub mod words;

use std::collections::{BTreeMap, HashMap};

use minijinja::Value;
use minijinja::value::ValueKind;

use crate::record::Record;
use index::Index;
use words::{findable, telling};

/// Lists and maps in records are gone into so deeply.
const DEEPEST: usize = 64;

/// So many hashes may wait to be put in order.
const FEW: usize = 1 << 16;

/// Takes texts that are to leave.
#[derive(Default)]
pub struct Texts {
    all: Pile,
    allowed: Pile,
}

/// Hashes, of which many come again and again.
#[derive(Default)]
struct Pile {
    hashes: Vec<u64>,
    /// How many there were when each was there once.
    once: usize,
}

impl Pile {
    /// Takes out those that are there twice, once there are twice as many as before: each text is
    /// cheap then, however many there are. True if it was done.
    fn tidy(&mut self) -> bool {
        let many = self.hashes.len() / 2 > self.once.max(FEW);
        if many {
            self.hashes.sort_unstable();
            self.hashes.dedup();
            self.once = self.hashes.len();
        }
        many
    }
}

impl Texts {
    /// Adds a text that must hold no words of sensitive records.
    pub fn add(&mut self, text: &str) {
        views::views(text, &mut |view| {
            findable(view, |hash, _| self.all.hashes.push(hash));
            // Most of another view of a text was there before.
            self.all.tidy();
        });
    }

    /// Allows what stands in a text, there and elsewhere.
    pub fn allow(&mut self, text: &str) {
        views::views(text, &mut |view| {
            findable(view, |hash, _| self.allowed.hashes.push(hash));
            self.allowed.tidy();
        });
    }

    /// Ready to be looked up.
    pub fn ready(self) -> Scan {
        let allowed = Index::new(self.allowed.hashes);
        Scan(Index::new(self.all.hashes).without(&allowed))
    }
}

/// Texts that records can be looked up in.
pub struct Scan(Index);

/// What was found: of each, in how many records it stands.
#[derive(Debug, Default)]
pub struct Hits {
    records: HashMap<u64, u64>,
    now: Vec<u64>,
}

impl Hits {
    /// True if nothing was.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The lines of a text in which something was found, each with the number of records that
    /// what stands there is in: of the one that is in most.
    pub fn places(&self, text: &str) -> BTreeMap<u32, u64> {
        let mut places = BTreeMap::new();
        if self.is_empty() {
            return places;
        }
        views::views(text, &mut |view| {
            findable(view, |hash, line| {
                if let Some(records) = self.records.get(&hash) {
                    let most = places.entry(line).or_insert(0);
                    *most = (*most).max(*records);
                }
            });
        });
        places
    }

    fn end_record(&mut self) {
        self.now.sort_unstable();
        self.now.dedup();
        for hash in self.now.drain(..) {
            *self.records.entry(hash).or_insert(0) += 1;
        }
    }
}

impl Scan {
    /// Looks up a sensitive record: all texts in it, and its key if that is more than a number
    /// that it got when it was read.
    pub fn record(&self, record: &Record, with_key: bool, hits: &mut Hits) {
        if with_key {
            self.text(&record.key, hits);
        }
        for (_, value) in record.fields.iter() {
            self.value(value, 0, hits);
        }
        hits.end_record();
    }

    /// Looks up a text that is sensitive as a whole, such as a prompt.
    pub fn whole(&self, text: &str, hits: &mut Hits) {
        self.text(text, hits);
        hits.end_record();
    }

    fn value(&self, value: &Value, depth: usize, hits: &mut Hits) {
        if depth > DEEPEST {
            return;
        }
        if let Some(text) = value.as_str() {
            self.text(text, hits);
            return;
        }
        match value.kind() {
            ValueKind::Number if value.is_integer() => self.text(&value.to_string(), hits),
            ValueKind::Number => {
                if let Some(whole) = f64::try_from(value.clone()).ok().and_then(whole) {
                    self.text(&whole, hits);
                }
            }
            ValueKind::Seq | ValueKind::Iterable => {
                for item in value.try_iter().into_iter().flatten() {
                    self.value(&item, depth + 1, hits);
                }
            }
            ValueKind::Map => {
                for name in value.try_iter().into_iter().flatten() {
                    self.value(&name, depth + 1, hits);
                    if let Ok(item) = value.get_item(&name) {
                        self.value(&item, depth + 1, hits);
                    }
                }
            }
            _ => {}
        }
    }

    fn text(&self, text: &str, hits: &mut Hits) {
        let mut look = |text: &str| {
            telling(text, |hash| {
                if self.0.has(hash) {
                    hits.now.push(hash);
                }
            });
        };
        let point = text.len() < 32 && text.contains('.');
        match point.then(|| text.trim().parse::<f64>()) {
            // A measured number names nobody, and is what many others are. Not so a whole one.
            Some(Ok(number)) => {
                if let Some(whole) = whole(number) {
                    look(&whole);
                }
            }
            _ => {
                look(text);
                if let Some(spaced) = fold::spaced(text) {
                    look(&spaced);
                }
            }
        }
    }
}

/// The digits of a whole number, as which numbers that name somebody are known: tables in which
/// some are missing have them as `20000001.0`.
fn whole(number: f64) -> Option<String> {
    // From here on, floats are too coarse to name anything.
    let exact = number.abs() < 9_007_199_254_740_992.0;
    (exact && number.fract() == 0.0).then(|| format!("{number:.0}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn record(key: &str, fields: serde_json::Value) -> Record {
        Record {
            key: key.into(),
            fields: serde_json::from_value(fields).expect("fields"),
        }
    }

    fn found(texts: &[&str], allowed: &[&str], records: &[Record]) -> Vec<BTreeMap<u32, u64>> {
        let mut all = Texts::default();
        texts.iter().for_each(|text| all.add(text));
        allowed.iter().for_each(|text| all.allow(text));
        let (scan, mut hits) = (all.ready(), Hits::default());
        for record in records {
            scan.record(record, true, &mut hits);
        }
        texts.iter().map(|text| hits.places(text)).collect()
    }

    #[test]
    fn places_and_numbers_of_records_are_told() {
        let records = [
            record(
                "A-000001",
                json!({"text": "He fell down the long stairs, and again."}),
            ),
            record(
                "A-000002",
                json!({"in": {"a": ["She fell down the long stairs too."]}}),
            ),
            record(
                "A-000003",
                json!({"hadm_id": 20000001, "value": "123456.5"}),
            ),
        ];
        let texts = [
            "first\n\"fell\\ndown\\u0020the long&#32;stairs\"\n",
            "nothing of it: 123456.5",
            "a\nb\nkey: a-000003\n",
            "20000001",
        ];
        let places = found(&texts, &[], &records);
        assert_eq!(places[0], BTreeMap::from([(2, 2)]));
        assert!(places[1].is_empty());
        assert_eq!(places[2], BTreeMap::from([(3, 1)]));
        assert_eq!(places[3], BTreeMap::from([(1, 1)]));
        // What is allowed in one text is allowed in all.
        let places = found(&texts, &["x fell down the long stairs"], &records);
        assert!(places[0].is_empty() && !places[2].is_empty());
    }

    #[test]
    fn whole_numbers_name_somebody_however_they_are_written() {
        for value in [
            json!(20000001.0),
            json!("20000001.0"),
            json!([" 20000001.00 "]),
            json!({"20000001.0": 1}),
        ] {
            let one = record("1", json!({ "hadm_id": value }));
            for text in ["id: 20000001", "id: 20000001.0"] {
                let places = found(&[text], &[], std::slice::from_ref(&one));
                assert_eq!(places[0].len(), 1, "{value} in {text}");
            }
        }
        for value in [json!(123456.5), json!("123456.5"), json!(1e300), json!(2.0)] {
            let one = record("1", json!({ "value": value }));
            let text = "123456.5 123456 2 1e300";
            assert!(found(&[text], &[], &[one])[0].is_empty(), "{value}");
        }
    }

    #[test]
    fn no_way_to_write_words_hides_them() {
        let one = record("1", json!({"text": "Zoë fiel über die große Treppe"}));
        let other = record(
            "2",
            json!({"text": "one\u{200b}two\u{200b}three four five"}),
        );
        for text in [
            "Zo&euml; fiel &uuml;ber die gro&szlig;e Treppe",
            "Zoe\u{308} fiel u\u{308}ber die große Treppe",
            "Zoë fiel über die gro\u{ad}ße Trep\u{ad}pe",
            "zoë fiel über die GROSSE treppe",
            "Zo%C3%AB%20fiel%20%C3%BCber%20die%20gro%C3%9Fe%20Treppe",
            "Zo%25C3%25AB%2520fiel%2520%25C3%25BCber%2520die%2520gro%25C3%259Fe%2520Treppe",
            "Zo<b>ë</b> fi<i>el</i><br>über die gro<wbr>ße Treppe",
            "Zoë&nbsp;fiel&nbsp;&#252;ber&nbsp;die&nbsp;gro&#xdf;e",
            "one two three four five",
            "one\u{200b}two\u{200b}three four five",
        ] {
            let both = [one.clone(), other.clone()];
            assert!(!found(&[text], &[], &both)[0].is_empty(), "{text}");
        }
    }

    #[test]
    fn many_texts_are_put_in_order_a_few_times() {
        let mut pile = Pile::default();
        let mut times = 0;
        for hash in 0..400_000_u64 {
            // One that is new, and one that was there.
            pile.hashes.extend([hash, hash / 2]);
            times += u32::from(pile.tidy());
            assert!(times < 6, "at {hash}");
        }
        assert!(times > 0);
        assert!(pile.hashes.len() <= 2 * 400_000);
        pile.hashes.sort_unstable();
        pile.hashes.dedup();
        assert_eq!(pile.hashes.len(), 400_000);
    }

    #[test]
    fn a_run_goes_over_lines_and_not_over_fields() {
        let one = record("1", json!({"a": "one two three", "b": "four five six"}));
        let places = found(&["one two three\nfour five six"], &[], &[one]);
        // Both are whole values.
        assert_eq!(places[0], BTreeMap::from([(1, 1), (2, 1)]));
        let one = record(
            "1",
            json!({"a": "zero one two three", "b": "four five six seven"}),
        );
        assert!(found(&["one two three\nfour five six"], &[], &[one])[0].is_empty());
        let one = record("1", json!({"a": "one two three four five six"}));
        assert_eq!(
            found(&["x\none two\nthree four five"], &[], &[one])[0].len(),
            1
        );
    }

    proptest! {
        /// Whatever becomes of a text on its way into a file, five of its words in a row show.
        #[test]
        fn five_words_are_found_in_any_form(
            words in prop::collection::vec("[a-zA-Zäß]{1,6}", 5..9),
            around in "\\PC{0,12}",
            gaps in prop::collection::vec("[ .,\n\t_&<>\"'-]{1,3}", 9),
            form in 0..4,
        ) {
            let said = words.iter().zip(&gaps).map(|(word, gap)| format!("{word}{gap}"));
            let text = format!("{} {}", said.collect::<String>(), "end");
            let text_in = match form {
                0 => format!("{around} {text}"),
                1 => json!({"x": [text]}).to_string(),
                2 => json!({"x": json!({"y": text}).to_string()}).to_string(),
                _ => text
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('"', "&quot;")
                    .replace(' ', "<i> </i>"),
            };
            let one = record("1", json!({"text": text}));
            prop_assert!(!found(&[&text_in], &[], &[one])[0].is_empty(), "{}", text_in);
        }
    }
}

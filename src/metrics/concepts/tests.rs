//! Dictionaries of a few invented rows, and what is found with them.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq};
use proptest::{prop_oneof, proptest};

use super::build::{Built, Wanted, build};
use super::dictionary::Dictionary;
use super::linker::Linker;
use super::types::Types;
use super::words::Words;
use super::*;

/// A row of MRCONSO.RRF: CUI, TS, STT, source and name.
pub fn row(cui: u32, ts: &str, stt: &str, source: &str, name: &str) -> String {
    format!("C{cui:07}|ENG|{ts}|L1|{stt}|S1|Y|A1||||{source}|PT|D1|{name}|0|N||\n")
}

pub fn wanted() -> Wanted {
    Wanted {
        language: "ENG".to_owned(),
        sources: Vec::new(),
        types: Types::default(),
        keep_suppressed: false,
    }
}

pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), bytes).expect("written");
        self.path(name)
    }

    /// Builds `umls.dict`.
    pub fn build(&self, names: &str, types: &str, wanted: &Wanted) -> Result<Built, Diagnostic> {
        let names = self.write("MRCONSO.RRF", names);
        let types = (!types.is_empty()).then(|| self.write("MRSTY.RRF", types));
        let out = self.path("umls.dict");
        build(&[names], types.as_deref(), wanted, &out, &mut |_| {})
    }

    fn linker(&self, types: &[&str]) -> Linker {
        let dictionary = Dictionary::read(&self.path("umls.dict")).expect("a dictionary");
        let types = Types::named(types.iter().copied()).expect("types");
        Linker::new(dictionary.into(), types)
    }

    fn message(&self, fault: &Diagnostic) -> String {
        let folder = format!("{}/", self.0.path().display());
        let notes = fault.notes.iter().chain(&fault.help);
        let lines = std::iter::once(&fault.message).chain(notes);
        let lines: Vec<String> = lines.map(|line| line.replace(&folder, "")).collect();
        lines.join("; ")
    }
}

/// What is found, as CUIs and canonical names.
fn found(linker: &mut Linker, text: &str) -> Vec<String> {
    let found = linker.find(text);
    let dictionary = linker.dictionary();
    let show = |concept| {
        let title = dictionary.title_text(dictionary.title(concept));
        format!("{} {title}", dictionary.cui(concept))
    };
    found.into_iter().map(|name| show(name.concept)).collect()
}

const COLDS: &str = "C0000001|T070|X|Phenomenon|A|\nC0000002|T047|X|Disease|A|\n\
                     C0000003|T047|X|Disease|A|\nC0000003|T184|X|Symptom|A|\n";

fn colds() -> String {
    [
        // A form of the preferred name comes first, however many sources give another.
        row(1, "P", "PF", "A", "Cold Temperature"),
        row(1, "S", "PF", "A", "Cold"),
        row(1, "S", "PF", "B", "cold"),
        row(1, "S", "PF", "C", "COLD"),
        row(3, "P", "VO", "A", "colds"),
        row(3, "P", "PF", "A", "Cold, common"),
        // Then more sources, then the lowest CUI.
        row(2, "P", "PF", "A", "Chill"),
        row(2, "S", "PF", "A", "Sneeze"),
        row(1, "S", "PF", "A", "Sneeze"),
        row(1, "S", "VO", "A", "sneezes"),
        row(3, "S", "PF", "A", "Sneeze"),
        row(3, "S", "PF", "B", "Sneeze"),
        row(1, "S", "PF", "A", "Snivel"),
        row(2, "S", "PF", "A", "Snivel"),
    ]
    .concat()
}

#[test]
fn ambiguous_names_mean_their_best_wanted_concept() {
    let folder = Folder::new();
    folder.build(&colds(), COLDS, &wanted()).expect("built");
    let mut all = folder.linker(&[]);
    assert_eq!(found(&mut all, "A cold."), ["C0000003 Cold, common"]);
    assert_eq!(found(&mut all, "sneezing"), [""; 0]);
    assert_eq!(found(&mut all, "sneeze"), ["C0000003 Cold, common"]);
    assert_eq!(found(&mut all, "snivels"), ["C0000001 Cold Temperature"]);
    let mut diseases = folder.linker(&["DISO"]);
    assert_eq!(found(&mut diseases, "snivel"), ["C0000002 Chill"]);
    // What is not wanted hides nothing: `cold temperature` is no name here.
    let text = "cold temperature; cold";
    assert_eq!(found(&mut all, text).len(), 2);
    assert_eq!(found(&mut diseases, text), ["C0000003 Cold, common"; 2]);
    assert_eq!(found(&mut folder.linker(&["T184"]), "chill"), [""; 0]);
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let folder = Folder::new();
    let mut rows: Vec<String> = colds().split_inclusive('\n').map(str::to_owned).collect();
    rows.push(row(4, "P", "PF", "B", "same name"));
    rows.push(row(4, "P", "PF", "A", "Same name"));
    let mut types: Vec<&str> = COLDS.split_inclusive('\n').collect();
    let mut bytes = Vec::new();
    for _ in 0..rows.len() {
        rows.rotate_left(5);
        rows.swap(0, 2);
        types.rotate_left(1);
        folder
            .build(&rows.concat(), &types.concat(), &wanted())
            .expect("built");
        bytes.push(fs::read(folder.path("umls.dict")).expect("read"));
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1);
    let mut linker = folder.linker(&[]);
    assert_eq!(found(&mut linker, "same name"), ["C0000004 Same name"]);
}

#[test]
fn what_is_wanted_is_taken() {
    let folder = Folder::new();
    let names = [
        row(1, "P", "PF", "A", "Fever"),
        row(1, "S", "PF", "B", "Pyrexia"),
        row(1, "S", "PF", "B", "Heat").replace("|N|", "|O|"),
        row(1, "S", "PF", "B", "Fieber").replace("|ENG|", "|GER|"),
        row(2, "P", "PF", "B", "Lung"),
        row(2, "S", "PF", "B", "12"),
        row(2, "S", "PF", "B", &"long ".repeat(13)),
    ]
    .concat();
    let types = "C0000001|T184|X|Symptom|\nC0000002|T023|X|Organ|\n";
    let text = "fever pyrexia heat fieber lung 12";
    let built = |wanted: Wanted| {
        let built = folder.build(&names, types, &wanted).expect("built");
        (built, found(&mut folder.linker(&[]), text).len())
    };
    let (all, count) = built(wanted());
    assert_eq!((all.counts.rows, all.counts.kept, count), (7, 3, 3));
    assert_eq!(all.head.types, ["T023", "T184"]);
    let left_out = all.counts.left_out();
    assert_eq!(left_out.iter().map(|(n, _)| n).sum::<u64>(), 4);
    let sources = vec!["B".to_owned()];
    let (some, count) = built(Wanted {
        sources,
        ..wanted()
    });
    assert_eq!((some.counts.other_source, count), (1, 2));
    // The canonical name is the concept's, also where its source is left out.
    assert_eq!(
        found(&mut folder.linker(&[]), "pyrexia"),
        ["C0000001 Fever"]
    );
    let types = Types::named(["ANAT"]).expect("a group");
    let (lungs, count) = built(Wanted { types, ..wanted() });
    assert_eq!((lungs.head.concepts, count), (1, 1));
    let keep_suppressed = true;
    assert_eq!(
        built(Wanted {
            keep_suppressed,
            ..wanted()
        })
        .1,
        4
    );
    let language = "GER".to_owned();
    assert_eq!(
        built(Wanted {
            language,
            ..wanted()
        })
        .1,
        1
    );
}

#[test]
fn texts_are_read_with_their_pauses_and_capitals() {
    let folder = Folder::new();
    let names = [
        row(1, "P", "PF", "A", "Pain"),
        row(2, "P", "PF", "A", "Chest"),
        row(3, "P", "PF", "A", "Pain, chest"),
        row(4, "P", "PF", "A", "Multiple sclerosis"),
        row(4, "S", "PF", "A", "MS"),
        row(5, "P", "PF", "A", "Leukemia"),
        row(5, "S", "PF", "A", "ALL"),
        row(6, "P", "PF", "A", "MS lesion"),
        row(7, "P", "PF", "A", "Crohn's Disease"),
    ]
    .concat();
    folder.build(&names, "", &wanted()).expect("built");
    let mut linker = folder.linker(&[]);
    let mut cuis = |text: &str| -> String {
        let found = found(&mut linker, text);
        found.iter().map(|name| name[7..8].to_owned()).collect()
    };
    assert_eq!(cuis("PAINS CHEST and pain; chest, pain"), "3121");
    assert_eq!(cuis("Ms. A has MS. An MS lesion, all ALL"), "46");
    assert_eq!(cuis("crohn disease, Crohn’s diseases"), "77");
    assert_eq!(cuis(""), "");
}

#[test]
fn scores_are_of_sets_of_canonical_names() {
    let folder = Folder::new();
    let names = [
        row(1, "P", "PF", "A", "Pain"),
        row(2, "P", "PF", "A", "Chest"),
        row(3, "P", "PF", "A", "Fever"),
        row(3, "S", "PF", "A", "Pyrexia"),
        // Two concepts of one name count as one.
        row(4, "P", "PF", "A", "Fever"),
        row(4, "S", "PF", "A", "hot"),
    ]
    .concat();
    folder.build(&names, "", &wanted()).expect("built");
    let metric = ConceptF1 {
        dictionary: "umls.dict".to_owned(),
        semantic_types: Vec::new(),
    };
    metric.check(folder.0.path()).expect("sound");
    let mut scorer = metric.prepare(folder.0.path()).expect("ready");
    let mut score = |prediction: &str, references: &[&str]| {
        let references = references.iter().map(|text| (*text).into()).collect();
        let pair = Pair {
            prediction: prediction.into(),
            references,
        };
        let scores = scorer.score(&pair).expect("scores");
        assert_eq!(scores.len(), metric.columns().len());
        scores
    };
    let half = [0.5, 0.5, 0.5];
    assert_eq!(score("pain, fever, pain", &["hot chest"]), half);
    assert_eq!(score("fever", &["Pyrexia, hot"]), [1.0; 3]);
    assert_eq!(score("pain", &["chest", "pain, chest", "fever"]), {
        [2.0 / 3.0, 1.0, 0.5]
    });
    for (prediction, reference) in [("", ""), ("well", "well"), ("pain", ""), ("", "pain")] {
        assert_eq!(score(prediction, &[reference]), [0.0; 3]);
    }
    assert_eq!(score("pain", &[]), [0.0; 3]);

    let unnamed = ConceptF1 {
        dictionary: String::new(),
        ..metric.clone()
    };
    for done in [
        unnamed.check(Path::new(".")),
        unnamed.prepare(Path::new(".")).map(drop),
    ] {
        let fault = done.expect_err("no dictionary");
        assert!(fault.message.contains("empty") && fault.help.is_some());
    }

    let typed = ConceptF1 {
        semantic_types: vec!["T047".to_owned()],
        ..metric.clone()
    };
    let fault = typed.check(folder.0.path()).expect_err("no types");
    assert!(fault.message.contains("without semantic types"));
    folder.build(&names, COLDS, &wanted()).expect("built");
    typed.check(folder.0.path()).expect("there are some");
    let typed = ConceptF1 {
        semantic_types: vec!["DISO".to_owned(), "ANAT".to_owned()],
        ..metric.clone()
    };
    let fault = typed.check(folder.0.path()).expect_err("no anatomy");
    assert!(fault.message.contains("`ANAT`"), "{fault:?}");
}

/// Every byte counts, and every length.
#[test]
fn no_changed_dictionary_is_read() {
    let folder = Folder::new();
    folder.build(&colds(), COLDS, &wanted()).expect("built");
    let good = fs::read(folder.path("umls.dict")).expect("read");
    let read = |bytes: &[u8]| {
        let path = folder.write("other.dict", bytes);
        Dictionary::read(&path)
            .err()
            .map(|fault| folder.message(&fault))
    };
    assert_eq!(read(&good), None);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(read(&bad).is_some(), "byte {at}");
        let told = read(&good[..at]).expect("cut off");
        let expected = if at == 0 { "no dictionary" } else { "cut off" };
        assert!(told.contains(expected), "length {at}: {told}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(read(&longer).is_some());
    let mut newer = good.clone();
    newer[8] = 2;
    let told = read(&newer).expect("newer");
    assert!(
        told.contains("format 2") && told.contains("newer"),
        "{told}"
    );
    assert!(read(b"id,text\n1,one\n").is_some_and(|told| told.contains("no dictionary")));
}

#[test]
fn wrong_rows_are_told_with_their_line() {
    let folder = Folder::new();
    let good = row(1, "P", "PF", "A", "Fever");
    let told = |names: &[u8], types: &[u8]| {
        let concepts = [folder.write("names", names)];
        let types = folder.write("types", types);
        let out = folder.path("x.dict");
        let built = build(&concepts, Some(&types), &wanted(), &out, &mut |_| {});
        assert!(!out.exists());
        folder.message(&built.expect_err("wrong"))
    };
    let ok = b"C0000001|T184|X|Symptom|A||\n";
    let second = |second: &str| told(format!("{good}{second}").as_bytes(), ok);
    let mut lines = vec![
        second("C0000001|ENG|P|\nmore\n"),
        second("C0000001|ENG|P|"),
        second(&good.replace("C0000001", "C1")),
        second(&good.replace("ENG", "English")),
        second("\n"),
        told(&[good.as_bytes(), b"C0000001|\xe9|\n"].concat(), ok),
        told(&good.replace("Fever", "\u{e9}").into_bytes()[..], b""),
        told(
            good.as_bytes(),
            b"C0000001|T184|X|Symptom|A||\nC0000002|184|X|Symptom|A||\n",
        ),
        told(
            good.as_bytes(),
            b"C0000001|T184|X|Symptom|A||\nC0000002|T184|X|Symptom|A||b|\n",
        ),
        told(good.as_bytes(), b"C0000001|T184|X|Symptom|A||b|\n"),
        told(b"", ok),
        told(b"PK\x03\x04", ok),
        told(b"id,text\n", ok),
        told(good.replace("C0000001", "123").as_bytes(), ok),
        told(ok, ok),
    ];
    let (start, end) = good.split_once('F').expect("an F");
    let latin = [&good, start].concat().into_bytes();
    let latin = [&latin[..], b"\xe9", end.as_bytes()].concat();
    lines.push(told(&latin, ok));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let many: String = (1..3000)
        .map(|cui| row(cui * 7919 % 3001, "P", "PF", "A", "Fever"))
        .collect();
    packed.write_all(many.as_bytes()).expect("packs");
    let packed = packed.finish().expect("packs");
    lines.push(told(&packed[..packed.len() / 2], ok));
    folder.write("names", &packed);
    let out = folder.path("packed.dict");
    build(&[folder.path("names")], None, &wanted(), &out, &mut |_| {}).expect("packed");
    insta::assert_snapshot!(lines.join("\n"));

    let precious = folder.write("precious.csv", "id\n1\n");
    let names = [folder.write("names", &good)];
    let built = build(&names, None, &wanted(), &precious, &mut |_| {});
    assert!(
        folder
            .message(&built.expect_err("no dictionary"))
            .contains("not replaced")
    );
    assert_eq!(fs::read(&precious).expect("read"), b"id\n1\n");
}

/// What the linker should find, the slow way: the words of names and their concept.
fn naive(keys: &HashMap<String, u32>, text: &str) -> Vec<(usize, usize, u32)> {
    let mut words = Words::default();
    words.read(text);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < words.len() {
        let together = |end: &usize| (at + 1..*end).all(|next| !words.pause_before(next));
        let ends = (at + 1..=words.len()).rev().filter(together);
        let candidates = ends.flat_map(|end| {
            let plain: Vec<&str> = (at..end).map(|word| words.plain(word)).collect();
            let short = words.capitals(at).filter(|_| end == at + 1);
            let keys = short
                .map(str::to_owned)
                .into_iter()
                .chain([plain.join(" ")]);
            keys.map(move |key| (end, key))
        });
        let first = candidates
            .filter_map(|(end, key)| Some((end, *keys.get(&key)?)))
            .next();
        match first {
            Some((end, concept)) => {
                found.push((at, end, concept));
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

fn phrase(words: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let word =
        prop_oneof!["(fever|Fevers|pain|PAIN|chest|MS|ms|CT|scan|of|the|12|Lung's|ab|leg|legs)",];
    let gap = prop_oneof!["( | | |, |\\. |-|\n|\n\n)"];
    prop::collection::vec((word, gap), words)
        .prop_map(|parts| parts.into_iter().map(|(word, gap)| word + &gap).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_naive_matcher_agrees(
        names in prop::collection::vec(phrase(1..5), 1..12),
        texts in prop::collection::vec(phrase(0..30), 1..8),
        wild in prop::collection::vec("\\PC{0,30}", 4),
    ) {
        let folder = Folder::new();
        let mut rows = row(0, "P", "PF", "A", "always there");
        let mut keys = HashMap::from([("alway there".to_owned(), 0)]);
        let mut words = Words::default();
        for (cui, name) in (1..).zip(&names) {
            rows += &row(cui, "P", "PF", "A", &name.replace('\n', " "));
            words.read(&name.replace('\n', " "));
            if let Some(key) = words.key() {
                keys.entry(key.to_owned()).or_insert(cui);
            }
        }
        folder.build(&rows, "", &wanted()).expect("built");
        let mut linker = folder.linker(&[]);
        for text in texts.iter().chain(&wild) {
            let found = linker.find(text);
            prop_assert_eq!(&linker.find(text), &found);
            let mut end = 0;
            for name in &found {
                prop_assert!(name.words.start >= end && !name.words.is_empty());
                end = name.words.end;
            }
            let cui = |concept| linker.dictionary().cui(concept)[1..].parse().expect("a number");
            let ours: Vec<(usize, usize, u32)> = found
                .iter()
                .map(|name| (name.words.start, name.words.end, cui(name.concept)))
                .collect();
            prop_assert_eq!(ours, naive(&keys, text), "{}", text);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), start in any::<bool>()) {
        let folder = Folder::new();
        let start: &[u8] = if start { b"clueUMLS\x01\0\0\0" } else { b"C0000001|ENG|" };
        let path = folder.write("x", [start, &bytes].concat());
        prop_assert!(Dictionary::read(&path).is_err());
        let names = std::slice::from_ref(&path);
        let built = build(names, Some(&path), &wanted(), Path::new("x"), &mut |_| {});
        prop_assert!(built.is_err());
    }
}

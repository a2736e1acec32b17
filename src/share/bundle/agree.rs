//! Whether what a bundle holds is what its lock says, and where records begin to differ. Pure.

use std::collections::BTreeSet;

use serde::Serialize;

use super::hidden::StageRecords;
use super::manifest::{File, Manifest, Role};
use super::results;
use crate::hash::Hash;
use crate::share::lock::Lock;
use crate::text::visible::plain;

/// What a comparison of a lock with the files beside it found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// How many files are as the lock says.
    pub same: usize,
    /// Files that are not, each in words.
    pub wrong: Vec<String>,
    /// Files that the lock knows and the bundle does not hold.
    pub absent: Vec<String>,
}

/// Where the files lie that the pipeline wrote.
const OUTPUTS: &str = "outputs/";

/// Where files lie of which a bundle has one at most. What lies elsewhere would not be looked at.
const PLACES: [(Role, &str); 9] = [
    (Role::Crate, "ro-crate-metadata.json"),
    (Role::Citation, "CITATION.cff"),
    (Role::Readme, "README.md"),
    (Role::Lock, "pipeline.lock"),
    (Role::Calls, "calls.jsonl"),
    (Role::HiddenCalls, "hidden_calls.jsonl"),
    (Role::Records, "records.jsonl"),
    (Role::Results, results::NAME),
    (Role::Report, "report.html"),
];

/// Compares every file that a lock knows with the one in the bundle, and names those that pass for
/// something that they cannot be.
pub fn agree(lock: &Lock, manifest: &Manifest) -> Agreement {
    let mut found = Agreement::default();
    let dir = manifest
        .pipeline
        .rsplit_once('/')
        .map_or("", |(dir, _)| dir);
    let inputs = lock.inputs.iter().map(|(label, input)| (label, input.hash));
    let texts = lock
        .files
        .iter()
        .chain(&lock.prompts)
        .map(|(label, hash)| (label, *hash));
    for (label, hash) in texts.chain(inputs) {
        let data = manifest.data.iter().find(|data| data.label == *label);
        let at = below(dir, label);
        let file = at.as_deref().and_then(|at| manifest.file(at));
        // Of what is there, its own hash counts, whatever is said of it.
        let is = match data {
            Some(data) if data.there => {
                let place = data.place.as_deref();
                let member = place.and_then(|place| manifest.file(place));
                member.map(|member| member.hash)
            }
            Some(data) => Some(data.hash),
            None => file.map(|file| file.hash),
        };
        // What `--prompts` put in its place lies elsewhere.
        let anywhere = || manifest.files.iter().any(|file| file.hash == hash);
        let left_out = data.is_some_and(|data| !data.there);
        found.note(&format!("`{}`", plain(label)), is, hash, left_out, anywhere);
    }
    for (name, made) in &lock.outputs {
        let file = manifest.file(&format!("{OUTPUTS}{name}"));
        let shown = format!("output `{}`", plain(name));
        found.note(&shown, file.map(|file| file.hash), made.hash, false, || {
            false
        });
    }
    for file in &manifest.files {
        found.wrong.extend(misplaced(lock, file));
    }
    found
}

/// What is wrong with a file that the lock does not know, if it passes for something that a run
/// made.
fn misplaced(lock: &Lock, file: &File) -> Option<String> {
    let shown = plain(&file.path);
    let name = file.path.strip_prefix(OUTPUTS);
    if name.is_some() || file.role == Role::Output {
        let known = name.is_some_and(|name| lock.outputs.contains_key(name));
        return (!known).then(|| format!("`{shown}` is no output that the lock knows"));
    }
    let by_path = PLACES.iter().find(|(_, place)| *place == file.path);
    let by_role = PLACES.iter().find(|(role, _)| *role == file.role);
    let own = by_path.or(by_role)?;
    (*own != (file.role, file.path.as_str()))
        .then(|| format!("`{shown}` is listed as what it is not"))
}

impl Agreement {
    fn note(
        &mut self,
        shown: &str,
        is: Option<Hash>,
        was: Hash,
        left_out: bool,
        anywhere: impl Fn() -> bool,
    ) {
        match is {
            Some(is) if is == was && left_out => self.absent.push(shown.to_owned()),
            Some(is) if is == was => self.same += 1,
            _ if anywhere() => self.same += 1,
            Some(_) => self
                .wrong
                .push(format!("{shown} is not the one that the lock knows")),
            None => self.absent.push(shown.to_owned()),
        }
    }
}

/// Where a file lies that is named from a folder; none outside of everything.
fn below(dir: &str, label: &str) -> Option<String> {
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in label.split('/') {
        match part {
            ".." => drop(parts.pop()?),
            "." => {}
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// How a record differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Its fields have other values.
    Content,
    /// It is no longer there.
    Missing,
    /// It was not there.
    Extra,
    /// It stands elsewhere.
    Order,
}

impl How {
    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            How::Content => "has other content",
            How::Missing => "is missing",
            How::Extra => "is new",
            How::Order => "stands in another place",
        }
    }
}

/// The first record that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct First {
    /// Which one, from 1: as it was; of a new one, as it is.
    pub number: usize,
    /// How.
    pub how: How,
    /// The mark of its key.
    #[serde(skip)]
    pub key: String,
}

/// The first record of a stage that differs.
pub fn first(was: &StageRecords, now: &[[String; 2]]) -> Option<First> {
    let was = &was.records;
    let at = (0..was.len().max(now.len())).find(|at| was.get(*at) != now.get(*at))?;
    let keys = |all: &[[String; 2]]| -> BTreeSet<String> {
        all.iter().map(|[key, _]| key.clone()).collect()
    };
    let (how, [key, _]) = match (was.get(at), now.get(at)) {
        (Some(was), Some(now)) if was[0] == now[0] => (How::Content, was),
        (Some(was), _) if !keys(now).contains(&was[0]) => (How::Missing, was),
        (_, Some(now)) if !keys(was).contains(&now[0]) => (How::Extra, now),
        (Some(was), _) => (How::Order, was),
        (None, now) => (How::Extra, now?),
    };
    Some(First {
        number: at + 1,
        how,
        key: key.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Data;
    use super::*;
    use crate::share::lock::{Input, Made};

    fn hash(text: &str) -> Hash {
        Hash::of_bytes(text.as_bytes())
    }

    #[test]
    fn files_are_compared_where_the_lock_has_them() {
        let mut lock = Lock::default();
        lock.files.insert("p.yaml".to_owned(), hash("p"));
        lock.prompts.insert("../prompts/a.j2".to_owned(), hash("a"));
        lock.prompts.insert("mine/b.j2".to_owned(), hash("b"));
        for (label, text) in [
            ("params.notes", "n"),
            ("more.csv", "m"),
            ("(outside)/w", "w"),
        ] {
            let input = Input {
                hash: hash(text),
                records: None,
            };
            lock.inputs.insert(label.to_owned(), input);
        }
        let made = Made {
            hash: hash("o"),
            records: 1,
        };
        lock.outputs.insert("o.jsonl".to_owned(), made);
        let file = |path: &str, text: &str| File {
            path: path.to_owned(),
            bytes: 1,
            hash: hash(text),
            role: Role::File,
        };
        let data = Data {
            label: "params.notes".to_owned(),
            name: "notes.csv".to_owned(),
            bytes: 1,
            hash: hash("n"),
            param: Some("notes".to_owned()),
            place: None,
            there: false,
            sensitive: true,
        };
        let mut manifest = Manifest {
            pipeline: "project/x/p.yaml".to_owned(),
            files: vec![
                file("project/x/p.yaml", "p"),
                file("project/prompts/a.j2", "a"),
                file("prompts/b.j2", "b"),
                file("project/x/more.csv", "m"),
                file("outputs/o.jsonl", "o"),
            ],
            data: vec![data],
            ..Manifest::default()
        };
        let found = agree(&lock, &manifest);
        assert_eq!((found.same, found.wrong.len()), (5, 0), "{found:?}");
        assert_eq!(found.absent, ["`(outside)/w`", "`params.notes`"]);
        manifest.files[1].hash = hash("x");
        manifest.data[0].hash = hash("x");
        manifest.files[4].hash = hash("x");
        let wrong = agree(&lock, &manifest).wrong;
        assert_eq!(
            wrong,
            [
                "`../prompts/a.j2` is not the one that the lock knows",
                "`params.notes` is not the one that the lock knows",
                "output `o.jsonl` is not the one that the lock knows",
            ]
        );
    }

    #[test]
    fn what_passes_for_an_output_or_a_result_and_is_none_is_wrong() {
        let mut lock = Lock::default();
        let made = Made {
            hash: hash("o"),
            records: 1,
        };
        lock.outputs.insert("a/o.csv".to_owned(), made);
        let wrong = |path: &str, role: Role| {
            let file = File {
                path: path.to_owned(),
                bytes: 1,
                hash: hash("o"),
                role,
            };
            misplaced(&lock, &file).is_some()
        };
        assert!(!wrong("outputs/a/o.csv", Role::Output));
        assert!(!wrong("results.json", Role::Results));
        assert!(!wrong("project/p.yaml", Role::Pipeline));
        for (path, role) in [
            ("outputs/best.csv", Role::Output),
            ("outputs/best.csv", Role::File),
            ("best.csv", Role::Output),
            ("project/results.json", Role::Results),
            ("results.json", Role::File),
            ("report.html", Role::Readme),
        ] {
            assert!(wrong(path, role), "{path}");
        }
    }

    #[test]
    fn the_first_record_that_differs_is_told_with_how() {
        let all = |text: &str| -> Vec<[String; 2]> {
            let one = |word: &str| [word[..1].to_owned(), word[1..].to_owned()];
            text.split_whitespace().map(one).collect()
        };
        let was = StageRecords {
            stage: "s".to_owned(),
            salted: false,
            records: all("a1 b1 c1"),
        };
        let told = |now: &str| {
            let found = first(&was, &all(now))?;
            Some((found.number, found.how, found.key))
        };
        let some = |number, how, key: &str| Some((number, how, key.to_owned()));
        assert_eq!(told("a1 b1 c1"), None);
        assert_eq!(told("a1 b2 c1"), some(2, How::Content, "b"));
        assert_eq!(told("a1 c1"), some(2, How::Missing, "b"));
        assert_eq!(told("a1 b1"), some(3, How::Missing, "c"));
        assert_eq!(told("a1 d1 b1 c1"), some(2, How::Extra, "d"));
        assert_eq!(told("a1 b1 c1 d1"), some(4, How::Extra, "d"));
        assert_eq!(told("b1 a1 c1"), some(1, How::Order, "a"));
        assert_eq!(told(""), some(1, How::Missing, "a"));
    }
}

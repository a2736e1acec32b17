//! What a bundle says of records and calls that it does not hold: hashes, of sensitive ones
//! salted. Owns these two files, `records.jsonl` and `hidden_calls.jsonl`.

use serde::{Deserialize, Serialize};

use super::salt::{Of, Salt, plain_mark};
use crate::record::Record;
use crate::replay::cassette::Entry;

/// The records of a stage whose output is kept, in their order; of one that writes a file, those
/// that it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRecords {
    /// The stage.
    pub stage: String,
    /// True if the marks are salted.
    pub salted: bool,
    /// Of each record: the marks of its key and of all of it.
    pub records: Vec<[String; 2]>,
}

/// A call that is not in the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HiddenCall {
    /// The stage that asked.
    pub stage: String,
    /// The mark of the record's key.
    pub record: String,
    /// The model's name on its server.
    pub model: String,
    /// The mark of the call's key.
    pub call: String,
    /// The mark of the answer's text.
    pub reply: String,
}

/// The marks of a record; salted if there is a salt.
pub fn marks(record: &Record, salt: Option<&Salt>) -> [String; 2] {
    let key = record.key.as_bytes();
    // Made of JSON or expressions: it can be written as JSON.
    let all = serde_json::to_vec(&(&*record.key, &record.fields)).unwrap_or_default();
    match salt {
        Some(salt) => [salt.mark(Of::Key, key), salt.mark(Of::Record, &all)],
        None => [plain_mark(key), plain_mark(&all)],
    }
}

impl HiddenCall {
    /// What is said of a call.
    pub fn of(entry: &Entry, salt: &Salt) -> HiddenCall {
        HiddenCall {
            stage: entry.stage.clone(),
            record: salt.mark(Of::Key, entry.record.as_bytes()),
            model: entry.model.clone(),
            call: salt.mark(Of::Call, &entry.call.0),
            reply: salt.mark(Of::Reply, entry.reply.text.as_bytes()),
        }
    }
}

/// The bytes of such a file: a line of JSON for each.
pub fn lines<T: Serialize>(all: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for one in all {
        let _ = serde_json::to_writer(&mut bytes, one);
        bytes.push(b'\n');
    }
    bytes
}

/// Reads such a file.
///
/// # Errors
/// The first line that is not one of its lines, from 1.
pub fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<Vec<T>, usize> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty());
    lines
        .map(|(at, line)| serde_json::from_slice(line).map_err(|_| at + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_line_of_what_is_not_is_told() {
        let all = vec![
            StageRecords {
                stage: "a".to_owned(),
                salted: true,
                records: vec![["1".to_owned(), "2".to_owned()]],
            },
            StageRecords::default(),
        ];
        assert_eq!(read(&lines(&all)), Ok(all.clone()));
        let broken = [&lines(&all)[..], b"{}\n"].concat();
        assert_eq!(read::<StageRecords>(&broken), Err(3));
    }

    #[test]
    fn a_record_is_known_by_its_key_and_its_fields() {
        let mut one = Record::new("n1");
        one.fields.set("a", 1.into());
        let mut other = one.clone();
        other.fields.set("a", 2.into());
        let (a, b) = (marks(&one, None), marks(&other, None));
        assert!(a[0] == b[0] && a[1] != b[1]);
    }
}

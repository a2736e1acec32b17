//! Cassettes: the calls of a run in a text file that can be read, compared and kept with a
//! pipeline's tests. Owns the format; reads and writes bytes, not files.
//!
//! A header and then a line for each call, all JSON objects. Each ends in a `check`, made of
//! the bytes before it, so that a changed byte shows in its line, and two cassettes are merged
//! by their lines. What was asked is there for readers alone: the call's key finds the answer.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::ledger::Wanted;
use crate::hash::Hash;
use crate::model::chat::{Question, Reply};
use crate::model::spec::ApiKind;

/// The format that this program writes, and the newest that it reads.
pub const FORMAT: u64 = 1;

/// A call with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The stage that asked.
    pub stage: String,
    /// The key of the record that it is about.
    pub record: String,
    /// The model's name on its server.
    pub model: String,
    /// How it was asked; none when its tokenizer was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiKind>,
    /// The call's key.
    pub call: Hash,
    /// What was sent, unless prompts are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Json>,
    /// The answer.
    pub reply: Reply,
}

impl Entry {
    /// A call that was answered.
    pub fn new(wanted: &Wanted<'_>, reply: &Reply) -> Entry {
        let model = &wanted.request.model;
        let (api, asked) = match &wanted.request.question {
            Question::Chat(chat) => (Some(model.api()), model.api().api().body(model, chat)),
            Question::Tokens(text) => (None, json!({"tokens_of": &**text})),
        };
        Entry {
            stage: wanted.stage.to_owned(),
            record: wanted.record.to_owned(),
            model: model.id.clone(),
            api,
            call: wanted.call,
            asked: Some(asked),
            reply: reply.clone(),
        }
    }
}

/// What is wrong with a cassette, and in which line (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line.
    pub line: usize,
    /// What is wrong, without any of its content.
    pub what: String,
    /// How to mend it.
    pub help: Option<&'static str>,
}

/// The bytes of a cassette.
pub fn write(pipeline: &str, entries: &[Entry]) -> Vec<u8> {
    let mut bytes = sealed(&json!({"clue_cassette": FORMAT, "pipeline": pipeline}));
    for entry in entries {
        bytes.extend(sealed(entry));
    }
    bytes
}

/// Reads a cassette.
///
/// # Errors
/// The first fault.
pub fn read(bytes: &[u8]) -> Result<Vec<Entry>, Fault> {
    let fault = |line, what: String, help| Fault { line, what, help };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        fault(line, "is not UTF-8".to_owned(), Some(MEND))
    })?;
    let mut lines = text.lines().enumerate();
    let head = lines.next().map_or("", |(_, line)| line);
    let parsed: Json = serde_json::from_str(head).unwrap_or_default();
    match parsed["clue_cassette"].as_u64() {
        Some(FORMAT) => unsealed(head).map_err(|(what, help)| fault(1, what, help))?,
        Some(newer) if newer > FORMAT => {
            let what = format!("is of format {newer}, and this clue reads formats up to {FORMAT}");
            return Err(fault(1, what, Some("use the newer clue that recorded it")));
        }
        _ => {
            let help = Some("`clue record` makes cassettes");
            return Err(fault(1, "is not the head of a cassette".to_owned(), help));
        }
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen: HashMap<Hash, usize> = HashMap::new();
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let body = unsealed(line).map_err(|(what, help)| fault(at + 1, what, help))?;
        // What serde says may quote the text.
        let entry: Entry = serde_json::from_str(&body)
            .map_err(|_| fault(at + 1, "is no call".to_owned(), Some(MEND)))?;
        match seen.get(&entry.call).and_then(|first| entries.get(*first)) {
            Some(first) if first.reply != entry.reply => {
                let what = format!("answers call `{}` in another way", entry.call.short());
                let help = Some("keep one of the two lines");
                return Err(fault(at + 1, what, help));
            }
            Some(_) => {}
            None => {
                seen.insert(entry.call, entries.len());
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}

const MEND: &str = "get the file anew, or record it again";
const CHECK: &str = ",\"check\":\"";
const END: &str = "\"}";

/// A line that carries the hash of what stands before.
fn sealed<T: Serialize>(value: &T) -> Vec<u8> {
    let json = serde_json::to_string(value).unwrap_or_default();
    let body = json.strip_suffix('}').unwrap_or(&json);
    let check = Hash::of_bytes(body.as_bytes()).short();
    format!("{body}{CHECK}{check}{END}\n").into_bytes()
}

/// The JSON of a line without its check.
fn unsealed(line: &str) -> Result<String, (String, Option<&'static str>)> {
    let parts = line.strip_suffix(END).and_then(|l| l.rsplit_once(CHECK));
    let Some((body, check)) = parts else {
        return Err((
            "is cut off, or no line of a cassette".to_owned(),
            Some(MEND),
        ));
    };
    if Hash::of_bytes(body.as_bytes()).short() != check {
        let what = "was changed since it was recorded: its `check` does not fit";
        let help = "record it again; for answers by hand there are the `answers` of `clue test`";
        return Err((what.to_owned(), Some(help)));
    }
    Ok(format!("{body}}}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::api::call_key;
    use crate::model::chat::{Chat, Request, Role, Turn};
    use crate::model::spec::ModelSpec;

    fn entry(text: &str, answer: &str) -> Entry {
        let mut model = ModelSpec::new("writer", "m");
        model.sampling.temperature = Some(0.1);
        let request = Request {
            model: Arc::new(model),
            question: Question::Chat(Chat {
                turns: vec![Turn {
                    role: Role::User,
                    text: text.to_owned(),
                }],
                prefill: String::new(),
                text: None,
                schema: None,
            }),
        };
        let wanted = Wanted {
            stage: "asked",
            record: "n1",
            call: call_key(&request),
            request: &request,
            turn: 0,
        };
        let reply = Reply {
            text: answer.to_owned(),
            prompt_tokens: Some(3),
            ..Reply::default()
        };
        Entry::new(&wanted, &reply)
    }

    fn text(entries: &[Entry]) -> String {
        String::from_utf8(write("p", entries)).expect("UTF-8")
    }

    #[test]
    fn the_format_is_pinned() {
        insta::assert_snapshot!(text(&[entry("Why?", "So.")]), @r#"
        {"clue_cassette":1,"pipeline":"p","check":"2fa90d87fe2e"}
        {"stage":"asked","record":"n1","model":"m","api":"openai","call":"8b0db9e74576a0887ecef4b581ac43d4758a3e9cca2d6cc7b41f3ddd62441e0c","asked":{"model":"m","messages":[{"role":"user","content":"Why?"}],"temperature":0.1},"reply":{"text":"So.","prompt_tokens":3},"check":"1d6c939d26d4"}
        "#);
    }

    #[test]
    fn prompts_can_be_left_out() {
        let mut plain = entry("secret", "b");
        plain.asked = None;
        let text = text(std::slice::from_ref(&plain));
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(read(text.as_bytes()), Ok(vec![plain]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_without_content() {
        let whole = text(&[entry("a", "hush"), entry("b", "c")]);
        let lines: Vec<&str> = whole.lines().collect();
        let told = |text: &str| {
            let fault = read(text.as_bytes()).expect_err("is wrong");
            assert!(!fault.what.contains("hush"), "{}", fault.what);
            format!("{}: {}", fault.line, fault.what)
        };
        assert_eq!(told(""), "1: is not the head of a cassette");
        assert_eq!(told("{\"a\":1}\n"), "1: is not the head of a cassette");
        assert_eq!(
            told(&whole.replace("{\"clue_cassette\":1", "{\"clue_cassette\":2")),
            "1: is of format 2, and this clue reads formats up to 1"
        );
        assert_eq!(
            told(&whole.replace("hush", "hash")),
            "2: was changed since it was recorded: its `check` does not fit"
        );
        assert_eq!(
            told(&whole[..whole.len() - 9]),
            "3: is cut off, or no line of a cassette"
        );
        let no_call = String::from_utf8(sealed(&json!({"stage": "hush"}))).expect("UTF-8");
        assert_eq!(told(&format!("{}\n{no_call}", lines[0])), "2: is no call");
        let mut other = entry("a", "hash");
        other.record = "n2".to_owned();
        let other = text(&[other]);
        let other = other.lines().nth(1).expect("a line");
        let call = entry("a", "").call.short();
        assert_eq!(
            told(&format!("{whole}{other}\n")),
            format!("4: answers call `{call}` in another way")
        );
        let broken = [whole.as_bytes(), b"\xff\n"].concat();
        assert_eq!(read(&broken).expect_err("is wrong").line, 4);
    }

    #[test]
    fn two_are_merged_by_their_lines() {
        let (a, b) = (text(&[entry("a", "1")]), text(&[entry("b", "2")]));
        let merged = format!("{a}{}\n{}\n", b.lines().nth(1).expect("a line"), "");
        let merged = format!("{merged}{}", a.lines().nth(1).expect("a line"));
        let found = read(merged.replace('\n', "\r\n").as_bytes());
        assert_eq!(found, Ok(vec![entry("a", "1"), entry("b", "2")]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(prompt in "\\PC{0,20}", answer in "(?s).{0,20}") {
            let entries = vec![entry(&prompt, &answer)];
            prop_assert_eq!(read(&write("p", &entries)), Ok(entries));
        }

        /// No changed byte gives another answer.
        #[test]
        fn a_changed_byte_is_told_or_harmless(at in 0_usize..400, byte: u8) {
            let entries = vec![entry("What is \"it\"?", "A\nb")];
            let mut bytes = write("p", &entries);
            let at = at % bytes.len();
            let same = bytes[at] == byte;
            bytes[at] = byte;
            match read(&bytes) {
                Ok(found) => prop_assert!(
                    found == entries && (same || byte.is_ascii_whitespace()),
                    "{} at {}", byte, at
                ),
                Err(fault) => prop_assert!((1..=3).contains(&fault.line)),
            }
        }
    }
}

//! From a record to a packed text, with a tokenizer on disk or by asking a server. Owns which
//! texts are counted, and how the text is put together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use minijinja::value::ValueKind;

use super::fit::{Overflow, Part, Rules, fit};
use super::splits::Splits;
use crate::hash::Hash;
use crate::jinja::expr::{Scope, Shared};
use crate::model::chat::{Question, Reply, Request};
use crate::model::spec::ModelSpec;
use crate::prompt::Prompt;
use crate::record::Record;
use crate::stages::bound::Bound;
use crate::stages::contract::{Ask, Fault, Flow};
use crate::stages::number::whole;
use crate::tokens::{Disk, Split};

/// The settings, ready for records.
pub struct Packer {
    pub documents: Bound,
    pub budget: Bound,
    pub reserve: Option<Bound>,
    pub order: Option<Bound>,
    pub prompt: Option<Arc<Prompt>>,
    pub shared: Arc<Shared>,
    pub separator: String,
    pub separator_tokens: Option<u32>,
    pub overflow: Overflow,
    pub keep_empty: bool,
    pub into: Arc<str>,
    pub tokens: Arc<str>,
    pub count: Arc<str>,
    pub cut: Arc<str>,
    pub pieces: Option<Arc<str>>,
}

/// A text that has to be counted.
struct Text {
    text: Value,
    hash: Hash,
}

/// What a record asks for.
struct Job {
    documents: Vec<Text>,
    reserved: Vec<Text>,
    separator: Option<Text>,
    budget: i64,
    order: Option<Vec<usize>>,
}

impl Text {
    fn new(text: Value) -> Text {
        let hash = Hash::of_bytes(text.as_str().unwrap_or_default().as_bytes());
        Text { text, hash }
    }

    fn as_str(&self) -> &str {
        self.text.as_str().unwrap_or_default()
    }
}

impl Job {
    /// All that has to be counted.
    fn texts(&self) -> impl Iterator<Item = &Text> {
        let all = self.documents.iter().chain(&self.reserved);
        all.chain(&self.separator)
    }
}

fn texts(what: &str, value: &Value) -> Result<Vec<Text>, Fault> {
    let wrong =
        |found: ValueKind| Fault::Record(format!("expected texts for `{what}`, found {found}"));
    let text = |value: Value| match value.as_str() {
        Some(_) => Ok(Text::new(value)),
        None => Err(wrong(value.kind())),
    };
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().into_iter().flatten().map(text).collect()
        }
        ValueKind::String if what != "documents" => Ok(vec![Text::new(value.clone())]),
        kind => Err(wrong(kind)),
    }
}

impl Packer {
    fn job(&self, record: &Record) -> Result<Job, Fault> {
        let documents = texts("documents", &self.documents.eval(&record.fields)?)?;
        let mut reserved = match &self.reserve {
            Some(reserve) => texts("reserve", &reserve.eval(&record.fields)?)?,
            None => Vec::new(),
        };
        if let Some(prompt) = &self.prompt {
            let mut fields = record.fields.clone();
            fields.set(self.into.clone(), Value::from(""));
            let scope = Scope {
                fields,
                shared: self.shared.clone(),
            };
            let chat = prompt.render(&scope).map_err(Fault::Record)?;
            let turns = chat.turns.into_iter().map(|turn| turn.text);
            let all = turns.chain([chat.prefill]);
            reserved.extend(all.map(|text| Text::new(Value::from(text))));
        }
        let separator = self.separator_tokens.is_none() && documents.len() > 1;
        Ok(Job {
            budget: whole("`budget`", &self.budget.eval(&record.fields)?)?,
            order: self.order(record, documents.len())?,
            documents,
            reserved,
            separator: separator.then(|| Text::new(Value::from(&self.separator))),
        })
    }

    fn order(&self, record: &Record, count: usize) -> Result<Option<Vec<usize>>, Fault> {
        let Some(order) = &self.order else {
            return Ok(None);
        };
        let order = order.eval(&record.fields)?;
        if !matches!(order.kind(), ValueKind::Seq | ValueKind::Iterable) {
            let found = order.kind();
            return Err(Fault::Record(format!(
                "expected a list of places for `order`, found {found}"
            )));
        }
        let mut places = Vec::new();
        for place in order.try_iter().into_iter().flatten() {
            let number = whole("a place in `order`", &place)?;
            let place = usize::try_from(number).ok().filter(|place| *place < count);
            let place = place.ok_or_else(|| {
                Fault::Record(format!("`order` has place {number} of {count} documents"))
            })?;
            if places.contains(&place) {
                return Err(Fault::Record(format!("`order` has place {place} twice")));
            }
            places.push(place);
        }
        Ok(Some(places))
    }

    /// The record with its packed text; `split` says what is known of a text.
    fn pack(
        &self,
        mut record: Record,
        job: &Job,
        mut split: impl FnMut(&Text) -> Result<Arc<Split>, Fault>,
    ) -> Result<Record, Fault> {
        let mut reserved = 0;
        for text in &job.reserved {
            reserved += split(text)?.count();
        }
        let separator = match (&job.separator, self.separator_tokens) {
            (_, Some(tokens)) => tokens as usize,
            (Some(separator), None) => split(separator)?.count(),
            (None, None) => 0,
        };
        let budget = job.budget;
        let room = budget.saturating_sub(i64::try_from(reserved).unwrap_or(i64::MAX));
        if room < 0 && !self.keep_empty {
            return Err(Fault::Record(format!(
                "the budget of {budget} tokens is less than the {reserved} tokens that are reserved"
            )));
        }
        let splits = job.documents.iter().map(&mut split);
        let splits: Vec<Arc<Split>> = splits.collect::<Result<_, Fault>>()?;
        let lengths: Vec<usize> = splits.iter().map(|split| split.count()).collect();
        let rules = Rules {
            overflow: self.overflow,
            separator,
            keep_empty: self.keep_empty,
        };
        let taken = fit(&lengths, room, &rules).map_err(|misfit| {
            Fault::Record(format!(
                "document {} of {} has {} tokens, and {} are left for it",
                misfit.place + 1,
                lengths.len(),
                misfit.tokens,
                misfit.left.max(0)
            ))
        })?;
        let (mut pieces, mut tokens, mut cut) = (HashMap::new(), 0, false);
        for (place, part) in taken {
            let text = &job.documents[place];
            let (piece, counted) = match part {
                Part::Whole => (text.text.clone(), lengths[place]),
                Part::First(n) => {
                    let (first, counted) = splits[place].first(text.as_str(), n);
                    // The first character may have more tokens than are left.
                    if first.is_empty() && !self.keep_empty {
                        continue;
                    }
                    cut = true;
                    (Value::from(first), counted)
                }
            };
            let between = if pieces.is_empty() { 0 } else { separator };
            tokens += between + counted;
            pieces.insert(place, piece);
        }
        let count = pieces.len();
        let places = job.order.clone();
        let places = places.unwrap_or_else(|| (0..lengths.len()).collect());
        let pieces: Vec<Value> = places.iter().filter_map(|at| pieces.remove(at)).collect();
        if pieces.len() < count {
            let missing = count - pieces.len();
            return Err(Fault::Record(format!(
                "`order` leaves out {missing} of the {count} documents that fit"
            )));
        }
        let parts: Vec<&str> = pieces.iter().filter_map(Value::as_str).collect();
        let packed = parts.join(&self.separator);
        let fields = &mut record.fields;
        fields.set(self.into.clone(), Value::from(packed));
        fields.set(self.tokens.clone(), Value::from(tokens));
        fields.set(self.count.clone(), Value::from(count));
        fields.set(self.cut.clone(), Value::from(cut));
        if let Some(name) = &self.pieces {
            fields.set(name.clone(), Value::from(pieces));
        }
        Ok(record)
    }
}

/// Packs with a tokenizer on disk.
pub struct PlainPacker {
    packer: Packer,
    disk: Arc<Disk>,
    special: bool,
    splits: Splits,
}

impl PlainPacker {
    /// With marks for start and end, if `special`.
    pub fn new(packer: Packer, disk: Arc<Disk>, special: bool) -> PlainPacker {
        PlainPacker {
            packer,
            disk,
            special,
            splits: Splits::default(),
        }
    }
}

impl Flow for PlainPacker {
    fn push(&mut self, _port: usize, record: Record, out: &mut Vec<Record>) -> Result<(), Fault> {
        let job = self.packer.job(&record)?;
        let (disk, splits) = (&self.disk, &mut self.splits);
        out.push(self.packer.pack(record, &job, |text| {
            if let Some(split) = splits.get(text.hash) {
                return Ok(split);
            }
            let split = disk.split(text.as_str(), self.special);
            let split = Arc::new(split.map_err(Fault::Record)?);
            splits.put(text.hash, split.clone());
            Ok(split)
        })?);
        Ok(())
    }
}

/// Packs with the tokenizer of a model's server.
pub struct AskingPacker {
    packer: Packer,
    model: Arc<ModelSpec>,
    state: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    splits: Splits,
    /// Of each record under way: what was known of its texts, and what it asked for.
    open: HashMap<Arc<str>, (HashMap<Hash, Arc<Split>>, Vec<Hash>)>,
}

impl AskingPacker {
    /// Asks the server of this model.
    pub fn new(packer: Packer, model: Arc<ModelSpec>) -> AskingPacker {
        AskingPacker {
            packer,
            model,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ask for AskingPacker {
    fn requests(&self, record: &Record) -> Result<Vec<Request>, Fault> {
        let job = self.packer.job(record)?;
        let mut state = self.state();
        let (mut known, mut asked) = (HashMap::new(), Vec::new());
        let mut requests = Vec::new();
        for text in job.texts() {
            if known.contains_key(&text.hash) || asked.contains(&text.hash) {
                continue;
            }
            if text.as_str().is_empty() {
                known.insert(text.hash, Arc::default());
            } else if let Some(split) = state.splits.get(text.hash) {
                known.insert(text.hash, split);
            } else {
                asked.push(text.hash);
                requests.push(Request {
                    model: self.model.clone(),
                    question: Question::Tokens(text.as_str().into()),
                });
            }
        }
        state.open.insert(record.key.clone(), (known, asked));
        Ok(requests)
    }

    fn absorb(
        &self,
        record: Record,
        replies: Vec<Reply>,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        let missing = || Fault::Record("the server did not count all texts".to_owned());
        let job = self.packer.job(&record)?;
        let (mut known, asked) = self.state().open.remove(&record.key).ok_or_else(missing)?;
        for (hash, reply) in asked.into_iter().zip(replies) {
            let lengths = reply.token_bytes.ok_or_else(missing)?;
            let split = Arc::new(Split::of_lengths(&lengths));
            self.state().splits.put(hash, split.clone());
            known.insert(hash, split);
        }
        let split = |text: &Text| known.get(&text.hash).cloned().ok_or_else(missing);
        out.push(self.packer.pack(record, &job, split)?);
        Ok(())
    }
}

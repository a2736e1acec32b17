//! From a record to a packed text. Owns which texts are counted, and how the text is put
//! together; knows no tokenizer.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::fit::{Overflow, Part, Rules, fit};
use crate::hash::Hash;
use crate::jinja::expr::{Scope, Shared};
use crate::prompt::Prompt;
use crate::record::Record;
use crate::stages::bound::Bound;
use crate::stages::contract::Fault;
use crate::stages::number::whole;
use crate::tokens::Split;

/// The settings, ready for records.
pub struct Packer {
    /// The list of texts.
    pub documents: Bound,
    /// Tokens for all.
    pub budget: Bound,
    /// Texts that need some of them.
    pub reserve: Option<Bound>,
    /// Places in the order of writing.
    pub order: Option<Bound>,
    /// A prompt that needs some of them.
    pub prompt: Option<Arc<Prompt>>,
    /// What the prompt sees beside the record.
    pub shared: Arc<Shared>,
    /// Between two documents.
    pub separator: String,
    /// What it counts, if not what it has.
    pub separator_tokens: Option<u32>,
    /// What becomes of what does not fit.
    pub overflow: Overflow,
    /// Write an empty text where nothing is left.
    pub keep_empty: bool,
    /// Field for the text.
    pub into: Arc<str>,
    /// Field for its tokens.
    pub tokens: Arc<str>,
    /// Field for the number of documents in it.
    pub count: Arc<str>,
    /// Field for whether one is cut.
    pub cut: Arc<str>,
    /// Field for the documents as written.
    pub pieces: Option<Arc<str>>,
}

/// A text that has to be counted.
pub struct Text {
    text: Value,
    /// Names it.
    pub hash: Hash,
}

/// What a record asks for.
pub struct Job {
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

    /// The text.
    pub fn as_str(&self) -> &str {
        self.text.as_str().unwrap_or_default()
    }
}

impl Job {
    /// All that has to be counted.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
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
    /// Evaluates the settings on a record.
    ///
    /// # Errors
    /// [`Fault::Record`] when one of them is not what it should be.
    pub fn job(&self, record: &Record) -> Result<Job, Fault> {
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
    ///
    /// # Errors
    /// [`Fault::Record`] when it does not fit, or `split` fails.
    pub fn pack(
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

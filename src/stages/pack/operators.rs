//! `pack` at work: with a tokenizer on disk, or by asking a model's server. Owns that a text that
//! many records share is cut into tokens once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::packer::{Packer, Text};
use super::splits::Splits;
use crate::hash::Hash;
use crate::model::chat::{Question, Reply, Request};
use crate::model::spec::ModelSpec;
use crate::record::Record;
use crate::stages::contract::{Ask, Fault, Flow};
use crate::tokens::{Disk, Split};

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
    /// Records under way.
    open: HashMap<Arc<str>, Waiting>,
}

/// A record that waits for replies.
#[derive(Default)]
struct Waiting {
    /// What was known of its texts.
    known: HashMap<Hash, Arc<Split>>,
    /// What it asked for, in order.
    asked: Vec<Hash>,
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
        let Waiting {
            mut known,
            mut asked,
        } = Waiting::default();
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
        state
            .open
            .insert(record.key.clone(), Waiting { known, asked });
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
        let waiting = self.state().open.remove(&record.key);
        let Waiting { mut known, asked } = waiting.ok_or_else(missing)?;
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

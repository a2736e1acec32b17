//! `pack` at work: with a tokenizer on disk, or by asking a model's server. Owns that a text that
//! many records share is cut into tokens once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::packer::{Packer, Text};
use super::splits::Splits;
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

/// Packs with the tokenizer of a model's server. Whatever many records ask is one call.
pub struct AskingPacker {
    packer: Packer,
    model: Arc<ModelSpec>,
}

impl AskingPacker {
    /// Asks the server of this model.
    pub fn new(packer: Packer, model: Arc<ModelSpec>) -> AskingPacker {
        AskingPacker { packer, model }
    }
}

impl Ask for AskingPacker {
    fn requests(&self, record: &Record) -> Result<Vec<Request>, Fault> {
        let job = self.packer.job(record)?;
        let mut seen = HashSet::new();
        let texts = job.texts().map(Text::as_str);
        let distinct = texts.filter(|text| !text.is_empty() && seen.insert(*text));
        Ok(distinct
            .map(|text| Request {
                model: self.model.clone(),
                question: Question::Tokens(text.into()),
            })
            .collect())
    }

    fn absorb(
        &self,
        record: Record,
        answered: Vec<(Request, Reply)>,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        let missing = || Fault::Record("the server did not count all texts".to_owned());
        let job = self.packer.job(&record)?;
        let mut known = HashMap::from([(Arc::from(""), Arc::default())]);
        for (request, reply) in answered {
            if let (Question::Tokens(text), Some(lengths)) = (request.question, reply.token_bytes) {
                known.insert(text, Arc::new(Split::of_lengths(&lengths)));
            }
        }
        let split = |text: &Text| known.get(text.as_str()).cloned().ok_or_else(missing);
        out.push(self.packer.pack(record, &job, split)?);
        Ok(())
    }
}

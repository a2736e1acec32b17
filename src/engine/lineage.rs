//! Which records of a stage were made of which, by their keys: noted as they pass, for those who
//! ask what became of one. A run does not ask.
//!
//! Nothing is guessed from what keys look like: a record is made of the one that was given to
//! the operator when it came out; for verbs that hold records back, the operator says it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::Record;
use crate::stages::contract::Flow;

/// A record's key.
pub type Key = Arc<str>;

/// What one stage did.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// The records that it took: the port, and the key there.
    pub read: Vec<(usize, Key)>,
    /// Which records were made of which.
    pub made: Vec<Link>,
    /// The records that were gathered: port and key, and the number of their group.
    pub members: Vec<(usize, Key, usize)>,
    /// What was made of each group.
    pub groups: Vec<Vec<Key>>,
    /// The records that it emitted, in their order.
    pub emitted: Vec<Key>,
}

/// One record that was made of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The port at which the other came in.
    pub port: usize,
    /// Its key there.
    pub from: Key,
    /// The key of what was made.
    pub to: Key,
}

/// What the stages of a run did.
#[derive(Debug)]
pub struct Lineage(Vec<Mutex<Links>>);

impl Lineage {
    /// Of a pipeline with so many stages.
    pub fn new(stages: usize) -> Lineage {
        Lineage((0..stages).map(|_| Mutex::default()).collect())
    }

    /// What a stage did; nothing is left of it here.
    pub fn take(&self, stage: usize) -> Links {
        let links = self.links(stage);
        links.map_or_else(Links::default, |mut links| std::mem::take(&mut *links))
    }

    fn links(&self, stage: usize) -> Option<MutexGuard<'_, Links>> {
        let links = self.0.get(stage)?;
        Some(links.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what a stage emits.
    pub fn emitted(&self, stage: usize, records: &[Record]) {
        if let Some(mut links) = self.links(stage) {
            links.emitted.extend(records.iter().map(|r| r.key.clone()));
        }
    }

    /// Notes a record that a stage took, and what it made of that alone.
    pub fn took(&self, stage: usize, port: usize, key: &Key, made: &[Record]) {
        if let Some(mut links) = self.links(stage) {
            links.read.push((port, key.clone()));
            links.made.extend(made.iter().map(|made| Link {
                port,
                from: key.clone(),
                to: made.key.clone(),
            }));
        }
    }

    /// Notes a record that an operator has just taken, and what it made of it and of others that
    /// it took before.
    pub fn pushed(
        &self,
        stage: usize,
        (port, key): (usize, &Key),
        made: &[Record],
        flow: &dyn Flow,
    ) {
        self.took(stage, port, key, made);
        let Some(mut links) = self.links(stage) else {
            return;
        };
        if let Some(group) = flow.group() {
            links.members.push((port, key.clone(), group));
        }
        let partners = flow.partners();
        // As many as records came out: each record has one.
        let each = partners.len() == made.len();
        for (at, made) in made.iter().enumerate() {
            for (of, partner) in partners.iter().enumerate() {
                if !each || at == of {
                    links.made.push(Link {
                        port: 1,
                        from: partner.clone(),
                        to: made.key.clone(),
                    });
                }
            }
        }
    }

    /// Notes what an operator emits that held records back. `turn` counts the calls of its
    /// `drain`, from 0.
    pub fn drained(&self, stage: usize, turn: usize, made: &[Record], flow: &dyn Flow) {
        let Some(mut links) = self.links(stage) else {
            return;
        };
        if links.members.is_empty() {
            links.made.extend(made.iter().map(|made| Link {
                port: 0,
                from: flow.origin(made),
                to: made.key.clone(),
            }));
            return;
        }
        if links.groups.len() <= turn {
            links.groups.resize(turn + 1, Vec::new());
        }
        links.groups[turn].extend(made.iter().map(|made| made.key.clone()));
    }
}

//! The replies at hand: what calls get without any model being asked, and what is noted of it.
//! Owns where replies may come from; opens no connection.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::board::Row;
use super::no_reply::NoReply;
use crate::hash::Hash;
use crate::model::chat::Reply;
use crate::replay::ledger::{Ledger, Wanted};
use crate::replay::rules::Rules;
use crate::store::Store;

/// Where the replies come from that are not in the cache.
#[derive(Clone, Debug, Default)]
pub enum Source {
    /// From the models.
    #[default]
    Models,
    /// From nowhere: the cache is all there is.
    Nowhere,
    /// From nowhere yet: this is a plan, and a call that is missed again would be answered by
    /// then.
    Later,
    /// From nowhere: what is in the cache was recorded on a cassette.
    Cassette,
    /// From rules.
    Rules(Arc<Rules>),
}

impl Source {
    /// True when models are asked.
    pub fn asks(&self) -> bool {
        matches!(self, Source::Models)
    }

    /// Why a record is lost whose call has no reply here.
    pub fn lack(&self) -> &'static str {
        match self {
            Source::Models | Source::Nowhere | Source::Later => "its call is not in the cache",
            Source::Cassette => "its call is not on the cassette",
            Source::Rules(_) => "no answer fits its call",
        }
    }
}

/// The replies at hand.
pub struct Stock {
    store: Store,
    source: Source,
    ledger: Arc<Ledger>,
    /// Calls that a plan missed.
    missed: Mutex<HashSet<Hash>>,
}

impl Stock {
    /// What is in the cache, and then what comes from `source`.
    pub fn new(store: &Store, source: Source, ledger: Arc<Ledger>) -> Stock {
        Stock {
            store: store.clone(),
            source,
            ledger,
            missed: Mutex::default(),
        }
    }

    /// What a call gets without a model; `None` if a model is to be asked.
    pub fn find(&self, wanted: &Wanted<'_>, row: &Row) -> Option<Result<Reply, NoReply>> {
        if let Some(reply) = self.store.get_call::<Reply>(wanted.call) {
            row.cached.add(1);
            return Some(Ok(reply));
        }
        let ruled = match &self.source {
            Source::Models => return None,
            Source::Nowhere | Source::Later | Source::Cassette => None,
            Source::Rules(rules) => rules.answer(wanted.stage, wanted.record, wanted.request),
        };
        Some(match ruled {
            Some(Ok(reply)) => {
                row.asked.add(1);
                Ok(reply)
            }
            Some(Err(why)) => Err(NoReply::Failed(why)),
            None => {
                self.ledger.miss(wanted);
                if matches!(self.source, Source::Later) && self.is_again(wanted.call) {
                    row.cached.add(1);
                }
                Err(NoReply::Missing)
            }
        })
    }

    fn is_again(&self, call: Hash) -> bool {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        !missed.insert(call)
    }

    /// Notes a call with its reply.
    pub fn answered(&self, wanted: &Wanted<'_>, reply: &Reply) {
        self.ledger.answered(wanted, reply);
    }

    /// The turn of the next call.
    pub fn turn(&self) -> u64 {
        self.ledger.turn()
    }

    /// Notes that a stage loses a record because a call has no reply: why, in one line.
    pub fn lose(&self, stage: &str, record: &str) -> String {
        self.ledger.lose(stage, record);
        self.source.lack().to_owned()
    }
}

//! The replies at hand: what calls get without any model being asked, and what is noted of it.
//! Owns where replies may come from; opens no connection.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::board::Row;
use super::no_reply::NoReply;
use crate::hash::Hash;
use crate::model::chat::Reply;
use crate::replay::ledger::{Ledger, Wanted};
use crate::replay::rules::Rules;
use crate::store::{Store, StoreError};

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

/// Calls that the model refused for good in a share of the work: of which stages they are let be.
/// A run that does all of the work asks them again.
#[derive(Clone, Debug, Default)]
pub enum Refused {
    /// Refusals are not kept, and those that are there do not count.
    #[default]
    Forgotten,
    /// Of all stages.
    LetBe,
    /// Of these stages; the others ask again.
    LetBeIn(HashSet<String>),
}

/// A refusal as it is kept.
#[derive(Serialize, Deserialize)]
struct Refusal<'a> {
    why: Cow<'a, str>,
}

/// The key of a call's refusal.
fn refusal(call: Hash) -> Hash {
    Hash::of("clue refusal v1", &call)
}

/// The replies at hand.
pub struct Stock {
    store: Store,
    source: Source,
    refused: Refused,
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
            refused: Refused::default(),
            ledger,
            missed: Mutex::default(),
        }
    }

    /// The same, with what is to become of calls that were refused.
    #[must_use]
    pub fn with_refused(self, refused: Refused) -> Stock {
        Stock { refused, ..self }
    }

    /// Keeps that a call was refused, where machines share the work.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub async fn refuse(&self, call: Hash, why: &str) -> Result<(), StoreError> {
        match self.refused {
            Refused::Forgotten => Ok(()),
            _ => {
                let refused = Refusal { why: why.into() };
                self.store.put_call(refusal(call), &refused).await
            }
        }
    }

    fn refusal(&self, wanted: &Wanted<'_>) -> Option<NoReply> {
        let let_be = match &self.refused {
            Refused::Forgotten => false,
            Refused::LetBe => true,
            Refused::LetBeIn(stages) => stages.contains(wanted.stage),
        };
        if !let_be {
            return None;
        }
        let refused: Refusal<'_> = self.store.get_call(refusal(wanted.call))?;
        Some(NoReply::Failed(refused.why.into_owned()))
    }

    /// What a call gets without a model; `None` if a model is to be asked.
    pub fn find(&self, wanted: &Wanted<'_>, row: &Row) -> Option<Result<Reply, NoReply>> {
        if let Some(reply) = self.store.get_call::<Reply>(wanted.call) {
            row.cached.add(1);
            return Some(Ok(reply));
        }
        if let Some(refused) = self.refusal(wanted) {
            return Some(Err(refused));
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

//! The channels between stages: batches of records, and how a stream ended. Owns buffering and
//! hanging up; knows nothing of verbs.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::shard::Shard;
use crate::hash::Hash;
use crate::record::Record;

/// Records a message: few enough to flow, enough to make messages cheap.
pub const BATCH: usize = 64;
/// Batches that wait between two stages.
const DEPTH: usize = 4;

/// How a stream of records ended well.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Every record is there: none failed here or before.
    pub whole: bool,
    /// Names the content of the stream, if that is known.
    pub identity: Option<Hash>,
}

enum Message {
    Batch(Arc<Vec<Record>>),
    End(End),
}

enum Sender {
    Bounded(mpsc::Sender<Message>),
    Free(mpsc::UnboundedSender<Message>),
}

enum Receiver {
    Bounded(mpsc::Receiver<Message>),
    Free(mpsc::UnboundedReceiver<Message>),
}

/// The writing end of all channels of one stage.
#[derive(Default)]
pub struct Outlet {
    readers: Vec<Sender>,
    had_readers: bool,
    pending: Vec<Record>,
}

/// The reading end of one channel.
pub struct Inlet {
    receiver: Receiver,
    ended: Option<End>,
    /// Whose records alone are let through.
    only: Option<Shard>,
}

impl Outlet {
    /// Adds a reader. `free` channels hold any number of records: for inputs that are read
    /// later than another input with the same origin, which would wait for each other.
    pub fn connect(&mut self, free: bool) -> Inlet {
        self.had_readers = true;
        let (sender, receiver) = if free {
            let (tx, rx) = mpsc::unbounded_channel();
            (Sender::Free(tx), Receiver::Free(rx))
        } else {
            let (tx, rx) = mpsc::channel(DEPTH);
            (Sender::Bounded(tx), Receiver::Bounded(rx))
        };
        self.readers.push(sender);
        Inlet {
            receiver,
            ended: None,
            only: None,
        }
    }

    /// Sends records on, as soon as there are enough of them.
    pub async fn send(&mut self, records: &mut Vec<Record>) {
        if self.readers.is_empty() {
            records.clear();
            return;
        }
        self.pending.append(records);
        if self.pending.len() >= BATCH {
            self.flush().await;
        }
    }

    /// Sends all records on now.
    pub async fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let batch = Arc::new(std::mem::take(&mut self.pending));
        let mut at = 0;
        while at < self.readers.len() {
            let message = Message::Batch(batch.clone());
            let heard = match &self.readers[at] {
                Sender::Bounded(tx) => tx.send(message).await.is_ok(),
                Sender::Free(tx) => tx.send(message).is_ok(),
            };
            if heard {
                at += 1;
            } else {
                self.readers.swap_remove(at);
            }
        }
    }

    /// True when there were readers and all have hung up: nothing more is needed.
    pub fn deserted(&self) -> bool {
        self.had_readers
            && self.readers.iter().all(|reader| match reader {
                Sender::Bounded(tx) => tx.is_closed(),
                Sender::Free(tx) => tx.is_closed(),
            })
    }

    /// Waits until it is [`deserted`](Outlet::deserted).
    pub async fn desertion(&self) {
        if !self.had_readers {
            std::future::pending::<()>().await;
        }
        for reader in &self.readers {
            match reader {
                Sender::Bounded(tx) => tx.closed().await,
                Sender::Free(tx) => tx.closed().await,
            }
        }
    }

    /// Ends the stream well. An outlet that is dropped without this ends it broken.
    pub async fn end(mut self, end: End) {
        self.flush().await;
        for reader in &self.readers {
            let message = Message::End(end);
            let _ = match reader {
                Sender::Bounded(tx) => tx.send(message).await,
                Sender::Free(tx) => tx.send(message),
            };
        }
    }
}

impl Inlet {
    /// Lets only the records of one machine through.
    #[must_use]
    pub fn only(self, shard: Option<Shard>) -> Inlet {
        Inlet {
            only: shard,
            ..self
        }
    }

    /// The next records; `None` when the stream has ended, well or broken.
    pub async fn next(&mut self) -> Option<Vec<Record>> {
        loop {
            let message = match &mut self.receiver {
                Receiver::Bounded(rx) => rx.recv().await,
                Receiver::Free(rx) => rx.recv().await,
            };
            match (message?, self.only) {
                // The last reader takes the records, the others share their values.
                (Message::Batch(batch), None) => return Some(Arc::unwrap_or_clone(batch)),
                (Message::Batch(batch), Some(shard)) => {
                    let own = batch.iter().filter(|record| shard.has(&record.key));
                    let own: Vec<Record> = own.cloned().collect();
                    if !own.is_empty() {
                        return Some(own);
                    }
                }
                (Message::End(end), _) => {
                    self.ended = Some(end);
                    return None;
                }
            }
        }
    }

    /// How the stream ended; `None` while it goes on, or if it broke.
    pub fn ended(&self) -> Option<End> {
        self.ended
    }
}

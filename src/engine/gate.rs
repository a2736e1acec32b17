//! Lets calls through to servers that share a machine: waits for their turn, and has servers
//! stopped that make room. What is decided is decided in `turns`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::lane::Lane;
use super::turns::{Amounts, Moves, StageUse, Turns};

/// How long a server that nobody asks may keep others waiting.
const IDLE: Duration = Duration::from_secs(15);
/// How often those who wait look whether it is so.
const LOOK: Duration = Duration::from_secs(5);

/// The gate of all servers of a run.
pub struct Gate {
    turns: Mutex<Turns>,
    lanes: Vec<Arc<Lane>>,
    changed: Notify,
}

/// A call that is let through. Dropping it says that it has ended.
pub struct Pass(Option<(Arc<Gate>, usize)>);

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some((gate, lane)) = self.0.take() {
            let mut turns = gate.turns();
            turns.end(lane, Instant::now());
            if turns.is_empty_handed(lane) {
                gate.advance(&mut turns);
            }
        }
    }
}

/// A call that waits.
struct Waiting<'a>(&'a Gate, usize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.turns().waited(self.1);
    }
}

impl Gate {
    /// A gate for these servers, on a machine that has so much.
    pub fn new(lanes: Vec<Arc<Lane>>, has: Amounts) -> Arc<Gate> {
        let needs = lanes.iter().map(|lane| lane.needs()).collect();
        Arc::new(Gate {
            turns: Mutex::new(Turns::new(needs, has)),
            lanes,
            changed: Notify::new(),
        })
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stages of a run.
    pub fn stages(&self, stages: Vec<StageUse>) {
        self.turns().stages(stages);
    }

    /// A stage asks no more.
    pub fn ended(self: &Arc<Gate>, stage: usize) {
        let mut turns = self.turns();
        turns.ended(stage);
        self.advance(&mut turns);
    }

    /// Waits for the turn of a server.
    pub async fn enter(self: &Arc<Gate>, lane: usize) -> Pass {
        let waiting = {
            let mut turns = self.turns();
            if !turns.is_bound(lane) {
                return Pass(None);
            }
            if turns.begin(lane) {
                return Pass(Some((self.clone(), lane)));
            }
            turns.wait(lane);
            self.advance(&mut turns);
            Waiting(self, lane)
        };
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.turns().begin(lane) {
                drop(waiting);
                return Pass(Some((self.clone(), lane)));
            }
            if tokio::time::timeout(LOOK, changed).await.is_err() {
                self.advance(&mut self.turns());
            }
        }
    }

    fn advance(self: &Arc<Gate>, turns: &mut Turns) {
        let Moves { came, stop } = turns.advance(Instant::now(), IDLE);
        for lane in stop {
            let gate = self.clone();
            // A task of its own: whoever waits for it may give up meanwhile.
            tokio::spawn(async move {
                gate.lanes[lane].close().await;
                let mut turns = gate.turns();
                turns.gone(lane);
                gate.advance(&mut turns);
            });
        }
        if came {
            self.changed.notify_waiters();
        }
    }
}

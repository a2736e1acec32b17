//! What is known of a model's servers, and whose turn it is. Pure, but for the time that it is told.

use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::{Lost, Permit, Waits, Want};
use crate::model::health::Health;
use crate::model::limit::{Limit, Ticket};
use crate::model::pace::Pace;
use crate::model::prefix::Sketch;

/// How many of those who wait are looked at for a prompt that begins like the last ones.
const LOOKED_AT: usize = 64;
/// How often one that waits may be passed over.
pub const PASSED_OVER: u32 = 32;
/// Prompts that a server is thought to remember the start of.
const REMEMBERED: usize = 4;

/// Tokens that an answer is thought to have before there was any.
const ANSWER: u64 = 500;

/// What is known of the servers, and who waits.
pub struct State {
    /// The servers.
    pub servers: Vec<Server>,
    /// Who waits, in order.
    pub waiting: VecDeque<Waiter>,
    /// How much a minute they get together.
    pub pace: Pace,
    /// Tokens that an answer is thought to have, if nobody limits it.
    pub answer: u64,
    /// Any answer was ever received.
    pub met: bool,
    /// Since when all servers are away.
    pub away: Option<Instant>,
    /// Somebody else sees to it that they come back.
    pub held: bool,
    /// They are given up.
    pub lost: bool,
    /// When those who wait are looked at without anybody's doing.
    pub alarm: Option<(Instant, AbortHandle)>,
}

/// One server.
pub struct Server {
    /// How many requests it gets at once.
    pub limit: Limit,
    /// Whether it can be asked.
    pub health: Health,
    /// Requests that it was sent.
    pub sent: u64,
    /// Requests that it answered.
    pub answered: u64,
    /// How the prompts began that it had last.
    pub recent: VecDeque<Sketch>,
}

/// One that waits.
pub struct Waiter {
    /// Where its permit goes.
    pub to: oneshot::Sender<Result<Permit, Lost>>,
    /// What it wants to send.
    pub want: Want,
    /// How often another one came first.
    pub passed_over: u32,
}

impl Server {
    /// Counts a request that is sent to it.
    pub fn send(&mut self, sketch: &Sketch) -> Ticket {
        self.sent += 1;
        self.health.ask();
        if *sketch != Sketch::default() {
            self.recent.push_front(sketch.clone());
            self.recent.truncate(REMEMBERED);
        }
        self.limit.begin()
    }
}

impl State {
    /// Servers to which nothing was sent yet.
    pub fn new(limits: Vec<Limit>, pace: Pace) -> State {
        let server = |limit| Server {
            limit,
            health: Health::default(),
            sent: 0,
            answered: 0,
            recent: VecDeque::new(),
        };
        State {
            servers: limits.into_iter().map(server).collect(),
            waiting: VecDeque::new(),
            pace,
            answer: ANSWER,
            met: false,
            away: None,
            held: false,
            lost: false,
            alarm: None,
        }
    }

    /// Servers that may have one more request, other than `than`: those with the fewest open ones
    /// first, and of these those that had the fewest so far. Servers that fail count if no other is
    /// well: whoever asks them finds an end.
    pub fn free(&self, now: Instant, than: Option<usize>) -> Vec<usize> {
        let none_is_well = !self.servers.iter().any(|s| s.health.is_well());
        let free = |server: &Server| {
            let health = &server.health;
            let rested = health.next(now).is_some_and(|at| at <= now);
            server.limit.has_room() && (rested || (none_is_well && health.is_failing()))
        };
        let servers = 0..self.servers.len();
        let mut free: Vec<usize> = servers
            .filter(|at| Some(*at) != than && free(&self.servers[*at]))
            .collect();
        free.sort_by_key(|at| (self.servers[*at].limit.open(), self.servers[*at].sent));
        free
    }

    /// Who is next, and at which server: the server's index, and the place in the line.
    pub fn next(&self, now: Instant) -> Option<(usize, usize)> {
        let servers = self.free(now, None).into_iter();
        let mut pairs = servers.filter_map(|at| Some((at, self.choose(at)?)));
        pairs.next()
    }

    /// Tokens of a request, with those of an answer of unknown length as answers were so far.
    pub fn tokens(&self, want: &Want) -> u64 {
        want.tokens + if want.open { self.answer } else { 0 }
    }

    /// Learns how long answers are: from long ones at once, from short ones slowly.
    pub fn learn(&mut self, answer: u64) {
        self.answer = answer.max(self.answer - self.answer / 8);
    }

    /// When a server ends its rest.
    pub fn next_rest_end(&self, now: Instant) -> Option<Instant> {
        let resting = self.servers.iter().filter(|s| !s.health.is_well());
        let ends = resting.filter_map(|s| s.health.next(now));
        // One whose rest is over waits for room.
        ends.filter(|end| *end > now).min()
    }

    /// Whose turn it is at a server: the first one's, or one's whose prompt begins as one that the
    /// server has just had. Nobody is passed over for ever.
    fn choose(&self, at: usize) -> Option<usize> {
        let server = &self.servers[at];
        let well = |other: usize| other != at && self.servers[other].health.is_well();
        let others = (0..self.servers.len()).any(well);
        let looked_at = self.waiting.iter().take(LOOKED_AT).enumerate();
        let mut best = None;
        for (index, waiter) in looked_at {
            if waiter.to.is_closed() || (others && waiter.want.avoid == Some(at)) {
                continue;
            }
            if best.is_none() && waiter.passed_over >= PASSED_OVER {
                return Some(index);
            }
            let shared = |(age, recent): (usize, &Sketch)| {
                let shared = waiter.want.sketch.shared(recent);
                (shared > 0).then_some((shared, REMEMBERED - age))
            };
            let score = server.recent.iter().enumerate().filter_map(shared).max();
            if best.is_none_or(|(top, _)| score > top) {
                best = Some((score, index));
            }
        }
        // Those who avoid it wait for another one.
        best.map(|(_, index)| index)
    }

    /// Gives the servers up when all are away and were waited for.
    pub fn give_up(&mut self, waits: &Waits, now: Instant) {
        if !self.servers.iter().all(|server| server.health.is_away()) {
            self.away = None;
            return;
        }
        let since = *self.away.get_or_insert(now);
        self.lost |= !self.held
            && if self.met {
                now.saturating_duration_since(since) >= waits.patience
            } else {
                let tries = waits.first_tries;
                self.servers.iter().all(|s| s.health.absences() >= tries)
            };
    }
}

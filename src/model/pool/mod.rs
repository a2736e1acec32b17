//! The servers of one model, and who may ask which of them next: the least busy one that is well,
//! within its limit and the model's pace. Owns those who wait; knows nothing of HTTP.

mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use self::state::{State, Waiter};
use super::limit::{Limit, Load, Ticket};
use super::pace::Pace;
use super::prefix::Sketch;
use super::retry::Backoff;

/// All servers are away, and were waited for long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// What is worth telling of the servers, by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// One is not there any more.
    Away(usize),
    /// It is there again.
    Back(usize),
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an answer, of so many tokens with its prompt, or with a refusal that says that the
    /// server works.
    Answered(Option<u64>),
    /// The server is busy, for as long as it says.
    Busy(Duration),
    /// There is no server.
    Absent,
    /// There is one, which is not ready yet.
    Loading,
    /// The server fails.
    Failed,
    /// Nobody knows.
    Unknown,
}

impl End {
    /// True if the server will have to be waited for.
    pub fn is_away(self) -> bool {
        matches!(self, End::Absent | End::Loading)
    }
}

/// How long servers are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Pauses between requests to a server that is away.
    pub backoff: Backoff,
    /// Requests to a server that never answered, before it is given up.
    pub first_tries: u32,
    /// How long a server that answered before is waited for.
    pub patience: Duration,
}

/// The servers of a model.
pub struct Pool {
    state: Mutex<State>,
    waits: Waits,
    notice: Box<dyn Fn(Notice) + Send + Sync>,
}

/// What a request needs to be known for it to be placed.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// How its prompt begins.
    pub sketch: Sketch,
    /// Tokens of the prompt, guessed, and of the answer, if its length is limited.
    pub tokens: u64,
    /// The length of the answer is not limited.
    pub open: bool,
    /// The server that failed it last; another one is better.
    pub avoid: Option<usize>,
}

/// The right to send one request to one server.
pub struct Permit {
    pool: Arc<Pool>,
    at: usize,
    ticket: Ticket,
    /// Tokens that were guessed, and those without an answer whose length is not known.
    tokens: u64,
    prompt: u64,
    answered: u64,
    ended: bool,
}

impl Permit {
    /// The index of the server.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Tells how the request ended; true if the server has answered others since it began.
    pub fn end(mut self, end: End) -> bool {
        self.ended = true;
        self.pool.end(&self, end)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.ended {
            self.pool.end(self, End::Unknown);
        }
    }
}

impl Pool {
    /// Servers with these limits.
    pub fn new(
        limits: Vec<Limit>,
        pace: Pace,
        waits: Waits,
        notice: Box<dyn Fn(Notice) + Send + Sync>,
    ) -> Arc<Pool> {
        Arc::new(Pool {
            state: Mutex::new(State::new(limits, pace)),
            waits,
            notice,
        })
    }

    /// How long they are waited for.
    pub fn waits(&self) -> Waits {
        self.waits
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets in line for a server, at once; whoever awaits what it gives waits there. `again` puts
    /// the request before those that were never sent. The error: the servers are lost.
    pub fn acquire(
        self: &Arc<Pool>,
        want: Want,
        again: bool,
    ) -> impl Future<Output = Result<Permit, Lost>> + use<> {
        let mut state = self.state();
        let (to, permit) = oneshot::channel();
        let waiter = Waiter {
            to,
            want,
            passed_over: 0,
        };
        if again {
            state.waiting.push_front(waiter);
        } else {
            state.waiting.push_back(waiter);
        }
        self.dispatch(&mut state);
        async move { permit.await.unwrap_or(Err(Lost)) }
    }

    /// Another server that could be asked at once.
    pub fn another(self: &Arc<Pool>, want: &Want, than: usize) -> Option<Permit> {
        let now = Instant::now();
        let mut state = self.state();
        let at = *state.free(now, Some(than)).first()?;
        let well = state.servers[at].health.is_well() && state.waiting.is_empty();
        let tokens = state.tokens(want);
        if !well || state.held || state.lost || state.pace.begin(tokens, now).is_err() {
            return None;
        }
        Some(self.grant(&mut state, at, want, tokens))
    }

    /// While held, nobody is asked, and nobody is given up.
    pub fn hold(self: &Arc<Pool>, held: bool) {
        let mut state = self.state();
        state.held = held;
        if !held {
            state.away = None;
            for server in &mut state.servers {
                server.health.answered();
            }
        }
        self.dispatch(&mut state);
    }

    /// Gives the servers up.
    pub fn lose(self: &Arc<Pool>) {
        let mut state = self.state();
        state.lost = true;
        self.dispatch(&mut state);
    }

    /// Requests that each server was sent.
    pub fn sent(&self) -> Vec<u64> {
        self.state().servers.iter().map(|s| s.sent).collect()
    }

    fn grant(self: &Arc<Pool>, state: &mut State, at: usize, want: &Want, tokens: u64) -> Permit {
        let server = &mut state.servers[at];
        Permit {
            pool: self.clone(),
            at,
            answered: server.answered,
            ticket: server.send(&want.sketch),
            tokens,
            prompt: want.tokens,
            ended: false,
        }
    }

    /// Lets in whoever can be let in, and sees to it that the others are thought of in time.
    fn dispatch(self: &Arc<Pool>, state: &mut State) {
        while let Some(waiter) = state.waiting.front() {
            if waiter.to.is_closed() {
                state.waiting.pop_front();
            } else if state.lost {
                if let Some(waiter) = state.waiting.pop_front() {
                    let _ = waiter.to.send(Err(Lost));
                }
            } else {
                let now = Instant::now();
                let next = match state.next(now) {
                    _ if state.held => Err(None),
                    Some((at, chosen)) => self.place(state, at, chosen, now),
                    None => Err(state.next_rest_end(now)),
                };
                if let Err(when) = next {
                    if let Some(when) = when {
                        self.wake(state, when);
                    }
                    break;
                }
            }
        }
    }

    /// Sends one of those who wait to a server, or says when that could be tried again.
    fn place(
        self: &Arc<Pool>,
        state: &mut State,
        at: usize,
        chosen: usize,
        now: Instant,
    ) -> Result<(), Option<Instant>> {
        let tokens = state.tokens(&state.waiting[chosen].want);
        state.pace.begin(tokens, now).map_err(Some)?;
        for passed in state.waiting.range_mut(..chosen) {
            passed.passed_over += 1;
        }
        if let Some(waiter) = state.waiting.remove(chosen) {
            let permit = self.grant(state, at, &waiter.want, tokens);
            if let Err(Ok(mut permit)) = waiter.to.send(Ok(permit)) {
                // Nobody waits any more. Its drop would lock what is locked here.
                permit.ended = true;
                state.pace.give_back(permit.tokens);
                let server = &mut state.servers[at];
                server.limit.end(permit.ticket, Load::Unknown);
                server.health.unknown();
            }
        }
        Ok(())
    }

    fn wake(self: &Arc<Pool>, state: &mut State, when: Instant) {
        if state
            .alarm
            .as_ref()
            .is_some_and(|(alarm, _)| *alarm <= when)
        {
            return;
        }
        // Without a runtime nobody can be waiting.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let pool = Arc::downgrade(self);
        let task = runtime.spawn(async move {
            tokio::time::sleep_until(when.into()).await;
            if let Some(pool) = pool.upgrade() {
                let mut state = pool.state();
                // A sooner one may have taken its place just now.
                if state
                    .alarm
                    .as_ref()
                    .is_some_and(|(alarm, _)| *alarm == when)
                {
                    state.alarm = None;
                    pool.dispatch(&mut state);
                }
            }
        });
        if let Some((_, later)) = state.alarm.replace((when, task.abort_handle())) {
            later.abort();
        }
    }

    fn end(self: &Arc<Pool>, permit: &Permit, end: End) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let at = permit.at;
        let alone = state.servers.len() == 1;
        let server = &mut state.servers[at];
        let progress = server.answered > permit.answered;
        let was_away = server.health.is_away();
        let load = match end {
            End::Answered(_) => Load::Borne,
            End::Busy(_) => Load::Busy,
            _ => Load::Unknown,
        };
        server.limit.end(permit.ticket, load);
        match end {
            End::Answered(_) => {
                server.answered += 1;
                server.health.answered();
            }
            End::Busy(told) if server.limit.open() == 0 => {
                server.health.busy(now, told, &self.waits.backoff);
            }
            // It serves others.
            End::Busy(_) => server.health.answered(),
            End::Absent | End::Loading => server.health.absent(now, &self.waits.backoff),
            End::Failed if !alone => server.health.failed(now, &self.waits.backoff),
            End::Failed => server.health.answered(),
            End::Unknown => server.health.unknown(),
        }
        let is_away = server.health.is_away();
        match end {
            End::Answered(Some(tokens)) => {
                state.pace.correct(permit.tokens, tokens);
                state.learn(tokens.saturating_sub(permit.prompt));
            }
            End::Absent | End::Loading => state.pace.correct(permit.tokens, 0),
            _ => {}
        }
        // A server that fails, or loads, is there.
        state.met |= !matches!(end, End::Absent | End::Unknown);
        state.give_up(&self.waits, now);
        let notice = (was_away != is_away && state.met && !state.held && !state.lost).then_some(
            if is_away {
                Notice::Away(at)
            } else {
                Notice::Back(at)
            },
        );
        self.dispatch(&mut state);
        drop(state);
        if let Some(notice) = notice {
            (self.notice)(notice);
        }
        progress
    }
}

#[cfg(test)]
mod tests;

//! How many requests a server gets at once. Pure: it counts those that are open, and learns from
//! how they end.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP Reno has it (RFC 5681):
//! a server that says it is busy gets a tenth fewer, once for all the refusals of one moment; one
//! that answers gets more, fast while far below what it last refused, slowly when near. Only
//! words like "busy" count: a server that fails is not helped by fewer requests.

/// Where a limit that has to be found out begins.
const FIRST: f64 = 8.0;
/// The most that is found out.
pub const MOST_FOUND: u32 = 256;
/// What a refusal leaves of the limit.
const LESS: f64 = 0.9;
/// What is left as long as the limit is far off: nothing was answered since the last refusal.
const MUCH_LESS: f64 = 0.5;
/// The part of a request by which the limit grows in a round of answers when near the limit:
/// about one refusal in four rounds.
const MORE: f64 = 0.25;

/// The limit of one server.
#[derive(Debug)]
pub struct Limit {
    most: f64,
    now: f64,
    open: u32,
    /// Counts the decreases: refusals of requests that began before the last are old news.
    era: u64,
    /// Whether the limit grew in this era.
    grew: bool,
    /// The number of open requests that was refused last.
    refused: Option<f64>,
}

/// A request that is open.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

/// What the end of a request says of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The server answered.
    Borne,
    /// The server said that it is busy.
    Busy,
    /// Nothing.
    Unknown,
}

impl Limit {
    /// At most so many, and so many at first.
    pub fn up_to(most: u32) -> Limit {
        Limit {
            most: f64::from(most.max(1)),
            now: f64::from(most.max(1)),
            open: 0,
            era: 0,
            grew: false,
            refused: None,
        }
    }

    /// As many as the server bears, found out from few.
    pub fn found_out() -> Limit {
        Limit {
            now: FIRST,
            ..Limit::up_to(MOST_FOUND)
        }
    }

    /// Requests that are open.
    pub fn open(&self) -> u32 {
        self.open
    }

    /// True when one more may be sent.
    pub fn has_room(&self) -> bool {
        f64::from(self.open) + 1.0 <= self.now
    }

    /// Counts a request that begins.
    pub fn begin(&mut self) -> Ticket {
        self.open += 1;
        Ticket(self.era)
    }

    /// Counts one that has ended.
    pub fn end(&mut self, ticket: Ticket, load: Load) {
        let in_use = f64::from(self.open) + 1.0 > self.now;
        self.open = self.open.saturating_sub(1);
        match load {
            // A limit that nobody feels has shown nothing.
            Load::Borne if in_use => self.grow(),
            Load::Busy if ticket.0 == self.era => self.shrink(),
            _ => {}
        }
    }

    fn grow(&mut self) {
        self.grew = true;
        // What is far beyond the last refusal makes it old.
        self.refused = self.refused.filter(|refused| self.now <= refused + 2.0);
        let is_near = |refused: f64| self.now >= refused * LESS || self.now + 1.0 >= refused;
        let near = self.refused.is_some_and(is_near);
        let more = if near { MORE / self.now } else { 1.0 };
        self.now = (self.now + more).min(self.most);
    }

    fn shrink(&mut self) {
        let refused = self.now.floor();
        let left = if self.grew { LESS } else { MUCH_LESS };
        self.now = (self.now * left).min(refused - 1.0).max(1.0);
        self.refused = Some(refused);
        self.grew = false;
        self.era += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A server that bears so many requests at once and refuses more at once: how many were
    /// open on average in the later half of the rounds, and the share of refusals there.
    fn against(mut limit: Limit, bears: u32, rounds: u32) -> (f64, f64) {
        let mut held: Vec<Ticket> = Vec::new();
        let (mut sum, mut refused, mut answered) = (0.0, 0.0, 0.0);
        for round in 0..rounds {
            let late = round >= rounds / 2;
            // A whole round of answers, one after the other, each making room for the next.
            for _ in 0..bears.max(1) {
                while limit.has_room() {
                    let ticket = limit.begin();
                    if held.len() < bears as usize {
                        held.push(ticket);
                    } else {
                        limit.end(ticket, Load::Busy);
                        refused += f64::from(u8::from(late));
                        break;
                    }
                }
                sum += if late { held.len() as f64 } else { 0.0 };
                if !held.is_empty() {
                    limit.end(held.remove(0), Load::Borne);
                }
                answered += f64::from(u8::from(late));
            }
        }
        (sum / answered, refused / answered)
    }

    #[test]
    fn the_limit_of_a_server_is_found_within_a_tenth() {
        for bears in [1, 2, 3, 7, 10, 16, 33, 64, 100, 200] {
            for (how, limit) in [("auto", Limit::found_out()), ("256", Limit::up_to(256))] {
                let (open, refused) = against(limit, bears, 400);
                assert!(
                    open >= 0.9 * f64::from(bears),
                    "{how}, {bears}: {open:.2} open"
                );
                assert!(refused < 0.3, "{how}, {bears}: {refused:.3} refused");
            }
        }
    }

    #[test]
    fn refusals_of_one_moment_count_once() {
        let mut limit = Limit::up_to(64);
        let tickets: Vec<Ticket> = (0..64).map(|_| limit.begin()).collect();
        for ticket in tickets {
            limit.end(ticket, Load::Busy);
        }
        assert_eq!((limit.open(), limit.now.floor()), (0, 32.0));
    }

    #[test]
    fn failures_and_idle_times_change_nothing() {
        let mut limit = Limit::found_out();
        for load in [Load::Unknown, Load::Borne] {
            let ticket = limit.begin();
            limit.end(ticket, load);
        }
        assert_eq!(limit.now.to_bits(), FIRST.to_bits());
    }

    proptest! {
        #[test]
        fn never_none_and_never_more_than_the_most(
            most in 1_u32..300,
            steps in prop::collection::vec((0_u8..3, 0_usize..300), 1..400),
        ) {
            let mut limit = Limit::up_to(most);
            let mut held = Vec::new();
            for (what, at) in steps {
                if limit.has_room() {
                    held.push(limit.begin());
                } else if !held.is_empty() {
                    let load = [Load::Borne, Load::Busy, Load::Unknown][usize::from(what)];
                    limit.end(held.remove(at % held.len()), load);
                }
                prop_assert!(limit.open() as usize == held.len());
                prop_assert!(limit.open() <= most);
                prop_assert!(limit.open() > 0 || limit.has_room());
            }
        }
    }
}

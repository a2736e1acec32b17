//! Whether a server can be asked. Pure: it is told the time and how requests ended.

use std::time::{Duration, Instant};

use super::retry::Backoff;

/// Failures in a row after which a server rests if there are others: one that fails fast would
/// else draw all requests to itself.
const BAD: u32 = 3;

/// What is known of one server's health.
#[derive(Debug, Default)]
pub struct Health {
    /// Requests in a row that found nobody.
    away: u32,
    /// Requests in a row that failed otherwise.
    failed: u32,
    /// Requests in a row that it was too busy for, with no other open.
    busy: u32,
    /// It rests until then, and is then tried with one request.
    rests: Option<Instant>,
    /// That one request is under way.
    tried: bool,
}

impl Health {
    /// True when it is not known to be away or failing.
    pub fn is_well(&self) -> bool {
        self.rests.is_none()
    }

    /// When it may be asked next: `None` when only the end of a request can tell.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        match self.rests {
            None => Some(now),
            Some(_) if self.tried => None,
            Some(until) => Some(until.max(now)),
        }
    }

    /// True when nobody has been there for some requests.
    pub fn is_away(&self) -> bool {
        self.away > 0
    }

    /// True when it rests because it fails: as good as any other if no other is well.
    pub fn is_failing(&self) -> bool {
        self.rests.is_some() && self.away == 0 && self.busy == 0
    }

    /// Requests in a row that found nobody.
    pub fn absences(&self) -> u32 {
        self.away
    }

    /// A request is sent.
    pub fn ask(&mut self) {
        self.tried = self.rests.is_some();
    }

    /// A request was answered, in whatever words.
    pub fn answered(&mut self) {
        *self = Health::default();
    }

    /// A request found nobody. Those that were under way together count once.
    pub fn absent(&mut self, now: Instant, backoff: &Backoff) {
        if self.away == 0 || self.tried {
            self.rest(now, backoff.wait(self.away, 1.0));
            self.away += 1;
        }
    }

    /// A request failed, while other servers could be asked. Whoever fails is there.
    pub fn failed(&mut self, now: Instant, backoff: &Backoff) {
        self.away = 0;
        self.failed = self.failed.saturating_add(1);
        if self.failed >= BAD || self.rests.is_some() {
            self.rest(now, backoff.wait(self.failed.saturating_sub(BAD), 1.0));
        }
    }

    /// It was too busy for the only request that was open: it is left alone for as long as it
    /// says, and longer each time if it says nothing.
    pub fn busy(&mut self, now: Instant, told: Duration, backoff: &Backoff) {
        self.away = 0;
        self.rest(now, told.max(backoff.wait(self.busy, 1.0)));
        self.busy = self.busy.saturating_add(1);
    }

    /// A request ended without telling anything.
    pub fn unknown(&mut self) {
        self.tried = false;
    }

    fn rest(&mut self, now: Instant, long: Duration) {
        self.rests = Some(now + long);
        self.tried = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(4),
    };

    #[test]
    fn one_that_is_away_is_tried_now_and_then_with_one_request() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut health = Health::default();
        // Two that were under way are one absence.
        health.absent(start, &BACKOFF);
        health.absent(start, &BACKOFF);
        assert!(health.is_away() && !health.is_well());
        assert_eq!(health.next(start), Some(after(1)));
        health.ask();
        assert_eq!(health.next(after(1)), None);
        health.absent(after(1), &BACKOFF);
        assert_eq!(health.next(after(1)), Some(after(3)));
        health.ask();
        health.answered();
        assert!(health.is_well() && !health.is_away());
        assert_eq!(health.next(after(3)), Some(after(3)));
    }

    #[test]
    fn one_that_comes_back_failing_is_tried_again() {
        let start = Instant::now();
        let mut health = Health::default();
        health.absent(start, &BACKOFF);
        health.ask();
        health.failed(start, &BACKOFF);
        assert!(!health.is_away());
        assert_eq!(health.next(start), Some(start + BACKOFF.base));
    }

    #[test]
    fn one_that_is_busy_is_left_alone_for_as_long_as_it_says() {
        let start = Instant::now();
        let mut health = Health::default();
        health.busy(start, Duration::from_secs(9), &BACKOFF);
        assert_eq!(health.next(start), Some(start + Duration::from_secs(9)));
        assert!(!health.is_failing() && !health.is_away());
        health.ask();
        health.busy(start, Duration::ZERO, &BACKOFF);
        assert_eq!(health.next(start), Some(start + Duration::from_secs(2)));
    }

    #[test]
    fn one_that_fails_rests_after_some_failures() {
        let start = Instant::now();
        let mut health = Health::default();
        for _ in 1..BAD {
            health.failed(start, &BACKOFF);
            assert!(health.is_well());
        }
        health.failed(start, &BACKOFF);
        assert_eq!(health.next(start), Some(start + BACKOFF.base));
        health.ask();
        health.unknown();
        assert!(health.next(start).is_some() && !health.is_well());
    }
}

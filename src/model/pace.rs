//! How many requests and tokens a minute a model gets. Pure: it is told the time.

use std::time::{Duration, Instant};

/// The part of a minute's amount that may go at once.
const BURST: f64 = 0.1;

/// The pace of a model; without limits everything may go at once.
#[derive(Debug, Default)]
pub struct Pace {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// A bucket that fills steadily up to a brim. In no minute does more flow out than is allowed:
/// what a full one holds, and what fills it in a minute, are together a minute's amount.
#[derive(Debug)]
struct Bucket {
    brim: f64,
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Pace {
    /// At most so many requests and tokens in a minute.
    pub fn new(requests: Option<u32>, tokens: Option<u32>, now: Instant) -> Pace {
        // Requests come one by one, so even few a minute fill a bucket of one.
        let requests = requests.map(|most| {
            let most = f64::from(most.max(1));
            let brim = (most * BURST).floor().max(1.0);
            let steady = if brim > 1.0 { most - brim } else { most };
            Bucket::new(brim, steady / 60.0, now)
        });
        let tokens = tokens.map(|most| {
            let most = f64::from(most.max(1));
            Bucket::new(most * BURST, most * (1.0 - BURST) / 60.0, now)
        });
        Pace { requests, tokens }
    }

    /// Counts a request of about so many tokens that begins now.
    ///
    /// # Errors
    /// It must wait: until when.
    pub fn begin(&mut self, tokens: u64, now: Instant) -> Result<(), Instant> {
        let tokens = tokens as f64;
        let buckets = [(&mut self.requests, 1.0), (&mut self.tokens, tokens)];
        let waits = buckets.into_iter().filter_map(|(bucket, amount)| {
            let bucket = bucket.as_mut()?;
            bucket.fill(now);
            bucket.lacks(amount)
        });
        if let Some(wait) = waits.max() {
            return Err(now + wait);
        }
        if let Some(bucket) = &mut self.requests {
            bucket.level -= 1.0;
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.level -= tokens;
        }
        Ok(())
    }

    /// Takes back a request that was not sent.
    pub fn give_back(&mut self, tokens: u64) {
        if let Some(bucket) = &mut self.requests {
            bucket.level = (bucket.level + 1.0).min(bucket.brim);
        }
        self.correct(tokens, 0);
    }

    /// Corrects the tokens of a request that were guessed when it began.
    pub fn correct(&mut self, guessed: u64, counted: u64) {
        if let Some(bucket) = &mut self.tokens {
            bucket.level = (bucket.level + guessed as f64 - counted as f64).min(bucket.brim);
        }
    }
}

impl Bucket {
    fn new(brim: f64, per_second: f64, now: Instant) -> Bucket {
        Bucket {
            brim,
            per_second,
            level: brim,
            at: now,
        }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.brim);
        self.at = now;
    }

    /// How long until so much is there; `None` if it is. What is more than the brim goes when it
    /// is full, and leaves a debt.
    fn lacks(&self, amount: f64) -> Option<Duration> {
        let lacking = amount.min(self.brim) - self.level;
        // Less than a millionth is rounding.
        (lacking > 1e-6).then(|| {
            let wait = Duration::try_from_secs_f64(lacking / self.per_second);
            wait.unwrap_or(Duration::from_secs(3600)) + Duration::from_micros(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// When requests of so many tokens begin, in seconds, if all want to at once.
    fn times(pace: &mut Pace, start: Instant, requests: &[u64]) -> Vec<f64> {
        let mut now = start;
        let begin = |tokens: &u64| {
            while let Err(until) = pace.begin(*tokens, now) {
                now = until;
            }
            (now - start).as_secs_f64()
        };
        requests.iter().map(begin).collect()
    }

    proptest! {
        #[test]
        fn no_minute_has_more_than_allowed(
            most in 1_u32..500,
            count in 1_usize..600,
        ) {
            let start = Instant::now();
            let mut pace = Pace::new(Some(most), None, start);
            let times = times(&mut pace, start, &vec![0; count]);
            for (at, time) in times.iter().enumerate() {
                let within = times[at..].iter().filter(|t| **t < time + 59.99).count();
                prop_assert!(within <= most as usize, "{within} of {most}");
            }
            // And not much less: the pace is kept.
            let needed = count as f64 / f64::from(most) * 60.0;
            prop_assert!(times[count - 1] <= needed * 1.12 + 0.1);
        }

        #[test]
        fn no_minute_has_more_tokens_than_allowed(
            sizes in prop::collection::vec(1_u64..100, 1..300),
        ) {
            let start = Instant::now();
            let mut pace = Pace::new(None, Some(1000), start);
            let times = times(&mut pace, start, &sizes);
            for (at, time) in times.iter().enumerate() {
                let within = times[at..].iter().zip(&sizes[at..]);
                let tokens: u64 = within.filter(|(t, _)| **t < time + 59.99).map(|(_, n)| *n).sum();
                prop_assert!(tokens <= 1000, "{tokens}");
            }
        }
    }

    #[test]
    fn tokens_that_were_not_used_come_back() {
        let start = Instant::now();
        let mut pace = Pace::new(None, Some(600), start);
        assert_eq!(pace.begin(60, start), Ok(()));
        assert!(pace.begin(60, start).is_err());
        pace.correct(60, 0);
        assert_eq!(pace.begin(60, start), Ok(()));
    }

    #[test]
    fn a_call_larger_than_the_brim_waits_for_a_full_one_and_then_makes_others_wait() {
        let start = Instant::now();
        let mut pace = Pace::new(None, Some(600), start);
        assert_eq!(times(&mut pace, start, &[600]), [0.0]);
        let next = pace.begin(1, start).unwrap_err();
        // 540 tokens of debt and one, at nine a second.
        assert!((next - start).as_secs_f64() > 60.0);
    }

    #[test]
    fn without_limits_nothing_waits() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert!((0..9999).all(|_| pace.begin(u64::MAX, now).is_ok()));
    }
}

//! How long to wait before a failed call is tried again. Pure but for the dice.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

/// The most that a server's `Retry-After` is obeyed.
const MOST_TOLD: Duration = Duration::from_secs(120);

/// Waiting times that double from `base` up to `cap`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The longest first wait.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// The wait before the `again`-th repeat (from 0), for `share` of it between 0 and 1.
    pub fn wait(&self, again: u32, share: f64) -> Duration {
        let whole = self
            .base
            .saturating_mul(2_u32.saturating_pow(again))
            .min(self.cap);
        whole.mul_f64(share.clamp(0.0, 1.0))
    }

    /// The wait with full jitter: any part of it is as likely, so that calls which failed
    /// together do not come back together.
    pub fn jittered(&self, again: u32) -> Duration {
        // The seed of a fresh hasher is random; timing needs no better dice.
        let dice = RandomState::new().build_hasher().finish();
        self.wait(again, dice as f64 / u64::MAX as f64)
    }
}

/// The wait that a `Retry-After` header asks for, in seconds or as a date, at most two
/// minutes. `None` when it is neither.
pub fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    let told = match header.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Duration::try_from_secs_f64(seconds).unwrap_or(MOST_TOLD),
        Ok(_) => return None,
        Err(_) => httpdate::parse_http_date(header)
            .ok()?
            .duration_since(now)
            .unwrap_or(Duration::ZERO),
    };
    Some(told.min(MOST_TOLD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff::default();
        let waits: Vec<u64> = (0..9)
            .map(|n| backoff.wait(n, 1.0).as_millis() as u64)
            .collect();
        assert_eq!(
            waits,
            [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        );
        assert_eq!(backoff.wait(u32::MAX, 1.0), Duration::from_secs(30));
        assert_eq!(backoff.wait(3, 0.0), Duration::ZERO);
        assert!((0..99).all(|n| backoff.jittered(n) <= backoff.cap));
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        let seconds = |text: &str| retry_after(text, now).map(|d| d.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("86400"), Some(120));
        assert_eq!(seconds("inf"), Some(120));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:28:30 GMT"), Some(30));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:27:00 GMT"), Some(0));
        assert_eq!(seconds("-1"), None);
        assert_eq!(seconds("NaN"), None);
        assert_eq!(seconds("soon"), None);
    }
}

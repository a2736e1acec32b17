//! Moments as people write them, in UTC: what is stored is milliseconds since 1970. Pure.

use crate::text::moment;

/// A moment such as `2026-11-25 00:50:09`.
pub fn when(millis: u64) -> String {
    let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    moment::moment(seconds, 1).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_as_date_says() {
        // `date -u -d @N`
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_795_567_809, "2026-11-25 00:50:09"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(when(seconds * 1000 + 999), text);
        }
    }
}

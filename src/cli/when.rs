//! Moments as people write them, in UTC: what is stored is milliseconds since 1970. Pure.

/// A moment such as `2026-11-25 00:50:09`.
pub fn when(millis: u64) -> String {
    let seconds = millis / 1000;
    let (year, month, day) = day(seconds / 86_400);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    let second = seconds % 60;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar. Counted in
/// years that begin in March, so that the day that comes every four years is the last of them.
fn day(days: u64) -> (u64, u64, u64) {
    // Days since 0000-03-01.
    let days = days + 719_468;
    let (era, rest) = (days / 146_097, days % 146_097);
    let year = (rest - rest / 1460 + rest / 36_524 - rest / 146_096) / 365;
    let of_year = rest - (365 * year + year / 4 - year / 100);
    // From March, months have 153 days in every five.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + later, month, day)
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

    #[test]
    fn no_day_is_left_out() {
        let mut last = (1970, 1, 1);
        for days in 1..200_000 {
            let (year, month, of_month) = day(days);
            let next = of_month == last.2 + 1 && (year, month) == (last.0, last.1);
            let first = of_month == 1
                && ((year, month) == (last.0, last.1 + 1)
                    || (year, month, last.1) == (last.0 + 1, 1, 12));
            assert!(next || first, "{last:?} → {year}-{month}-{of_month}");
            last = (year, month, of_month);
        }
    }
}

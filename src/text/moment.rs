//! Moments in the Gregorian calendar, in UTC, counted from 1970. Pure.

/// Year, month and day of a number of days since 1970-01-01, also of those before. Counted in
/// years that begin in March, so that the day that comes every four years is the last of them.
pub fn day(days: i64) -> (i64, i64, i64) {
    // Days since 0000-03-01.
    let days = days.saturating_add(719_468);
    let (era, rest) = (days.div_euclid(146_097), days.rem_euclid(146_097));
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

/// A date as ISO 8601 has it, such as `2026-11-25`.
pub fn date(days: i64) -> String {
    let (year, month, day) = day(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A time of day as ISO 8601 has it, such as `00:50:09` or `00:50:09.25`, of the `ticks` since
/// midnight, of which a second has `per_second`, a power of ten.
pub fn time(ticks: i64, per_second: i64) -> String {
    let per_second = per_second.max(1);
    let (seconds, part) = (ticks.div_euclid(per_second), ticks.rem_euclid(per_second));
    let (minutes, second) = (seconds / 60, seconds % 60);
    let mut text = format!("{:02}:{:02}:{second:02}", minutes / 60, minutes % 60);
    if part > 0 {
        let digits = per_second.ilog10() as usize;
        let part = format!("{part:0digits$}");
        text = format!("{text}.{}", part.trim_end_matches('0'));
    }
    text
}

/// Date and time as ISO 8601 has them, such as `2026-11-25T00:50:09`, of the `ticks` since 1970.
pub fn moment(ticks: i64, per_second: i64) -> String {
    let per_day = per_second.max(1) * 86_400;
    let (days, ticks) = (ticks.div_euclid(per_day), ticks.rem_euclid(per_day));
    format!("{}T{}", date(days), time(ticks, per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_and_after_1970() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (-25_567, "1900-01-01"),
            (11_016, "2000-02-29"),
            (-719_469, "0000-02-29"),
        ] {
            assert_eq!(date(days), text);
        }
    }

    #[test]
    fn moments_have_as_many_decimals_as_they_need() {
        assert_eq!(moment(1_732_495_809_250, 1_000), "2024-11-25T00:50:09.25");
        assert_eq!(moment(-1, 1_000_000_000), "1969-12-31T23:59:59.999999999");
        assert_eq!(moment(86_400, 1), "1970-01-02T00:00:00");
        assert_eq!(time(3_600_000_001, 1_000_000), "01:00:00.000001");
        // No number is too large to be told.
        for ticks in [i64::MIN, i64::MAX] {
            assert!(moment(ticks, 1).contains('T') && moment(ticks, 1_000_000_000).contains('T'));
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

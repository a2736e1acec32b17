//! A day, and how Python's `strftime` writes it. Pure.

/// A day of the Gregorian calendar; it begins at midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    year: u32,
    month: u32,
    day: u32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

fn leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn length(year: u32, month: u32) -> u32 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Day {
    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Day> {
        let digits = |part: &str, count: usize| {
            let fits = part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| part.parse::<u32>().ok()).flatten()
        };
        let mut parts = text.split('-');
        let year = digits(parts.next()?, 4)?;
        let month = digits(parts.next()?, 2)?;
        let day = digits(parts.next()?, 2)?;
        let exists = year >= 1
            && (1..=12).contains(&month)
            && (1..=length(year, month)).contains(&day)
            && parts.next().is_none();
        exists.then_some(Day { year, month, day })
    }

    /// The day of the year, from 1.
    fn of_year(self) -> u32 {
        (1..self.month).map(|m| length(self.year, m)).sum::<u32>() + self.day
    }

    /// Days since a Sunday, modulo a week.
    fn weekday(self) -> usize {
        let before = self.year - 1;
        // The first day of the year 1 would have been a Monday.
        let days = before * 365 + before / 4 - before / 100 + before / 400 + self.of_year();
        days as usize % 7
    }

    /// The day as `format` says, in English. `-` after `%` leaves out leading zeros.
    ///
    /// # Errors
    /// The first `%` with a letter that is not known.
    pub fn strftime(self, format: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut what = chars.next();
            let bare = what == Some('-');
            if bare {
                what = chars.next();
            }
            let padded = |number: u32, width: usize| {
                let width = if bare { 1 } else { width };
                format!("{number:0width$}")
            };
            let month = MONTHS[self.month as usize - 1];
            let weekday = WEEKDAYS[self.weekday()];
            let piece = match what {
                Some('Y') => padded(self.year, 4),
                Some('y') => padded(self.year % 100, 2),
                Some('m') => padded(self.month, 2),
                Some('d') => padded(self.day, 2),
                Some('e') if bare => self.day.to_string(),
                Some('e') => format!("{:2}", self.day),
                Some('j') => padded(self.of_year(), 3),
                Some('B') => month.to_owned(),
                Some('b' | 'h') => month[..3].to_owned(),
                Some('A') => weekday.to_owned(),
                Some('a') => weekday[..3].to_owned(),
                Some('w') => self.weekday().to_string(),
                Some('u') => (1 + (self.weekday() + 6) % 7).to_string(),
                Some('F') => format!("{:04}-{:02}-{:02}", self.year, self.month, self.day),
                Some('D') => format!("{:02}/{:02}/{:02}", self.month, self.day, self.year % 100),
                Some('H' | 'M' | 'S') => padded(0, 2),
                Some('I') => padded(12, 2),
                Some('p') => "AM".to_owned(),
                Some('T') => "00:00:00".to_owned(),
                Some('R') => "00:00".to_owned(),
                Some('%') => "%".to_owned(),
                Some(other) => return Err(format!("`%{other}` in a date is not known")),
                None => return Err("a date ends in `%`".to_owned()),
            };
            out.push_str(&piece);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_python_does() {
        for (day, written) in [
            ("2024-07-26", "26 Jul 2024, Friday, 208, 7"),
            ("2000-02-29", "29 Feb 2000, Tuesday, 060, 2"),
            ("1900-03-01", "01 Mar 1900, Thursday, 060, 3"),
            ("0001-01-01", "01 Jan 0001, Monday, 001, 1"),
            ("9999-12-31", "31 Dec 9999, Friday, 365, 12"),
        ] {
            let day = Day::parse(day).expect("a day");
            assert_eq!(
                day.strftime("%d %b %Y, %A, %j, %-m").as_deref(),
                Ok(written)
            );
        }
        let day = Day::parse("2024-07-06").expect("a day");
        assert_eq!(
            day.strftime("%e %F %D %T %I%p %w%u 100%%").as_deref(),
            Ok(" 6 2024-07-06 07/06/24 00:00:00 12AM 66 100%")
        );
        assert!(day.strftime("%Q").is_err() && day.strftime("x%").is_err());
    }

    #[test]
    fn only_days_are_read() {
        for wrong in [
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "0000-01-01",
            "24-1-1",
            "2024-01-01-",
            "2024-01",
            "+024-01-01",
            "today",
            "",
        ] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }
}

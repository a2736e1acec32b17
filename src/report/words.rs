//! Numbers in words: counts, sizes and times as people write them. Pure.

use std::time::Duration;

/// A whole number with its thousands set apart, such as `4,300`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things, such as `1 call` or `12 calls`. The noun takes an s.
pub fn count(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", thousands(n))
}

/// An estimate, with two digits that count: 4,271 is `4,300`.
pub fn about(n: u64) -> String {
    let unit = 10_u64.pow(n.checked_ilog10().unwrap_or(0).saturating_sub(1));
    thousands((n.saturating_add(unit / 2) / unit).saturating_mul(unit))
}

/// A size in decimal units, such as `3.6 kB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // What would be written as 1000.0 is 1.0 of the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A time, such as `0.42 s`, `34 s`, `3 min 4 s` or `2 h 5 min`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 9.995 {
        return format!("{seconds:.2} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{whole} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// A text on one line without control characters, cut to `most` characters.
pub fn brief(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let gap = (length > 0).then_some(' ');
        for c in gap
            .into_iter()
            .chain(word.chars())
            .filter(|c| !c.is_control())
        {
            length += 1;
            line.push(c);
        }
        // A long text need not be read to its end.
        if length > most {
            return line
                .chars()
                .take(most.saturating_sub(1))
                .chain(['…'])
                .collect();
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_do() {
        assert_eq!(
            [0, 999, 1000, 1234567].map(thousands),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0, 7, 42, 4271, 99_600].map(about),
            ["0", "7", "42", "4,300", "100,000"]
        );
        assert_eq!(about(u64::MAX), "18,000,000,000,000,000,000");
        assert_eq!(count(1, "call"), "1 call");
        assert_eq!(count(1200, "call"), "1,200 calls");
    }

    #[test]
    fn sizes_and_times_change_units_where_they_round() {
        assert_eq!(
            [999, 1000, 999_949, 999_950, u64::MAX].map(size),
            ["999 B", "1.0 kB", "999.9 kB", "1.0 MB", "18446744.1 TB"]
        );
        assert_eq!(
            [0.0, 9.994, 9.996, 119.6, 184.0, 7500.0].map(|s| time(Duration::from_secs_f64(s))),
            [
                "0.00 s",
                "9.99 s",
                "10 s",
                "2 min 0 s",
                "3 min 4 s",
                "2 h 5 min"
            ]
        );
    }

    #[test]
    fn texts_are_cut_to_one_line() {
        assert_eq!(brief(" a\n b\tc ", 10), "a b c");
        assert_eq!(brief("héllo wörld", 8), "héllo w…");
        assert_eq!(brief("a\u{1b}[31mb", 20), "a[31mb");
        assert_eq!(brief("ab", 0), "…");
    }
}

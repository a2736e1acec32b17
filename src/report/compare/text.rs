//! A comparison for a terminal. Owns how much of long texts is shown, and that nothing in them can
//! be obeyed by a terminal.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::data::{Case, Cases, Comparison, Row, Score, Text};
use crate::report::words::{brief, count, thousands};
use crate::text::visible::plain;

/// Characters that are shown of what both sides share, at each end of it.
const SHARED: usize = 30;
/// Characters of one side's own.
const OWN: usize = 240;
/// Texts of a record.
const TEXTS: usize = 4;
/// Lines of a prompt's difference.
const LINES: usize = 40;
/// Characters of a run's id.
const ID: usize = 10;
/// Scores that are shown.
const SCORES: usize = 40;
/// Names in a line.
const NAMES: usize = 6;

/// What of a comparison is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Texts are not shortened.
    pub full: bool,
    /// The terminal takes colours.
    pub color: bool,
}

/// Writes a comparison. `when` writes a moment.
pub fn text(comparison: &Comparison, look: Look, when: &dyn Fn(u64) -> String) -> String {
    let mut out = String::new();
    for (letter, side) in [("a", &comparison.a), ("b", &comparison.b)] {
        let mut parts = vec![plain(&side.name)];
        if let Some(began) = side.began {
            parts.push(format!("{} UTC", when(began)));
        }
        parts.extend(side.ended.map(str::to_owned));
        let id = side.run.as_ref();
        parts.extend(id.map(|run| format!("run {}", run.get(..ID).unwrap_or(run))));
        let params = side.params.iter();
        let params: Vec<String> = params
            .map(|(name, value)| format!("{name}={}", brief(&plain(&bare(value)), 32)))
            .collect();
        parts.extend((!params.is_empty()).then(|| params.join(" ")));
        out.push_str(&format!("{letter}  {}\n", parts.join(", ")));
    }
    decides(comparison, look, &mut out);
    stages(comparison, &mut out);
    scores(&comparison.scores, &mut out);
    for cases in &comparison.cases {
        one(cases, look, &mut out);
    }
    for note in &comparison.notes {
        out.push_str(&format!("\nnote: {}\n", plain(note)));
    }
    out
}

fn decides(comparison: &Comparison, look: Look, out: &mut String) {
    if comparison.decides.is_empty() {
        return;
    }
    out.push_str("\nwhat decides\n");
    for found in &comparison.decides {
        let stages = names(&found.stages);
        out.push_str(&format!("  {} ({stages})\n", plain(&found.what)));
        let Some(diff) = &found.diff else {
            continue;
        };
        let most = if look.full { usize::MAX } else { LINES };
        // What files they were is said above.
        let diff = diff.lines().filter(|line| !line.starts_with("@@"));
        let diff: Vec<&str> = diff.collect();
        for line in diff.iter().take(most) {
            let line = plain(line);
            let line = match line.chars().next() {
                Some('-') if look.color => format!("\u{1b}[31m{line}\u{1b}[0m"),
                Some('+') if look.color => format!("\u{1b}[32m{line}\u{1b}[0m"),
                _ => line,
            };
            out.push_str(format!("    {line}").trim_end());
            out.push('\n');
        }
        let more = diff.len().saturating_sub(most);
        if more > 0 {
            out.push_str(&format!("    … {} more\n", count(more as u64, "line")));
        }
    }
}

fn stages(comparison: &Comparison, out: &mut String) {
    let known: Vec<&Row> = comparison
        .stages
        .iter()
        .filter(|row| row.unknown.is_none())
        .collect();
    let unknown = comparison
        .stages
        .iter()
        .filter_map(|row| Some((row, row.unknown.as_ref()?)));
    if !known.is_empty() {
        let head = [
            "records", "", "same", "changed", "only a", "only b", "fields",
        ];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        lines.extend(known.iter().map(|row| {
            let number = |n: usize| thousands(n as u64);
            let fields = row.fields.iter().take(NAMES);
            let fields: Vec<String> = fields
                .map(|(name, n)| format!("{} {}", plain(name), number(*n)))
                .collect();
            vec![
                format!("  {}", plain(&row.stage)),
                row.verb.clone(),
                number(row.same),
                number(row.changed.len()),
                number(row.only_a.len()),
                number(row.only_b.len()),
                fields.join(", "),
            ]
        }));
        out.push('\n');
        table(&lines, &[2, 3, 4, 5], out);
    }
    let unknown: Vec<(&Row, &String)> = unknown.collect();
    if !unknown.is_empty() {
        out.push_str("\nnot compared\n");
        for (row, why) in unknown {
            let line = format!("  {} ({}): {}", plain(&row.stage), row.verb, plain(why));
            out.push_str(&format!("{line}\n"));
        }
    }
    if !comparison.files.is_empty() {
        let files: Vec<String> = comparison
            .files
            .iter()
            .map(|file| file.stage.clone())
            .collect();
        let of = count(files.len() as u64, "file");
        let differ = if files.len() == 1 {
            "differs"
        } else {
            "differ"
        };
        out.push_str(&format!("  {of} {differ}: {}\n", names(&files)));
    }
    match (comparison.same.len(), comparison.stages.is_empty()) {
        (0, _) => {}
        (n, true) => out.push_str(&format!("\nno record differs: {} the same\n", of(n))),
        (n, false) => out.push_str(&format!("  {} the same\n", of(n))),
    }
}

fn of(stages: usize) -> String {
    let is = if stages == 1 { "is" } else { "are" };
    format!("{} {is}", count(stages as u64, "stage"))
}

fn scores(scores: &[Score], out: &mut String) {
    if scores.is_empty() {
        return;
    }
    // What is the same record by record is only counted.
    let is_same = |score: &&Score| {
        let zero = |x: Option<f64>| x.is_none_or(|x| x == 0.0);
        let all = score.n > 0 && score.unpaired == 0;
        all && zero(score.difference) && zero(score.low) && zero(score.high)
    };
    let all = scores;
    let scores: Vec<&Score> = scores.iter().filter(|score| !is_same(score)).collect();
    let same = match all.len() - scores.len() {
        0 => String::new(),
        1 => "  1 score is the same\n".to_owned(),
        n => format!("  {} are the same\n", count(n as u64, "score")),
    };
    if scores.is_empty() {
        out.push_str(&format!("\nscores\n{same}"));
        return;
    }
    let unpaired = scores.iter().any(|score| score.unpaired > 0);
    let clustered = scores.iter().any(|score| score.clusters.is_some());
    let sure = |score: &&Score| format!("{:.0} %", 100.0 * score.confidence);
    let all_sure: BTreeSet<String> = scores.iter().map(sure).collect();
    let interval = match all_sure.len() {
        1 => all_sure.into_iter().collect(),
        _ => "interval".to_owned(),
    };
    let head = [
        "scores", "metric", "n", "unpaired", "clusters", "mean a", "mean b", "b - a", &interval,
        "p",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(scores.iter().take(SCORES).map(|score| {
        let by = score.by.iter().map(|(_, value)| plain(&bare(value)));
        let by: Vec<String> = by.collect();
        let name = match by.as_slice() {
            [] => plain(&score.stage),
            by => format!("{}: {}", plain(&score.stage), by.join(", ")),
        };
        let signed = |x: Option<f64>| x.map_or_else(String::new, |x| format!("{x:+.4}"));
        let plain_number = |x: Option<f64>| x.map_or_else(String::new, |x| format!("{x:.4}"));
        let interval = match (score.low, score.high) {
            (Some(low), Some(high)) => format!("[{low:+.4}, {high:+.4}]"),
            _ => String::new(),
        };
        vec![
            format!("  {name}"),
            plain(&score.metric),
            thousands(score.n),
            thousands(score.unpaired),
            score.clusters.map_or_else(String::new, thousands),
            plain_number(score.mean_a),
            plain_number(score.mean_b),
            signed(score.difference),
            interval,
            plain_number(score.p),
        ]
    }));
    let drop: Vec<usize> = [(3, unpaired), (4, clustered)]
        .into_iter()
        .filter_map(|(at, kept)| (!kept).then_some(at))
        .collect();
    for line in &mut lines {
        for at in drop.iter().rev() {
            line.remove(*at);
        }
    }
    let numbers: Vec<usize> = (2..lines[0].len()).collect();
    out.push('\n');
    table(&lines, &numbers, out);
    let more = scores.len().saturating_sub(SCORES);
    if more > 0 {
        let more = count(more as u64, "score");
        out.push_str(&format!("  … {more} more, with `--json`\n"));
    }
    out.push_str(&same);
}

fn one(cases: &Cases, look: Look, out: &mut String) {
    let stage = plain(&cases.stage);
    let Some(metric) = &cases.metric else {
        if !cases.gains.is_empty() {
            out.push_str(&format!("\nsome that differ in `{stage}`\n"));
            cases.gains.iter().for_each(|case| told(case, look, out));
        }
        return;
    };
    let metric = plain(metric);
    for (what, total, some) in [
        ("gains", cases.gained, &cases.gains),
        ("losses", cases.lost, &cases.losses),
    ] {
        if total == 0 {
            continue;
        }
        let shown = some.len() as u64;
        let all = thousands(total as u64);
        let head = format!("largest {what} by {metric} in `{stage}` ({shown} of {all})");
        out.push_str(&format!("\n{head}\n"));
        some.iter().for_each(|case| told(case, look, out));
    }
}

fn told(case: &Case, look: Look, out: &mut String) {
    let scores = match (case.a, case.b) {
        (Some(a), Some(b)) => format!("  {a:.4} → {b:.4} ({:+.4})", b - a),
        _ => String::new(),
    };
    out.push_str(&format!("  {}{scores}\n", plain(&case.key)));
    let most = if look.full { usize::MAX } else { TEXTS };
    for text in case.texts.iter().take(most) {
        out.push_str(&format!("    {}\n", plain(&text.field)));
        for (letter, own) in [('a', '-'), ('b', '+')] {
            out.push_str(&format!("      {letter}  {}\n", side(text, own, look)));
        }
    }
    let more = case.texts.len().saturating_sub(most);
    if more > 0 {
        out.push_str(&format!("    … {} more\n", count(more as u64, "field")));
    }
}

/// One side of a text: what is its own is marked, what both share is shortened.
fn side(text: &Text, own: char, look: Look) -> String {
    let mut line = String::new();
    let last = text.parts.len().saturating_sub(1);
    for (at, (tag, part)) in text.parts.iter().enumerate() {
        if *tag == '=' {
            let part = plain(part);
            line.push_str(&if look.full {
                part
            } else {
                shared(&part, at == 0, at == last)
            });
        } else if *tag == own {
            let part = plain(part);
            let part = if look.full { part } else { brief_own(&part) };
            line.push_str(&match (look.color, own) {
                (true, '-') => format!("\u{1b}[31m{part}\u{1b}[0m"),
                (true, _) => format!("\u{1b}[32m{part}\u{1b}[0m"),
                (false, '-') => format!("[-{part}-]"),
                (false, _) => format!("{{+{part}+}}"),
            });
        }
    }
    if line.is_empty() {
        "(nothing)".to_owned()
    } else {
        line
    }
}

/// What is shared, without its middle; at the ends of a text, without that end.
fn shared(part: &str, first: bool, last: bool) -> String {
    let letters: Vec<char> = part.chars().collect();
    if letters.len() <= 2 * SHARED + 3 {
        return part.to_owned();
    }
    let head: String = letters[..SHARED].iter().collect();
    let tail: String = letters[letters.len() - SHARED..].iter().collect();
    match (first, last) {
        (true, _) => format!("…{tail}"),
        (_, true) => format!("{head}…"),
        _ => format!("{head}…{tail}"),
    }
}

fn brief_own(part: &str) -> String {
    if part.chars().count() <= OWN {
        return part.to_owned();
    }
    part.chars().take(OWN - 1).chain(['…']).collect()
}

/// A value without quotes.
fn bare(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn names(all: &[String]) -> String {
    let some: Vec<String> = all.iter().take(NAMES).map(|name| plain(name)).collect();
    match all.len().saturating_sub(NAMES) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

/// Lines of cells, of which some columns hold numbers.
fn table(lines: &[Vec<String>], numbers: &[usize], out: &mut String) {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |at: usize| {
        let cells = lines.iter().filter_map(|line| line.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| {
            let width = *width;
            match numbers.contains(&at) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:width$}"),
            }
        });
        let cells: Vec<String> = cells.collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_shortened_where_nothing_differs() {
        let long = "word ".repeat(40);
        let text = Text {
            field: "x".to_owned(),
            a: String::new(),
            b: String::new(),
            parts: vec![
                ('=', long.clone()),
                ('-', "was\u{1b}".to_owned()),
                ('+', "is".to_owned()),
                ('=', " it".to_owned()),
            ],
        };
        let a = side(&text, '-', Look::default());
        assert!(
            a.starts_with('…') && a.ends_with("[-was\\u{1b}-] it"),
            "{a}"
        );
        assert!(a.chars().count() < 60);
        let full = Look {
            full: true,
            color: false,
        };
        assert_eq!(side(&text, '+', full), format!("{long}{{+is+}} it"));
    }
}

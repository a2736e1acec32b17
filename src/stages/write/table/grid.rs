//! What is in the cells of a table: numbers rounded, intervals beside them, the best marked.
//! Knows nothing of formats.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::look::Look;
use crate::record::Fields;

/// What a field's name ends in when it belongs to the score that is named by the rest.
const LOW: &str = ".low";
const HIGH: &str = ".high";
const STDERR: &str = ".stderr";

/// A table, ready to be laid out.
pub struct Grid {
    /// The headings.
    pub heads: Vec<String>,
    /// Which columns hold numbers, and stand to the right.
    pub numeric: Vec<bool>,
    /// The rows, each as long as the headings.
    pub rows: Vec<Vec<Cell>>,
}

/// What a cell shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// There is no value.
    Missing,
    /// Text on one line.
    Text(String),
    /// A number.
    Score {
        /// As it is written.
        score: String,
        /// What is said about how sure it is.
        spread: Option<Spread>,
        /// Whether it is the best of its column.
        best: bool,
    },
}

/// How sure a score is, as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// The ends of an interval.
    Ends(String, String),
    /// The standard error.
    Error(String),
}

impl Grid {
    /// The table of rows; without any, its columns are `known` ones.
    pub fn new<'n>(rows: &[Fields], known: impl Iterator<Item = &'n str>, look: &Look) -> Grid {
        let columns = columns(rows, known, look);
        let mut grid = Grid {
            heads: columns.iter().map(|(_, head)| one_line(head)).collect(),
            numeric: Vec::new(),
            rows: vec![Vec::new(); rows.len()],
        };
        for (name, _) in &columns {
            let cells = column(name, rows, look);
            let there = cells.iter().filter(|cell| **cell != Cell::Missing);
            let mut scores = there.map(|cell| matches!(cell, Cell::Score { .. }));
            let any = scores.clone().next().is_some();
            grid.numeric.push(any && scores.all(|score| score));
            for (row, cell) in grid.rows.iter_mut().zip(cells) {
                row.push(cell);
            }
        }
        grid
    }
}

/// The fields to show, with their headings.
fn columns<'n>(
    rows: &[Fields],
    known: impl Iterator<Item = &'n str>,
    look: &Look,
) -> Vec<(String, String)> {
    if let Some(columns) = &look.columns {
        let columns = columns.0.0.iter();
        return columns
            .map(|(field, head)| (field.value.clone(), head.value.clone()))
            .collect();
    }
    let mut names: Vec<&str> = known.collect();
    for name in rows.iter().flat_map(Fields::names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let belongs = |name: &str| {
        [LOW, HIGH, STDERR]
            .iter()
            .filter_map(|end| name.strip_suffix(end))
            .any(|score| names.contains(&score))
    };
    let shown = names.iter().filter(|name| !belongs(name));
    shown
        .map(|name| ((*name).to_owned(), (*name).to_owned()))
        .collect()
}

fn column(name: &str, rows: &[Fields], look: &Look) -> Vec<Cell> {
    let numbers: Vec<Option<f64>> = rows.iter().map(|row| number(row, name)).collect();
    let is_whole = |row: &Fields| row.get(name).is_none_or(|v| v.is_none() || v.is_integer());
    let is_score = numbers.iter().any(Option::is_some) && !rows.iter().all(is_whole);
    let percent = look.percent.has(name, is_score);
    let digits = match (look.digits, is_score || percent) {
        (_, false) => 0,
        (Some(digits), _) => digits.min(15),
        (None, _) if percent => 1,
        (None, _) => 3,
    };
    let write = |number: f64| written(if percent { number * 100.0 } else { number }, digits);
    let best = best(name, &numbers, look.best.has(name, is_score), look).map(write);
    let pairs = rows.iter().zip(&numbers);
    pairs
        .map(|(row, number)| {
            let Some(number) = number else {
                return row.get(name).map_or(Cell::Missing, text);
            };
            let beside = |end: &str| self::number(row, &format!("{name}{end}")).map(write);
            let spread = match (beside(LOW), beside(HIGH), beside(STDERR)) {
                _ if !look.intervals => None,
                (Some(low), Some(high), _) => Some(Spread::Ends(low, high)),
                (_, _, error) => error.map(Spread::Error),
            };
            let score = write(*number);
            let best = best.as_ref() == Some(&score);
            Cell::Score {
                score,
                spread,
                best,
            }
        })
        .collect()
}

/// The best number, if there is something to compare it to.
fn best(name: &str, numbers: &[Option<f64>], wanted: bool, look: &Look) -> Option<f64> {
    let lower = look.lower.0.iter().any(|lower| lower.value == name);
    let all: Vec<f64> = numbers.iter().copied().flatten().collect();
    let best = if lower { f64::min } else { f64::max };
    all.iter()
        .copied()
        .reduce(best)
        .filter(|_| wanted && all.len() > 1)
}

fn number(row: &Fields, name: &str) -> Option<f64> {
    let value = row.get(name)?;
    (value.kind() == ValueKind::Number)
        .then(|| f64::try_from(value.clone()).ok())
        .flatten()
        .filter(|number| number.is_finite())
}

/// A number with so many decimals, and never a zero with a minus.
fn written(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| c == '0' || c == '.') => zero.to_owned(),
        _ => text,
    }
}

fn text(value: &Value) -> Cell {
    match value.kind() {
        // What comes as a number here is not a finite one.
        ValueKind::None | ValueKind::Undefined | ValueKind::Number => Cell::Missing,
        ValueKind::String => Cell::Text(one_line(value.as_str().unwrap_or_default())),
        _ => serde_json::to_string(value).map_or(Cell::Missing, |json| Cell::Text(one_line(&json))),
    }
}

/// White space and control characters as single blanks, so that no text leaves its cell.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

//! Tables in Markdown, as GitHub and Pandoc read them.

use super::grid::{Cell, Grid, Spread};
use super::text::{padded, widths};

/// The table, its columns padded so that it can be read as it is.
pub fn render(grid: &Grid) -> String {
    if grid.heads.is_empty() {
        return String::new();
    }
    let heads: Vec<String> = grid.heads.iter().map(|head| escaped(head)).collect();
    let rows: Vec<Vec<String>> = grid
        .rows
        .iter()
        .map(|row| row.iter().map(cell).collect())
        .collect();
    // The rule under a heading takes three places.
    let widths: Vec<usize> = widths(&heads, &rows).iter().map(|w| *w.max(&3)).collect();
    let line = |cells: &[String]| {
        let cells: Vec<String> = padded(cells, &widths, &grid.numeric).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rules = widths.iter().zip(&grid.numeric);
    let rules: Vec<String> = rules
        .map(|(width, right)| match right {
            true => format!("{}:", "-".repeat(width - 1)),
            false => "-".repeat(*width),
        })
        .collect();
    let mut text = line(&heads) + &line(&rules);
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Missing => "—".to_owned(),
        Cell::Text(text) => escaped(text),
        Cell::Score {
            score,
            spread,
            best,
        } => {
            let mark = if *best { "**" } else { "" };
            match spread {
                None => format!("{mark}{score}{mark}"),
                Some(Spread::Ends(low, high)) => format!("{mark}{score}{mark} [{low}, {high}]"),
                Some(Spread::Error(error)) => format!("{mark}{score}{mark} ± {error}"),
            }
        }
    }
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>|~$&#".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

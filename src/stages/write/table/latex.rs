//! Tables in LaTeX, with the rules of the package `booktabs`.

use super::grid::{Cell, Grid, Spread};

/// The `tabular` alone: captions and labels belong to the document that inputs it.
pub fn render(grid: &Grid) -> String {
    if grid.heads.is_empty() {
        return "% no rows\n".to_owned();
    }
    let sides = grid
        .numeric
        .iter()
        .map(|right| if *right { 'r' } else { 'l' });
    let sides: String = sides.collect();
    let heads: Vec<String> = grid.heads.iter().map(|head| escaped(head)).collect();
    let mut text = format!(
        "% needs \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{sides}}}\n\\toprule\n{}\\midrule\n",
        line(&heads)
    );
    for row in &grid.rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        text.push_str(&line(&cells));
    }
    text.push_str("\\bottomrule\n\\end{tabular}\n");
    text
}

fn line(cells: &[String]) -> String {
    format!("{} \\\\\n", cells.join(" & "))
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Missing => "---".to_owned(),
        Cell::Text(text) => escaped(text),
        Cell::Score {
            score,
            spread,
            best,
        } => {
            let score = match best {
                true => format!("\\textbf{{{}}}", signed(score)),
                false => signed(score),
            };
            match spread {
                None => score,
                Some(Spread::Ends(low, high)) => {
                    format!("{score} [{}, {}]", signed(low), signed(high))
                }
                Some(Spread::Error(error)) => format!("{score} $\\pm$ {error}"),
            }
        }
    }
}

/// A number with a minus, not a hyphen.
fn signed(number: &str) -> String {
    match number.strip_prefix('-') {
        Some(number) => format!("$-${number}"),
        None => number.to_owned(),
    }
}

/// Text that LaTeX sets as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '—' => escaped.push_str("---"),
            '±' => escaped.push_str("$\\pm$"),
            // After the end of a line these would be taken for its arguments.
            '[' | '*' if at == 0 => {
                escaped.push('{');
                escaped.push(c);
                escaped.push('}');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

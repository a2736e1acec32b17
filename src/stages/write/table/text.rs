//! Tables in plain text. The best scores have a `*` before them.

use unicode_width::UnicodeWidthStr;

use super::grid::{Cell, Grid, Spread};

/// The table, with a line under the headings.
pub fn render(grid: &Grid) -> String {
    if grid.heads.is_empty() {
        return "no rows\n".to_owned();
    }
    // Numbers stand under each other, whatever follows them.
    let mut rooms = vec![0; grid.heads.len()];
    for row in &grid.rows {
        for (room, cell) in rooms.iter_mut().zip(row) {
            *room = spread(cell).width().max(*room);
        }
    }
    let row = |row: &Vec<Cell>| -> Vec<String> {
        let cells = row.iter().zip(&rooms);
        cells.map(|(of, room)| cell(of, *room)).collect()
    };
    let rows: Vec<Vec<String>> = grid.rows.iter().map(row).collect();
    let widths = widths(&grid.heads, &rows);
    let mut text = line(&grid.heads, &widths, &grid.numeric);
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    text.push_str(&line(&rules, &widths, &grid.numeric));
    for row in &rows {
        text.push_str(&line(row, &widths, &grid.numeric));
    }
    let mut cells = grid.rows.iter().flatten();
    if cells.any(|cell| matches!(cell, Cell::Score { best: true, .. })) {
        text.push_str("* best of its column\n");
    }
    text
}

/// A cell, with room for what may follow a number.
fn cell(cell: &Cell, room: usize) -> String {
    let before = match cell {
        Cell::Missing => "—".to_owned(),
        Cell::Text(text) => return text.clone(),
        Cell::Score { score, best, .. } => format!("{}{score}", if *best { "*" } else { "" }),
    };
    let after = spread(cell);
    let blanks = " ".repeat(room.saturating_sub(after.width()));
    before + &after + &blanks
}

fn spread(cell: &Cell) -> String {
    match cell {
        Cell::Score { spread, .. } => match spread {
            None => String::new(),
            Some(Spread::Ends(low, high)) => format!(" [{low}, {high}]"),
            Some(Spread::Error(error)) => format!(" ± {error}"),
        },
        Cell::Missing | Cell::Text(_) => String::new(),
    }
}

/// Of each column, how many places its widest cell takes.
pub fn widths(heads: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let each = heads.iter().enumerate();
    each.map(|(at, head)| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        let widths = cells.map(|cell| cell.width());
        widths.fold(head.width(), usize::max)
    })
    .collect()
}

/// Cells of one width, numbers to the right.
pub fn padded<'c>(
    cells: &'c [String],
    widths: &'c [usize],
    numeric: &'c [bool],
) -> impl Iterator<Item = String> {
    cells
        .iter()
        .zip(widths)
        .zip(numeric)
        .map(|((cell, width), right)| {
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            if *right {
                format!("{blanks}{cell}")
            } else {
                format!("{cell}{blanks}")
            }
        })
}

fn line(cells: &[String], widths: &[usize], numeric: &[bool]) -> String {
    let cells: Vec<String> = padded(cells, widths, numeric).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

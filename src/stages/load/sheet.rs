//! The rows of a sheet of an Excel workbook. Owns what a cell is as text; the file's format is
//! `calamine`'s business.

use std::io::{Cursor, Read};

use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx, XlsxError};

use super::rows::Row;
use super::trouble::Trouble;
use crate::diag::Diagnostic;
use crate::spec::decode::Src;

/// The most text that a sheet may hold, in bytes: what is packed into a small file may be any
/// size.
const MOST_TEXT: usize = 1 << 30;

/// A sheet, read row by row.
pub struct Sheet {
    rows: std::vec::IntoIter<Cells>,
    /// The columns that hold anything: the first, and the one after the last.
    columns: (u32, u32),
}

/// The cells of one row that hold something.
struct Cells {
    /// Its number in the sheet, from 0.
    row: u32,
    /// Columns, from 0, with the cells' texts.
    cells: Vec<(u32, String)>,
}

impl Sheet {
    /// Reads a workbook whole, and chooses a sheet: the named one, else the first.
    ///
    /// # Errors
    /// It is no workbook, has no such sheet, or a cell holds an error, such as a formula's
    /// division by 0.
    pub fn open(
        mut input: impl Read,
        name: Option<&Src<String>>,
        trouble: &Trouble,
    ) -> Result<Sheet, Diagnostic> {
        // Its directory stands at the end: there is no reading it piece by piece.
        let mut bytes = Vec::new();
        let read = input.read_to_end(&mut bytes);
        read.map_err(|error| trouble.say(error))?;
        let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|e| broken(&e, trouble))?;
        let names = book.sheet_names();
        let wanted = match name {
            None => names.first().cloned(),
            Some(name) => Some(name.value.clone()).filter(|name| names.contains(name)),
        };
        let Some(wanted) = wanted else {
            return Err(match name {
                None => trouble.say("the workbook has no sheet"),
                Some(name) => trouble
                    .say(format!("there is no sheet `{}`", name.value))
                    .at(name.span, "")
                    .suggest(name, names.iter().map(String::as_str)),
            });
        };
        let mut found = book.worksheet_cells_reader(&wanted);
        let found = found.as_mut().map_err(|e| broken(e, trouble))?;
        let mut rows: Vec<Cells> = Vec::new();
        let (mut columns, mut size) = ((u32::MAX, 0), 0);
        while let Some(cell) = found.next_cell().map_err(|e| broken(&e, trouble))? {
            let (row, column) = cell.get_position();
            let text = text(cell.get_value()).ok_or_else(|| {
                let place = trouble.place(u64::from(row) + 1);
                let column = column + 1;
                trouble.say(format!("{place}, column {column}: the cell holds an error"))
            })?;
            if text.is_empty() {
                continue;
            }
            size += text.len();
            if size > MOST_TEXT {
                return Err(trouble.say("the sheet holds more than 1 GB of text"));
            }
            columns = (columns.0.min(column), columns.1.max(column + 1));
            match rows.last_mut().filter(|cells| cells.row == row) {
                Some(cells) => cells.cells.push((column, text)),
                None => rows.push(Cells {
                    row,
                    cells: vec![(column, text)],
                }),
            }
        }
        // Excel writes them in order; others need not.
        rows.sort_by_key(|cells| cells.row);
        Ok(Sheet {
            rows: rows.into_iter(),
            columns,
        })
    }

    /// Reads the next row that is not empty; false at the end.
    pub fn next(&mut self, row: &mut Row) -> bool {
        let Some(Cells {
            row: number,
            mut cells,
        }) = self.rows.next()
        else {
            return false;
        };
        row.begin(u64::from(number) + 1);
        cells.sort_by_key(|(column, _)| *column);
        let mut cells = cells.into_iter().peekable();
        for column in self.columns.0..self.columns.1 {
            let cell = cells.next_if(|(at, _)| *at == column);
            row.push(cell.map_or_else(String::new, |(_, text)| text).as_bytes());
        }
        true
    }
}

/// A cell as text; none if it holds an error.
fn text(cell: &DataRef<'_>) -> Option<String> {
    Some(match cell {
        DataRef::Error(_) => return None,
        DataRef::Empty => String::new(),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => number.to_string(),
        // Whole numbers without a point, as the sheet shows them.
        DataRef::Float(number) => number.to_string(),
        DataRef::Bool(true) => "TRUE".to_owned(),
        DataRef::Bool(false) => "FALSE".to_owned(),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::DateTime(time) => moment(time),
    })
}

/// A moment as ISO 8601 has it; of a time of day, or of a duration, its hours, minutes and
/// seconds. Excel counts days.
fn moment(time: &ExcelDateTime) -> String {
    let days = time.as_f64();
    if time.is_duration() || (0.0..1.0).contains(&days) {
        let seconds = (days * 86_400.0).round() as i64;
        let (sign, seconds) = (if seconds < 0 { "-" } else { "" }, seconds.abs());
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        return format!("{sign}{:02}:{:02}:{seconds:02}", minutes / 60, minutes % 60);
    }
    let date = time.as_datetime();
    date.map_or_else(|| days.to_string(), |date| format!("{date:?}"))
}

/// What is wrong with a file that is no workbook, or a broken one. The reader's own words may
/// quote cells.
fn broken(error: &XlsxError, trouble: &Trouble) -> Diagnostic {
    match error {
        XlsxError::Zip(_) | XlsxError::FileNotFound(_) => trouble
            .say("this is no Excel workbook (.xlsx)")
            .help("a file that was downloaded may be a web page with its name; an older .xls can be saved anew"),
        XlsxError::Password => trouble
            .say("the workbook is locked by a password")
            .help("save it without one"),
        _ => trouble
            .say("the workbook is broken: its parts are not as Excel writes them")
            .help("open it in a spreadsheet program and save it anew, or as CSV"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use zip::write::SimpleFileOptions;

    use crate::stages::driver::{Stage, show};

    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const REL: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

    /// A workbook with sheets of cells, each as XML.
    fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let mut add = |name: &str, text: String| {
            zip.start_file(name, SimpleFileOptions::default())
                .expect("a file");
            zip.write_all(text.as_bytes()).expect("written");
        };
        let (mut names, mut links) = (String::new(), String::new());
        for (at, (name, rows)) in sheets.iter().enumerate() {
            names += &format!(r#"<sheet name="{name}" sheetId="{at}" r:id="r{at}"/>"#);
            links += &format!(
                r#"<Relationship Id="r{at}" Type="{REL}/worksheet" Target="worksheets/{at}.xml"/>"#
            );
            add(
                &format!("xl/worksheets/{at}.xml"),
                format!(r#"<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>"#),
            );
        }
        add(
            "xl/workbook.xml",
            format!(
                r#"<workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets>{names}</sheets></workbook>"#
            ),
        );
        let packages = "http://schemas.openxmlformats.org/package/2006/relationships";
        let document = format!(
            r#"<Relationship Id="r" Type="{REL}/officeDocument" Target="xl/workbook.xml"/>"#
        );
        for (name, links) in [
            ("_rels/.rels", document),
            ("xl/_rels/workbook.xml.rels", links),
        ] {
            add(
                name,
                format!(r#"<Relationships xmlns="{packages}">{links}</Relationships>"#),
            );
        }
        let types = "http://schemas.openxmlformats.org/package/2006/content-types";
        add(
            "[Content_Types].xml",
            format!(r#"<Types xmlns="{types}"/>"#),
        );
        zip.finish().expect("a workbook").into_inner()
    }

    const CELLS: &str = r#"
        <row r="2"><c r="B2" t="inlineStr"><is><t>id</t></is></c>
                   <c r="C2" t="inlineStr"><is><t>n</t></is></c></row>
        <row r="3"><c r="B3" t="inlineStr"><is><t>007</t></is></c><c r="C3"><v>5</v></c></row>
        <row r="5"><c r="B5" t="inlineStr"><is><t>x</t></is></c><c r="C5"><v>0.25</v></c></row>
        <row r="6"><c r="B6" t="inlineStr"><is><t>y</t></is></c></row>
        <row r="7"><c r="B7" t="b"><v>1</v></c><c r="C7" t="d"><v>2024-01-02T03:04:05</v></c></row>
        <row r="1048576"><c r="B1048576" t="str"><v>z</v></c><c r="XFD1048576"><v>9</v></c></row>"#;
    const BROKEN: &str = r#"<row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c></row>
        <row r="2"><c r="A2" t="e"><v>#DIV/0!</v></c></row>"#;

    fn file(bytes: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("a.xlsx"), bytes).expect("written");
        dir
    }

    fn run(dir: &Path, more: &str) -> Result<Vec<String>, String> {
        let stage = Stage::within(dir, "load", &format!("{{path: a.xlsx{more}}}"));
        let (_, faults) = stage.check(&[]);
        let out = stage.run(Vec::new()).map(|(out, _)| show(&out));
        // What the check tells first, the run would tell too.
        if let (Err(error), Some(fault)) = (&out, faults.first()) {
            assert!(fault.contains(error.as_str()), "{fault}\n{error}");
        }
        out.map_err(|error| error.replace(&format!("{}/", dir.display()), ""))
    }

    #[test]
    fn cells_are_text_and_empty_rows_are_none() {
        let dir = file(&workbook(&[("notes", BROKEN), ("cases", CELLS)]));
        assert_eq!(
            run(dir.path(), ", sheet: cases, key: id, fields: [n]"),
            Ok([
                r#"007 {"n":"5"}"#,
                r#"x {"n":"0.25"}"#,
                r#"y {"n":""}"#,
                r#"TRUE {"n":"2024-01-02T03:04:05"}"#,
                r#"z {"n":""}"#,
            ]
            .map(str::to_owned)
            .to_vec())
        );
    }

    #[test]
    fn moments_are_iso() {
        use calamine::{ExcelDateTime, ExcelDateTimeType};
        for (days, kind, text) in [
            (45293.5, ExcelDateTimeType::DateTime, "2024-01-02T12:00:00"),
            (0.170_208_333, ExcelDateTimeType::DateTime, "04:05:06"),
            (1.25, ExcelDateTimeType::TimeDelta, "30:00:00"),
        ] {
            assert_eq!(super::moment(&ExcelDateTime::new(days, kind, false)), text);
        }
    }

    #[test]
    fn what_is_no_workbook_is_told() {
        let fails = |bytes: &[u8], more: &str| run(file(bytes).path(), more).expect_err("broken");
        let book = workbook(&[("notes", BROKEN), ("cases", CELLS)]);
        assert_eq!(
            fails(&book, ""),
            "`a.xlsx`: row 2, column 1: the cell holds an error"
        );
        assert_eq!(
            fails(&book, ", sheet: case"),
            "`a.xlsx`: there is no sheet `case`"
        );
        for bytes in [b"id,n\n1,2\n".as_slice(), b"", &book[..book.len() / 2]] {
            assert_eq!(
                fails(bytes, ""),
                "`a.xlsx`: this is no Excel workbook (.xlsx)"
            );
        }
        assert_eq!(
            fails(&workbook(&[("a", "")]), ""),
            "`a.xlsx`: it is empty: a table begins with a header"
        );
        let secret = r#"<row r="1"><c r="A1" t="e"><v>Mr Secret</v></c></row>"#;
        assert_eq!(
            fails(&workbook(&[("a", secret)]), ""),
            "`a.xlsx`: the workbook is broken: its parts are not as Excel writes them"
        );
        let twice = CELLS.replace(">x<", ">007<");
        assert_eq!(
            fails(&workbook(&[("a", &twice)]), ", key: id"),
            "`a.xlsx`: `id` does not tell records apart: rows 3 and 5 have the same one"
        );
    }
}

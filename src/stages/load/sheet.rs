//! The rows of a sheet of an Excel workbook. Owns what a cell is as text; the file's format is
//! `calamine`'s business.

use std::io::{Cursor, Read};

use calamine::{Data, DataType, Range, Reader as _, Xlsx, XlsxError};

use super::rows::Row;
use super::trouble::Trouble;
use crate::diag::Diagnostic;
use crate::spec::decode::Src;

/// A sheet, read row by row.
pub struct Sheet {
    cells: Range<Data>,
    /// The next row, counted from the first that holds anything.
    next: usize,
}

impl Sheet {
    /// Reads a workbook whole, and chooses a sheet: the named one, else the first.
    ///
    /// # Errors
    /// It is no workbook, or has no such sheet.
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
        let cells = book.worksheet_range(&wanted);
        Ok(Sheet {
            cells: cells.map_err(|e| broken(&e, trouble))?,
            next: 0,
        })
    }

    /// Reads the next row that is not empty; false at the end.
    ///
    /// # Errors
    /// A cell holds an error, such as a formula's division by 0.
    pub fn next(&mut self, row: &mut Row, trouble: &Trouble) -> Result<bool, Diagnostic> {
        let (top, left) = self.cells.start().unwrap_or_default();
        while self.next < self.cells.height() {
            let at = self.next;
            self.next += 1;
            let number = u64::from(top) + at as u64 + 1;
            row.begin(number);
            let cells = (0..self.cells.width()).map(|column| self.cells.get((at, column)));
            let mut empty = true;
            for (column, cell) in cells.enumerate() {
                let text = cell.map_or(Some(String::new()), text).ok_or_else(|| {
                    let column = u64::from(left) + column as u64 + 1;
                    let place = trouble.place(number);
                    trouble.say(format!("{place}, column {column}: the cell holds an error"))
                })?;
                empty &= text.is_empty();
                row.push(text.as_bytes());
            }
            if !empty {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A cell as text; none if it holds an error.
fn text(cell: &Data) -> Option<String> {
    match cell {
        Data::Error(_) => None,
        Data::Empty => Some(String::new()),
        Data::DateTime(time) => Some(
            time.as_datetime()
                .map_or_else(|| time.as_f64().to_string(), |time| format!("{time:?}")),
        ),
        // Whole numbers without a point, as the sheet shows them.
        cell => Some(cell.as_string().unwrap_or_default()),
    }
}

/// What is wrong with a file that is no workbook, or a broken one.
fn broken(error: &XlsxError, trouble: &Trouble) -> Diagnostic {
    match error {
        XlsxError::Zip(_) | XlsxError::FileNotFound(_) => trouble
            .say("this is no Excel workbook (.xlsx)")
            .help("a file that was downloaded may be a web page with its name; an older .xls can be saved anew"),
        error => trouble.say(format!("the workbook is broken: {error}")),
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
        <row r="6"><c r="B6" t="inlineStr"><is><t>y</t></is></c></row>"#;
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
            Ok([r#"007 {"n":"5"}"#, r#"x {"n":"0.25"}"#, r#"y {"n":""}"#]
                .map(str::to_owned)
                .to_vec())
        );
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
        let twice = CELLS.replace(">x<", ">007<");
        assert_eq!(
            fails(&workbook(&[("a", &twice)]), ", key: id"),
            "`a.xlsx`: `id` does not tell records apart: rows 3 and 5 have the same one"
        );
    }
}

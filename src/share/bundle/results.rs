//! The tables of results of a bundle, `results.json`: means, comparisons, and the wide tables that
//! are made of them. Owns that file, and what it means that two of them agree. Pure.

use serde_json::{Value as Json, json};

use crate::engine::pipe::Pipe;
use crate::report::page::Report;

/// Its name.
pub const NAME: &str = "results.json";

/// The bytes of the file.
pub fn bytes(pipe: &Pipe, report: &Report) -> Vec<u8> {
    let boards = report.overview.boards.iter().map(|board| {
        let mut told = serde_json::to_value(board).unwrap_or_default();
        told["stage"] = Json::from(&*pipe.stages[board.stage].spec.name.value);
        told
    });
    let results = json!({
        "pipeline": pipe.pipeline.name,
        "tables": boards.collect::<Vec<_>>(),
    });
    let mut bytes = serde_json::to_vec_pretty(&results).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Reads the file.
///
/// # Errors
/// It is none.
pub fn read(bytes: &[u8]) -> Result<Results, String> {
    let none = || "is none of clue's tables of results".to_owned();
    let json: Json = serde_json::from_slice(bytes).map_err(|_| none())?;
    let Json::Object(mut all) = json else {
        return Err(none());
    };
    let Some((Json::String(pipeline), Json::Array(tables))) =
        all.remove("pipeline").zip(all.remove("tables"))
    else {
        return Err(none());
    };
    if !all.is_empty() {
        return Err(none());
    }
    let named = |table: Json| Some((table.get("stage")?.as_str()?.to_owned(), table));
    let tables: Option<Vec<(String, Json)>> = tables.into_iter().map(named).collect();
    Ok(Results {
        pipeline,
        tables: tables.ok_or_else(none)?,
    })
}

/// Tables of results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// The pipeline's name.
    pub pipeline: String,
    /// The tables, each with its stage.
    pub tables: Vec<(String, Json)>,
}

impl Results {
    /// The table of a stage.
    pub fn table(&self, stage: &str) -> Option<&Json> {
        let found = self.tables.iter().find(|(name, _)| name == stage);
        found.map(|(_, table)| table)
    }
}

/// How a table differs from the one that was made again, in a few words; none if it does not.
pub fn differs(was: &Json, now: &Json) -> Option<String> {
    if was == now {
        return None;
    }
    let rows = |table: &Json| table["rows"].as_array().map_or(0, Vec::len);
    if was["columns"] != now["columns"] {
        return Some("has other columns".to_owned());
    }
    if rows(was) != rows(now) {
        return Some(format!("has {} rows, not {}", rows(was), rows(now)));
    }
    let row = (0..rows(now)).find(|at| was["rows"][at] != now["rows"][at]);
    Some(match row {
        Some(at) => format!("has other values in row {}", at + 1),
        None => "is told of in another way".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_of_results_are_read() {
        let good = br#"{"pipeline": "p", "tables": [{"stage": "a", "rows": []}]}"#;
        let read_ = read(good).expect("results");
        assert_eq!(read_.tables.len(), 1);
        assert!(read_.table("a").is_some() && read_.table("b").is_none());
        for bad in [
            "",
            "[]",
            r#"{"pipeline": "p"}"#,
            r#"{"pipeline": "p", "tables": [3]}"#,
            r#"{"pipeline": "p", "tables": [], "more": 1}"#,
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_row_that_differs_is_told() {
        let table = |rows: Json| json!({"stage": "a", "columns": ["x"], "rows": rows});
        let told = |was, now| differs(&table(was), &table(now)).unwrap_or_default();
        assert_eq!(told(json!([[1], [2]]), json!([[1], [2]])), "");
        assert_eq!(
            told(json!([[1], [2]]), json!([[1], [3]])),
            "has other values in row 2"
        );
        assert_eq!(told(json!([[1]]), json!([])), "has 1 rows, not 0");
        let mut other = table(json!([]));
        other["kind"] = "stats".into();
        assert_eq!(
            differs(&other, &table(json!([]))).as_deref(),
            Some("is told of in another way")
        );
        other["columns"] = json!([]);
        assert_eq!(
            differs(&other, &table(json!([]))).as_deref(),
            Some("has other columns")
        );
    }
}

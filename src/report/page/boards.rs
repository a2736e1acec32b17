//! Tables of results: means, comparisons, and the wide tables that are made of them.

use serde_json::Value as Json;

use super::column::{names, plain};
use super::data::Board;
use super::gather::Found;
use super::mask::Mask;
use crate::record::Record;

/// Makes a table of a stage's records.
pub fn board(found: &Found<'_>, stage: usize, records: &[Record], mask: &Mask) -> Board {
    let pipe = found.pipe;
    let verb = &pipe.stages[stage].verb;
    let settings = verb.settings();
    let hidden = mask.hides(pipe.stages[stage].sensitive);
    let list = |name: &str| strings(&settings[name]);
    let mut columns = names(records);
    let mut rows: Vec<Vec<Json>> = records
        .iter()
        .map(|record| {
            let value = |name: &String| record.fields.get(name).map_or(Json::Null, plain);
            columns.iter().map(value).collect()
        })
        .collect();
    let by = match verb.name() {
        "pivot" => list("rows"),
        _ => list("by"),
    };
    let between = settings["between"].as_str().map(str::to_owned);
    if hidden {
        hide(&mut columns, &mut rows, &by, verb.name(), mask);
    }
    let outputs = pipe.stages.iter().filter(|reader| {
        let reads = reader.inputs.first() == Some(&stage);
        reads && reader.verb.writes().is_some()
    });
    let outputs: Vec<Json> = outputs.map(|output| output.verb.settings()).collect();
    let flag = |name: &str| {
        outputs
            .iter()
            .any(|output| output[name] == Json::Bool(true))
    };
    let mut sorts = outputs.iter().map(|output| strings(&output["sort"]));
    Board {
        stage,
        kind: verb.name(),
        by,
        between,
        values: list("values"),
        sort: sorts.find(|sort| !sort.is_empty()).unwrap_or_default(),
        percent: flag("percent"),
        best: flag("bold_best"),
        show: flag("show"),
        columns,
        rows,
    }
}

/// Names of groups may be the texts of records: those that the pipeline does not hold itself
/// become numbers. What else is no number is left out.
fn hide(columns: &mut [String], rows: &mut [Vec<Json>], by: &[String], verb: &str, mask: &Mask) {
    let mut groups: Vec<Json> = Vec::new();
    for row in rows {
        for (column, value) in columns.iter().zip(row) {
            let names = by.contains(column) || column == "a" || column == "b";
            if mask.knows(value) || (value.is_number() && !names) {
                continue;
            }
            if !groups.contains(value) {
                groups.push(value.clone());
            }
            let number = groups.iter().position(|group| group == value).unwrap_or(0);
            *value = Json::String(format!("group {}", number + 1));
        }
    }
    if verb == "pivot" {
        // The names of wide tables' columns are values too.
        for (number, column) in columns.iter_mut().enumerate() {
            let plain = column
                .rsplit_once('.')
                .map_or(column.as_str(), |(name, _)| name);
            let known = |text: &str| mask.knows(&Json::String(text.to_owned()));
            if !known(column) && !plain.split('.').all(known) {
                *column = format!("column {}", number + 1);
            }
        }
    }
}

fn strings(json: &Json) -> Vec<String> {
    match json {
        Json::String(text) => vec![text.clone()],
        Json::Array(items) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

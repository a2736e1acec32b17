//! `clue schema`: the JSON Schema of pipeline files.

use std::process::ExitCode;

use super::out;
use super::session::shapes;
use crate::spec::json_schema;

/// Prints the schema.
pub fn schema() -> ExitCode {
    let schema = json_schema(&shapes());
    out(&format!("{schema:#}\n"));
    ExitCode::SUCCESS
}

//! `clue schema`: the JSON Schema of pipeline files, or of test files.

use std::process::ExitCode;

use super::out;
use super::session::shapes;
use super::test::file::TestFile;
use crate::spec::json_schema;

/// Arguments of `clue schema`.
#[derive(clap::Args)]
pub struct Args {
    /// Print the schema of the files that `clue test` reads
    #[arg(long)]
    test: bool,
}

/// Prints the schema.
pub fn schema(args: &Args) -> ExitCode {
    let text = if args.test {
        format!("{:#}\n", schemars::schema_for!(TestFile).to_value())
    } else {
        format!("{:#}\n", json_schema(&shapes()))
    };
    out(&text);
    ExitCode::SUCCESS
}

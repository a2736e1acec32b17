//! `clue schema`: the JSON Schema of pipeline files, or of test files.

use std::process::ExitCode;

use super::out;
use super::session::{metric_shapes, shapes};
use super::test::file::TestFile;
use crate::spec::{depending, json_schema};

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
        let mut schema = json_schema(&shapes());
        depending(
            &mut schema,
            "score",
            ("metric", "options"),
            &metric_shapes(),
        );
        format!("{schema:#}\n")
    };
    out(&text);
    ExitCode::SUCCESS
}

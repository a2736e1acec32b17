//! `clue check`: every fault of a pipeline at once; runs nothing, needs no cache.

use std::process::ExitCode;

use super::out;
use super::session::Common;

/// Arguments of `clue check`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
}

/// Checks a pipeline.
pub fn check(args: &Args) -> ExitCode {
    match args.common.pipe() {
        Ok(pipe) => {
            let stages = pipe.stages.len();
            let file = pipe.pipeline.file.display();
            out(&format!("{file}: no faults in {stages} stages\n"));
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

//! The command line: one file per command.

pub mod supervise;

use std::process::ExitCode;

/// Runs the program on the process's own arguments.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}

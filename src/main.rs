//! The `clue` program: everything lives in the library, so that it can be tested there.

use std::process::ExitCode;

fn main() -> ExitCode {
    clue::cli::main()
}

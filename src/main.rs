//! The `clue` program: everything lives in the library, so that it can be tested there.

use std::process::ExitCode;

/// Much of a run's time with a fast model went to glibc's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    clue::cli::main()
}

//! What the benchmarks measure against: a model server that costs next to nothing, a client that
//! does nothing but ask it, and the bare insides of what `clue` does. `run.py` starts them.
//!
//!     limits mock [LATENCY_MS]          prints its port; answers every chat at once, or after a while
//!     limits ask URL CALLS WIDTH        makes that many calls, so many at once
//!     limits rouge PAIRS.jsonl [stem]   ROUGE-1, -2 and -L of texts
//!     limits table FILE.csv[.gz]        reads every cell
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

mod ask;
mod mock;
mod rouge;
mod table;

use std::future::Future;

fn main() {
    // `cargo bench` adds a word of its own, and no others.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse::<usize>().expect("a number");
    match words[..] {
        [] => {}
        ["mock"] => wait(mock::serve(0)),
        ["mock", latency] => wait(mock::serve(number(latency) as u64)),
        ["ask", url, calls, width] => wait(ask::ask(url, number(calls), number(width))),
        ["rouge", pairs] => rouge::score(pairs, false),
        ["rouge", pairs, "stem"] => rouge::score(pairs, true),
        ["table", path] => table::read(path),
        _ => panic!("not one of the forms at the top of benches/limits/main.rs"),
    }
}

fn wait(task: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(task);
}

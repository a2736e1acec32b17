//! What is told of a stage in a few words. Pure.

use crate::engine::board::Row;
use crate::report::words::{count, thousands};

/// Records, and calls if the stage asks.
pub fn counts(row: &Row) -> String {
    let mut text = count(row.emitted.get(), "record");
    if row.asks {
        text = format!("{text}; {}", calls(row));
    } else if row.failed.get() > 0 {
        text = format!("{text}, {} failed", thousands(row.failed.get()));
    }
    text
}

/// Calls by what became of them, and their tokens.
pub fn calls(row: &Row) -> String {
    let mut text = format!(
        "{} cached, {} asked",
        thousands(row.cached.get()),
        thousands(row.asked.get())
    );
    if row.failed.get() > 0 {
        text = format!("{text}, {} failed", thousands(row.failed.get()));
    }
    let tokens = row.prompt_tokens.get() + row.answer_tokens.get();
    if tokens > 0 {
        text = format!("{text}, {}", count(tokens, "token"));
    }
    text
}

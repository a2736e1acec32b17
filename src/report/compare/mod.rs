//! What differs between two runs, or two lots of records: what decided them, which records are
//! others, what that does to the scores, and where it does most.
//!
//! `decides` compares what runs are made of, `lot` and `numbers` tell which records belong together, `rows` the records of a stage, `paired` tests scores
//! with the verb `compare`, `cases` finds the largest gains and losses, `text` writes all of it for
//! a terminal. Pure.

mod cases;
mod data;
mod decides;
mod lot;
mod numbers;
mod paired;
mod renamed;
mod rows;
mod sides;
mod text;

pub use cases::{Metric, cases, examples};
pub use data::{Case, Cases, Comparison, Decides, OutFile, Row, Score, Side, Text};
pub use decides::decides;
pub use lot::{Called, Lot, joined};
pub use numbers::Numbers;
pub use paired::{Settings, paired};
pub use renamed::Renamed;
pub use rows::row;
pub use sides::{Way, measured};
pub use text::{Look, text};

//! One record's life: what it was made of, what was made of it, and where each part of it ended
//! and why.
//!
//! `family` finds its relatives, `why` says why a stage dropped a record, `gather` makes plain
//! data of it, `text` writes that for a terminal. Pure.

mod data;
mod family;
mod gather;
mod text;
mod why;

pub use data::{Call, End, Field, Life, Place, Step, What};
pub use family::{Family, Graph, Node};
pub use gather::{Found, gather};
pub use text::{Look, text};
pub use why::json;

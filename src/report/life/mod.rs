//! One record's life: what it was made of, what was made of it, and where each part of it ended
//! and why.
//!
//! `graph` is what stages made of what, `family` finds a record's relatives in it, `known` tells what is
//! not known, `why` says why a stage dropped a record, `gather` makes plain data of it, `text` writes that for a terminal. Pure.

mod data;
mod family;
mod gather;
mod graph;
mod known;
mod text;
mod why;

pub use data::{Call, End, Field, Life, Place, Step, What};
pub use family::Family;
pub use gather::{Found, gather};
pub use graph::{Graph, Node};
pub use text::{Look, text};
pub use why::json;

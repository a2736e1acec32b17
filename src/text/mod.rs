//! Text as Python sees it: white space, and patterns in the flavour of its `re` module.
//! Plain functions of text; knows nothing of records or templates.

pub mod pattern;
mod space;

pub use space::{is_space, strip};

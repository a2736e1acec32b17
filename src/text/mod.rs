//! Text as Python sees it: white space, and patterns in the flavour of its `re` module; and
//! codes in text; and what of values is not shown.
//! Plain functions of text; knows nothing of records or templates.

mod icd;
pub mod moment;
pub mod pattern;
pub mod secret;
mod space;
pub mod visible;

pub use icd::icd_codes;
pub use space::{is_space, strip};

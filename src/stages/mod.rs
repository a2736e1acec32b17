//! The verbs: one file each, and one line each in [`VERBS`].

pub mod check;
pub mod contract;
pub mod filter;
pub mod registry;

use registry::VerbDef;

/// Every verb there is. The JSON Schema, the docs and the suggestions follow from it.
pub static VERBS: &[VerbDef] = &[VerbDef::of::<filter::Where>()];

/// A verb by its name.
pub fn verb(name: &str) -> Option<&'static VerbDef> {
    VERBS.iter().find(|verb| verb.name == name)
}

//! The verbs: one file each, and one line each in [`VERBS`].

pub mod aggregate;
pub mod asking;
pub mod bound;
pub mod check;
pub mod columns;
pub mod concat;
pub mod contract;
pub mod dedupe;
pub mod draw;
#[cfg(test)]
pub mod driver;
pub mod exec;
pub mod explode;
pub mod filter;
pub mod fingerprint;
pub mod generate;
pub mod group;
pub mod join;
pub mod judge;
pub mod kept;
pub mod key;
pub mod load;
pub mod named;
pub mod number;
pub mod order;
pub mod pack;
pub mod pivot;
pub mod prompted;
pub mod registry;
pub mod require;
pub mod score;
pub mod set;
pub mod shots;
pub mod shuffle;
pub mod skip;
pub mod sort;
pub mod spool;
pub mod stats;
pub mod structured;
pub mod sum;
pub mod take;
pub mod top_k;
pub mod traces;
pub mod write;

use registry::VerbDef;

/// Every verb there is. The JSON Schema, the docs and the suggestions follow from it.
pub static VERBS: &[VerbDef] = &[
    VerbDef::of::<load::Load>(),
    VerbDef::of::<filter::Where>(),
    VerbDef::of::<require::Require>(),
    VerbDef::of::<set::Set>(),
    VerbDef::of::<draw::Draw>(),
    VerbDef::of::<columns::Select>(),
    VerbDef::of::<columns::Drop>(),
    VerbDef::of::<columns::Rename>(),
    VerbDef::of::<explode::Explode>(),
    VerbDef::of::<take::Take>(),
    VerbDef::of::<skip::Skip>(),
    VerbDef::of::<shuffle::Shuffle>(),
    VerbDef::of::<shuffle::Sample>(),
    VerbDef::of::<sort::Sort>(),
    VerbDef::of::<top_k::TopK>(),
    VerbDef::of::<key::Key>(),
    VerbDef::of::<dedupe::Dedupe>(),
    VerbDef::of::<concat::Concat>(),
    VerbDef::of::<join::Join>(),
    VerbDef::of::<group::Group>(),
    VerbDef::of::<stats::Stats>(),
    VerbDef::of::<stats::Compare>(),
    VerbDef::of::<pivot::Pivot>(),
    VerbDef::of::<pack::Pack>(),
    VerbDef::of::<generate::Generate>(),
    VerbDef::of::<judge::Judge>(),
    VerbDef::of::<score::ScoreTexts>(),
    VerbDef::of::<exec::Exec>(),
    VerbDef::of::<write::Write>(),
];

/// A verb by its name.
pub fn verb(name: &str) -> Option<&'static VerbDef> {
    VERBS.iter().find(|verb| verb.name == name)
}

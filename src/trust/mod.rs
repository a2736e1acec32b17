//! What a pipeline may do, by the user's word: which programs it would start and where it would
//! send what ([`need`], [`gather`]), what the user agreed to before ([`memory`]), and what the
//! user's own configuration says ([`config`]), above all where sensitive records may go
//! ([`sensitive`]). Decides; asks nobody, starts nothing and sends nothing.
//!
//! Two things are kept apart. *Consent* is given to a pipeline (`clue trust`, `--yes`): a need
//! that is remembered is not asked for again until what would happen changes. *Sensitive*
//! records are a matter of the user's configuration alone: no consent, and nothing that a
//! pipeline says, sends them to a machine that it does not name.

pub mod config;
pub mod gather;
pub mod hosts;
pub mod memory;
pub mod need;
pub mod outputs;
pub mod sensitive;

//! What lets others repeat a run, or use what it made: the lock, which says what a run was made
//! of; bundles, which hold it; cards of data sets; logs that other programs read. Prints nothing.

pub mod bundle;
pub mod differ;
pub mod gather;
pub mod hub;
pub mod inspect;
mod labels;
pub mod lock;
pub mod plain;
pub mod yaml;

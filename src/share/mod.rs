//! What lets others repeat a run: the lock, which says what a run was made of, and bundles, which
//! hold it. Prints nothing.

pub mod bundle;
pub mod differ;
pub mod gather;
mod labels;
pub mod lock;
pub mod plain;
mod yaml;

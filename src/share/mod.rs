//! What lets others repeat a run: the lock, which says what a run was made of. Prints nothing.

pub mod differ;
pub mod gather;
mod labels;
pub mod lock;
mod plain;
mod yaml;

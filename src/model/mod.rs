//! Models: what a pipeline says of them, how they are spoken to, and who keeps them running.

pub mod chat;
pub mod spec;

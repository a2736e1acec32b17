//! Models: (being written).
pub mod chat;

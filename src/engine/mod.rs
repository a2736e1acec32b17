//! Runs a plan. Emits events; prints nothing.

pub mod board;

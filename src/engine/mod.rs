//! Runs a plan. Emits events; prints nothing.

pub mod board;
pub mod calls;
pub mod edge;
pub mod halt;
pub mod keep;
pub mod pipe;
pub mod survey;

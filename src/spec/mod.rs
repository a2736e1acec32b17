//! The language: YAML to a typed pipeline, with places. See `pipeline` for the types.

pub mod decode;
pub mod node;
pub mod pipeline;

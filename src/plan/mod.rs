//! The graph of stages, their keys, and what is stale. Pure: no file and no network is touched.

pub mod graph;
pub mod manifest;
pub mod waves;

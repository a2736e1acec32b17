//! `clue`: declarative, cached, resumable pipelines for building and running
//! clinical language-model benchmarks.
//!
//! Data flows one way: [`spec`] reads YAML into a typed pipeline, [`plan`] turns it into
//! a graph with keys, [`engine`] runs the graph through the verbs of [`stages`], and
//! [`store`] keeps every expensive result under the hash of everything it depends on.
//! Nothing imports upwards; `tests/it/layers.rs` holds the table of who may import whom.

// Layer 0: plain data and pure functions.
pub mod diag;
pub mod hash;
pub mod parallel;
pub mod record;
pub mod rng;
pub mod text;
// Layer 1: expressions.
pub mod jinja;
// Layer 2: the language.
pub mod spec;
// Layer 3: the graph, its keys, and what is stale.
pub mod plan;
// Layer 4: the cache.
pub mod store;
// Layer 5: what stages are made of.
pub mod metrics;
pub mod model;
pub mod prompt;
pub mod replay;
pub mod tokens;
// Layer 6: the verbs.
pub mod stages;
// Layer 7: running a plan.
pub mod engine;
// Layer 8: what a pipeline may do, by the user's word.
pub mod trust;
// Layer 9: what is made of finished runs, and where data comes from.
pub mod fetch;
pub mod report;
pub mod share;
// Layer 10: runs on many machines, and caches elsewhere.
pub mod cluster;
pub mod remote;
// Layer 11: the command line.
pub mod cli;

//! Behaviour through the real binary, on small real pipelines and servers on loopback.

mod bench;
mod caching;
mod codes;
mod concepts;
mod consent;
mod crash;
mod golden;
mod graph;
mod instances;
mod layers;
mod longhealth;
mod messages;
mod prompts;
mod schema;
mod servers;
mod stats;
mod support;
mod tasks;

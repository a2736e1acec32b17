//! Behaviour through the real binary, on small real pipelines and servers on loopback.

mod apis;
mod bench;
mod budgets;
mod caching;
mod codes;
mod concepts;
mod consent;
mod crash;
mod data;
mod fetch;
mod golden;
mod graph;
mod instances;
mod judge;
mod layers;
mod longhealth;
mod messages;
mod models;
mod prompts;
mod schema;
mod servers;
mod stats;
mod suite;
mod support;
mod tasks;
mod templates;

//! Models: what a pipeline says of them, how they are spoken to, and who keeps them running.

pub mod about;
pub mod anthropic;
pub mod api;
pub mod chat;
pub mod client;
pub mod completions;
pub mod error;
mod http;
mod leash;
pub mod openai;
pub mod probe;
pub mod reach;
pub mod retry;
pub mod serve;
mod serve_spec;
pub mod setup;
pub mod spec;
mod spec_check;
pub mod template;
pub mod tgi;
mod thinking;
pub mod tokenize;

//! Runs without models: what is noted of a run's calls, cassettes of calls that were recorded,
//! and answers by rule. Knows requests and replies; knows nothing of stages at work.

pub mod cassette;
pub mod ledger;
pub mod rules;

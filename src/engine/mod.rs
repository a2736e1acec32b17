//! Runs a plan. Emits events; prints nothing.

pub mod asking;
pub mod board;
pub mod budget;
pub mod calls;
pub mod edge;
pub mod exec;
pub mod facts;
pub mod flow;
pub mod gate;
pub mod halt;
pub mod history;
pub mod keep;
pub mod lane;
pub mod latency;
pub mod lineage;
pub mod no_reply;
pub mod past;
pub mod pipe;
pub mod run;
pub mod shard;
pub mod stock;
pub mod survey;
pub mod taps;
pub mod turns;
pub mod worker;
pub mod working;

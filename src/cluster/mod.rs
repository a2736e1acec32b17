//! Runs on many machines: what a cluster's scheduler is told, and what it says. Owns profiles, batch
//! scripts, manifests, the commands of Slurm, and the memory of what is under way; knows no
//! pipeline, and nothing of what tasks do.

pub mod k8s;
pub mod leftover;
pub mod profile;
pub mod script;
pub mod slurm;
pub mod states;
pub mod tasks;
pub mod underway;

//! What is made of pipelines and finished runs, for people to look at.

pub mod graph;

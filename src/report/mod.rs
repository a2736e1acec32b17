//! What is made of pipelines, plans and finished runs, for people to look at. Pure: prints
//! nothing and reads no files.

pub mod compare;
pub mod estimate;
pub mod graph;
mod layout;
pub mod life;
pub mod page;
pub mod paint;
mod svg;
pub mod words;

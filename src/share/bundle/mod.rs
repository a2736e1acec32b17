//! Bundles: one file with a pipeline, what it was made of and what came out. Owns the form of
//! the file and of what stands in it; knows nothing of where that comes from.

pub mod archive;
pub mod check;
mod frames;
pub mod manifest;
mod member;
#[cfg(test)]
mod tests;

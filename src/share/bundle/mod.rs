//! Bundles: one file with a pipeline, what it was made of and what came out. Owns the form of
//! the file and of what stands in it; knows nothing of where that comes from.

pub mod again;
pub mod agree;
pub mod archive;
pub mod check;
pub mod citation;
pub mod cite;
mod frames;
pub mod hidden;
pub mod look;
pub mod manifest;
pub mod member;
pub mod places;
pub mod readme;
pub mod results;
pub mod rocrate;
pub mod salt;
pub mod scan;
#[cfg(test)]
mod tests;
pub mod used;

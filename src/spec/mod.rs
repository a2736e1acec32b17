//! The language: YAML to a typed pipeline, with places. See `pipeline` for the types and
//! [`load`] for the way in.

pub mod about;
mod cycles;
pub mod decode;
pub mod document;
pub mod fence;
pub mod file;
mod files;
pub mod home;
mod instances;
mod load;
pub mod node;
mod params;
pub mod pipeline;
mod schema;
mod scope;
mod shape;
mod shapes;
mod stages;
mod subst;
#[cfg(test)]
mod tests;

pub use load::{Loaded, load};
pub use schema::{depending, json_schema};
pub use shapes::Shapes;

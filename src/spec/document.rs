//! Reads a YAML file of one type that is no pipeline: the same faults with the same places,
//! but no params, no includes and no `{{ … }}`.

use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::decode::decode;
use super::file;
use super::node::Node;
use super::shape::Checker;
use super::shapes::Shapes;
use crate::diag::{Diagnostic, Sources, in_order};

/// Reads and decodes a file.
///
/// # Errors
/// Every fault of its shape, each at its place.
pub fn read<T: DeserializeOwned + JsonSchema>(
    path: &Path,
    sources: &mut Sources,
) -> Result<T, Vec<Diagnostic>> {
    read_with_places(path, sources).map(|(value, _)| value)
}

/// The same, together with the tree that knows the place of every key and value.
///
/// # Errors
/// As [`read`].
pub fn read_with_places<T: DeserializeOwned + JsonSchema>(
    path: &Path,
    sources: &mut Sources,
) -> Result<(T, Node), Vec<Diagnostic>> {
    let (_, node) = file::read(path, sources).map_err(|fault| vec![fault])?;
    let shapes = Shapes::new(std::iter::empty(), |generator| {
        generator.subschema_for::<T>()
    });
    let mut faults = Vec::new();
    file::duplicates(&node, &mut faults);
    let checker = Checker {
        shapes: &shapes,
        unknown: &[],
    };
    faults.extend(checker.check(&node, &shapes.model));
    if faults.is_empty() {
        let value = decode(&node).map_err(|fault| vec![fault])?;
        return Ok((value, node));
    }
    in_order(&mut faults);
    Err(faults)
}

//! Reads a YAML file of one type that is no pipeline: the same faults with the same places,
//! but no params, no includes and no `{{ … }}`.

use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::decode::decode;
use super::file;
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
        return decode(&node).map_err(|fault| vec![fault]);
    }
    in_order(&mut faults);
    Err(faults)
}

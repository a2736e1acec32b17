//! What a pipeline says of a model. (Being written by another hand.)

/// A model of the pipeline.
#[derive(Clone, Debug)]
pub struct ModelSpec;

//! What a metric is, and what makes a list of metrics out of their types: decoding, schema,
//! and one object for all. Knows no metric.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::diag::Diagnostic;
use crate::spec::decode::decode;
use crate::spec::node::Node;

/// A text that is judged, and what it is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Pair {
    /// The text that is judged.
    pub prediction: Arc<str>,
    /// What it is judged by: one text, or several of which each is right, or a set of codes;
    /// the metric says which. May be empty.
    pub references: Vec<Arc<str>>,
}

impl Pair {
    /// A text with one reference.
    pub fn new(prediction: &str, reference: &str) -> Pair {
        Pair {
            prediction: prediction.into(),
            references: vec![reference.into()],
        }
    }
}

/// A metric: its options, decoded.
pub trait Metric: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The name that stands in `metric:`.
    const NAME: &'static str;
    /// Semantic version: raised when the same texts and options give another score.
    const VERSION: u32;
    /// The options that are paths of [`Metric::files`]: the content decides, not where it is.
    const PATHS: &[&str] = &[];

    /// The columns of every score, in order.
    fn columns(&self) -> Vec<&'static str>;

    /// Files whose content decides the scores. Relative paths start from `dir`, the folder of
    /// the pipeline file.
    fn files(&self, _dir: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether what it needs is there, as far as a glance tells: asked before anything runs.
    ///
    /// # Errors
    /// What is missing.
    fn check(&self, _dir: &Path) -> Result<(), Diagnostic> {
        Ok(())
    }

    /// True when the scores of a pair are worth keeping in the cache one by one.
    fn costly(&self) -> bool {
        false
    }

    /// Gets ready to score.
    ///
    /// # Errors
    /// What the metric needs is missing, or its options do not fit together.
    fn prepare(&self, dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic>;
}

/// The scores of one pair, in the order of [`Metric::columns`]; or why it has none, in one
/// line without the texts. Scores are finite.
pub type Scores = Result<Vec<f64>, String>;

/// Scores pairs; may keep buffers from pair to pair. The scores of a pair do not depend on
/// the pairs around it.
pub trait Scorer: Send {
    /// The scores of one pair.
    ///
    /// # Errors
    /// See [`Scores`].
    fn score(&mut self, pair: &Pair) -> Scores;

    /// The scores of some pairs, in their order: for metrics that are faster in batches.
    fn score_all(&mut self, pairs: &[Pair]) -> Vec<Scores> {
        pairs.iter().map(|pair| self.score(pair)).collect()
    }
}

/// A metric as the registry knows it.
#[derive(Clone, Copy)]
pub struct MetricDef {
    /// The name that stands in `metric:`.
    pub name: &'static str,
    /// Its semantic version.
    pub version: u32,
    /// The JSON Schema of its options.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Decodes its options from a map of the pipeline file that holds nothing else.
    pub decode: fn(&Node) -> Result<Box<dyn AnyMetric>, Diagnostic>,
    /// Decodes its options from JSON, as [`AnyMetric::settings`] gives them. The error is
    /// one line about the options.
    pub decode_json: fn(serde_json::Value) -> Result<Box<dyn AnyMetric>, String>,
}

impl MetricDef {
    /// The registration of a metric: one line.
    pub const fn of<M: Metric>() -> MetricDef {
        MetricDef {
            name: M::NAME,
            version: M::VERSION,
            schema: |generator| generator.subschema_for::<M>(),
            decode: |node| Ok(Box::new(decode::<M>(node)?)),
            decode_json: |value| {
                let metric: M = serde_json::from_value(value).map_err(|e| e.to_string())?;
                Ok(Box::new(metric))
            },
        }
    }
}

/// A [`Metric`] of any type.
pub trait AnyMetric: Send + Sync {
    /// The name that stands in `metric:`.
    fn name(&self) -> &'static str;
    /// Its semantic version.
    fn version(&self) -> u32;
    /// Its options as JSON, defaults included.
    fn settings(&self) -> serde_json::Value;
    /// What of its options decides its scores, apart from the texts and the files: of paths
    /// only that there are some.
    fn identity(&self) -> serde_json::Value;
    /// See [`Metric::columns`].
    fn columns(&self) -> Vec<&'static str>;
    /// See [`Metric::files`].
    fn files(&self, dir: &Path) -> Vec<PathBuf>;
    /// See [`Metric::check`].
    ///
    /// # Errors
    /// As there.
    fn check(&self, dir: &Path) -> Result<(), Diagnostic>;
    /// See [`Metric::costly`].
    fn costly(&self) -> bool;
    /// See [`Metric::prepare`].
    ///
    /// # Errors
    /// As there.
    fn prepare(&self, dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic>;
}

impl<M: Metric> AnyMetric for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn version(&self) -> u32 {
        M::VERSION
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn identity(&self) -> serde_json::Value {
        let mut settings = AnyMetric::settings(self);
        for name in M::PATHS {
            if let Some(path) = settings.get_mut(name).filter(|path| !path.is_null()) {
                *path = true.into();
            }
        }
        settings
    }

    fn columns(&self) -> Vec<&'static str> {
        Metric::columns(self)
    }

    fn files(&self, dir: &Path) -> Vec<PathBuf> {
        Metric::files(self, dir)
    }

    fn check(&self, dir: &Path) -> Result<(), Diagnostic> {
        Metric::check(self, dir)
    }

    fn costly(&self) -> bool {
        Metric::costly(self)
    }

    fn prepare(&self, dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic> {
        Metric::prepare(self, dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;
    use crate::metrics::metric;

    fn decode_yaml(name: &str, yaml: &str) -> Result<Box<dyn AnyMetric>, String> {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("a.yaml"), yaml);
        let node = Node::parse(&sources, file).expect("YAML");
        let metric = metric(name).expect("registered");
        (metric.decode)(&node).map_err(|fault| fault.render(&sources, false))
    }

    #[test]
    fn options_are_decoded_with_their_place() {
        let rouge = decode_yaml("rouge", "types: [rouge2]\nof: [r]\n").expect("decodes");
        assert_eq!(rouge.columns(), ["rouge2_recall"]);
        let mut scorer = rouge.prepare(Path::new("")).expect("ready");
        let scores = scorer.score(&Pair::new("a b c", "a b c d e"));
        assert_eq!(scores, Ok(vec![0.5]));

        let fault = decode_yaml("rouge", "stem: true\ntypes: [rouge3]\n").err();
        let fault = fault.expect("no such type");
        assert!(
            fault.contains("a.yaml:2:9") && fault.contains("rouge2"),
            "{fault}"
        );
    }
}

//! `bertscore`: BERTScore precision, recall and F1, computed in process, as the Python package
//! `bert-score` 0.3.13 gives them.
//!
//! Formula: T. Zhang et al., "BERTScore: Evaluating Text Generation with BERT", 2020. Every
//! token of one text is matched with the token of the other that has the highest cosine between
//! their states in one layer of the model. Precision is the mean over the prediction's tokens,
//! recall over the reference's, F1 their harmonic mean. The tokens that begin and end every text
//! weigh nothing, but others may be matched with them.
//!
//! What the package leaves to chance is settled here. It fills up the texts of a batch and takes
//! a cosine of 0 for what it filled in, so a negative best cosine counts 0, but for the longest
//! text of a batch. Here it counts 0 for every text.
//!
//! This file owns the options; it works without the feature `bert`, so that any build can check
//! any pipeline.

#[cfg(feature = "bert")]
mod config;
#[cfg(feature = "bert")]
mod encoder;
pub mod hub;
#[cfg(feature = "bert")]
mod idf;
#[cfg(feature = "bert")]
mod known;
#[cfg(feature = "bert")]
mod matching;
#[cfg(feature = "bert")]
mod ops;
#[cfg(feature = "bert")]
#[cfg(feature = "bert")]
mod pickles;
#[cfg(feature = "bert")]
pub mod place;
#[cfg(feature = "bert")]
mod rescale;
#[cfg(feature = "bert")]
mod scorer;
#[cfg(all(test, feature = "bert"))]
mod tests;
#[cfg(feature = "bert")]
mod tokens;
#[cfg(feature = "bert")]
mod vector;
#[cfg(feature = "bert")]
mod weights;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Metric, Scorer};
use crate::diag::Diagnostic;

/// Likeness of the tokens of two texts, as a BERT sees them (BERTScore). Columns: `bertscore`
/// (F1), `bertscore_precision`, `bertscore_recall`. Of several references the highest value
/// counts, for each column on its own. Texts are cut at the longest that the model takes. An
/// empty prediction, or an empty reference, gives 0 (before rescaling).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BertScore {
    /// A folder with a BERT or RoBERTa (`config.json`, `model.safetensors` or
    /// `pytorch_model.bin`, `tokenizer.json` or `vocab.txt`), or the id of a model that is in the
    /// local Hugging Face cache. Nothing is downloaded.
    #[schemars(length(min = 1))]
    pub model: String,
    /// After which layer the states are compared; 0 is before the first. Without it, the layer
    /// that bert-score recommends for this model, else the last.
    #[serde(default)]
    pub layer: Option<usize>,
    /// A file of reference texts that say how rare each token is: rare ones weigh more. One text
    /// a line, or in a `.jsonl` file one JSON text, or list of texts, a line.
    #[serde(default)]
    pub idf: Option<PathBuf>,
    /// Rescales scores, so that unrelated texts get about 0: with `baseline`, else with
    /// bert-score's numbers for English, if it has some for this model and layer.
    #[serde(default)]
    pub rescale: bool,
    /// What unrelated texts get: a file with the columns `LAYER,P,R,F`, as bert-score has them.
    /// Used if `rescale` is true.
    #[serde(default)]
    pub baseline: Option<PathBuf>,
}

impl Metric for BertScore {
    const NAME: &'static str = "bertscore";
    const VERSION: u32 = 2;
    // Not `model`: its name chooses the layer and the baseline.
    const PATHS: &[&str] = &["idf", "baseline"];

    fn columns(&self) -> Vec<&'static str> {
        vec!["bertscore", "bertscore_precision", "bertscore_recall"]
    }

    fn costly(&self) -> bool {
        true
    }

    #[cfg(feature = "bert")]
    fn files(&self, dir: &Path) -> Vec<PathBuf> {
        // What is missing is told by `prepare`.
        let mut files = match place::find(&self.model, dir) {
            Ok(place) => place.files(),
            Err(_) => Vec::new(),
        };
        files.extend(self.idf.iter().map(|file| place::path(file, dir)));
        let baseline = self.baseline.iter().filter(|_| self.rescale);
        files.extend(baseline.map(|file| place::path(file, dir)));
        files
    }

    #[cfg(feature = "bert")]
    fn check(&self, dir: &Path) -> Result<(), Diagnostic> {
        place::find(&self.model, dir).map(drop)
    }

    #[cfg(feature = "bert")]
    fn prepare(&self, dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic> {
        Ok(Box::new(scorer::BertScorer::new(self, dir)?))
    }

    #[cfg(not(feature = "bert"))]
    fn prepare(&self, _dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic> {
        let what = "this build of clue cannot compute `bertscore`";
        Err(Diagnostic::error(what)
            .help("build it with the feature `bert`, which is on by default"))
    }
}

#[cfg(all(test, not(feature = "bert")))]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_it_is_told() {
        let metric = crate::metrics::metric("bertscore").expect("registered");
        let metric = (metric.decode_json)(serde_json::json!({"model": "m"})).expect("decodes");
        let fault = metric.prepare(Path::new("")).err().expect("cannot");
        assert!(fault.help.is_some_and(|help| help.contains("`bert`")));
    }
}

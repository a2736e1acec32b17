//! Scoring in batches: every text is encoded once, with texts of about its length. Owns the
//! order of the work, its threads, and the models that several stages share.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::BertScore;
use super::config::Config;
use super::encoder::{self, Encoder};
use super::idf;
use super::known;
use super::matching::Cosines;
use super::place;
use super::rescale::Baseline;
use super::tokens::Tokens;
use super::weights::Weights;
use crate::diag::Diagnostic;
use crate::metrics::registry::{Pair, Scorer, Scores};
use crate::text::strip;

/// How many tokens are encoded together at most, padding included: about what stays in a CPU's
/// cache, and about what fills a GPU.
const TOGETHER_ON_CPU: usize = 512;
const TOGETHER_ON_GPU: usize = 16_384;

/// A metric that is ready to score.
pub struct BertScorer {
    tokens: Tokens,
    weights: idf::Weights,
    baseline: Option<Baseline>,
    model: Model,
}

/// A model that is loaded when it is first needed: a run whose scores are all in the cache
/// needs none.
struct Model {
    path: PathBuf,
    config: Config,
    layer: usize,
    encoder: Option<Arc<Encoder>>,
}

/// The scores of texts that have nothing in common.
const NOTHING: [f64; 3] = [0.0; 3];

impl BertScorer {
    /// Reads everything but the weights.
    ///
    /// # Errors
    /// A file is missing or not understood, or the model has no such layer.
    pub fn new(options: &BertScore, dir: &Path) -> Result<BertScorer, Diagnostic> {
        let place = place::find(&options.model, dir)?;
        let config = Config::read(&place.config())?;
        let most = config.num_hidden_layers;
        let known = known::layer(&place.name).filter(|layer| *layer <= most);
        let layer = options.layer.or(known).unwrap_or(most);
        if layer > most {
            let what = format!("the model `{}` has no layer {layer}", place.name);
            return Err(Diagnostic::error(what).note(format!("its last is {most}")));
        }
        let baseline = match &options.baseline {
            _ if !options.rescale => None,
            Some(file) => Some(Baseline::read(&place::path(file, dir), layer)?),
            None => Some(known::baseline(&place.name, layer).ok_or_else(|| {
                let what = format!("no baseline is known for layer {layer} of `{}`", place.name);
                Diagnostic::error(what).help("name a file with `baseline`")
            })?),
        };
        let weights = Weights::open(&place.weights)?;
        if encoder::prefix(&weights, &config, layer).is_none() {
            let file = place.weights.display();
            let what =
                format!("`{file}` does not have the weights that its `config.json` tells of");
            return Err(Diagnostic::error(what));
        }
        let tokens = Tokens::load(&place, &config)?;
        let weights = match &options.idf {
            None => idf::Weights::Plain { ends: tokens.ends },
            Some(file) => {
                let texts = idf::texts(&place::path(file, dir))?;
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let texts = tokens.of(&texts).map_err(Diagnostic::error)?;
                idf::Weights::idf(texts.iter().map(Vec::as_slice))
            }
        };
        Ok(BertScorer {
            tokens,
            weights,
            baseline,
            model: Model {
                path: place.weights,
                config,
                layer,
                encoder: None,
            },
        })
    }

    fn try_score(&mut self, pairs: &[Pair]) -> Result<Vec<Scores>, String> {
        let texts: BTreeSet<&str> = pairs.iter().flat_map(texts).map(strip).collect();
        let texts: Vec<&str> = texts.into_iter().collect();
        let tokens = self.tokens.of(&texts)?;
        let mut encoded: HashMap<&str, Encoded> = HashMap::new();
        let mut order: Vec<usize> = Vec::new();
        for (at, tokens) in tokens.iter().enumerate() {
            // Nothing between the two ends.
            if tokens.len() > 2 {
                order.push(at);
            }
        }
        order.sort_by_key(|at| tokens[*at].len());
        if !order.is_empty() {
            let encoder = self.model.encoder()?;
            let all = order.iter().map(|at| tokens[*at].len()).sum();
            let (threads, together) = share(all, encoder.on_gpu());
            let batches = batches(&order, |at| tokens[at].len(), together);
            let encode = |batch: &&[usize]| {
                let ids: Vec<&[u32]> = batch.iter().map(|at| tokens[*at].as_slice()).collect();
                encoder.states(&ids)
            };
            let states: Vec<_> = match threads {
                1 => batches.iter().map(encode).collect(),
                _ => batches.par_iter().map(encode).collect(),
            };
            for (batch, states) in batches.into_iter().zip(states) {
                let states = states.map_err(|e| format!("the model failed: {e}"))?;
                for (at, states) in batch.iter().zip(states) {
                    let weights = self.weights.of(&tokens[*at]);
                    encoded.insert(texts[*at], Encoded { states, weights });
                }
            }
        }
        let score = |pair: &Pair| self.pair(pair, &encoded);
        Ok(pairs.iter().map(score).collect())
    }

    fn pair(&self, pair: &Pair, encoded: &HashMap<&str, Encoded>) -> Scores {
        let prediction = encoded.get(strip(&pair.prediction));
        let mut best = NOTHING;
        for reference in &pair.references {
            let reference = encoded.get(strip(reference));
            let Some((prediction, reference)) = prediction.zip(reference) else {
                continue;
            };
            let scores = prediction.with(reference)?;
            for (best, score) in best.iter_mut().zip(scores) {
                *best = best.max(score);
            }
        }
        let [precision, recall, f1] = match self.baseline {
            Some(baseline) => baseline.apply(best),
            None => best,
        };
        Ok(vec![f1, precision, recall])
    }
}

impl Scorer for BertScorer {
    fn score(&mut self, pair: &Pair) -> Scores {
        let mut scores = self.score_all(std::slice::from_ref(pair));
        let none = || Err("the metric gave no score".to_owned());
        scores.pop().unwrap_or_else(none)
    }

    fn score_all(&mut self, pairs: &[Pair]) -> Vec<Scores> {
        match self.try_score(pairs) {
            Ok(scores) => scores,
            Err(why) => pairs.iter().map(|_| Err(why.clone())).collect(),
        }
    }
}

fn texts(pair: &Pair) -> impl Iterator<Item = &str> {
    let references = pair.references.iter().map(|text| &**text);
    std::iter::once(&*pair.prediction).chain(references)
}

/// On how many threads so many tokens are encoded, and how many of them together. One thread
/// computes a whole batch: threads that share a matrix product wait for each other at its end.
fn share(tokens: usize, on_gpu: bool) -> (usize, usize) {
    if on_gpu {
        return (1, TOGETHER_ON_GPU);
    }
    let threads = rayon::current_num_threads();
    (threads, tokens.div_ceil(threads).min(TOGETHER_ON_CPU))
}

/// Parts of `order`, which is sorted by length, of at most `together` tokens with padding; or of
/// one longer text.
fn batches(order: &[usize], length: impl Fn(usize) -> usize, together: usize) -> Vec<&[usize]> {
    let mut batches = Vec::new();
    let mut rest = order;
    while !rest.is_empty() {
        let fits = |(at, text): (usize, &usize)| (at + 1) * length(*text) <= together;
        let size = rest
            .iter()
            .enumerate()
            .take_while(|item| fits(*item))
            .count();
        let (batch, others) = rest.split_at(size.max(1));
        batches.push(batch);
        rest = others;
    }
    batches
}

/// A text's states and what they weigh.
struct Encoded {
    states: Tensor,
    weights: Vec<f32>,
}

impl Encoded {
    fn with(&self, reference: &Encoded) -> Result<[f64; 3], String> {
        let cosines = reference
            .states
            .t()
            .and_then(|other| self.states.matmul(&other));
        let cosines = cosines.and_then(|cosines| cosines.flatten_all()?.to_vec1::<f32>());
        let cosines = cosines.map_err(|e| format!("the model failed: {e}"))?;
        if cosines.iter().any(|cosine| !cosine.is_finite()) {
            return Err("the model gives numbers that are not finite".to_owned());
        }
        let cosines = Cosines {
            cosines: &cosines,
            prediction: &self.weights,
            reference: &reference.weights,
        };
        Ok(cosines.scores())
    }
}

/// The models in memory: stages that use the same one share it.
static LOADED: Mutex<Vec<Loaded>> = Mutex::new(Vec::new());

struct Loaded {
    path: PathBuf,
    layer: usize,
    encoder: Weak<Encoder>,
}

impl Model {
    fn encoder(&mut self) -> Result<Arc<Encoder>, String> {
        if let Some(encoder) = &self.encoder {
            return Ok(encoder.clone());
        }
        // Held while loading, so that nobody loads the same one at the same time.
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|other| other.encoder.strong_count() > 0);
        let same = |other: &&Loaded| other.path == self.path && other.layer == self.layer;
        let shared = loaded
            .iter()
            .find(same)
            .and_then(|other| other.encoder.upgrade());
        let encoder = match shared {
            Some(encoder) => encoder,
            None => {
                let encoder = Arc::new(self.load()?);
                loaded.push(Loaded {
                    path: self.path.clone(),
                    layer: self.layer,
                    encoder: Arc::downgrade(&encoder),
                });
                encoder
            }
        };
        self.encoder = Some(encoder.clone());
        Ok(encoder)
    }

    fn load(&self) -> Result<Encoder, String> {
        let device = Device::cuda_if_available(0).map_err(|e| format!("no device: {e}"))?;
        // No product is worth threads of its own: see `share`.
        gemm::set_threading_threshold(usize::MAX);
        let weights = Weights::open(&self.path).map_err(|fault| fault.message)?;
        Encoder::load(&weights, &self.config, self.layer, &device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_limited_by_padded_tokens() {
        let lengths = [2, 2, 3, 4, 9, 9];
        let order = [0, 1, 2, 3, 4, 5];
        let of = |together| batches(&order, |at| lengths[at], together);
        assert_eq!(of(9), [&order[..3], &[3], &[4], &[5]]);
        assert_eq!(of(1).len(), 6);
        assert_eq!(of(100), [&order[..]]);
        assert!(batches(&[], |at| at, 9).is_empty());
    }
}

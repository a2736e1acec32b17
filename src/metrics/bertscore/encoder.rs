//! The encoder of BERT and RoBERTa, as far as the layer whose states are wanted. Knows tokens,
//! no texts.
//!
//! J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019; Y. Liu et
//! al., "RoBERTa", 2019. Layer norm comes after each sum, dropout is off.

use candle_core::{Device, Result, Tensor};

use super::config::{Activation, Config};
use super::ops::{self, Norm};
use super::weights::Weights;

/// Its weights on a device.
pub struct Encoder {
    words: Tensor,
    positions: Tensor,
    /// The embedding of the first segment: there is only one.
    segment: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    activation: Activation,
    pad: u32,
    first_position: u32,
    device: Device,
}

struct Layer {
    /// Queries, keys and values, in one product.
    asked: Linear,
    attended: Linear,
    attended_norm: Norm,
    wide: Linear,
    narrow: Linear,
    norm: Norm,
}

struct Linear {
    /// Row by row of the input, as the product reads it: it need not turn it around each time.
    weight: Tensor,
    bias: Tensor,
}

/// The prefix of the names of a model's weights, if they are there up to a layer.
pub fn prefix(weights: &Weights, config: &Config, layers: usize) -> Option<&'static str> {
    let width = config.hidden_size;
    ["", config.prefix()].into_iter().find(|prefix| {
        let shape = |name: &str| weights.shape(&format!("{prefix}{name}"));
        let words = shape("embeddings.word_embeddings.weight");
        let last = layers.checked_sub(1);
        words.is_some_and(|shape| shape.get(1) == Some(&width))
            && last.is_none_or(|last| {
                let name = format!("encoder.layer.{last}.output.dense.bias");
                shape(&name) == Some(vec![width])
            })
    })
}

/// Reads weights by name.
struct Reader<'a> {
    weights: &'a Weights,
    device: &'a Device,
    path: String,
    eps: f64,
}

impl Reader<'_> {
    fn at(&self, name: &str) -> Reader<'_> {
        let path = format!("{}{name}.", self.path);
        Reader { path, ..*self }
    }

    fn tensor(&self, name: &str) -> std::result::Result<Tensor, String> {
        self.weights
            .tensor(&format!("{}{name}", self.path), self.device)
    }

    /// Several of the same input in one, side by side.
    fn linear(&self, names: &[&str]) -> std::result::Result<Linear, String> {
        let all = |what: &str| {
            let parts = names.iter().map(|name| self.at(name).tensor(what));
            let parts: Vec<Tensor> = parts.collect::<std::result::Result<_, _>>()?;
            Tensor::cat(&parts, 0).map_err(|e| e.to_string())
        };
        let turned = |tensor: Tensor| tensor.t()?.contiguous();
        Ok(Linear {
            weight: turned(all("weight")?).map_err(|e| e.to_string())?,
            bias: all("bias")?,
        })
    }

    /// Old files have older names.
    fn norm(&self, name: &str) -> std::result::Result<Norm, String> {
        let part = self.at(name);
        let either = |name: &str, old: &str| {
            let known = self.weights.shape(&format!("{}{name}", part.path));
            part.tensor(if known.is_some() { name } else { old })
        };
        Ok(Norm {
            weight: either("weight", "gamma")?,
            bias: either("bias", "beta")?,
            eps: self.eps,
        })
    }

    fn layer(&self) -> std::result::Result<Layer, String> {
        Ok(Layer {
            asked: self.linear(&[
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
            ])?,
            attended: self.linear(&["attention.output.dense"])?,
            attended_norm: self.norm("attention.output.LayerNorm")?,
            wide: self.linear(&["intermediate.dense"])?,
            narrow: self.linear(&["output.dense"])?,
            norm: self.norm("output.LayerNorm")?,
        })
    }
}

impl Encoder {
    /// Loads the embeddings and the first `layers` layers.
    ///
    /// # Errors
    /// The weights are not those of such a model; one line.
    pub fn load(
        weights: &Weights,
        config: &Config,
        layers: usize,
        device: &Device,
    ) -> std::result::Result<Encoder, String> {
        let prefix = prefix(weights, config, layers).ok_or("the weights are of another model")?;
        let reader = Reader {
            weights,
            device,
            path: prefix.to_owned(),
            eps: config.layer_norm_eps,
        };
        let embeddings = reader.at("embeddings");
        let segments = embeddings.tensor("token_type_embeddings.weight")?;
        let layer = |at: usize| reader.at(&format!("encoder.layer.{at}")).layer();
        Ok(Encoder {
            words: embeddings.tensor("word_embeddings.weight")?,
            positions: embeddings.tensor("position_embeddings.weight")?,
            segment: segments.get(0).map_err(|e| e.to_string())?,
            norm: embeddings.norm("LayerNorm")?,
            layers: (0..layers)
                .map(layer)
                .collect::<std::result::Result<_, _>>()?,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
            pad: config.pad(),
            first_position: config.first_position(),
            device: device.clone(),
        })
    }

    /// True if it computes on a GPU.
    pub fn on_gpu(&self) -> bool {
        !self.device.is_cpu()
    }

    /// The states of the tokens of each text, scaled to length 1: for each text a matrix with
    /// a row for each of its tokens.
    ///
    /// # Errors
    /// A token is not in the vocabulary, or the weights do not fit together.
    pub fn states(&self, texts: &[&[u32]]) -> Result<Vec<Tensor>> {
        if self.on_gpu() {
            self.encode(texts, &Batch::filled(texts, &self.device)?)
        } else {
            self.encode(texts, &Batch::apart(texts))
        }
    }

    fn encode(&self, texts: &[&[u32]], batch: &Batch) -> Result<Vec<Tensor>> {
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        for text in texts {
            let mut position = self.first_position;
            for at in 0..batch.rows(text) {
                let id = text.get(at).copied().unwrap_or(self.pad);
                ids.push(id);
                // RoBERTa counts its padding tokens at no position.
                if self.first_position > 0 && id == self.pad {
                    positions.push(self.pad);
                } else {
                    positions.push(position);
                    position += 1;
                }
            }
        }
        let embed = |table: &Tensor, ids: Vec<u32>| {
            let ids = Tensor::new(ids, &self.device)?;
            table.index_select(&ids, 0)
        };
        let (words, positions) = (embed(&self.words, ids)?, embed(&self.positions, positions)?);
        let mut states = ops::add_norm(words, &self.segment, &positions, &self.norm)?;
        for layer in &self.layers {
            states = self.layer(layer, &states, batch)?;
        }
        let states = ops::unit(states)?;
        let mut start = 0;
        let rows = texts.iter().map(|text| {
            // A copy, so that the rest of the batch can go.
            let rows = states.narrow(0, start, text.len())?.force_contiguous();
            start += batch.rows(text);
            rows
        });
        rows.collect()
    }

    /// From the states of the texts' tokens, a row each, to those after this layer.
    fn layer(&self, layer: &Layer, states: &Tensor, batch: &Batch) -> Result<Tensor> {
        let asked = states.matmul(&layer.asked.weight)?;
        let asked = ops::add_bias(asked, &layer.asked.bias)?;
        let mut start = 0;
        let attended = batch.blocks.iter().map(|block| {
            let rows = block.texts * block.tokens;
            let asked = asked.narrow(0, start, rows)?;
            start += rows;
            self.attended(&asked, block, batch.mask.as_ref())
        });
        let attended = Tensor::cat(&attended.collect::<Result<Vec<Tensor>>>()?, 0)?;
        let attended = attended.matmul(&layer.attended.weight)?;
        let states = ops::add_norm(attended, &layer.attended.bias, states, &layer.attended_norm)?;
        let wide = states.matmul(&layer.wide.weight)?;
        let wide = ops::activate(wide, &layer.wide.bias, self.activation)?;
        let narrow = wide.matmul(&layer.narrow.weight)?;
        ops::add_norm(narrow, &layer.narrow.bias, &states, &layer.norm)
    }

    /// What the tokens of texts of the same length attend to, a row each, from the rows of their
    /// queries, keys and values.
    fn attended(&self, asked: &Tensor, block: &Block, mask: Option<&Tensor>) -> Result<Tensor> {
        let (rows, width) = asked.dims2()?;
        let head = width / 3 / self.heads;
        let asked = asked.reshape((block.texts, block.tokens, 3, self.heads, head))?;
        // By text, head and token.
        let part = |at: usize| {
            let part = asked.narrow(2, at, 1)?.squeeze(2)?;
            part.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let scale = 1.0 / (head as f64).sqrt();
        let attention = ops::attention(query.matmul(&key.t()?)?, scale, mask)?;
        let attended = attention.matmul(&value)?;
        attended.transpose(1, 2)?.reshape((rows, width / 3))
    }
}

/// How the rows of some texts' tokens follow each other.
struct Batch {
    blocks: Vec<Block>,
    /// What is added before a softmax, where a text is shorter than its block.
    mask: Option<Tensor>,
}

/// Texts of the same length, one after the other.
struct Block {
    texts: usize,
    tokens: usize,
}

impl Batch {
    /// Each text is a block, so that it makes no difference which ones are encoded together.
    fn apart(texts: &[&[u32]]) -> Batch {
        let block = |text: &&[u32]| Block {
            texts: 1,
            tokens: text.len(),
        };
        let blocks = texts.iter().map(block).collect();
        Batch { blocks, mask: None }
    }

    /// All are one block, filled up to the longest: few operations, and large ones.
    fn filled(texts: &[&[u32]], device: &Device) -> Result<Batch> {
        let lengths = texts.iter().map(|text| text.len());
        let longest = lengths.clone().max().unwrap_or(0);
        let block = Block {
            texts: texts.len(),
            tokens: longest,
        };
        let mask = if lengths.clone().all(|length| length == longest) {
            None
        } else {
            let of = |length| (0..longest).map(move |at| if at < length { 0f32 } else { f32::MIN });
            let mask: Vec<f32> = lengths.flat_map(of).collect();
            let shape = (texts.len(), 1, 1, longest);
            Some(Tensor::from_vec(mask, shape, device)?)
        };
        Ok(Batch {
            blocks: vec![block],
            mask,
        })
    }

    /// How many rows one of its texts has.
    fn rows(&self, text: &[u32]) -> usize {
        match self.blocks.as_slice() {
            [one] => one.tokens,
            _ => text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_filled_up_changes_nothing() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bertscore");
        for model in ["tiny-bert", "tiny-roberta"] {
            let config = Config::read(&golden.join(model).join("config.json")).expect("a config");
            let weights = golden.join(model).join("model.safetensors");
            let weights = Weights::open(&weights).expect("weights");
            let encoder = Encoder::load(&weights, &config, 2, &Device::Cpu).expect("a model");
            let texts: [&[u32]; 3] = [&[2, 5, 6, 7, 3], &[2, 8, 3], &[2, 6, 5, 3]];
            let filled = Batch::filled(&texts, &Device::Cpu).expect("a batch");
            assert!(filled.mask.is_some());
            let filled = encoder.encode(&texts, &filled).expect("states");
            let apart = encoder.states(&texts).expect("states");
            for (filled, apart) in filled.iter().zip(&apart) {
                assert_eq!(filled.dims(), apart.dims());
                let numbers = |states: &Tensor| states.flatten_all()?.to_vec1::<f32>();
                let filled = numbers(filled).expect("numbers");
                let apart = numbers(apart).expect("numbers");
                for (filled, apart) in filled.iter().zip(&apart) {
                    assert!((filled - apart).abs() < 1e-6, "{filled} {apart}");
                }
            }
        }
    }
}

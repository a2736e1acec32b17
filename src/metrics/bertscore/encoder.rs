//! The encoder of BERT and RoBERTa, as far as the layer whose states are wanted. Knows tokens,
//! no texts.
//!
//! J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019; Y. Liu et
//! al., "RoBERTa", 2019. Layer norm comes after each sum, dropout is off.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::{LayerNorm, Linear, Module};

use super::config::{Activation, Config};
use super::weights::Weights;

/// Its weights on a device.
pub struct Encoder {
    words: Tensor,
    positions: Tensor,
    /// The embedding of the first segment: there is only one.
    segment: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    heads: usize,
    activation: Activation,
    pad: u32,
    first_position: u32,
    device: Device,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    wide: Linear,
    narrow: Linear,
    norm: LayerNorm,
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

    fn linear(&self, name: &str) -> std::result::Result<Linear, String> {
        let part = self.at(name);
        Ok(Linear::new(
            part.tensor("weight")?,
            Some(part.tensor("bias")?),
        ))
    }

    /// Old files have older names.
    fn norm(&self, name: &str) -> std::result::Result<LayerNorm, String> {
        let part = self.at(name);
        let either = |name: &str, old: &str| {
            let known = self.weights.shape(&format!("{}{name}", part.path));
            part.tensor(if known.is_some() { name } else { old })
        };
        let (weight, bias) = (either("weight", "gamma")?, either("bias", "beta")?);
        Ok(LayerNorm::new(weight, bias, self.eps))
    }

    fn layer(&self) -> std::result::Result<Layer, String> {
        Ok(Layer {
            query: self.linear("attention.self.query")?,
            key: self.linear("attention.self.key")?,
            value: self.linear("attention.self.value")?,
            attended: self.linear("attention.output.dense")?,
            attended_norm: self.norm("attention.output.LayerNorm")?,
            wide: self.linear("intermediate.dense")?,
            narrow: self.linear("output.dense")?,
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
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(texts.len() * longest);
        let mut positions = Vec::with_capacity(ids.capacity());
        let mut mask = Vec::with_capacity(ids.capacity());
        for text in texts {
            let mut position = self.first_position;
            for at in 0..longest {
                let id = text.get(at).copied().unwrap_or(self.pad);
                ids.push(id);
                mask.push(if at < text.len() { 0f32 } else { f32::MIN });
                // RoBERTa counts its padding tokens at no position.
                if self.first_position > 0 && id == self.pad {
                    positions.push(self.pad);
                } else {
                    positions.push(position);
                    position += 1;
                }
            }
        }
        let shape = (texts.len(), longest);
        let mask = match texts.iter().all(|text| text.len() == longest) {
            true => None,
            false => Some(Tensor::from_vec(
                mask,
                (texts.len(), 1, 1, longest),
                &self.device,
            )?),
        };
        let embed = |table: &Tensor, ids: Vec<u32>| {
            let ids = Tensor::from_vec(ids, texts.len() * longest, &self.device)?;
            let width = table.dim(1)?;
            table
                .index_select(&ids, 0)?
                .reshape((shape.0, shape.1, width))
        };
        let sum = (embed(&self.words, ids)? + embed(&self.positions, positions)?)?;
        let mut states = self.norm.forward(&sum.broadcast_add(&self.segment)?)?;
        for layer in &self.layers {
            states = self.layer(layer, &states, mask.as_ref())?;
        }
        let length = states.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        let states = states.broadcast_div(&length)?;
        let rows = texts.iter().enumerate();
        // A copy, so that the rest of the batch can go.
        rows.map(|(at, text)| states.get(at)?.narrow(0, 0, text.len())?.copy())
            .collect()
    }

    fn layer(&self, layer: &Layer, states: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (texts, tokens, width) = states.dims3()?;
        let split = |linear: &Linear| {
            let shape = (texts, tokens, self.heads, width / self.heads);
            linear
                .forward(states)?
                .reshape(shape)?
                .transpose(1, 2)?
                .contiguous()
        };
        let (query, key, value) = (
            split(&layer.query)?,
            split(&layer.key)?,
            split(&layer.value)?,
        );
        let scale = 1.0 / ((width / self.heads) as f64).sqrt();
        let mut likeness = (query.matmul(&key.t()?)? * scale)?;
        if let Some(mask) = mask {
            likeness = likeness.broadcast_add(mask)?;
        }
        let attended = softmax_last_dim(&likeness)?.matmul(&value)?;
        let attended = attended.transpose(1, 2)?.reshape((texts, tokens, width))?;
        let attended = layer.attended.forward(&attended)?;
        let states = layer.attended_norm.forward(&(attended + states)?)?;
        let wide = layer.wide.forward(&states)?;
        let wide = match self.activation {
            Activation::Gelu => wide.gelu_erf()?,
            Activation::GeluTanh => wide.gelu()?,
            Activation::Relu => wide.relu()?,
        };
        layer
            .norm
            .forward(&(layer.narrow.forward(&wide)? + states)?)
    }
}

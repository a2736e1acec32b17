//! A model's `config.json`: which kind of encoder, and its sizes.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::diag::Diagnostic;

/// What the encoder needs to know. Names and defaults are those of Python's transformers.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Left out by old files.
    #[serde(default)]
    model_type: Kind,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Width of the states.
    pub hidden_size: usize,
    /// Heads of attention in each layer.
    pub num_attention_heads: usize,
    /// How many positions there are embeddings for.
    pub max_position_embeddings: usize,
    /// What is added to variances.
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// The activation function.
    #[serde(default)]
    pub hidden_act: Activation,
    #[serde(default)]
    pad_token_id: Option<u32>,
    /// Refuses models with other kinds of positions.
    #[serde(default, rename = "position_embedding_type")]
    _positions: Positions,
}

/// The architectures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Bert,
    Roberta,
    XlmRoberta,
    Camembert,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Positions {
    #[default]
    Absolute,
}

/// An activation function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Activation {
    /// GELU by the error function.
    #[default]
    #[serde(rename = "gelu")]
    Gelu,
    /// GELU by the hyperbolic tangent.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluTanh,
    /// The positive part.
    #[serde(rename = "relu")]
    Relu,
}

fn layer_norm_eps() -> f64 {
    1e-12
}

impl Config {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// The file cannot be read, or describes a model that cannot be computed here.
    pub fn read(path: &Path) -> Result<Config, Diagnostic> {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|e| Diagnostic::error(format!("cannot read `{shown}`: {e}")))?;
        let config: Config = serde_json::from_str(&text).map_err(|e| {
            Diagnostic::error(format!(
                "`{shown}` is not the config of a BERT or RoBERTa: {e}"
            ))
        })?;
        let (width, heads) = (config.hidden_size, config.num_attention_heads);
        if width == 0 || heads == 0 || width % heads != 0 {
            let what = format!("`{shown}`: a width of {width} cannot be split into {heads} heads");
            return Err(Diagnostic::error(what));
        }
        if config.longest() < 3 {
            return Err(Diagnostic::error(format!("`{shown}`: too few positions")));
        }
        Ok(config)
    }

    /// Like a RoBERTa: positions are counted from the padding token's id on.
    fn is_roberta(&self) -> bool {
        self.model_type != Kind::Bert
    }

    /// The padding token.
    pub fn pad(&self) -> u32 {
        self.pad_token_id.unwrap_or(u32::from(self.is_roberta()))
    }

    /// The position of a text's first token.
    pub fn first_position(&self) -> u32 {
        if self.is_roberta() {
            self.pad().saturating_add(1)
        } else {
            0
        }
    }

    /// The longest text, in tokens.
    pub fn longest(&self) -> usize {
        self.max_position_embeddings
            .saturating_sub(self.first_position() as usize)
    }

    /// The prefix that names of weights may have.
    pub fn prefix(&self) -> &'static str {
        if self.is_roberta() {
            "roberta."
        } else {
            "bert."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERT: &str = r#""num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2,
        "max_position_embeddings": 514"#;

    fn read(json: &str) -> Result<Config, String> {
        let temp = tempfile::tempdir().expect("a folder");
        let path = temp.path().join("config.json");
        fs::write(&path, json).expect("written");
        Config::read(&path).map_err(|fault| fault.message)
    }

    #[test]
    fn robertas_have_fewer_positions() {
        let config = read(&format!("{{{BERT}}}")).expect("a BERT");
        assert_eq!(
            (config.longest(), config.pad(), config.prefix()),
            (514, 0, "bert.")
        );
        let config = read(&format!("{{\"model_type\": \"xlm-roberta\", {BERT}}}"));
        let config = config.expect("a RoBERTa");
        assert_eq!(
            (config.longest(), config.pad(), config.prefix()),
            (512, 1, "roberta.")
        );
    }

    #[test]
    fn other_models_are_told() {
        let deberta = read(&format!("{{\"model_type\": \"deberta\", {BERT}}}"));
        assert!(deberta.is_err_and(|why| why.contains("`deberta`") && why.contains("`roberta`")));
        let odd = read(&format!(
            "{{\"position_embedding_type\": \"relative_key\", {BERT}}}"
        ));
        assert!(odd.is_err_and(|why| why.contains("relative_key")));
        assert!(read(&BERT.replace("16", "15")).is_err());
        let heads = read(&format!("{{{}}}", BERT.replace("16", "15")));
        assert!(heads.is_err_and(|why| why.contains("2 heads")));
        assert!(read("[]").is_err());
    }
}

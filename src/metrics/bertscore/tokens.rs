//! Texts to tokens: a `tokenizer.json`, or the `vocab.txt` of a BERT.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer, TruncationParams};

use super::config::Config;
use super::place::Place;
use crate::diag::Diagnostic;
use crate::text::strip;

/// A model's tokenizer.
pub struct Tokens {
    tokenizer: Tokenizer,
    /// The tokens that begin and end every text.
    pub ends: [u32; 2],
    /// Whether words are told from their ends by the space before them, and the first word of
    /// a text gets one too.
    space_first: bool,
}

/// `tokenizer_config.json`, as far as it matters.
#[derive(Default, Deserialize)]
struct Settings {
    /// Often a number beyond all measure, which stands for none.
    model_max_length: Option<f64>,
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
}

impl Tokens {
    /// The tokenizer of a model.
    ///
    /// # Errors
    /// Its file cannot be read, or is not a tokenizer that marks both ends of a text.
    pub fn load(place: &Place, config: &Config) -> Result<Tokens, Diagnostic> {
        let settings = place.tokenizer_config().map(|path| Settings::read(&path));
        let settings = settings.transpose()?.unwrap_or_default();
        let shown = place.tokenizer.display();
        let fault = |why: &dyn std::fmt::Display| {
            Diagnostic::error(format!("`{shown}` is not a tokenizer: {why}"))
        };
        let vocabulary = place.tokenizer.extension().is_some_and(|ext| ext == "txt");
        let mut tokenizer = if vocabulary {
            let text = fs::read(&place.tokenizer)
                .map_err(|e| Diagnostic::error(format!("cannot read `{shown}`: {e}")))?;
            settings.bert(&text).map_err(|e| fault(&e))?
        } else {
            crate::tokens::open(&place.tokenizer)?
        };
        let longest = settings
            .longest()
            .unwrap_or(usize::MAX)
            .min(config.longest());
        let cut = TruncationParams {
            max_length: longest,
            ..TruncationParams::default()
        };
        tokenizer
            .with_truncation(Some(cut))
            .map_err(|e| fault(&e))?;
        let empty = tokenizer.encode_fast("", true).map_err(|e| fault(&e))?;
        let &[begin, end] = empty.get_ids() else {
            return Err(fault(&"it does not mark the two ends of a text"));
        };
        let bytes = tokenizer.get_pre_tokenizer();
        Ok(Tokens {
            space_first: matches!(bytes, Some(PreTokenizerWrapper::ByteLevel(_))),
            ends: [begin, end],
            tokenizer,
        })
    }

    /// The tokens of each text, both ends included, cut at the model's longest.
    ///
    /// # Errors
    /// The tokenizer fails; one line without the texts.
    pub fn of(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>, String> {
        let space = |text: &&str| match strip(text) {
            text if self.space_first && !text.is_empty() => format!(" {text}"),
            text => text.to_owned(),
        };
        let texts: Vec<String> = texts.iter().map(space).collect();
        let encoded = self.tokenizer.encode_batch_fast(texts, true);
        let encoded = encoded.map_err(|_| "the tokenizer failed".to_owned())?;
        Ok(encoded.iter().map(|text| text.get_ids().to_vec()).collect())
    }
}

impl Settings {
    fn read(path: &Path) -> Result<Settings, Diagnostic> {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|e| Diagnostic::error(format!("cannot read `{shown}`: {e}")))?;
        serde_json::from_str(&text)
            .map_err(|e| Diagnostic::error(format!("`{shown}` is not understood: {e}")))
    }

    fn longest(&self) -> Option<usize> {
        let length = self.model_max_length?;
        (3.0..1e9).contains(&length).then_some(length as usize)
    }

    /// BERT's own tokenizer over a `vocab.txt`, which names a token a line. What is not set is as
    /// in transformers: lower case, also for models with a vocabulary in both cases.
    fn bert(&self, vocabulary: &[u8]) -> tokenizers::Result<Tokenizer> {
        let words = WordPiece::read_bytes(vocabulary)?;
        let id = |token: &str| {
            let id = words.get(token).copied();
            id.map(|id| (token.to_owned(), id))
                .ok_or(format!("it has no `{token}`"))
        };
        let ends = BertProcessing::new(id("[SEP]")?, id("[CLS]")?);
        let special = ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"];
        let special: Vec<AddedToken> = special
            .into_iter()
            .filter(|token| words.contains_key(*token))
            .map(|token| AddedToken::from(token, true))
            .collect();
        let model = WordPiece::builder()
            .vocab(words)
            .unk_token("[UNK]".into())
            .build()?;
        let mut tokenizer = Tokenizer::new(model);
        let normalizer = BertNormalizer::new(
            true,
            self.tokenize_chinese_chars.unwrap_or(true),
            self.strip_accents,
            self.do_lower_case.unwrap_or(true),
        );
        tokenizer.with_normalizer(Some(normalizer))?;
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        tokenizer.with_post_processor(Some(ends));
        tokenizer.add_special_tokens(special)?;
        Ok(tokenizer)
    }
}

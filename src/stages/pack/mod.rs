//! `pack`: documents into a budget of tokens. Owns the settings and what they ask of a tokenizer;
//! `fit` has the arithmetic, `packer` the way from a record to a text, `operators` the tokenizers.

#[cfg(all(test, feature = "tokenizers"))]
mod disk_tests;
mod fit;
mod operators;
mod packer;
mod splits;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use self::fit::Overflow;
use self::operators::{AskingPacker, PlainPacker};
use self::packer::Packer;
use super::asking::unknown_model;
use super::bound::Bound;
use super::contract::{Build, Check, FieldSet, Operator, Verb};
use super::number::Number;
use super::prompted::PromptFile;
use super::traces::Traces;
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::spec::decode::Src;
use crate::tokens::Disk;

/// Fits documents into a budget of tokens and joins them. Keys stay.
///
/// Tokens are counted of each document, of the separator and of what is reserved, each on its
/// own and without marks for start and end, and added up; a tokenizer that joins letters across
/// the seams makes a few tokens less of the whole. Beside `into`, records get `INTO_tokens` (of
/// documents and separators), `INTO_count` (how many are in it, the last perhaps in part) and
/// `INTO_cut` (whether one is).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// The documents: a list of texts. The first ones are taken first.
    documents: Src<Expr>,
    /// How many tokens there are for the documents and for all that is reserved.
    budget: Src<Number>,
    /// A text, or a list of texts, that needs tokens of the budget too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserve: Option<Src<Expr>>,
    /// The file of a prompt that needs tokens of the budget too: all that it says of a record
    /// whose documents are empty.
    #[serde(default, skip_serializing)]
    prompt: Option<PromptFile>,
    /// What counts tokens: a `tokenizer.json`, or a folder with one; or `{model: NAME}`, the
    /// server of a model.
    #[serde(serialize_with = "kind_alone")]
    tokenizer: Src<Counter>,
    /// What stands between two documents.
    #[serde(default = "blank_line")]
    separator: String,
    /// The places of the documents, from 0, in the order in which they are written. Those of
    /// documents that are left out are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<Src<Expr>>,
    /// What becomes of a document that does not fit.
    #[serde(default)]
    overflow: Overflow,
    /// The field for the text.
    #[serde(default = "packed")]
    into: String,
    /// A field for the documents as they are written, as a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pieces: Option<Src<String>>,
    /// Counts so many tokens for a separator, whatever it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    separator_tokens: Option<u32>,
    /// Counts the tokenizer's marks for start and end with every text; a document that is cut
    /// keeps the mark for its start.
    #[serde(default)]
    special: bool,
    /// Writes an empty text for the first document for which nothing is left, instead of leaving
    /// it out; also if less than nothing is left.
    #[serde(default)]
    keep_empty: bool,
    /// The tokenizer, read once.
    #[serde(skip)]
    disk: OnceLock<Loaded>,
}

/// A tokenizer in memory.
#[derive(Clone)]
struct Loaded(Arc<Disk>);

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loaded")
    }
}

/// What counts tokens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Counter {
    /// A `tokenizer.json`, or a folder with one.
    File(String),
    /// The server of a model.
    Server(Served),
}

/// A model whose server counts tokens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Served {
    /// The model, by its name under `models:`.
    model: String,
}

/// The content of a file, and what a model is, decide; not their names.
fn kind_alone<S: Serializer>(counter: &Src<Counter>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(match counter.value {
        Counter::File(_) => "file",
        Counter::Server(_) => "server",
    })
}

fn blank_line() -> String {
    "\n\n".to_owned()
}

fn packed() -> String {
    "packed".to_owned()
}

impl Pack {
    /// The tokenizer's file.
    fn file(&self, cx: &Build<'_>) -> Option<PathBuf> {
        let Counter::File(path) = &self.tokenizer.value else {
            return None;
        };
        let path = cx.path(path);
        Some(match path.is_dir() {
            true => path.join("tokenizer.json"),
            false => path,
        })
    }

    fn disk(&self, path: &std::path::Path) -> Result<Arc<Disk>, Diagnostic> {
        if let Some(loaded) = self.disk.get() {
            return Ok(loaded.0.clone());
        }
        let span = self.tokenizer.span;
        if !path.is_file() {
            let what = format!("no tokenizer `{}`", path.display());
            return Err(Diagnostic::error(what).at(span, "").help(
                "name a `tokenizer.json` or a folder with one, or `{model: NAME}` for the server's own",
            ));
        }
        let disk = Disk::open(path).map_err(|fault| fault.at(span, ""))?;
        let loaded = Loaded(Arc::new(disk));
        Ok(self.disk.get_or_init(|| loaded).0.clone())
    }

    fn tokens(&self) -> String {
        format!("{}_tokens", self.into)
    }

    fn count(&self) -> String {
        format!("{}_count", self.into)
    }

    fn cut(&self) -> String {
        format!("{}_cut", self.into)
    }
}

impl Verb for Pack {
    const NAME: &'static str = "pack";
    const VERSION: u32 = 1;

    fn files(&self, cx: &Build<'_>) -> Vec<PathBuf> {
        self.file(cx).into_iter().collect()
    }

    fn traces(&self, cx: &Build<'_>) -> Traces {
        let mut traces = Traces::of_settings(self, cx);
        if let Counter::Server(served) = &self.tokenizer.value {
            traces.models.push(served.model.clone());
        }
        if let Some(prompt) = &self.prompt {
            prompt.trace(&mut traces, cx);
        }
        traces
    }

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let mut fields = cx.input();
        cx.expr(&self.documents, &fields, &[]);
        cx.expr(&self.budget.expr(), &fields, &[]);
        for expr in self.reserve.iter().chain(&self.order) {
            cx.expr(expr, &fields, &[]);
        }
        if let Some(prompt) = &self.prompt {
            prompt.check(&fields, &[&self.into], cx);
            cx.reserved(&[&self.into], self.documents.span);
        }
        match &self.tokenizer.value {
            Counter::File(_) => {
                let file = self.file(&cx.build);
                // What the user has not allowed yet is left for later.
                let file = file.filter(|file| cx.build.fence.refuses(file).is_none());
                if let Some(Err(fault)) = file.map(|file| self.disk(&file).map(drop)) {
                    cx.fault(fault);
                }
            }
            Counter::Server(Served { model }) => {
                if !cx.models.contains(model) {
                    let fault = unknown_model(
                        model,
                        self.tokenizer.span,
                        cx.models.iter().map(String::as_str),
                    );
                    cx.fault(fault);
                }
                if self.special {
                    cx.fault(
                        Diagnostic::error("`special` needs a `tokenizer.json`")
                            .at(self.tokenizer.span, ""),
                    );
                }
            }
        }
        for name in [&self.into, &self.tokens(), &self.count(), &self.cut()] {
            fields.add(name);
        }
        if let Some(pieces) = &self.pieces {
            let own = [self.into.clone(), self.tokens(), self.count(), self.cut()];
            if own.contains(&pieces.value) {
                let what = format!("`{}` holds something else already", pieces.value);
                cx.fault(Diagnostic::error(what).at(pieces.span, ""));
            }
            fields.add(pieces);
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let bound = |expr: &Option<Src<Expr>>| {
            let expr = expr.as_ref();
            expr.map(|expr| Bound::new(expr, cx)).transpose()
        };
        let packer = Packer {
            documents: Bound::new(&self.documents, cx)?,
            budget: Bound::new(&self.budget.expr(), cx)?,
            reserve: bound(&self.reserve)?,
            order: bound(&self.order)?,
            prompt: self.prompt.as_ref().map(|p| p.get(cx)).transpose()?,
            shared: cx.shared.clone(),
            separator: self.separator.clone(),
            separator_tokens: self.separator_tokens,
            overflow: self.overflow,
            keep_empty: self.keep_empty,
            into: self.into.as_str().into(),
            tokens: self.tokens().into(),
            count: self.count().into(),
            cut: self.cut().into(),
            pieces: self.pieces.as_ref().map(|name| name.as_str().into()),
        };
        match &self.tokenizer.value {
            Counter::File(_) => {
                let file = self.file(cx).unwrap_or_default();
                let disk = self.disk(&file)?;
                let special = self.special;
                Ok(Operator::Flow(Box::new(PlainPacker::new(
                    packer, disk, special,
                ))))
            }
            Counter::Server(Served { model }) => {
                let known = cx.models.get(model);
                let model = known.ok_or_else(|| {
                    unknown_model(
                        model,
                        self.tokenizer.span,
                        cx.models.keys().map(String::as_str),
                    )
                })?;
                Ok(Operator::Ask(Arc::new(AskingPacker::new(
                    packer,
                    model.clone(),
                ))))
            }
        }
    }
}

//! Answers that are JSON of a schema. Owns the settings `schema` and `repair` of the verbs that
//! ask models: where the schema stands, and whether it goes with the prompt and the model. What
//! it says is [`schema`]'s, what is asked when an answer does not fit is [`repair`]'s.

mod keywords;
mod places;
mod read;
pub mod repair;
pub mod schema;
mod setting;

use std::path::PathBuf;
use std::sync::Arc;

use self::places::Source;
use self::schema::Schema;
pub use self::setting::SchemaSetting;
use super::contract::{Build, Check};
use super::prompted::PromptFile;
use crate::diag::{Diagnostic, Sources, Span};
use crate::model::spec::ModelSpec;
use crate::model::structured::refusal;
use crate::spec::decode::Src;

/// What a prompt calls the schema.
pub const SCHEMA: &str = "schema";

/// What a verb's settings say of its answers.
pub struct Structure<'a> {
    /// The schema, unless the prompt holds it, or there is none.
    pub schema: Option<&'a SchemaSetting>,
    /// Whether to ask once more when an answer does not fit.
    pub repair: Option<&'a Src<bool>>,
}

impl Structure<'_> {
    /// The file that decides what answers look like, if there is one.
    pub fn file(&self, cx: &Build<'_>) -> Vec<PathBuf> {
        let file = self.schema.and_then(|setting| setting.file(cx));
        file.into_iter().collect()
    }

    /// True to ask once more.
    pub fn repairs(&self) -> bool {
        self.repair.is_some_and(|repair| repair.value)
    }

    /// The schema, if there is one.
    fn load(
        &self,
        prompt: &PromptFile,
        cx: &Build<'_>,
        sources: &mut Sources,
    ) -> Result<Option<Arc<Schema>>, Vec<Diagnostic>> {
        // A prompt that cannot be read is told of as a prompt.
        let prompt = prompt.load(cx, sources).ok();
        let inside = prompt.as_ref().map_or(&[][..], |prompt| prompt.schemas());
        if let Some([(second, _), ..]) = inside.get(1..) {
            let fault = Diagnostic::error("two schemas in one prompt").at(*second, "");
            return Err(vec![fault.also(inside[0].0, "the other one")]);
        }
        match (self.schema, inside.first()) {
            (None, None) => Ok(None),
            (Some(setting), None) => setting.load(cx, sources).map(Some),
            (None, Some((span, text))) => {
                let source = Source::json(text, *span)?;
                Schema::compile(&source).map(|schema| Some(Arc::new(schema)))
            }
            (Some(setting), Some((span, _))) => {
                let what = "the schema is given twice, here and in the prompt";
                let fault = Diagnostic::error(what).at(setting.span(), "");
                Err(vec![fault.also(*span, "the other one")])
            }
        }
    }

    /// Checks the settings, and gives the schema if there is a sound one.
    pub fn check(&self, prompt: &PromptFile, cx: &mut Check<'_>) -> Option<Arc<Schema>> {
        let schema = self.load(prompt, &cx.build, cx.sources);
        let schema = schema.unwrap_or_else(|faults| {
            faults.into_iter().for_each(|fault| cx.fault(fault));
            None
        });
        if let Some(span) = self.schema.map(SchemaSetting::span) {
            cx.reserved(&[SCHEMA], span);
        }
        let given = self.schema.is_some()
            || prompt
                .get(&cx.build)
                .is_ok_and(|prompt| !prompt.schemas().is_empty());
        if let Some(repair) = self.repair.filter(|repair| repair.value && !given) {
            let fault = Diagnostic::error("`repair` without a `schema`").at(repair.span, "");
            cx.fault(fault.help("say what the answer is to look like by a JSON Schema"));
        }
        schema
    }

    /// Checks whether the model can be asked so. `span` is where the stage names it.
    pub fn check_model(&self, schema: &Schema, model: &ModelSpec, span: Span, cx: &mut Check<'_>) {
        if let Some(why) = refusal(model, &schema.value()) {
            let help = "or leave it to the answers' check: `json_schema: none` in the model";
            let span = self.schema.map_or(span, SchemaSetting::span);
            cx.fault(Diagnostic::error(why).at(span, "").help(help));
        }
        if let Some(repair) = self.repair.filter(|repair| repair.value)
            && !model.instruct
        {
            let what = "`repair: true` needs a model that knows chats";
            let help = "a base model goes on from a text, and cannot be told what was wrong";
            cx.fault(Diagnostic::error(what).at(repair.span, "").help(help));
        }
    }

    /// The schema, for those who cannot show places in it.
    ///
    /// # Errors
    /// Why it cannot be used, in one diagnostic.
    pub fn get(
        &self,
        prompt: &PromptFile,
        cx: &Build<'_>,
    ) -> Result<Option<Arc<Schema>>, Diagnostic> {
        let mut sources = Sources::default();
        self.load(prompt, cx, &mut sources).map_err(|faults| {
            let what = faults.into_iter().next().map(|fault| fault.message);
            let fault = Diagnostic::error(format!("schema: {}", what.unwrap_or_default()));
            match (self.schema, self.repair) {
                (Some(setting), _) => fault.at(setting.span(), ""),
                (None, Some(repair)) => fault.at(repair.span, ""),
                (None, None) => fault,
            }
        })
    }
}

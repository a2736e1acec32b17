//! Question and answer pairs in the form that the prompts ask for.

use minijinja::value::Kwargs;
use minijinja::{Error, State, Value};

use super::{charge, fault};
use crate::text::{pattern, strip};

/// The reference's form: a last answer without a line break after it is lost.
const STRICT: &str = r"Question: (.*?)\nAnswer: (.*?)\n";

/// The same, with the end of the text as good as a line break.
const LENIENT: &str = r"Question: (.*?)\nAnswer: (.*?)(?:\n|\Z)";

/// The pairs as a list of `{question, answer}`, both trimmed.
pub fn qa_pairs(state: &State, text: &str, options: Kwargs) -> Result<Vec<Value>, Error> {
    charge(state, text)?;
    let strict: Option<bool> = options.get("strict")?;
    options.assert_all_used()?;
    let form = if strict == Some(true) {
        STRICT
    } else {
        LENIENT
    };
    let form = pattern::compile(form).map_err(|why| fault("qa_pairs", &why))?;
    Ok(form
        .captures_iter(text)
        .map(|found| {
            let group = |number| found.get(number).map_or("", |part| strip(part.as_str()));
            Value::from_pairs([("question", group(1)), ("answer", group(2))])
        })
        .collect())
}

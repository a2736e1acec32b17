//! The filters and tests that clinical text needs, on top of those that Jinja has. Owns their
//! names and one line about each; the work is in the files beside.
//!
//! All of them take patterns and options from the pipeline and texts from records, and none
//! says anything about a text in an error.

mod json;
mod options;
mod overlap;
mod parts;
mod patterns;
mod qa;
mod sentences;

use minijinja::value::{Kwargs, StringInput, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Name and use of every filter, for the docs.
pub const FILTERS: &[(&str, &str)] = &[
    (
        "after",
        "`text | after(marker)`: what follows the first `marker`; empty if there is none",
    ),
    (
        "before",
        "`text | before(marker)`: what precedes the first `marker`; all if there is none",
    ),
    (
        "bullets",
        "`text | bullets`: the lines that begin with `- ` or `* `, without the mark and trimmed; `bullets(without=[…])` leaves out those that contain one of the given texts",
    ),
    (
        "drop_first_line",
        "`text | drop_first_line`: all but the first line",
    ),
    (
        "extract_json",
        "`text | extract_json`: the first JSON object or list within a text, or none",
    ),
    (
        "from_json",
        "`text | from_json`: the value that a JSON text stands for",
    ),
    (
        "icd_codes",
        "`text | icd_codes`: the ICD-10-CM codes in a text, as they are written",
    ),
    (
        "json",
        "`value | json(python=false, ascii=false)`: the value as JSON, with `python` spaced as Python's `json.dumps` does, with `ascii` in plain ASCII",
    ),
    (
        "letter_of",
        "`options | letter_of(text, within=false)`: the letter (`A` for the first) of the option that is the text, with `within` of the first that contains it, or none",
    ),
    (
        "overlap",
        "`text | overlap(other)`: how alike two texts are, from 0 to 1: of the words in either, the share that is in both",
    ),
    (
        "paragraphs",
        "`text | paragraphs`: the parts between two or more empty lines, each trimmed",
    ),
    (
        "qa_pairs",
        "`text | qa_pairs(strict=false)`: the pairs `Question: …` and `Answer: …` as a list of `{question, answer}`; with `strict` the last answer needs a line break after it",
    ),
    (
        "regex_find",
        "`text | regex_find(pattern, group=0)`: the first match, or a group of it by number or name, or none",
    ),
    (
        "regex_find_all",
        "`text | regex_find_all(pattern, group=0)`: all matches, as a list",
    ),
    (
        "regex_replace",
        r"`text | regex_replace(pattern, by)`: every match replaced; `\1` and `\g<name>` stand for groups",
    ),
    (
        "regex_split",
        "`text | regex_split(pattern)`: the parts between the matches",
    ),
    (
        "regex_test",
        "`text | regex_test(pattern)`: whether there is a match",
    ),
    (
        "sentences",
        "`text | sentences`: the sentences, trimmed; an empty line ends one too",
    ),
    (
        "strip",
        "`text | strip`: without white space at both ends, as Python's `str.strip`",
    ),
    (
        "without",
        "`list | without([…])`: the texts that contain none of the given texts",
    ),
    (
        "word_count",
        "`text | word_count`: the number of words between white space",
    ),
];

/// Name and use of every test (`x is …`, `select`, `reject`), for the docs.
pub const TESTS: &[(&str, &str)] = &[
    (
        "headed",
        "`text is headed('Plan')`: whether it begins so, in upper or lower case",
    ),
    (
        "matching",
        "`text is matching(pattern)`: whether there is a match",
    ),
];

/// Adds the filters and tests.
pub fn register(env: &mut Environment<'static>) {
    env.add_filter("after", parts::after);
    env.add_filter("before", parts::before);
    env.add_filter("bullets", parts::bullets);
    env.add_filter("drop_first_line", parts::drop_first_line);
    env.add_filter("extract_json", json::extract_json);
    env.add_filter("from_json", json::from_json);
    env.add_filter("icd_codes", options::icd_codes);
    env.add_filter("json", json::json);
    env.add_filter("letter_of", options::letter_of);
    env.add_filter("overlap", overlap::overlap);
    env.add_filter("paragraphs", parts::paragraphs);
    env.add_filter("qa_pairs", qa::qa_pairs);
    env.add_filter("regex_find", patterns::find);
    env.add_filter("regex_find_all", patterns::find_all);
    env.add_filter("regex_replace", patterns::replace);
    env.add_filter("regex_split", patterns::split);
    env.add_filter("regex_test", patterns::test);
    env.add_filter("sentences", sentences::sentences);
    env.add_filter("strip", parts::strip);
    env.add_filter("without", parts::without);
    env.add_filter("word_count", parts::word_count);
    // Jinja's own, but not of what is larger written out than any memory.
    env.add_filter("tojson", json::tojson);
    env.add_filter("pprint", json::pprint);
    env.add_filter("string", json::string);
    env.add_filter("join", join);
    env.add_test("headed", parts::headed);
    env.add_test("matching", patterns::test);
}

/// Jinja's `join`, of what can be written out.
fn join(
    state: &mut State,
    value: &Value,
    joiner: Option<StringInput<'_>>,
    attribute: Option<&str>,
    options: Kwargs,
) -> Result<Value, Error> {
    crate::jinja::size::check(value)?;
    minijinja::filters::join(state, value, joiner, attribute, options)
}

/// An error of a filter: what is wrong, in words that hold no text of a record.
fn fault(filter: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("`{filter}`: {why}"))
}

/// Counts a walk over a text as work, so that an evaluation stays bounded.
fn charge(state: &State, text: &str) -> Result<(), Error> {
    state.consume_fuel(text.len() as u64 / 4 + 1)
}

/// Counts what a filter makes while it makes it; `state` pays for it again as a whole.
fn made(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(bytes as u64 / 64 + 1)
}

/// The texts of an option that is one text or a list of texts.
fn texts(filter: &str, option: Option<&Value>) -> Result<Vec<String>, Error> {
    let Some(option) = option else {
        return Ok(Vec::new());
    };
    let wrong = || fault(filter, "the option is not a text or a list of texts");
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
    match option.kind() {
        ValueKind::Seq => option.try_iter()?.map(|item| text(&item)).collect(),
        _ => Ok(vec![text(option)?]),
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

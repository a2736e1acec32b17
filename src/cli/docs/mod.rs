//! `clue docs`: what verbs, metrics, filters and the parts of a pipeline file are and which settings
//! they have, in the terminal: the same words that editors show.

mod text;
mod topics;
mod tree;

use std::process::ExitCode;

use super::out;
use super::session::refuse;
use crate::diag::Diagnostic;
use topics::{Topic, find, topics, words};

/// Arguments of `clue docs`.
#[derive(clap::Args)]
pub struct Args {
    /// A verb, metric, filter or test; a part of a pipeline file, such as models; or verbs, metrics,
    /// filters, tests for a list [default: list all]
    topic: Option<String>,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// Prints docs.
pub fn docs(args: &Args) -> ExitCode {
    let all = topics();
    let found: Vec<&Topic> = match &args.topic {
        None => all.iter().collect(),
        Some(word) => find(&all, word),
    };
    if let Some(word) = args.topic.as_ref().filter(|_| found.is_empty()) {
        let fault = Diagnostic::error(format!("there are no docs of `{word}`"));
        let fault = fault.suggest(word, words(&all));
        return refuse(&fault.note("`clue docs` lists all that there are"));
    }
    if args.json {
        out(&format!("{:#}\n", serde_json::json!({ "topics": found })));
        return ExitCode::SUCCESS;
    }
    let is_named = found
        .iter()
        .any(|topic| Some(&topic.name) == args.topic.as_ref());
    out(&match (&args.topic, found.as_slice()) {
        (None, _) => overview(&all),
        (Some(_), [one]) => text::topic(one),
        (Some(_), several) if is_named => {
            let texts = several.iter().map(|topic| text::topic(topic));
            texts.collect::<Vec<_>>().join("\n")
        }
        (Some(_), several) => text::list(several.iter().copied()),
    });
    ExitCode::SUCCESS
}

fn overview(all: &[Topic]) -> String {
    let of = |kind: &'static str| all.iter().filter(move |topic| topic.kind == kind);
    let mut text = String::new();
    for (title, kind) in [
        ("Verbs: what a stage does", "verb"),
        ("Metrics: what `score` compares with", "metric"),
        ("Parts of a pipeline file", "part"),
    ] {
        text.push_str(&format!("{title}\n{}\n", text::list(of(kind))));
    }
    for (title, kind) in [
        ("Filters, `value | name`", "filter"),
        ("Tests, `value is name`", "test"),
    ] {
        let names: Vec<&str> = of(kind).map(|topic| topic.name.as_str()).collect();
        text.push_str(&format!(
            "{title}\n{}\n",
            text::wrapped(&names.join(" "), 2)
        ));
    }
    text.push_str("`clue docs NAME` tells all of one; `clue docs filters` a line of each filter\n");
    text
}

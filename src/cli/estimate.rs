//! `clue plan --estimate`: what a run would take on machines that are not there yet.

use std::collections::BTreeMap;
use std::time::Duration;

use super::plan::named;
use super::when::when;
use crate::diag::Diagnostic;
use crate::engine::history::runs;
use crate::engine::pipe::Pipe;
use crate::engine::survey::Survey;
use crate::report::estimate::simulate::Farm;
use crate::report::estimate::{Estimate, estimate};
use crate::report::words::{about, count, thousands, time};
use crate::store::Store;

/// Flags of an estimate.
#[derive(clap::Args)]
pub struct Flags {
    /// Estimate the time and cost of a run from what earlier runs took, as if nothing were cached
    #[arg(long)]
    pub estimate: bool,
    /// As if this stage loaded so many records; may be given several times
    #[arg(long, value_name = "STAGE=N", requires = "estimate", value_parser = amount)]
    records: Vec<(String, u64)>,
    /// As if so many machines shared the work (`clue run --shard`)
    #[arg(long, value_name = "N", requires = "estimate", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..))]
    workers: u64,
    /// As if each model had so many servers; as many as workers if left out
    #[arg(long, value_name = "N", requires = "estimate",
          value_parser = clap::value_parser!(u64).range(1..))]
    servers: Option<u64>,
}

fn amount(text: &str) -> Result<(String, u64), String> {
    let parsed = text.split_once('=').and_then(|(stage, n)| {
        let n = n.trim().replace([',', '_'], "").parse().ok()?;
        Some((stage.trim().to_owned(), n))
    });
    parsed.ok_or_else(|| "expected STAGE=N, such as `notes=331794`".to_owned())
}

/// The estimate that the flags ask for.
///
/// # Errors
/// A stage that is not there or loads nothing, or no run to follow from.
pub fn made(
    flags: &Flags,
    pipe: &Pipe,
    store: &Store,
    survey: &Survey,
) -> Result<Estimate, Diagnostic> {
    let mut wanted = BTreeMap::new();
    for (name, n) in &flags.records {
        let at = named(pipe, std::slice::from_ref(name))?[0];
        if survey.nodes[at].sources().count() > 0 {
            let fault = Diagnostic::error(format!("stage `{name}` loads no records"));
            let loads = survey
                .nodes
                .iter()
                .filter(|node| node.sources().count() == 0);
            let loads: Vec<String> = loads.map(|node| format!("`{}`", node.name)).collect();
            return Err(fault.help(format!("those that do: {}", loads.join(", "))));
        }
        wanted.insert(at, *n);
    }
    let farm = Farm {
        workers: flags.workers,
        servers: flags.servers,
    };
    estimate(pipe, survey, &runs(store, pipe), &wanted, farm)
}

/// For people.
pub fn text(made: &Estimate) -> String {
    let mut text = String::new();
    let from = made.from.map_or_else(String::new, |from| {
        format!(", from the run of {} UTC", when(from))
    });
    let records = made
        .records
        .iter()
        .map(|(stage, n)| format!("{} of `{stage}`", count(*n, "record")));
    let records: Vec<String> = records.collect();
    text.push_str(&format!("estimate for {}{from}\n\n", records.join(", ")));
    let mut rows = vec![
        [
            "WAVE", "STAGE", "MODEL", "CALLS", "TOKENS", "MEDIAN", "1 IN 20", "COST",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let seconds = |s: f64| time(Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX));
    for row in &made.stages {
        rows.push(vec![
            row.wave.to_string(),
            row.stage.clone(),
            row.model.clone(),
            thousands(row.calls),
            format!(
                "{} + {}",
                about(row.prompt_tokens),
                about(row.answer_tokens)
            ),
            seconds(row.median),
            format!("> {}", seconds(row.p95)),
            row.cost
                .map_or_else(String::new, |cost| format!("{cost:.2}")),
        ]);
    }
    let widths: Vec<usize> = (0..8)
        .map(|at| {
            rows.iter()
                .map(|row| row[at].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(at, (cell, width))| match at {
                1 | 2 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text.push('\n');
    if made.waves.len() > 1 {
        let waves: Vec<String> = made.waves.iter().map(|wave| seconds(*wave)).collect();
        text.push_str(&format!("waves: {}\n", waves.join(", ")));
    }
    let total = seconds(made.waves.iter().sum());
    let cost = made
        .cost
        .map_or_else(String::new, |cost| format!(", cost {cost:.2}"));
    text.push_str(&format!(
        "{}, {} of each model: {total}{cost}\n",
        count(made.workers, "worker"),
        count(made.servers, "server"),
    ));
    if !made.fixed.is_empty() {
        let names: Vec<String> = made.fixed.iter().map(|name| format!("`{name}`")).collect();
        text.push_str(&format!(
            "these pass on as many records as before: {}\n",
            names.join(", ")
        ));
    }
    if !made.unknown.is_empty() {
        let names: Vec<String> = made
            .unknown
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        text.push_str(&format!(
            "left out, since no run asked them: {}\n",
            names.join(", ")
        ));
    }
    text
}

//! What a run would take, from what runs on fewer records took: how many calls of each stage, for
//! how long, at what cost. Owns how records and calls grow; `simulate` owns how time does.

pub mod simulate;

use std::collections::BTreeMap;

use serde::Serialize;

use self::simulate::{Farm, Load, waves};
use crate::diag::Diagnostic;
use crate::engine::board::Stint;
use crate::engine::latency::Latencies;
use crate::engine::pipe::Pipe;
use crate::engine::runs::RunRecord;
use crate::engine::survey::Survey;
use crate::plan::graph::{Action, Planned};
use crate::plan::waves::{Part, wave};
use crate::rng::{Rng, RngKind};

/// Verbs that pass on a number of records that does not grow with what they read.
const FIXED: [&str; 3] = ["take", "sample", "top_k"];

/// What a stage would ask.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The stage.
    pub stage: String,
    /// Its model.
    pub model: String,
    /// The wave that it belongs to, from 1.
    pub wave: usize,
    /// Its calls.
    pub calls: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    pub answer_tokens: u64,
    /// What they cost, if the model has a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// How long one takes, in seconds: the median.
    pub median: f64,
    /// What one in twenty exceeds.
    pub p95: f64,
}

/// What a run would take.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// Records of each stage that loads them.
    pub records: BTreeMap<String, u64>,
    /// When the run began that it follows from, in milliseconds since 1970.
    pub from: Option<u64>,
    /// The stages that ask.
    pub stages: Vec<Row>,
    /// Stages that pass on the same number of records, however many there are.
    pub fixed: Vec<String>,
    /// Stages that ask and have never been run: nothing is known of them.
    pub unknown: Vec<String>,
    /// Who works.
    pub workers: u64,
    /// Servers of each model.
    pub servers: u64,
    /// The seconds of each wave.
    pub waves: Vec<f64>,
    /// What all calls cost, if all models have a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

/// What a stage did per record that it read, the last time that it asked.
struct Habit {
    calls: f64,
    prompt_tokens: f64,
    answer_tokens: f64,
    latencies: Latencies,
}

/// Estimates a run of a pipeline with so many records of the stages that load them; of those not
/// named there are as many as in the latest run. `runs` are those of the pipeline, the latest
/// first.
///
/// # Errors
/// No run to follow from.
pub fn estimate(
    pipe: &Pipe,
    survey: &Survey,
    runs: &[RunRecord],
    wanted: &BTreeMap<usize, u64>,
    farm: Farm,
) -> Result<Estimate, Diagnostic> {
    let names = || survey.nodes.iter().map(|node| node.name.as_str());
    let flows: Vec<Option<Stint>> = names().map(|name| flow(runs, name)).collect();
    let habits: Vec<Option<Habit>> = names().map(|name| habit(runs, name)).collect();
    let asks = |at: usize| survey.nodes[at].asks;
    if !(0..survey.nodes.len()).any(|at| asks(at) && habits[at].is_some()) {
        let fault = Diagnostic::error("no run is known in which a model was asked");
        return Err(fault.help("run it on a few records first: calls are estimated from theirs"));
    }
    let reads = records(pipe, survey, &flows, wanted);
    let waves_of = all_waves(pipe, survey);
    let mut stages = Vec::new();
    let mut loads = Vec::new();
    let mut unknown = Vec::new();
    for at in (0..survey.nodes.len()).filter(|at| asks(*at)) {
        let name = &survey.nodes[at].name;
        let Some(habit) = &habits[at] else {
            unknown.push(name.clone());
            continue;
        };
        let of = |per_record: f64| (per_record * reads[at]).round() as u64;
        let Some(model) = pipe.asked(at).into_iter().next() else {
            continue;
        };
        let (prompt, answer) = (of(habit.prompt_tokens), of(habit.answer_tokens));
        let calls = of(habit.calls);
        let tokens = (prompt + answer) as f64 / (calls as f64).max(1.0);
        let by_tokens = model
            .tokens_per_minute
            .map(|most| f64::from(most) / tokens.max(1.0));
        let by_calls = model.requests_per_minute.map(f64::from);
        loads.push(Load {
            wave: waves_of[at],
            model: model.name.clone(),
            served: model.serve.is_some(),
            width: model.width() as u64,
            per_minute: by_tokens.into_iter().chain(by_calls).reduce(f64::min),
            calls,
            latencies: habit.latencies.clone(),
        });
        stages.push(Row {
            stage: name.clone(),
            model: model.name.clone(),
            wave: waves_of[at] + 1,
            calls,
            prompt_tokens: prompt,
            answer_tokens: answer,
            cost: model.price.map(|price| price.of(prompt, answer)),
            median: habit.latencies.quantile(0.5),
            p95: habit.latencies.quantile(0.95),
        });
    }
    let costs: Option<Vec<f64>> = stages.iter().map(|row| row.cost).collect();
    let loaders = (0..survey.nodes.len()).filter(|at| survey.nodes[*at].sources().count() == 0);
    // The same question has the same answer.
    let mut rng = Rng::new(RngKind::default(), 0);
    Ok(Estimate {
        records: loaders
            .map(|at| (survey.nodes[at].name.clone(), reads[at].round() as u64))
            .collect(),
        from: runs.iter().find_map(|run| Some(run.facts.as_ref()?.began)),
        fixed: fixed(pipe, survey, &flows),
        unknown,
        workers: farm.workers,
        servers: farm.servers(),
        waves: waves(&loads, farm, &mut rng),
        cost: costs
            .filter(|_| !stages.is_empty())
            .map(|costs| costs.iter().sum()),
        stages,
    })
}

/// What passed through a stage in the latest run that it worked in.
fn flow(runs: &[RunRecord], stage: &str) -> Option<Stint> {
    runs.iter().find_map(|run| run.stints.get(stage).copied())
}

fn habit(runs: &[RunRecord], stage: &str) -> Option<Habit> {
    let asked = |run: &&RunRecord| run.latencies.contains_key(stage);
    let run = runs.iter().find(asked)?;
    let (stint, latencies) = (run.stints.get(stage)?, run.latencies.get(stage)?);
    let read = stint.read.max(1) as f64;
    let calls = (stint.asked + stint.cached) as f64 / read;
    let per_call = |tokens: u64| tokens as f64 / stint.asked.max(1) as f64;
    Some(Habit {
        calls,
        prompt_tokens: calls * per_call(stint.prompt_tokens),
        answer_tokens: calls * per_call(stint.answer_tokens),
        latencies: latencies.clone(),
    })
}

/// The records that each stage would read; of those that load, that they would make.
fn records(
    pipe: &Pipe,
    survey: &Survey,
    flows: &[Option<Stint>],
    wanted: &BTreeMap<usize, u64>,
) -> Vec<f64> {
    let mut reads = vec![0.0; survey.nodes.len()];
    let mut emits = vec![0.0; survey.nodes.len()];
    for &at in &pipe.order {
        let node = &survey.nodes[at];
        let flow = flows[at].unwrap_or_default();
        if node.sources().count() == 0 {
            reads[at] = wanted.get(&at).map_or(flow.emitted as f64, |n| *n as f64);
            emits[at] = reads[at];
            continue;
        }
        reads[at] = node.inputs.iter().map(|source| emits[*source]).sum();
        let share = flow.emitted as f64 / flow.read.max(1) as f64;
        emits[at] = match is_fixed(&node.verb, &flow) {
            true => (flow.emitted as f64).min(reads[at]),
            false => share * reads[at],
        };
    }
    reads
}

fn is_fixed(verb: &str, flow: &Stint) -> bool {
    // One that passed everything on had not reached its number.
    FIXED.contains(&verb) && flow.emitted < flow.read
}

fn fixed(pipe: &Pipe, survey: &Survey, flows: &[Option<Stint>]) -> Vec<String> {
    let mut fixed = Vec::new();
    for &at in &pipe.order {
        let node = &survey.nodes[at];
        if flows[at].is_some_and(|flow| is_fixed(&node.verb, &flow)) {
            fixed.push(node.name.clone());
        }
    }
    fixed
}

/// The wave of each stage if nothing were in the cache, from 0.
fn all_waves(pipe: &Pipe, survey: &Survey) -> Vec<usize> {
    let all_run = |planned: &Planned| Planned {
        action: Action::Run,
        ..planned.clone()
    };
    let planned: Vec<Planned> = survey.planned.iter().map(all_run).collect();
    let works = |at: usize| survey.nodes[at].asks || survey.nodes[at].verb == "exec";
    let mut lacks: Vec<bool> = (0..survey.nodes.len()).map(works).collect();
    let mut waves = vec![0; survey.nodes.len()];
    for number in 0.. {
        let Some(parts) = wave(&survey.nodes, &pipe.order, &planned, &lacks) else {
            break;
        };
        for (at, part) in parts.iter().enumerate() {
            if matches!(part, Part::Share | Part::Sole) {
                waves[at] = number;
                lacks[at] = false;
            }
        }
    }
    waves
}

//! Runs a survey's plan: one task a stage, channels between them, and what is remembered of
//! each. Owns the wiring; the loops over records are elsewhere.

use std::collections::{BTreeSet, HashSet};

use minijinja::Value;
use tokio::task::JoinSet;

use super::board::{Board, Event, Row, State, Stint};
use super::edge::{End, Inlet, Outlet};
use super::halt::Reason;
use super::keep::{Artifact, Failure};
use super::pipe::Pipe;
use super::survey::Survey;
use super::worker::{Broken, Shop, Worker};
use super::{asking, exec, flow, working};
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::model::told::Served;
use crate::plan::graph::{Action, Output, content_key};
use crate::spec::pipeline::OnError;
use crate::stages::contract::Operator;

/// What became of a run.
pub struct Outcome {
    /// What became of every stage, in the pipeline's order.
    pub stages: Vec<StageOutcome>,
    /// Failed records.
    pub failures: Vec<Failure>,
    /// Faults that broke stages.
    pub faults: Vec<Diagnostic>,
    /// One of the faults is in an input file.
    pub bad_input: bool,
    /// Why it stopped early, if it did.
    pub stopped: Option<Reason>,
    /// What the servers that answered calls say of themselves.
    pub served: Vec<Served>,
}

/// What became of a stage.
#[derive(Clone, Debug)]
pub struct StageOutcome {
    /// How far it came.
    pub state: State,
    /// What is known of its output now.
    pub output: Option<Output>,
    /// Bytes of the file that it wrote in this run.
    pub bytes: Option<u64>,
    /// A dry run could not answer all of its calls.
    pub unanswered: bool,
    /// Keys of the records that it read, for stages that ask, in a dry run.
    pub keys: HashSet<String>,
    /// What it did, and when.
    pub stint: Option<Stint>,
}

impl Outcome {
    /// True when everything wanted is there, but for failures that `on_error: {skip: …}`
    /// allows.
    pub fn is_good(&self, pipe: &Pipe, board: &Board) -> bool {
        let allowed = |at: usize| {
            let row = &board.stages[at];
            match (row.failed.get(), pipe.stages[at].spec.on_error) {
                (0, _) => true,
                (failed, OnError::Skip(share)) => failed as f64 <= share * row.read.get() as f64,
                _ => false,
            }
        };
        self.faults.is_empty()
            && self.stopped.is_none()
            && (0..self.stages.len()).all(allowed)
            && self.stages.iter().all(|stage| stage.state != State::Broken)
    }
}

/// The counters for a pipeline.
pub fn board(pipe: &Pipe, survey: &Survey) -> Board {
    let rows = pipe.stages.iter().enumerate().map(|(at, stage)| {
        let state = match survey.planned[at].action {
            Action::Skip => State::Fresh,
            Action::Read => State::Reading,
            Action::Run => State::Waiting,
        };
        let asks = survey.nodes[at].asks;
        Row::new(&stage.spec.name.value, stage.verb.name(), asks, state)
    });
    Board {
        stages: rows.collect(),
    }
}

/// Runs what the plan says has to run.
pub async fn run(shop: &Shop, survey: &Survey) -> Outcome {
    let mut stages: Vec<StageOutcome> = (0..survey.nodes.len())
        .map(|at| StageOutcome {
            state: State::Fresh,
            output: survey.planned[at].output.clone(),
            bytes: None,
            unanswered: false,
            keys: HashSet::new(),
            stint: None,
        })
        .collect();
    let mut faults = Vec::new();
    let mut bad_input = false;
    let mut tasks = JoinSet::new();
    let wired = match survey.is_idle() {
        true => Vec::new(),
        false => {
            shop.calls.stages(uses(shop, survey));
            wire(shop, survey)
        }
    };
    for (worker, with) in wired {
        let job = Job {
            action: survey.planned[worker.at].action,
            recipe: survey.planned[worker.at].recipe,
            content: survey.planned[worker.at].output.as_ref().map(|o| o.content),
            node: survey.nodes[worker.at].clone(),
            planned: survey.planned[worker.at].identity,
            ancestors: ancestors(survey, worker.at),
            shared: survey.shard(worker.at).is_some(),
        };
        tasks.spawn(work(worker, with, job));
    }
    while let Some(done) = tasks.join_next().await {
        if let Ok((at, _)) = &done {
            shop.calls.ended(*at);
        }
        match done {
            Ok((at, Ok(done))) => stages[at] = done,
            Ok((at, Err(broken))) => {
                stages[at].state = State::Broken;
                shop.board.stages[at].set_state(State::Broken);
                let _ = shop.events.send(Event::State(at, State::Broken));
                match broken {
                    Broken::Fault(fault) => faults.push(*fault),
                    Broken::Input(fault) => {
                        bad_input = true;
                        faults.push(*fault);
                    }
                    Broken::Elsewhere => {}
                }
            }
            Err(_) => faults.push(Diagnostic::error(
                "a stage ended in an unexpected way: this is a defect of clue",
            )),
        }
    }
    let served = shop.calls.served().await;
    shop.calls.close().await;
    for (stage, row) in stages.iter_mut().zip(&shop.board.stages) {
        stage.stint = row.stint();
    }
    Outcome {
        served,
        stages,
        failures: shop.failures.take(),
        faults,
        bad_input,
        stopped: shop.halt.reason(),
    }
}

/// The models that each stage asks in this run, and the stages that it depends on.
fn uses(shop: &Shop, survey: &Survey) -> impl Iterator<Item = (Vec<String>, BTreeSet<usize>)> {
    (0..survey.nodes.len()).map(|at| {
        let runs = survey.planned[at].action == Action::Run;
        let models = if runs {
            models(&shop.pipe, at)
        } else {
            Vec::new()
        };
        (models, ancestors(survey, at))
    })
}

/// The stages that may have to wait for their server until others have ended. What they read and
/// write must hold nobody up meanwhile.
fn in_turns(shop: &Shop, survey: &Survey) -> Vec<bool> {
    let count = survey.nodes.len();
    let runs = |at: &usize| survey.planned[*at].action == Action::Run && !shop.dry;
    let asked = (0..count)
        .filter(runs)
        .map(|at| (at, models(&shop.pipe, at)));
    let bound: Vec<(usize, BTreeSet<usize>)> = asked
        .map(|(at, models)| (at, shop.calls.bound(&models)))
        .collect();
    let all: BTreeSet<usize> = bound.iter().flat_map(|(_, lanes)| lanes.clone()).collect();
    let mut turns = vec![false; count];
    for (at, lanes) in bound {
        turns[at] = all.len() > 1 && !lanes.is_empty();
    }
    turns
}

/// The models that a stage asks, by their names in the whole pipeline.
fn models(pipe: &Pipe, at: usize) -> Vec<String> {
    let models = pipe.asked(at);
    models.iter().map(|model| model.name.clone()).collect()
}

/// What a worker has to know beside its shop.
struct Job {
    action: Action,
    recipe: Hash,
    content: Option<Hash>,
    node: crate::plan::graph::Node,
    planned: Option<Hash>,
    ancestors: BTreeSet<usize>,
    /// Only the records of this machine's share come, so nothing is known of the whole.
    shared: bool,
}

/// A named input on its way.
type Named = (String, Inlet);

/// Connects the stages that run.
fn wire(shop: &Shop, survey: &Survey) -> Vec<(Worker, Vec<Named>)> {
    let runs = |at: usize| survey.planned[at].action == Action::Run;
    let active = |at: usize| survey.planned[at].action != Action::Skip;
    let count = survey.nodes.len();
    let turns = in_turns(shop, survey);
    // A reader that may have to wait must not hold up others that read the same.
    let held_up = |reader: usize, from: usize| {
        turns[reader] && {
            let mut origins = ancestors(survey, from);
            origins.insert(from);
            let own = ancestors(survey, reader);
            let mut others = (0..count).filter(|at| *at != reader && !own.contains(at));
            others.any(|at| survey.nodes[at].sources().any(|s| origins.contains(&s)) && runs(at))
        }
    };
    let mut outlets: Vec<Outlet> = (0..count).map(|_| Outlet::default()).collect();
    let mut inlets: Vec<(Vec<Inlet>, Vec<Named>)> = Vec::with_capacity(count);
    for reader in 0..count {
        let node = &survey.nodes[reader];
        let mut mine = (Vec::new(), Vec::new());
        if runs(reader) && !(shop.dry && node.sink) {
            // Named inputs are read before the others, the first of them at once.
            let named = node.with.iter().map(|(_, from)| *from);
            let origins: Vec<BTreeSet<usize>> = named
                .chain(node.inputs.iter().copied())
                .map(|from| {
                    let mut all = ancestors(survey, from);
                    all.insert(from);
                    all
                })
                .collect();
            // What waits while another input of the same origin is read must not hold it up;
            // they may even be one stage.
            let first = usize::from(!node.with.is_empty());
            let free = |at: usize| {
                let mut others = origins.iter().enumerate().filter(|(other, _)| *other != at);
                at >= first && others.any(|(_, other)| !origins[at].is_disjoint(other))
            };
            let count = node.with.len();
            for (at, from) in node.inputs.iter().enumerate() {
                let free = free(count + at) || turns[*from] || held_up(reader, *from);
                // Records are shared out where they come from stages that all machines go through.
                let enters = node.recordwise[at] && survey.shard(*from).is_none();
                let only = survey.shard(reader).filter(|_| enters);
                mine.0.push(outlets[*from].connect(free).only(only));
            }
            for (at, (name, from)) in node.with.iter().enumerate() {
                let free = free(at) || turns[*from] || held_up(reader, *from);
                mine.1.push((name.clone(), outlets[*from].connect(free)));
            }
        }
        inlets.push(mine);
    }
    outlets
        .into_iter()
        .zip(inlets)
        .enumerate()
        .filter(|(at, _)| active(*at) && !(shop.dry && survey.nodes[*at].sink))
        .map(|(at, (outlet, (inlets, with)))| {
            let worker = Worker {
                shop: shop.clone(),
                at,
                inlets,
                outlet,
                artifact: None,
                written: None,
                cut: false,
                whole: survey.whole.contains(&at),
                unanswered: false,
                keys: HashSet::new(),
            };
            (worker, with)
        })
        .collect()
}

/// The stages that run for a stage, without itself.
fn ancestors(survey: &Survey, at: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![at];
    while let Some(at) = open.pop() {
        if survey.planned[at].action != Action::Run {
            continue;
        }
        for source in survey.nodes[at].sources() {
            if found.insert(source) {
                open.push(source);
            }
        }
    }
    found
}

async fn work(
    mut worker: Worker,
    with: Vec<Named>,
    job: Job,
) -> (usize, Result<StageOutcome, Broken>) {
    let at = worker.at;
    let result = match job.action {
        Action::Read => reread(&mut worker, &job).await,
        _ => perform(&mut worker, with, &job).await,
    };
    let result = match result {
        Ok(ends) => finish(worker, &job, ends).await,
        Err(broken) => Err(broken),
    };
    (at, result)
}

async fn reread(worker: &mut Worker, job: &Job) -> Result<Vec<End>, Broken> {
    worker.state(State::Reading);
    match job.content {
        Some(content) => flow::reread(worker, content).await.map(|()| Vec::new()),
        None => Err(Broken::Elsewhere),
    }
}

/// Runs the operator; how the named inputs ended.
async fn perform(worker: &mut Worker, with: Vec<Named>, job: &Job) -> Result<Vec<End>, Broken> {
    let mut ends = Vec::new();
    let mut values = Vec::new();
    for (name, mut inlet) in with {
        let mut list = Vec::new();
        while let Some(records) = inlet.next().await {
            list.extend(records.iter().map(|record| record.to_value()));
        }
        ends.push(inlet.ended().ok_or(Broken::Elsewhere)?);
        values.push((name, Value::from(list)));
    }
    // What cannot be built is the user's to mend: settings, files, or too little data.
    let operator = worker.operator(values);
    let operator = operator.map_err(|fault| Broken::Input(Box::new(fault)))?;
    if job.node.heavy && !worker.shop.dry && !job.shared {
        worker.artifact = Some(Artifact::begin(&worker.shop.store)?);
    }
    match operator {
        Operator::Source(source) => {
            worker.state(State::Running);
            worker.row().begin();
            flow::source(worker, source).await?;
        }
        Operator::Flow(operator) => flow::flow(worker, operator).await?,
        Operator::Ask(ask) => asking::ask(worker, ask).await?,
        Operator::Work(work) => working::work(worker, work).await?,
        Operator::Exec(_) if worker.shop.dry => {
            // Programs run in a real run only: what comes after is not known.
            worker.unanswered = true;
            while worker.read(0).await.is_some() {}
        }
        Operator::Exec(command) => exec::exec(worker, command).await?,
        Operator::Sink(sink) => flow::sink(worker, sink).await?,
    }
    Ok(ends)
}

/// Remembers what came out, and tells the readers that it was all.
async fn finish(mut worker: Worker, job: &Job, with: Vec<End>) -> Result<StageOutcome, Broken> {
    let ended: Option<Vec<End>> = worker.inlets.iter().map(Inlet::ended).collect();
    let inputs = ended.unwrap_or_default();
    let failed = |at: &usize| worker.shop.board.stages[*at].failed.get() > 0;
    let well = !worker.cut
        && !worker.unanswered
        && (job.shared || inputs.iter().chain(&with).all(|end| end.whole))
        && !failed(&worker.at)
        && !job.ancestors.iter().any(failed);
    let whole = well && !job.shared;
    // A stage that hung up early does not know what it did not read.
    let known = inputs.len() == job.node.inputs.len() && with.len() == job.node.with.len();
    let identity_of = |source: usize| {
        let mut ends = job.node.sources().zip(inputs.iter().chain(&with));
        ends.find(|(at, _)| *at == source)
            .and_then(|(_, end)| end.identity)
    };
    let by_content = known.then(|| content_key(&job.node, identity_of)).flatten();
    let mut identity = by_content.or(job.planned);
    let mut output = None;
    let mut bytes = None;
    if job.action == Action::Read {
        identity = job.content;
    } else if let Some(artifact) = worker.artifact.take().filter(|_| whole) {
        let (content, rows) = artifact.finish()?;
        identity = Some(content);
        output = Some(Output { content, rows });
    } else if let Some((content, size)) = worker.written {
        bytes = Some(size);
        let rows = worker.row().emitted.get();
        output = Some(Output { content, rows });
    } else if job.node.heavy {
        identity = None;
    }
    if let Some(output) = &output
        && whole
        && !worker.shop.dry
    {
        let keys = BTreeSet::from_iter([Some(job.recipe), by_content].into_iter().flatten());
        for key in keys {
            worker.shop.store.put_result(key, output).await?;
        }
    }
    let state = match (well, worker.cut) {
        (true, _) => State::Done,
        // Its readers hung up because the run ends, not because they had enough.
        (_, true) if worker.shop.halt.is_raised() => State::Broken,
        (_, true) => State::Done,
        _ => State::Lossy,
    };
    worker.state(state);
    let unanswered = worker.unanswered;
    let keys = std::mem::take(&mut worker.keys);
    let outlet = std::mem::take(&mut worker.outlet);
    outlet.end(End { whole, identity }).await;
    Ok(StageOutcome {
        state,
        output: output.or_else(|| {
            (job.action == Action::Read)
                .then_some(job.content)
                .flatten()
                .map(|content| Output {
                    content,
                    rows: worker.row().emitted.get(),
                })
        }),
        bytes,
        unanswered,
        keys,
        stint: None,
    })
}

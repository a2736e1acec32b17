//! `clue run`: plans, asks for consent, runs, and says what came of it.

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::codes::{BAD_INPUT, BUDGET, FAILED, INTERRUPTED, REFUSED};
use super::consent::{allowed, config, granted, guarded, refuse};
use super::display::{Form, show};
use super::executor::{self, Where};
use super::free::over_inputs;
use super::how::{Args, How};
use super::locked::{Held, hold};
use super::missing::Missing;
use super::served::place;
use super::session::{bad, color, refuse as refuse_usage};
use super::shard::{self, ALL_THERE, next_wave};
use super::shared::Shared;
use super::show::stage;
use super::summary::Summary;
use super::{err, out, warn};
use crate::diag::Diagnostic;
use crate::engine::board::{Event, Events};
use crate::engine::calls::{Calls, Means};
use crate::engine::facts::Facts;
use crate::engine::halt::{Halt, Reason};
use crate::engine::history::{begun, remember};
use crate::engine::keep::{Failures, remove, write_failures};
use crate::engine::pipe::Pipe;
use crate::engine::run::{Outcome, board, run as execute};
use crate::engine::shard::Shard;
use crate::engine::stock::{Refused, Source, Stock};
use crate::engine::survey::{Survey, Wanted, survey};
use crate::engine::taps::Taps;
use crate::engine::turns::amount_of;
use crate::engine::worker::Shop;
use crate::parallel::both;
use crate::plan::graph::Action;
use crate::replay::ledger::{Depth, Ledger};
use crate::store::Store;
use crate::trust::gather::{files_of_stages, of_programs, of_stages};
use crate::trust::need::Need;
use crate::trust::outputs::outside;

/// Arguments of `clue run`.
#[derive(clap::Args)]
pub struct Command {
    #[command(flatten)]
    args: Args,
    #[command(flatten)]
    place: Where,
}

/// Where a run's answers come from, and what is noted of its calls.
#[derive(Default)]
pub struct Way {
    /// What answers calls that are not in the cache.
    pub source: Source,
    /// What is noted.
    pub ledger: Arc<Ledger>,
    /// True to make every call again, to be answered from the cache, even if what came of them
    /// is known.
    pub again: bool,
    /// The share of the work to do, if not all.
    pub shard: Option<Shard>,
}

impl Way {
    /// As the flags say.
    pub fn of(how: &How) -> Way {
        if !how.offline {
            return Way {
                shard: how.shard,
                ..Way::default()
            };
        }
        Way {
            source: Source::Nowhere,
            ledger: Arc::new(Ledger::new(Depth::Keys)),
            ..Way::default()
        }
    }
}

/// A run that is over.
pub struct Ran {
    /// How the program ends.
    pub code: ExitCode,
    /// It went to its end: it was neither refused nor stopped.
    pub ended: bool,
    /// Records that failed.
    pub failed: u64,
}

impl Ran {
    /// There was nothing to do.
    fn idle() -> Ran {
        Ran {
            code: ExitCode::SUCCESS,
            ended: true,
            failed: 0,
        }
    }

    fn refused(code: ExitCode) -> Ran {
        Ran {
            code,
            ended: false,
            failed: 0,
        }
    }
}

/// Runs the command.
pub fn command(command: Command) -> ExitCode {
    run(&Args {
        place: command.place,
        ..command.args
    })
}

/// Runs a pipeline.
pub fn run(args: &Args) -> ExitCode {
    // A cache that is there is opened while the pipeline is read.
    let folder = args.common.settings.store.clone();
    let opened = folder.is_dir().then(|| spawn(|| Store::open(folder)));
    let pipe = match args.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    match args.place.executor() {
        Ok(Some(executor)) => return executor::run(args, &pipe, executor),
        Ok(None) => {}
        Err(fault) => return refuse_usage(&fault),
    }
    let code = match with(opened, args, &pipe, &Way::of(&args.how)) {
        Ok(ran) => ran.code,
        Err(fault) => bad(&[*fault], &pipe.pipeline.sources),
    };
    // The process ends: the system takes its memory back at once, not piece by piece.
    std::mem::forget(pipe);
    code
}

/// Says which stages are forced and do not run all the same.
fn tell_unneeded(forced: &[usize], survey: &Survey) {
    for &at in forced {
        if survey.planned[at].action != Action::Run {
            let name = &survey.nodes[at].name;
            err(&format!(
                "warning: `{name}` is forced, but nothing that is wanted needs it: \
                 name it with `--until {name}` too\n"
            ));
        }
    }
}

/// Runs a pipeline in some way; with the cache that others share, if models are asked.
///
/// # Errors
/// What keeps it from beginning.
pub fn prepared(args: &Args, pipe: &Arc<Pipe>, way: &Way) -> Result<Ran, Box<Diagnostic>> {
    with(None, args, pipe, way)
}

/// As [`prepared`], with a cache that may be open already.
fn with(
    opened: Option<JoinHandle<Result<Store, Diagnostic>>>,
    args: &Args,
    pipe: &Arc<Pipe>,
    way: &Way,
) -> Result<Ran, Box<Diagnostic>> {
    let store = || match opened {
        Some(opened) => opened.join().unwrap_or_else(|panic| resume_unwind(panic)),
        None => Store::open(&args.common.settings.store),
    };
    if !way.source.asks() {
        return alone(args, pipe, way, store()?);
    }
    let shared = Shared::of(args).and_then(|shared| match shared {
        Some(shared) => shared.pull(pipe),
        None => Ok(None),
    });
    let shared = match shared {
        Ok(shared) => shared,
        Err(code) => return Ok(Ran::refused(code)),
    };
    let store = match shared {
        // What was pulled came into it meanwhile.
        Some(_) => Store::open(&args.common.settings.store)?,
        None => store()?,
    };
    let ran = alone(args, pipe, way, store)?;
    if let Some(shared) = shared.filter(|_| ran.code != ExitCode::from(REFUSED)) {
        shared.push(ran.code == ExitCode::from(INTERRUPTED));
    }
    Ok(ran)
}

fn alone(args: &Args, pipe: &Arc<Pipe>, way: &Way, store: Store) -> Result<Ran, Box<Diagnostic>> {
    let orders = args.place.orders()?;
    let mut wanted = wanted(args, pipe)?;
    if way.again {
        let known = survey(pipe, &store, &wanted)?;
        let asking = known.asking();
        // What was whole is recorded as a whole: readers that need all of it may not run again.
        let was_whole = |at: &&usize| known.planned[**at].action != Action::Run;
        wanted.whole.extend(asking.iter().filter(was_whole));
        wanted.until = [known.targets, asking.clone()].concat();
        wanted.force.extend(asking);
    }
    let mut survey = sound(pipe, &store, &wanted)?;
    tell_unneeded(&stages(pipe, &args.how.force)?, &survey);
    let mut refused = Refused::default();
    // The stat cache only saves reading inputs again: not worth a fault.
    let _ = store.save_stats();
    if let Some(orders) = &orders {
        orders.check(&survey)?;
    }
    if let Some(shard) = way.shard {
        let wave = match &orders {
            Some(orders) => orders.wave(&survey),
            None => match next_wave(pipe, &store, &survey)? {
                Some(wave) => wave,
                None => {
                    err(ALL_THERE);
                    return Ok(Ran::idle());
                }
            },
        };
        refused = Refused::LetBeIn(wave.settled(&survey));
        survey = wave.plan(&survey, shard);
    }
    let held = match hold(args, pipe, &survey, &store) {
        Ok(held) => held,
        Err(code) => return Ok(Ran::refused(code)),
    };
    if way.source.asks() {
        fits(pipe, &survey, &args.how.means())?;
    }
    let agreed = match consented(args, pipe, &survey, way.source.asks()) {
        Ok(agreed) => agreed,
        Err(code) => return Ok(Ran::refused(code)),
    };
    // To say that there is nothing to do takes no threads.
    let mut runtime = match survey.is_idle() {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Diagnostic::error(format!("cannot start: {error}")))?;
    let plan = Plan {
        survey: &survey,
        agreed: &agreed,
        refused,
        held: held.as_ref(),
    };
    let ran = go(args, pipe, &store, way, plan);
    let ran = runtime.block_on(ran);
    // A blocking read that never returns must not keep the program from ending.
    runtime.shutdown_background();
    // As with the pipeline: its memory goes with the process.
    std::mem::forget(survey);
    ran.map_err(Box::new)
}

/// Which part of the pipeline is wanted.
///
/// # Errors
/// A stage that there is not.
pub fn wanted(args: &Args, pipe: &Pipe) -> Result<Wanted, Diagnostic> {
    Ok(Wanted {
        until: stages(pipe, &args.how.until)?,
        force: stages(pipe, &args.how.force)?,
        whole: stages(pipe, &args.how.until)?,
    })
}

fn stages(pipe: &Pipe, names: &[String]) -> Result<Vec<usize>, Diagnostic> {
    names.iter().map(|name| stage(pipe, name)).collect()
}

/// A plan whose artifacts are sound: damaged ones are told, removed, and planned anew.
fn sound(pipe: &Pipe, store: &Store, wanted: &Wanted) -> Result<Survey, Diagnostic> {
    loop {
        let survey = survey(pipe, store, wanted)?;
        let read = survey.planned.iter().filter(|p| p.action == Action::Read);
        let outputs = read.filter_map(|planned| planned.output.as_ref());
        // All of them, so that all damage is told at once.
        let damaged = outputs
            .filter(|o| !store.verify_artifact(o.content))
            .count();
        if damaged == 0 {
            return Ok(survey);
        }
    }
}

/// Checks that every server of the stages that run fits on the machine by itself.
fn fits(pipe: &Pipe, survey: &Survey, means: &Means) -> Result<(), Box<Diagnostic>> {
    let runs = |at: &usize| survey.planned[*at].action == Action::Run;
    let running = (0..pipe.stages.len()).filter(runs);
    for model in running.flat_map(|at| pipe.asked(at)) {
        let serve = model.serve.as_ref();
        for (what, amount) in serve.iter().flat_map(|serve| &serve.resources) {
            let has = amount_of(&means.has, what);
            if *amount > has {
                let name = &model.name;
                return Err(Box::new(
                    Diagnostic::error(format!(
                        "the server of model `{name}` needs {amount} of `{what}`, and there is {has}"
                    ))
                    .help(format!("say how much the machine has: `--resources {what}={amount}`")),
                ));
            }
        }
    }
    Ok(())
}

/// What the stages do that run, which ask models or not, if the user allows it.
///
/// # Errors
/// The exit code, when it was told what is missing.
pub fn consented(
    args: &Args,
    pipe: &Pipe,
    survey: &Survey,
    asks: bool,
) -> Result<Vec<Need>, ExitCode> {
    let runs = |at: &usize| survey.planned[*at].action == Action::Run;
    let running: Vec<usize> = (0..pipe.stages.len()).filter(runs).collect();
    refuse(pipe, &outside(pipe, args.common.settings.out.is_some()))?;
    let over = over_inputs(pipe, survey);
    if !over.is_empty() {
        return Err(bad(&over, &pipe.pipeline.sources));
    }
    let needs = if asks {
        guarded(pipe, running.iter().copied(), &config()?)?;
        of_stages(pipe, running)
    } else {
        of_programs(pipe, running)
    };
    match args.place.orders() {
        // Whoever gave them has asked the user; nobody else can.
        Ok(Some(orders)) => granted(orders.open(&needs), "task")?,
        Ok(None) => allowed(&args.common, needs.clone(), args.how.yes, "run")?,
        Err(fault) => return Err(refuse_usage(&fault)),
    }
    Ok(needs)
}

/// What was settled before a run began.
struct Plan<'a> {
    survey: &'a Survey,
    /// What the user allows.
    agreed: &'a [Need],
    /// What becomes of calls that were refused.
    refused: Refused,
    /// The lock to hold to.
    held: Option<&'a Held>,
}

async fn go(
    args: &Args,
    pipe: &Arc<Pipe>,
    store: &Store,
    way: &Way,
    plan: Plan<'_>,
) -> Result<Ran, Diagnostic> {
    let start = Instant::now();
    let Plan { survey, agreed, .. } = plan;
    let (facts, id) = (Facts::begin(pipe, way.shard), id());
    let before = begun(store, pipe, survey, &facts, &id);
    let (events, told) = mpsc::unbounded_channel();
    let board = Arc::new(board(pipe, survey));
    let halt = Halt::default();
    listen(&halt, &events);
    for fault in store.take_faults() {
        let _ = events.send(Event::Warn(fault));
    }
    let form = Form::choose(args.how.json, args.how.quiet);
    let display = tokio::spawn(show(form, board.clone(), told));
    let place = |name: &str| place(pipe, name, store.root(), agreed, way.shard);
    let means = args.how.means();
    let stock = Stock::new(store, way.source.clone(), way.ledger.clone());
    let stock = stock.with_refused(plan.refused);
    let calls = Calls::new(&pipe.models, place, store, &halt, &events, means, stock);
    let calls = Arc::new(calls);
    let shop = Shop {
        pipe: pipe.clone(),
        store: store.clone(),
        calls: calls.clone(),
        board: board.clone(),
        events: events.clone(),
        halt,
        failures: Arc::new(Failures::default()),
        taps: Arc::new(Taps::default()),
        agreed: Arc::new(files_of_stages(pipe, agreed)),
        dry: false,
    };
    let outcome = execute(&shop, survey).await;
    for fault in store.take_faults() {
        let _ = events.send(Event::Warn(fault));
    }
    let priced = pipe.models.values().any(|model| model.price.is_some());
    let cost = priced.then(|| calls.cost());
    // Whoever tells events has to be gone for the display to end.
    drop((shop, calls, events));
    let errors = match way.shard {
        Some(shard) => shard::errors(pipe, shard),
        None => pipe.folders.out.join("errors.jsonl"),
    };
    let missing = Missing::of(way, survey, &board);
    let good = outcome.is_good(pipe, &board) && missing.is_empty();
    let facts = facts.end(&outcome, &board, good, start.elapsed(), cost);
    let did = (&outcome, &*board);
    let summary = Summary {
        pipe,
        board: &board,
        outcome: &outcome,
        took: start.elapsed(),
        cost,
        missing: &missing,
    };
    let (kept, told) = both(
        pipe.stages.len(),
        || remember(store, pipe, survey, did, before, facts, &id),
        || match args.how.json {
            true => format!("{}\n", summary.json()),
            false => summary.text(),
        },
    );
    let listed = write_failures(&errors, &outcome.failures).and_then(|()| match way.shard {
        Some(_) => Ok(()),
        // This run tells of all failures that are left.
        None => shard::all_errors(pipe)
            .try_for_each(|file| remove(&file))
            .and_then(|()| missing.write(pipe)),
    });
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), display).await;
    warn(store);
    out(&told);
    if !args.how.json && !args.how.quiet {
        out(&summary.tables());
    }
    if !outcome.failures.is_empty() && listed.is_ok() {
        err(&format!("why each record failed: {}\n", errors.display()));
    }
    if !missing.is_empty() && listed.is_ok() {
        err(&missing.place(pipe));
    }
    let ended = outcome.stopped.is_none() && outcome.faults.is_empty();
    let held = plan.held.filter(|_| ended);
    let differs = held.is_some_and(|held| held.differs(pipe, &outcome, args.how.json));
    let code = conclude(pipe, &outcome, &board, !missing.is_empty() || differs);
    if !matches!(outcome.stopped, Some(Reason::Store(_))) {
        kept?;
        listed?;
    }
    Ok(Ran {
        code,
        ended,
        failed: outcome.failures.len() as u64,
    })
}

/// Tells what broke, and chooses the exit code.
fn conclude(
    pipe: &Pipe,
    outcome: &Outcome,
    board: &crate::engine::board::Board,
    lacks: bool,
) -> ExitCode {
    for fault in &outcome.faults {
        err(&format!(
            "{}\n\n",
            fault.render(&pipe.pipeline.sources, color())
        ));
    }
    match &outcome.stopped {
        Some(Reason::Interrupted) => {
            err("interrupted; run again to go on where it stopped\n");
            return ExitCode::from(INTERRUPTED);
        }
        Some(Reason::Store(why)) => {
            err(&format!(
                "error: the run stops: {why}\nwhat is in the cache stays; run again to go on\n"
            ));
        }
        Some(Reason::Budget(limit)) => {
            err(&format!(
                "stopped: {limit} are used up; run again to go on\n"
            ));
            return ExitCode::from(BUDGET);
        }
        Some(Reason::Failure) => err("stopped at the first failure, as `on_error: stop` says\n"),
        None => {}
    }
    if outcome.bad_input {
        ExitCode::from(BAD_INPUT)
    } else if outcome.is_good(pipe, board) && !lacks {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

/// Ctrl-C: the first lets calls under way end, the second ends at once.
pub fn listen(halt: &Halt, events: &Events) {
    let halt = halt.clone();
    let events = events.downgrade();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (halt, events) = (halt.clone(), events.clone());
        tokio::spawn(async move {
            let Ok(mut signals) = signal(kind) else {
                return;
            };
            signals.recv().await;
            halt.raise(Reason::Interrupted);
            if let Some(events) = events.upgrade() {
                let text = "stopping: calls under way are awaited; once more to end at once";
                let _ = events.send(Event::Say(text.to_owned()));
            }
            signals.recv().await;
            std::process::exit(i32::from(INTERRUPTED));
        });
    }
}

/// A name for this run that sorts by time.
fn id() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:016x}-{}", now.as_nanos() as u64, std::process::id())
}

//! Plays a test: its pipeline with its records and its answers, in folders that are gone
//! afterwards, and what came of it against what was expected.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::came::Came;
use super::case::Case;
use super::compare;
use super::file::TestFile;
use super::inputs::{keep, prune, read, sensitive, stand_in};
use super::known;
use super::stop::Stop;
use crate::cli::replace::Places;
use crate::cli::replay;
use crate::cli::scratch::Scratch;
use crate::cli::session::shapes;
use crate::diag::{Diagnostic, Sources};
use crate::engine::board::State;
use crate::engine::calls::Calls;
use crate::engine::halt::{Halt, Reason};
use crate::engine::keep::Failures;
use crate::engine::pipe::{Folders, Pipe, understand};
use crate::engine::run::{Outcome, board, run as execute};
use crate::engine::stock::{Source, Stock};
use crate::engine::survey::{Survey, Wanted, survey};
use crate::engine::taps::Taps;
use crate::engine::worker::Shop;
use crate::model::serve::Place;
use crate::plan::graph::Action;
use crate::replay::ledger::{Depth, Ledger};
use crate::replay::rules::Rules;
use crate::spec::load;
use crate::spec::pipeline::{Overrides, Pipeline};
use crate::store::Store;
use crate::trust::config::Config;
use crate::trust::gather::of_programs;
use crate::trust::memory::Memory;
use crate::trust::need::render;
use crate::trust::sensitive::mark;

/// What a test may do.
pub struct May {
    /// Start the programs that the pipeline names.
    pub run: bool,
    /// Take what comes as what is expected.
    pub update: bool,
    /// Take also what comes from data marked `sensitive`.
    pub include_sensitive: bool,
    /// What the user allows, and calls sensitive.
    pub config: Config,
    /// The user's wish that all ends.
    pub stop: Stop,
}

/// What came of a test that could be played.
#[derive(Debug, Default)]
pub struct Played {
    /// What is not as expected, each in words.
    pub wrong: Vec<String>,
    /// What was taken as expected from now on: files, or values of the test file.
    pub updated: Vec<String>,
}

/// Why a test could not be played.
pub enum Unplayed {
    /// Its files are at fault: in words.
    Bad(String),
    /// It would start programs: which.
    Refused(String),
    /// The user wants all to end.
    Stopped,
}

impl From<Diagnostic> for Unplayed {
    fn from(fault: Diagnostic) -> Unplayed {
        Unplayed::Bad(rendered(&[fault], &Sources::default()))
    }
}

/// Faults as they are told, without colours: among results.
pub fn rendered(faults: &[Diagnostic], sources: &Sources) -> String {
    let all = faults.iter().map(|fault| fault.render(sources, false));
    all.collect::<Vec<_>>().join("\n\n")
}

/// A test's pipeline, and what is known of it before it is played.
struct Set {
    pipe: Pipe,
    /// What the test looks at.
    wanted: Wanted,
    /// Which stages' values are not shown.
    hidden: Vec<bool>,
    /// The files that outputs must equal, resolved.
    files: BTreeMap<String, PathBuf>,
}

/// The folder of a test, which messages must not name: it is gone when they are read.
struct Home<'a> {
    case: &'a Case,
    folder: &'a Path,
    /// The files of records that stand in, with the names of their stages.
    inputs: Vec<(String, PathBuf)>,
}

/// Plays a test.
///
/// # Errors
/// Why it cannot be played.
pub fn play(case: &Case, may: &May, runtime: &Runtime) -> Result<Played, Unplayed> {
    // Removed at the end.
    let scratch = Scratch::make()?;
    let _using = may.stop.uses(scratch.path());
    let mut place = Home {
        case,
        folder: scratch.path(),
        inputs: Vec::new(),
    };
    let Set {
        pipe,
        wanted,
        hidden,
        files,
    } = set(&mut place, may)?;
    let pipe = Arc::new(pipe);
    let root = scratch.path().join("store");
    if let Some(cassette) = &case.file.cassette {
        let entries = replay::read(&case.join(cassette));
        let entries = entries.map_err(|fault| at_fault(case, fault, &["cassette"]))?;
        replay::fill(&root, &entries)?;
    }
    let store = Store::open(&root)?;
    let survey = survey(&pipe, &store, &wanted)
        .map_err(|fault| Unplayed::Bad(place.told(&[fault], &pipe.pipeline.sources)))?;
    let runs = |at: &usize| survey.planned[*at].action == Action::Run;
    let needs = of_programs(&pipe, (0..pipe.stages.len()).filter(runs));
    let needs = Memory::of_user().of(&pipe.pipeline.file).open(needs);
    if !needs.is_empty() && !may.run {
        return Err(Unplayed::Refused(render(&needs)));
    }
    let stages = case.file.expect.records.iter();
    let stages = stages.filter_map(|(name, _)| pipe.find(name));
    let taps = Arc::new(Taps::new(stages));
    let ledger = Arc::new(Ledger::new(Depth::Missing));
    let ran = run(case, &pipe, &store, &survey, (&taps, &ledger), &may.stop);
    let outcome = runtime.block_on(ran).ok_or(Unplayed::Stopped)?;
    let mut played = Played::default();
    for fault in &outcome.faults {
        let fault = std::slice::from_ref(fault);
        let told = place.told(fault, &pipe.pipeline.sources);
        played.wrong.push(told);
    }
    played.wrong.extend(unreached(case, &pipe, &outcome));
    let lacking = lacking(&pipe, &outcome, &ledger);
    let fails = compare::failures(&case.file.expect.fails, &outcome.failures, &lacking);
    played.wrong.extend(fails);
    let came = Came {
        case,
        pipe: &pipe,
        taps: &taps,
        hidden: &hidden,
        files: &files,
    };
    came.compare(may, &mut played)?;
    Ok(played)
}

/// The stages with the records that lack an answer, which no test can expect.
fn lacking(pipe: &Pipe, outcome: &Outcome, ledger: &Ledger) -> HashSet<(String, String)> {
    // A record may have failed for another of its calls.
    for failure in &outcome.failures {
        ledger.lose(&failure.stage, &failure.key);
    }
    let names: Vec<&str> = pipe.stages.iter().map(|s| &*s.spec.name.value).collect();
    let missing = ledger.missing(&names).into_iter();
    missing.map(|call| (call.stage, call.record)).collect()
}

/// What was expected and not come to, because the run stopped early.
fn unreached(case: &Case, pipe: &Pipe, outcome: &Outcome) -> Vec<String> {
    let why = match &outcome.stopped {
        None => return Vec::new(),
        Some(Reason::Failure) => "the run stopped at the first failure, as `on_error: stop` says",
        Some(Reason::Store(why)) => why,
        Some(_) => "the run was stopped",
    };
    let expect = &case.file.expect;
    let broken = |at: &usize| outcome.stages[*at].state == State::Broken;
    let stages = expect.records.iter().filter_map(|(name, _)| {
        let at = pipe.find(name).filter(broken)?;
        Some(format!(
            "`{}` did not come to its end",
            pipe.stages[at].spec.name.value
        ))
    });
    let unmade = expect.outputs().filter_map(|name| {
        let is = |at: &usize| pipe.stages[*at].verb.writes() == Some(Path::new(name));
        (0..pipe.stages.len()).find(is).filter(broken)?;
        Some(format!("`{name}` was not made"))
    });
    let all = stages.chain(unmade);
    all.map(|what| format!("{what}: {why}")).collect()
}

impl Home<'_> {
    /// Faults in words, with the test in the place of files that are gone.
    fn told(&self, faults: &[Diagnostic], sources: &Sources) -> String {
        let mut faults = faults.to_vec();
        let folder = self.folder.display().to_string();
        for fault in &mut faults {
            fault.message = self.shown(&fault.message);
            // Such as a program's log.
            fault.notes.retain(|note| !note.contains(&folder));
            let help = fault.help.take();
            fault.help = help.filter(|text| !text.contains(&folder));
        }
        rendered(&faults, sources)
    }

    fn shown(&self, text: &str) -> String {
        let test = self.case.path.display();
        let mut text = text.to_owned();
        for (stage, file) in &self.inputs {
            let file = file.display();
            let name = format!("`{test}`, `inputs` of `{stage}`");
            // A line for each.
            if text.contains(&file.to_string()) {
                text = text.replace(": line ", ": record ");
                text = text.replace(": lines ", ": records ");
            }
            text = text.replace(&format!("`{file}`"), &name);
            text = text.replace(&file.to_string(), &test.to_string());
        }
        text.replace(&format!("{}/", self.folder.display()), "")
    }
}

/// The test's pipeline, with the test's records in it.
fn set(place: &mut Home<'_>, may: &May) -> Result<Set, Unplayed> {
    let case = place.case;
    let overrides = Overrides {
        sections: vec![(case.path.clone(), "params")],
        allowed: may.config.paths.clone(),
        ..Overrides::default()
    };
    let file = case.join(&case.file.pipeline);
    if !file.is_file() {
        let fault = case.fault(format!("no file `{}`", file.display()), &["pipeline"]);
        return Err(Unplayed::Bad(rendered(&[fault], &case.sources)));
    }
    let loaded = load(&file, &overrides, &shapes());
    let sources = loaded.sources;
    let Some(mut pipeline) = loaded.pipeline.filter(|_| loaded.faults.is_empty()) else {
        return Err(Unplayed::Bad(rendered(&loaded.faults, &sources)));
    };
    let bad = |faults: Vec<Diagnostic>| Unplayed::Bad(rendered(&faults, &case.sources));
    let mut reads = Places::read_by(&pipeline);
    let marked = sensitive(&pipeline, &may.config);
    place.inputs = give(case, &mut pipeline, &marked, &place.folder.join("inputs"))?;
    let wanted = known::wanted(case, &pipeline).map_err(bad)?;
    keep(&mut pipeline, &wanted);
    pipeline.fence.allow(place.folder);
    let folders = Folders {
        out: place.folder.join("out"),
        temp: place.folder.join("store").join("tmp"),
        prompts: Vec::new(),
    };
    let mut pipe = understand(pipeline, folders, Vec::new())
        .map_err(|(faults, sources)| Unplayed::Bad(place.told(&faults, &sources)))?;
    // Prompts are known by now.
    reads.also_read_by(&pipe.pipeline);
    let files = known::expected(case, reads).map_err(bad)?;
    let hidden = hidden(&mut pipe, place, &may.config);
    mark(&mut pipe, &may.config);
    let until = wanted.iter().filter_map(|name| pipe.find(name));
    let until: Vec<usize> = until.collect();
    Ok(Set {
        wanted: Wanted {
            // What is named is looked at as a whole.
            whole: until.clone(),
            until,
            force: Vec::new(),
        },
        pipe,
        hidden,
        files,
    })
}

/// The stages whose values are not shown: all that are sensitive, but for what comes only from
/// records that stand in the test itself.
fn hidden(pipe: &mut Pipe, place: &Home<'_>, config: &Config) -> Vec<bool> {
    let marked: Vec<bool> = pipe.stages.iter().map(|stage| stage.sensitive).collect();
    for at in pipe.order.clone() {
        let stage = &pipe.stages[at];
        let given = place
            .inputs
            .iter()
            .any(|(name, _)| *name == stage.spec.name.value);
        let own = stage.verb.settings()["sensitive"] == serde_json::Value::Bool(true);
        let inherited = stage.sources().any(|from| pipe.stages[from].sensitive);
        pipe.stages[at].sensitive = inherited || (own && !given);
    }
    mark(pipe, config);
    let hidden = pipe.stages.iter().map(|stage| stage.sensitive).collect();
    for (stage, marked) in pipe.stages.iter_mut().zip(marked) {
        stage.sensitive = marked;
    }
    hidden
}

/// Gives stages the test's records: the files that these are in, each with its stage.
fn give(
    case: &Case,
    pipeline: &mut Pipeline,
    marked: &HashSet<String>,
    folder: &Path,
) -> Result<Vec<(String, PathBuf)>, Unplayed> {
    let before = read(pipeline);
    let mut faults = Vec::new();
    let mut files = Vec::new();
    for (name, records) in case.file.inputs.iter() {
        let mut stages = pipeline.stages.iter_mut();
        match stages.find(|stage| stage.name.value == name && !stage.is_output) {
            Some(stage) => {
                let stage = Arc::make_mut(stage);
                let file = stand_in(stage, records, marked.contains(name), folder);
                let file = file.map_err(|error| {
                    Diagnostic::error(format!("cannot write the records of `{name}`: {error}"))
                })?;
                files.push((name.to_owned(), file));
            }
            None => {
                let names = pipeline.stages.iter().filter(|stage| !stage.is_output);
                let names = names.map(|stage| stage.name.value.as_str());
                let fault = case.fault(format!("no stage `{name}`"), &["inputs", name]);
                faults.push(fault.suggest(name, names));
            }
        }
    }
    if !faults.is_empty() {
        return Err(Unplayed::Bad(rendered(&faults, &case.sources)));
    }
    prune(pipeline, &before);
    Ok(files)
}

/// Runs the pipeline; `None` if the user wants all to end.
async fn run(
    case: &Case,
    pipe: &Arc<Pipe>,
    store: &Store,
    survey: &Survey,
    (taps, ledger): (&Arc<Taps>, &Arc<Ledger>),
    stop: &Stop,
) -> Option<Outcome> {
    let file: &TestFile = &case.file;
    let source = if file.answers.is_empty() && file.cassette.is_some() {
        Source::Cassette
    } else {
        Source::Rules(Arc::new(Rules(file.answers.clone())))
    };
    let (events, _told) = mpsc::unbounded_channel();
    let halt = Halt::default();
    let nowhere = |_: &str| None::<Place>;
    let stock = Stock::new(store, source, ledger.clone());
    let models: &BTreeMap<_, _> = &pipe.models;
    let limits = Default::default();
    let calls = Calls::new(models, nowhere, store, &halt, &events, limits, stock);
    let shop = Shop {
        pipe: pipe.clone(),
        store: store.clone(),
        calls: Arc::new(calls),
        board: Arc::new(board(pipe, survey)),
        events,
        halt: halt.clone(),
        failures: Arc::new(Failures::default()),
        taps: taps.clone(),
        agreed: Arc::default(),
        dry: false,
    };
    let outcome = stop.guard(execute(&shop, survey), &halt).await;
    outcome.filter(|_| !stop.is_raised())
}

/// A fault of a file that the test names, at the place where it does.
pub fn at_fault(case: &Case, fault: Diagnostic, keys: &[&str]) -> Unplayed {
    let fault = fault.at(case.place(keys), "");
    Unplayed::Bad(rendered(&[fault], &case.sources))
}

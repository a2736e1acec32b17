//! Plays a test: its pipeline with its records and its answers, in folders that are gone
//! afterwards, and what came of it against what was expected.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::case::Case;
use super::compare;
use super::file::TestFile;
use super::inputs::{prune, read, stand_in};
use super::update;
use crate::cli::replay;
use crate::cli::session::shapes;
use crate::diag::{Diagnostic, Sources};
use crate::engine::calls::Calls;
use crate::engine::halt::Halt;
use crate::engine::keep::Failures;
use crate::engine::pipe::{Folders, Pipe, understand};
use crate::engine::run::{Outcome, board, run as execute};
use crate::engine::stock::{Source, Stock};
use crate::engine::survey::{Survey, Wanted, out_file, survey};
use crate::engine::taps::Taps;
use crate::engine::worker::Shop;
use crate::model::serve::Place;
use crate::plan::graph::Action;
use crate::replay::rules::Rules;
use crate::report::words::count;
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
    /// What the user allows, and calls sensitive.
    pub config: Config,
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

/// Plays a test.
///
/// # Errors
/// Why it cannot be played.
pub fn play(case: &Case, may: &May, runtime: &Runtime) -> Result<Played, Unplayed> {
    // Removed at the end.
    let folder = tempfile::tempdir()
        .map_err(|error| Diagnostic::error(format!("no folder for the test: {error}")))?;
    let folder = folder.path();
    let mut pipe = pipe(case, folder)?;
    mark(&mut pipe, &may.config);
    let pipe = Arc::new(pipe);
    let wanted = known(case, &pipe)?;
    let root = folder.join("store");
    if let Some(cassette) = &case.file.cassette {
        let entries = replay::read(&case.join(cassette));
        let entries = entries.map_err(|fault| at_fault(case, fault, &["cassette"]))?;
        replay::fill(&root, &entries)?;
    }
    let store = Store::open(&root)?;
    let survey = survey(&pipe, &store, &wanted).map_err(|fault| {
        let sources = &pipe.pipeline.sources;
        Unplayed::Bad(rendered(&[fault], sources))
    })?;
    let runs = |at: &usize| survey.planned[*at].action == Action::Run;
    let needs = of_programs(&pipe, (0..pipe.stages.len()).filter(runs));
    let needs = Memory::of_user().of(&pipe.pipeline.file).open(needs);
    if !needs.is_empty() && !may.run {
        return Err(Unplayed::Refused(render(&needs)));
    }
    let stages = case.file.expect.records.iter();
    let stages = stages.filter_map(|(name, _)| pipe.find(name));
    let taps = Arc::new(Taps::new(stages));
    let outcome = runtime.block_on(run(&case.file, &pipe, &store, &survey, &taps));
    let mut played = Played::default();
    for fault in &outcome.faults {
        let told = rendered(std::slice::from_ref(fault), &pipe.pipeline.sources);
        // Where the test's records were kept tells nobody anything.
        played
            .wrong
            .push(told.replace(&format!("{}/", folder.display()), ""));
    }
    let fails = compare::failures(&case.file.expect.fails, &outcome.failures);
    played.wrong.extend(fails);
    outputs(case, &pipe, may, &mut played)?;
    records(case, &pipe, &taps, may, &mut played)?;
    Ok(played)
}

/// The test's pipeline, with the test's records in it.
fn pipe(case: &Case, folder: &Path) -> Result<Pipe, Unplayed> {
    let overrides = Overrides {
        sections: vec![(case.path.clone(), "params")],
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
    give(case, &mut pipeline, &folder.join("inputs"))?;
    pipeline.fence.allow(folder);
    let folders = Folders {
        out: folder.join("out"),
        temp: folder.join("store").join("tmp"),
        prompts: Vec::new(),
    };
    understand(pipeline, folders, Vec::new())
        .map_err(|(faults, sources)| Unplayed::Bad(rendered(&faults, &sources)))
}

fn give(case: &Case, pipeline: &mut Pipeline, folder: &Path) -> Result<(), Unplayed> {
    let before = read(pipeline);
    let mut faults = Vec::new();
    for (name, records) in case.file.inputs.iter() {
        let mut stages = pipeline.stages.iter_mut();
        match stages.find(|stage| stage.name.value == name && !stage.is_output) {
            Some(stage) => stand_in(stage, records, folder).map_err(|error| {
                Diagnostic::error(format!("cannot write the records of `{name}`: {error}"))
            })?,
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
    Ok(())
}

/// What is wanted of the pipeline, if it has all that the test names.
fn known(case: &Case, pipe: &Pipe) -> Result<Wanted, Unplayed> {
    let mut faults = Vec::new();
    let mut until = Vec::new();
    let stages = || pipe.stages.iter().filter(|stage| !stage.spec.is_output);
    let names = || stages().map(|stage| stage.spec.name.value.as_str());
    let no_stage = |name: &str| {
        let fault = Diagnostic::error(format!("no stage `{name}`"));
        fault.suggest(name, names())
    };
    let expect = &case.file.expect;
    for name in expect.outputs() {
        match output(pipe, name) {
            Some(at) => until.push(at),
            None => {
                let files = pipe.stages.iter().filter_map(|stage| stage.verb.writes());
                let files: Vec<&str> = files.filter_map(Path::to_str).collect();
                let key = if expect.text.iter().any(|(text, _)| text == name) {
                    "text"
                } else {
                    "outputs"
                };
                let fault = case.fault(format!("no output `{name}`"), &["expect", key, name]);
                faults.push(fault.suggest(name, files));
            }
        }
    }
    for name in expect.stages() {
        match pipe.find(name) {
            Some(at) => until.push(at),
            None => {
                let key = if expect.records.iter().any(|(stage, _)| stage == name) {
                    "records"
                } else {
                    "fails"
                };
                faults.push(no_stage(name).at(case.place(&["expect", key, name]), ""));
            }
        }
    }
    for (at, rule) in case.file.answers.iter().enumerate() {
        if let Some(name) = rule.stage.as_ref().filter(|name| pipe.find(name).is_none()) {
            faults.push(no_stage(name).at(case.rule(at, "stage"), ""));
        }
        if let Some(name) = rule
            .model
            .as_ref()
            .filter(|name| !pipe.models.contains_key(*name))
        {
            let fault = Diagnostic::error(format!("no model `{name}`"));
            let fault = fault.suggest(name, pipe.models.keys().map(String::as_str));
            faults.push(fault.at(case.rule(at, "model"), ""));
        }
    }
    if !faults.is_empty() {
        return Err(Unplayed::Bad(rendered(&faults, &case.sources)));
    }
    Ok(Wanted {
        // What is named is looked at as a whole.
        whole: until.clone(),
        until,
        force: Vec::new(),
    })
}

/// The stage that writes an output.
fn output(pipe: &Pipe, name: &str) -> Option<usize> {
    let mut stages = pipe.stages.iter();
    stages.position(|stage| stage.verb.writes() == Some(Path::new(name)))
}

async fn run(
    file: &TestFile,
    pipe: &Arc<Pipe>,
    store: &Store,
    survey: &Survey,
    taps: &Arc<Taps>,
) -> Outcome {
    let source = if file.answers.is_empty() && file.cassette.is_some() {
        Source::Cassette
    } else {
        Source::Rules(Arc::new(Rules(file.answers.clone())))
    };
    let (events, _told) = mpsc::unbounded_channel();
    let halt = Halt::default();
    let nowhere = |_: &str| None::<Place>;
    let stock = Stock::new(store, source, Arc::default());
    let models: &BTreeMap<_, _> = &pipe.models;
    let limits = Default::default();
    let calls = Calls::new(models, nowhere, store, &halt, &events, limits, stock);
    let shop = Shop {
        pipe: pipe.clone(),
        store: store.clone(),
        calls: Arc::new(calls),
        board: Arc::new(board(pipe, survey)),
        events,
        halt,
        failures: Arc::new(Failures::default()),
        taps: taps.clone(),
        dry: false,
    };
    execute(&shop, survey).await
}

fn outputs(case: &Case, pipe: &Pipe, may: &May, played: &mut Played) -> Result<(), Unplayed> {
    let found = |name: &str| {
        let at = output(pipe, name)?;
        let bytes = std::fs::read(out_file(pipe, at)?).ok()?;
        Some((bytes, pipe.stages[at].sensitive))
    };
    let expect = &case.file.expect;
    for (name, path) in expect.outputs.iter() {
        let Some((bytes, hidden)) = found(name) else {
            played.wrong.push(format!("`{name}` was not written"));
            continue;
        };
        let path = case.join(path);
        let wanted = match std::fs::read(&path) {
            Ok(wanted) => Some(wanted),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let what = format!("cannot read `{}`: {error}", path.display());
                let keys = ["expect", "outputs", name];
                return Err(at_fault(case, Diagnostic::error(what), &keys));
            }
        };
        let differs = match &wanted {
            Some(wanted) => compare::text(name, wanted, &bytes, hidden),
            None => Some(format!(
                "there is no `{}` to compare `{name}` with; `--update` writes it",
                path.display()
            )),
        };
        let Some(differs) = differs else {
            continue;
        };
        if may.update {
            update::replace(&path, &bytes)?;
            played.updated.push(format!("`{}`", path.display()));
        } else {
            played.wrong.push(differs);
        }
    }
    for (name, wanted) in expect.text.iter() {
        match found(name) {
            Some((bytes, hidden)) => {
                let differs = compare::text(name, wanted.as_bytes(), &bytes, hidden);
                played.wrong.extend(differs);
            }
            None => played.wrong.push(format!("`{name}` was not written")),
        }
    }
    Ok(())
}

fn records(
    case: &Case,
    pipe: &Pipe,
    taps: &Taps,
    may: &May,
    played: &mut Played,
) -> Result<(), Unplayed> {
    let mut edits = Vec::new();
    for (name, wanted) in case.file.expect.records.iter() {
        let Some(at) = pipe.find(name) else {
            continue;
        };
        let found = taps.take(at);
        let before = edits.len();
        for wrong in compare::records(name, wanted, &found, pipe.stages[at].sensitive) {
            let other = wrong.other.as_ref().filter(|_| may.update);
            // What can be written is, and the rest is told.
            match other.and_then(|other| update::edit(&case.root, &case.text, name, other)) {
                Some(edit) => edits.push(edit),
                None => played.wrong.push(wrong.told),
            }
        }
        match edits.len() - before {
            0 => {}
            n => {
                let values = count(n as u64, "value");
                played.updated.push(format!("{values} of `{name}`"));
            }
        }
    }
    update::apply(&case.path, &case.text, edits)?;
    Ok(())
}

/// A fault of a file that the test names, at the place where it does.
fn at_fault(case: &Case, fault: Diagnostic, keys: &[&str]) -> Unplayed {
    let fault = fault.at(case.place(keys), "");
    Unplayed::Bad(rendered(&[fault], &case.sources))
}

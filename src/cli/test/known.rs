//! What a test names, looked up: stages, models and outputs of its pipeline, and the files that
//! outputs must equal. Reads no data.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::case::Case;
use crate::cli::replace::{Places, real};
use crate::diag::Diagnostic;
use crate::spec::fence::Fence;
use crate::spec::pipeline::{Pipeline, StageSpec};
use crate::stages::verb;

/// How much of a file is looked at to tell what it is (bytes).
const LOOK: u64 = 4096;

/// The stages that a test looks at, by the names of the pipeline.
///
/// # Errors
/// What the pipeline does not have.
pub fn wanted(case: &Case, pipeline: &Pipeline) -> Result<Vec<String>, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    let mut wanted = Vec::new();
    let written: Vec<(&Arc<StageSpec>, PathBuf)> = pipeline
        .stages
        .iter()
        .filter_map(|stage| Some((stage, writes(stage)?)))
        .collect();
    let expect = &case.file.expect;
    for name in expect.outputs() {
        match written.iter().find(|(_, file)| file == Path::new(name)) {
            Some((stage, _)) => wanted.push(stage.name.value.clone()),
            None => {
                let files: Vec<&str> = written.iter().filter_map(|(_, f)| f.to_str()).collect();
                let is_text = expect.text.iter().any(|(text, _)| text == name);
                let key = if is_text { "text" } else { "outputs" };
                let fault = case.fault(format!("no output `{name}`"), &["expect", key, name]);
                faults.push(fault.suggest(name, files));
            }
        }
    }
    for name in expect.stages() {
        match stage(pipeline, name) {
            Ok(()) => wanted.push(name.to_owned()),
            Err(fault) => {
                let is_records = expect.records.iter().any(|(stage, _)| stage == name);
                let key = if is_records { "records" } else { "fails" };
                faults.push(fault.at(case.place(&["expect", key, name]), ""));
            }
        }
    }
    for (at, rule) in case.file.answers.iter().enumerate() {
        if let Some(fault) = rule.stage.as_ref().and_then(|n| stage(pipeline, n).err()) {
            faults.push(fault.at(case.rule(at, "stage"), ""));
        }
        let models = || pipeline.models.iter().map(|m| m.name.value.as_str());
        let unknown = |name: &&String| models().all(|model| model != name.as_str());
        if let Some(name) = rule.model.as_ref().filter(unknown) {
            let fault = Diagnostic::error(format!("no model `{name}`")).suggest(name, models());
            faults.push(fault.at(case.rule(at, "model"), ""));
        }
    }
    if faults.is_empty() {
        Ok(wanted)
    } else {
        Err(faults)
    }
}

/// The file that a stage writes, as the pipeline names it.
fn writes(stage: &StageSpec) -> Option<PathBuf> {
    let decoded = (verb(&stage.verb)?.decode)(&stage.config).ok()?;
    decoded.writes().map(Path::to_owned)
}

/// Whether there is a stage of this name; outputs are none.
fn stage(pipeline: &Pipeline, name: &str) -> Result<(), Diagnostic> {
    let found = pipeline.stages.iter().find(|s| s.name.value == name);
    match found {
        Some(stage) if stage.is_output => {
            let fault = Diagnostic::error(format!("`{name}` is an output, not a stage"));
            Err(match stage.from.first() {
                Some(from) => fault.help(format!(
                    "name the stage that it is made of: `{}`",
                    from.value
                )),
                None => fault,
            })
        }
        Some(_) => Ok(()),
        None => {
            let stages = pipeline.stages.iter().filter(|stage| !stage.is_output);
            let names = stages.map(|stage| stage.name.value.as_str());
            let fault = Diagnostic::error(format!("no stage `{name}`"));
            Err(fault.suggest(name, names))
        }
    }
}

/// The files that outputs must equal, resolved: those of the test's own project that are none of
/// what the test `reads`, so that `--update` never takes the place of anything else.
///
/// # Errors
/// Those that are others.
pub fn expected(
    case: &Case,
    mut reads: Places,
) -> Result<BTreeMap<String, PathBuf>, Vec<Diagnostic>> {
    let fence = Fence::around(&case.path);
    let own = case.path.canonicalize().ok();
    let cassette = case.file.cassette.as_ref();
    if let Some(path) = cassette {
        reads.add(case.join(path));
    }
    let mut faults = Vec::new();
    let mut found = BTreeMap::new();
    for (name, path) in case.file.expect.outputs.iter() {
        let keys = ["expect", "outputs", name];
        let file = match real(&case.join(path)) {
            Ok(file) => file,
            Err(fault) => {
                faults.push(fault.at(case.place(&keys), ""));
                continue;
            }
        };
        let wrong = if !fence.holds(&file) {
            "is outside of the test's project, or hidden"
        } else if own.as_ref() == Some(&file) {
            "is the test itself"
        } else if reads.has(&file) {
            "is read by the test"
        } else if is_ours(&file) {
            "is a pipeline or a test"
        } else {
            found.insert(name.to_owned(), file);
            continue;
        };
        let fault = case.fault(format!("`{path}` {wrong}"), &keys);
        faults.push(fault.help("name a file that holds nothing but what is expected"));
    }
    if faults.is_empty() {
        Ok(found)
    } else {
        Err(faults)
    }
}

/// True for pipelines and tests.
fn is_ours(file: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(file).and_then(|file| file.take(LOOK).read_to_end(&mut head));
    let keys: [&[u8]; 2] = [b"clue:", b"clue_test:"];
    let mut lines = head.split(|byte| *byte == b'\n');
    read.is_ok() && lines.any(|line| keys.iter().any(|key| line.starts_with(key)))
}

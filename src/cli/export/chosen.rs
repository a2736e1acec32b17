//! What is exported: outputs with their fields and order, or stages as they are.

use super::{Args, Stop};
use crate::cli::show::stage;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::stages::write::elsewhere::What;

/// Something to export.
pub struct Chosen {
    /// The output's or the stage's name.
    pub name: String,
    /// The stage whose records they are.
    pub from: usize,
    /// The stage in whose place expressions are read.
    pub place: usize,
    /// What is written of them.
    pub what: What,
}

/// What the arguments name; without any, all outputs with records.
///
/// # Errors
/// There is no such output or stage, or nothing at all.
pub fn chosen(args: &Args, pipe: &Pipe) -> Result<Vec<Chosen>, Stop> {
    let mut chosen = Vec::new();
    let is_output = |at: &usize| pipe.stages[*at].verb.writes().is_some();
    for name in &args.outputs {
        let named = |at: &usize| pipe.stages[*at].spec.name.value == *name;
        let mut outputs = (0..pipe.stages.len()).filter(is_output);
        let Some(at) = outputs.find(named) else {
            let names = (0..pipe.stages.len()).filter(is_output);
            let names = names.map(|at| pipe.stages[at].spec.name.value.as_str());
            let fault = Diagnostic::error(format!("no output `{name}`"));
            return Err(fault.suggest(name, names).into());
        };
        chosen.push(output(pipe, at)?);
    }
    for name in &args.stages {
        let at = stage(pipe, name)?;
        if is_output(&at) {
            chosen.push(output(pipe, at)?);
            continue;
        }
        chosen.push(Chosen {
            name: name.clone(),
            from: at,
            place: at,
            what: What::of_stage()?,
        });
    }
    if args.outputs.is_empty() && args.stages.is_empty() {
        // Tables for people, and texts of one field, are no data.
        let with_records = |at: &usize| {
            let settings = pipe.stages[*at].verb.settings();
            let path = pipe.stages[*at].verb.writes();
            let ending = path.and_then(|path| path.extension()?.to_str());
            let format = settings["format"].as_str().or(ending).unwrap_or("");
            ["jsonl", "ndjson", "json", "csv", "tsv", "parquet"].contains(&format)
        };
        let outputs = (0..pipe.stages.len()).filter(is_output);
        for at in outputs.filter(with_records) {
            let one = output(pipe, at)?;
            // One table in several formats is one.
            let same = |known: &Chosen| known.from == one.from && known.what.is_same(&one.what);
            if !chosen.iter().any(same) {
                chosen.push(one);
            }
        }
    }
    if chosen.is_empty() {
        let fault = Diagnostic::error("the pipeline has no output with records");
        return Err(fault.help("name a stage with `--stage`").into());
    }
    Ok(chosen)
}

fn output(pipe: &Pipe, at: usize) -> Result<Chosen, Stop> {
    let stage = &pipe.stages[at];
    let name = stage.spec.name.value.clone();
    let Some(from) = stage.inputs.first().copied() else {
        return Err(Diagnostic::error(format!("`{name}` reads no stage")).into());
    };
    if !stage.with.is_empty() {
        let what = format!("`{name}` reads stages `with:` others, which exports cannot");
        let fault = Diagnostic::error(what).at(stage.spec.name.span, "");
        return Err(fault.help("export the stage itself with `--stage`").into());
    }
    Ok(Chosen {
        name,
        from,
        place: at,
        what: What::of_output(&stage.spec.config)?,
    })
}

//! What the user must allow before stages or models of a pipeline are used. Reads the files that
//! commands name, and the environment's proxies; runs nothing.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::need::{Act, Need, Program, add};
use crate::engine::pipe::{Pipe, Stage};
use crate::metrics::bertscore::hub::is_cached;
use crate::model::reach::{is_loopback, ways};
use crate::model::scripts::{Script, scripts};
use crate::model::spec::{ModelSpec, ServeSpec};

/// What these stages need, in the order of the pipeline.
pub fn of_stages(pipe: &Pipe, stages: impl IntoIterator<Item = usize>) -> Vec<Need> {
    let stages: Vec<usize> = stages.into_iter().collect();
    let mut seen = HashSet::new();
    let asked = stages.iter().flat_map(|at| pipe.asked(*at));
    let asked: Vec<_> = asked
        .filter(|model| seen.insert(model.name.clone()))
        .collect();
    let mut needs = of_models(pipe, asked.iter().map(|model| &**model));
    for need in of_programs(pipe, stages) {
        for purpose in need.purposes {
            add(&mut needs, need.act.clone(), purpose);
        }
    }
    needs
}

/// What these stages need if they ask no model: the programs that they run, and the files
/// outside of the pipeline's project that they read.
pub fn of_programs(pipe: &Pipe, stages: impl IntoIterator<Item = usize>) -> Vec<Need> {
    let mut needs = Vec::new();
    for at in stages {
        if pipe.stages[at].verb.name() == "exec" {
            add_program(pipe, at, &mut needs);
        } else {
            add_files(pipe, at, &mut needs);
        }
    }
    needs
}

/// The files of a stage that lie outside of the project.
fn add_files(pipe: &Pipe, at: usize, needs: &mut Vec<Need>) {
    let stage = &pipe.stages[at];
    for file in stage.verb.files(&pipe.build(at, Vec::new())) {
        let outside = pipe.pipeline.fence.refuses(&file);
        if let Some(real) = outside.filter(|_| !is_cached(&file)) {
            let path = real.to_string_lossy().into_owned();
            add(needs, Act::Read { path }, purpose_of(stage));
        }
    }
}

/// What everything in the pipeline needs.
pub fn of_all(pipe: &Pipe) -> Vec<Need> {
    let names = pipe.pipeline.models.iter().map(|entry| &entry.name.value);
    let models = names.filter_map(|name| pipe.models.get(name));
    let mut needs = of_models(pipe, models.map(|model| &**model));
    for need in of_stages(pipe, 0..pipe.stages.len()) {
        for purpose in need.purposes {
            add(&mut needs, need.act.clone(), purpose);
        }
    }
    needs
}

/// What it takes to ask these models.
pub fn of_models<'a>(pipe: &Pipe, models: impl IntoIterator<Item = &'a ModelSpec>) -> Vec<Need> {
    let mut needs = Vec::new();
    for model in models {
        let name = &model.name;
        if let Some(serve) = &model.serve {
            let dir = pipe.model_dir(name);
            let run = |argv: &[String], more: &[String]| {
                let words: Vec<&str> = argv.iter().chain(more).map(String::as_str).collect();
                Act::Run(program(argv, &words, dir, serve.env.clone(), false))
            };
            if !serve.setup.is_empty() {
                let purpose = format!("set-up of model `{name}`");
                add(&mut needs, run(&serve.setup, &serve.files), purpose);
            }
            let purpose = format!("server of model `{name}`");
            add(&mut needs, run(&serve.command, &[]), purpose);
        }
        for way in ways(model)
            .into_iter()
            .filter(|way| !is_loopback(&way.host))
        {
            let act = Act::Send {
                origin: way.origin,
                proxy: way.proxy,
                token: model.key_env.clone(),
            };
            add(&mut needs, act, format!("model `{name}`"));
        }
    }
    needs
}

/// The files that were agreed to of the programs of stages, by the stages.
pub fn files_of_stages(pipe: &Pipe, needs: &[Need]) -> BTreeMap<usize, Vec<Script>> {
    if programs(needs).next().is_none() {
        return BTreeMap::new();
    }
    let stages = pipe.stages.iter().enumerate();
    let files = |(at, stage): (usize, &Stage)| {
        let purpose = purpose_of(stage);
        let mut programs = programs(needs).filter(|(need, _)| need.purposes.contains(&purpose));
        Some((at, programs.next()?.1.scripts.files.clone()))
    };
    stages.filter_map(files).collect()
}

/// The files that were agreed to of a server's programs, which run in `dir`.
pub fn files_of_server(serve: &ServeSpec, dir: &Path, needs: &[Need]) -> Vec<Script> {
    let dir = real(dir).to_string_lossy().into_owned();
    let its = |program: &&Program| {
        program.dir == dir && (program.argv == serve.setup || program.argv == serve.command)
    };
    let programs = programs(needs).map(|(_, program)| program).filter(its);
    programs
        .flat_map(|program| program.scripts.files.clone())
        .collect()
}

fn programs(needs: &[Need]) -> impl Iterator<Item = (&Need, &Program)> {
    needs.iter().filter_map(|need| match &need.act {
        Act::Run(program) => Some((need, program)),
        _ => None,
    })
}

fn purpose_of(stage: &Stage) -> String {
    format!("stage `{}`", stage.spec.name.value)
}

/// A folder as it is, links followed.
fn real(dir: &Path) -> PathBuf {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    dir.canonicalize().unwrap_or_else(|_| dir.to_owned())
}

/// The program that a stage runs.
fn add_program(pipe: &Pipe, at: usize, needs: &mut Vec<Need>) {
    let stage = &pipe.stages[at];
    let build = pipe.build(at, Vec::new());
    let settings = stage.verb.settings();
    let argv = settings["command"].as_array().into_iter().flatten();
    let argv: Vec<String> = argv
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect();
    let named = stage.verb.files(&build);
    let named: Vec<String> = named
        .iter()
        .map(|path| path.strip_prefix(build.dir).unwrap_or(path))
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = argv.iter().chain(&named).map(String::as_str).collect();
    // An input comes from data that is marked; what the program makes of it is sensitive too.
    let gets = stage.sources().any(|from| pipe.stages[from].sensitive);
    let program = program(&argv, &words, build.dir, BTreeMap::new(), gets);
    add(needs, Act::Run(program), purpose_of(stage));
}

fn program(
    argv: &[String],
    words: &[&str],
    dir: &Path,
    env: BTreeMap<String, String>,
    sensitive: bool,
) -> Program {
    let real = real(dir);
    // Variables name files, too: folders of modules, libraries that are loaded before.
    let values = env.values().map(String::as_str);
    let words: Vec<&str> = words.iter().copied().chain(values).collect();
    Program {
        argv: argv.to_vec(),
        scripts: scripts(&words, &real),
        dir: real.to_string_lossy().into_owned(),
        env,
        sensitive,
    }
}

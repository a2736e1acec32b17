//! Where sensitive records would go. They are what a stage marked `sensitive` makes, what the
//! files make that the user's configuration calls so, and all that is made of either. A prompt, a
//! schema or a chat template may be such a file, too. Only the user's configuration lets any of it
//! leave this machine for a model.

use std::path::{Path, PathBuf};

use super::config::Config;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::model::reach::{Way, ways};
use crate::text::visible::plain;

/// A stage that asks a model about sensitive records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asks {
    /// The stage.
    pub stage: usize,
    /// Where they would go.
    pub way: Way,
    /// The machine on the way that the configuration does not allow.
    pub refused: Option<String>,
}

/// Marks the stages that read, or ask with, a file which the user's configuration calls
/// sensitive, or another stage does, and all that depend on them.
pub fn mark(pipe: &mut Pipe, config: &Config) {
    let marked = Marked::by(pipe, config);
    if marked.0.is_empty() {
        return;
    }
    for at in pipe.order.clone() {
        let own = files(pipe, at).iter().any(|file| marked.holds(file));
        let inherited = pipe.stages[at]
            .sources()
            .any(|from| pipe.stages[from].sensitive);
        pipe.stages[at].sensitive |= own || inherited;
    }
}

/// Where sensitive records come from: a stage, and the files that are sensitive themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The stage.
    pub stage: usize,
    /// The files: data, or a prompt or script that is sensitive.
    pub files: Vec<PathBuf>,
}

/// All places that sensitive records of a pipeline come from.
pub fn origins_of(pipe: &Pipe, config: &Config) -> Vec<Origin> {
    let marked = Marked::by(pipe, config);
    let mut found = Vec::new();
    for (stage, of) in pipe.stages.iter().enumerate() {
        if !of.sensitive {
            continue;
        }
        let mut all = files(pipe, stage);
        all.retain(|file| marked.holds(file));
        let inherited = of.sources().any(|from| pipe.stages[from].sensitive);
        if !all.is_empty() || !inherited {
            found.push(Origin { stage, files: all });
        }
    }
    found
}

/// The files and folders that are called sensitive, links followed.
struct Marked(Vec<PathBuf>);

impl Marked {
    /// By the configuration, or by a stage that loads them.
    fn by(pipe: &Pipe, config: &Config) -> Marked {
        let mut marked = Marked::of(config);
        for (at, stage) in pipe.stages.iter().enumerate() {
            // What stands in a test for such a file is marked too, and does not count there.
            let own = || stage.verb.settings()["sensitive"] == serde_json::Value::Bool(true);
            if stage.sensitive && own() {
                let loaded = stage.verb.files(&pipe.build(at, Vec::new()));
                marked.0.extend(loaded.iter().map(|file| real(file)));
            }
        }
        marked.0.sort();
        marked.0.dedup();
        marked
    }

    /// By the configuration.
    fn of(config: &Config) -> Marked {
        Marked(config.sensitive.iter().map(|path| real(path)).collect())
    }

    fn holds(&self, file: &Path) -> bool {
        let file = real(file);
        self.0.iter().any(|path| file.starts_with(path))
    }
}

/// True if the user's configuration calls a file sensitive.
pub fn calls_sensitive(config: &Config, file: &Path) -> bool {
    Marked::of(config).holds(file)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// All files whose content may stand in what a stage makes or asks.
fn files(pipe: &Pipe, at: usize) -> Vec<PathBuf> {
    let verb = &pipe.stages[at].verb;
    let build = pipe.build(at, Vec::new());
    let mut files = verb.files(&build);
    files.extend(verb.traces(&build).paths);
    for model in pipe.asked(at) {
        let template = model.template.iter();
        files.extend(template.flat_map(|template| template.files().to_vec()));
    }
    files
}

/// All ways that sensitive records of these stages would take.
pub fn asked(pipe: &Pipe, stages: impl IntoIterator<Item = usize>, config: &Config) -> Vec<Asks> {
    let mut found: Vec<Asks> = Vec::new();
    for stage in stages {
        if !pipe.stages[stage].sensitive {
            continue;
        }
        for way in pipe.asked(stage).iter().flat_map(|model| ways(model)) {
            let mut machines = std::iter::once(&way.host).chain(&way.proxy);
            let refused = machines.find(|host| !config.allows(host)).cloned();
            let asks = Asks {
                stage,
                way,
                refused,
            };
            // Which of a machine's ports answers makes no difference.
            let known = |known: &Asks| {
                let (a, b) = (&known.way, &asks.way);
                known.stage == stage && a.host == b.host && a.proxy == b.proxy
            };
            if !found.iter().any(known) {
                found.push(asks);
            }
        }
    }
    found
}

/// A fault for each way that the configuration does not allow.
pub fn refused(pipe: &Pipe, asked: &[Asks], config: &Config) -> Vec<Diagnostic> {
    asked
        .iter()
        .filter_map(|asks| Some(fault(pipe, asks, asks.refused.as_deref()?, config)))
        .collect()
}

fn fault(pipe: &Pipe, asks: &Asks, host: &str, config: &Config) -> Diagnostic {
    let stage = &pipe.stages[asks.stage];
    let name = plain(&stage.spec.name.value);
    let host = plain(host);
    let through = if asks.way.host == host {
        format!("to `{host}`")
    } else {
        format!("to `{}` through the proxy `{host}`", plain(&asks.way.host))
    };
    let fault = Diagnostic::error(format!(
        "stage `{name}` would send sensitive records of {} {through}, which your own \
         configuration does not allow",
        origins(pipe, asks.stage, config)
    ))
    .at(stage.spec.verb.span, "");
    match &config.file {
        Some(file) => fault.help(format!(
            "only if they may go there: add `{host}` to `sensitive: {{hosts: […]}}` in `{}`",
            plain(&file.display().to_string())
        )),
        None => fault.help("name a file with your configuration with `CLUE_CONFIG`"),
    }
}

/// Where the sensitive records of a stage come from: stages, with the files they read, or those
/// of them that the configuration calls sensitive.
fn origins(pipe: &Pipe, stage: usize, config: &Config) -> String {
    let mut seen = vec![false; pipe.stages.len()];
    let mut open = vec![stage];
    while let Some(at) = open.pop() {
        if pipe.stages[at].sensitive && !std::mem::replace(&mut seen[at], true) {
            open.extend(pipe.stages[at].sources());
        }
    }
    let first = |at: &usize| {
        let mut sources = pipe.stages[*at].sources();
        seen[*at] && !sources.any(|from| pipe.stages[from].sensitive)
    };
    let marked = Marked::of(config);
    let told: Vec<String> = (0..pipe.stages.len())
        .filter(first)
        .map(|at| {
            let stage = &pipe.stages[at];
            let mut all = files(pipe, at);
            if all.iter().any(|file| marked.holds(file)) {
                all.retain(|file| marked.holds(file));
            }
            let files: Vec<String> = all
                .iter()
                .filter_map(|file| file.file_name())
                .map(|name| plain(&name.to_string_lossy()))
                .collect();
            let name = plain(&stage.spec.name.value);
            if files.is_empty() {
                format!("`{name}`")
            } else {
                format!("`{name}` ({})", files.join(", "))
            }
        })
        .collect();
    told.join(", ")
}

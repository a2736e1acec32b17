//! What most commands begin with: a pipeline file that is read and checked, and its cache.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use super::consent::config;
use super::err;
use crate::diag::{Diagnostic, Sources};
use crate::engine::pipe::{Folders, Pipe, understand};
use crate::metrics::METRICS;
use crate::model::spec::ModelSpec;
use crate::spec::pipeline::Overrides;
use crate::spec::{Shapes, load};
use crate::stages::VERBS;
use crate::trust::sensitive::mark;

use super::codes::BAD_INPUT;

/// The pipeline and where everything is.
#[derive(Clone, clap::Args)]
pub struct Common {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub settings: Settings,
}

/// A run's params and folders.
#[derive(Clone, clap::Args)]
pub struct Settings {
    /// Set a param; may be given several times
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub params: Vec<(String, String)>,
    /// Read params from a YAML or JSON file
    #[arg(long = "params", value_name = "FILE")]
    pub params_files: Vec<PathBuf>,
    /// Where outputs go [default: out/NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The cache
    #[arg(long, value_name = "DIR", env = "CLUE_STORE", default_value = ".clue")]
    pub store: PathBuf,
    /// A folder whose files replace those in `prompts/`; may be given several times
    #[arg(long, value_name = "DIR")]
    pub prompts: Vec<PathBuf>,
}

/// Reads `NAME=VALUE`.
///
/// # Errors
/// It is none.
pub fn param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// The shapes that the language checks files against.
pub fn shapes() -> Shapes {
    Shapes::new(
        VERBS.iter().map(|verb| (verb.name, verb.schema)),
        |generator| generator.subschema_for::<ModelSpec>(),
    )
}

/// The shapes of metrics' options, as if they were verbs.
pub fn metric_shapes() -> Shapes {
    Shapes::new(
        METRICS.iter().map(|metric| (metric.name, metric.schema)),
        // They know no models.
        |generator| generator.subschema_for::<bool>(),
    )
}

impl Common {
    /// Reads and checks the pipeline; faults are printed.
    ///
    /// # Errors
    /// The exit code.
    pub fn pipe(&self) -> Result<Pipe, ExitCode> {
        self.pipe_with(&BTreeMap::new())
    }

    /// As [`Common::pipe`], for those who go on without one.
    ///
    /// # Errors
    /// The files that were read, as far as there are any.
    pub fn tried(&self) -> Result<Pipe, Sources> {
        self.made(&BTreeMap::new()).map_err(|(_, sources)| sources)
    }

    /// As [`Common::pipe`], with these values of params where the command line has no other: by
    /// lower-case name, as text. Names that the pipeline does not have are no fault.
    ///
    /// # Errors
    /// The exit code.
    pub fn pipe_with(&self, params: &BTreeMap<String, String>) -> Result<Pipe, ExitCode> {
        self.made(params).map_err(|(code, _)| code)
    }

    /// Reads and understands the pipeline; tells what is wrong with it.
    fn made(&self, params: &BTreeMap<String, String>) -> Result<Pipe, (ExitCode, Sources)> {
        let settings = &self.settings;
        let config = config().map_err(|code| (code, Sources::default()))?;
        let mut overrides = settings.overrides();
        overrides.env.extend(params.clone());
        overrides.allowed.extend(config.paths.clone());
        let loaded = load(&self.file, &overrides, &shapes());
        let Some(pipeline) = loaded.pipeline else {
            return Err((bad(&loaded.faults, &loaded.sources), loaded.sources));
        };
        let folders = Folders {
            out: settings
                .out
                .clone()
                .unwrap_or_else(|| PathBuf::from("out").join(&pipeline.name)),
            temp: settings.temp(),
            prompts: settings.prompts.clone(),
        };
        let mut pipe = understand(pipeline, folders, loaded.faults)
            .map_err(|(faults, sources)| (bad(&faults, &sources), sources))?;
        mark(&mut pipe, &config);
        Ok(pipe)
    }
}

impl Settings {
    /// Temporary files lie in the cache: on the same disk, with the same rights.
    fn temp(&self) -> PathBuf {
        let inside = self.store.join("tmp");
        if inside.is_dir() || !self.store.exists() {
            inside
        } else {
            std::env::temp_dir()
        }
    }

    fn overrides(&self) -> Overrides {
        const PREFIX: &str = "CLUE_PARAM_";
        let env: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_lowercase(), value)))
            .collect();
        Overrides {
            params: self.params.clone(),
            params_files: self.params_files.clone(),
            sections: Vec::new(),
            env,
            allowed: [self.prompts.clone(), self.out.iter().cloned().collect()].concat(),
        }
    }
}

/// Prints faults and their number: bad input.
pub fn bad(faults: &[Diagnostic], sources: &Sources) -> ExitCode {
    let color = color();
    for fault in faults {
        err(&format!("{}\n\n", fault.render(sources, color)));
    }
    if faults.len() > 1 {
        err(&format!("{} faults\n", faults.len()));
    }
    ExitCode::from(BAD_INPUT)
}

/// Prints one fault that is about no place in a file.
pub fn refuse(fault: &Diagnostic) -> ExitCode {
    bad(std::slice::from_ref(fault), &Sources::default())
}

/// True when standard error takes colours.
pub fn color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

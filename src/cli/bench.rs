//! `clue bench`: a suite of tasks for some models, told by flags that name them. Sugar: it ends
//! in `clue run` of a pipeline with the params `models`, `tasks` and `limit`, and knows no task.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use reqwest::Url;
use serde_json::{Value as Json, json};

use super::executor::Where;
use super::how::{self, How};
use super::run;
use super::session::{Common, Settings, refuse};
use super::{around, err};
use crate::diag::Diagnostic;

/// The variable that holds the servers' token.
const TOKEN: &str = "CLUE_TOKEN";
/// Where the suite is, in this folder or one around it.
const SUITE: &str = "pipelines/clue.yaml";

/// Arguments of `clue bench`. Names with underscores are understood too.
#[derive(clap::Args)]
#[command(after_help = "\
Without `--model-is-instruct` the model is a base model: it goes on from plain text. Without
`--model-has-system` the system prompt is put before the first user turn. Both hold for every
model that `--model-id` names; models that differ are listed in a file, with `--models`.")]
pub struct Args {
    /// Address of the model's OpenAI-compatible server; one for all models, or one for each
    #[arg(long, alias = "model_address", value_name = "URL")]
    model_address: Vec<String>,
    /// The model's name on its server; may be given several times
    #[arg(
        long,
        alias = "model_id",
        value_name = "ID",
        required_unless_present = "models"
    )]
    model_id: Vec<String>,
    /// The model knows a system prompt
    #[arg(long, alias = "model_has_system", value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", default_value = "false",
          hide_default_value = true, hide_possible_values = true, value_parser = flag)]
    model_has_system: bool,
    /// The model is made for chats
    #[arg(long, alias = "model_is_instruct", value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", default_value = "false",
          hide_default_value = true, hide_possible_values = true, value_parser = flag)]
    model_is_instruct: bool,
    /// A YAML file with a list of models, each as under `models:` in a pipeline
    #[arg(long, value_name = "FILE")]
    models: Option<PathBuf>,
    /// Where results go [default: out/NAME]
    #[arg(long, alias = "log_path", value_name = "DIR", conflicts_with = "out")]
    log_path: Option<PathBuf>,
    /// The servers' token; better set as CLUE_TOKEN, which no list of processes shows
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Only these tasks
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    tasks: Vec<String>,
    /// At most so many cases of each task
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The pipeline with the tasks [default: pipelines/clue.yaml, here or in a folder around]
    #[arg(long, alias = "suite", value_name = "FILE")]
    pipeline: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    place: Where,
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("expected `true` or `false`".to_owned()),
    }
}

/// Runs the suite.
pub fn bench(args: Args) -> ExitCode {
    if let Some(token) = &args.token {
        return again(token);
    }
    match run_of(args) {
        Ok(args) => run::run(&args),
        Err(fault) => refuse(&fault),
    }
}

/// Starts this program anew with the token in its environment: what is read from there by name
/// is neither in the pipeline nor in the list of processes.
fn again(token: &str) -> ExitCode {
    let mut rest = Vec::new();
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        if word == "--token" {
            words.next();
        } else if !word.to_string_lossy().starts_with("--token=") {
            rest.push(word);
        }
    }
    let error = match std::env::current_exe() {
        Ok(program) => Command::new(program).args(rest).env(TOKEN, token).exec(),
        Err(error) => error,
    };
    refuse(
        &Diagnostic::error(format!("cannot start: {error}"))
            .help(format!("set `{TOKEN}` instead of `--token`")),
    )
}

/// The same as arguments of `clue run`.
fn run_of(args: Args) -> Result<how::Args, Diagnostic> {
    let mut models = named(&args)?;
    if let Some(path) = &args.models {
        models.extend(listed(path)?);
    }
    let mut settings = args.settings;
    let mut set =
        |name: &str, value: Json| settings.params.push((name.to_owned(), value.to_string()));
    set("models", Json::from(models));
    if !args.tasks.is_empty() {
        set("tasks", Json::from(args.tasks));
    }
    if let Some(limit) = args.limit {
        set("limit", Json::from(limit));
    }
    settings.out = args.log_path.or(settings.out);
    let file = match args.pipeline {
        Some(file) => file,
        None => around::find(SUITE, "--pipeline")?,
    };
    Ok(how::Args {
        common: Common { file, settings },
        how: args.how,
        place: args.place,
    })
}

/// The models that flags name.
fn named(args: &Args) -> Result<Vec<Json>, Diagnostic> {
    let (ids, addresses) = (&args.model_id, &args.model_address);
    if ids.is_empty() && !addresses.is_empty() {
        return Err(Diagnostic::error("`--model-address` without `--model-id`")
            .help("say which model to ask for there"));
    }
    if !ids.is_empty() && addresses.len() != 1 && addresses.len() != ids.len() {
        return Err(Diagnostic::error(format!(
            "{} models and {} addresses",
            ids.len(),
            addresses.len()
        ))
        .help("give `--model-address` once for all models, or once for each"));
    }
    if !ids.is_empty() && !args.model_is_instruct {
        err("without `--model-is-instruct`: asked as base models, in plain text\n");
    }
    let key = std::env::var_os(TOKEN).map(|_| TOKEN);
    let of = |(at, id): (usize, &String)| {
        let url = addresses.get(at).or(addresses.first());
        let mut model = json!({
            "id": id,
            "url": url.map(|url| base(url)),
            "instruct": args.model_is_instruct,
            "system": if args.model_has_system { "native" } else { "merge" },
        });
        if let Some(key) = key {
            model["key_env"] = key.into();
        }
        model
    };
    Ok(ids.iter().enumerate().map(of).collect())
}

/// The API of a server that is named by host and port alone is under `/v1`.
fn base(url: &str) -> String {
    match Url::parse(url) {
        Ok(parsed) if parsed.path() == "/" && parsed.has_host() => {
            format!("{}/v1", url.trim_end_matches('/'))
        }
        _ => url.to_owned(),
    }
}

/// The models that a file lists.
fn listed(path: &Path) -> Result<Vec<Json>, Diagnostic> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Diagnostic::error(format!("cannot read `{}`: {error}", path.display())))?;
    serde_yaml::from_str(&text).map_err(|error| {
        Diagnostic::error(format!(
            "`{}` is no list of models: {error}",
            path.display()
        ))
        .help("list them as `- {id: NAME, url: ADDRESS}`")
    })
}

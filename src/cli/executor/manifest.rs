//! `clue run --executor k8s --dry-run`: prints what Kubernetes is to run.

use std::process::ExitCode;
use std::sync::Arc;

use super::waves::Waves;
use super::words;
use crate::cli::how::Args;
use crate::cli::out;
use crate::cli::run::consented;
use crate::cluster::k8s::{About, jobs, yaml};
use crate::cluster::profile::K8s;
use crate::cluster::script::{Word, shell};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;

/// Prints the manifest.
///
/// # Errors
/// The profile or the flags do not say enough.
pub fn print(args: &Args, pipe: &Arc<Pipe>, profile: &K8s) -> Result<ExitCode, Box<Diagnostic>> {
    if !args.place.dry_run {
        let fault = Diagnostic::error("`--executor k8s` runs nothing by itself");
        let help = "print what to run with `--dry-run`, and give that to `kubectl apply -f -`";
        return Err(Box::new(fault.help(help)));
    }
    let Some(image) = &profile.image else {
        let fault = Diagnostic::error("no image to run in Kubernetes");
        let help = "name one in a profile: `k8s: {image: registry.example/clue:1}`";
        return Err(Box::new(fault.help(help)));
    };
    let waves = Waves { args, pipe };
    let (_, survey) = waves.survey()?;
    let needs = match consented(args, pipe, &survey, true) {
        Ok(needs) => needs,
        Err(code) => return Ok(code),
    };
    let mut command: Vec<Word> = words::run(args, &profile.program);
    command.extend(words::resources(args.how.resources.iter().cloned()));
    command.push("--json".into());
    if !needs.is_empty() {
        // Pods have nobody to ask, and no memory of what was agreed to here.
        command.push("--yes".into());
    }
    let command: Vec<String> = command
        .into_iter()
        .filter_map(|word| match word {
            Word::Text(text) => Some(text),
            Word::Share(_) => None,
        })
        .collect();
    let tokens = pipe
        .models
        .values()
        .filter_map(|model| model.key_env.clone());
    let mut tokens: Vec<String> = tokens.collect();
    tokens.sort();
    tokens.dedup();
    let params = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("CLUE_PARAM_"));
    let params: Vec<(String, String)> = params.collect();
    let served = pipe
        .models
        .values()
        .filter_map(|model| model.serve.as_ref());
    let gpus = served.filter_map(|serve| serve.resources.get("gpu"));
    let about = About {
        pipeline: &pipe.pipeline.name,
        waves: waves.expected()?,
        shards: args.place.shards.unwrap_or(profile.shards()),
        words: &command,
        params: &params,
        tokens: &tokens,
        gpus: gpus.fold(0.0_f64, |most, amount| most.max(*amount)).ceil() as u32,
    };
    let jobs = jobs(profile, image, &about);
    out(&head(&jobs, profile));
    out(&yaml(&jobs));
    Ok(ExitCode::SUCCESS)
}

/// How to use it, as comments.
fn head(jobs: &[serde_json::Value], profile: &K8s) -> String {
    let names = jobs
        .iter()
        .filter_map(|job| job["metadata"]["name"].as_str());
    let names: Vec<&str> = names.collect();
    let mut text = format!(
        "# Written by clue. The claim `{}` must hold the project in `{}`, and the secret `{}` the\n\
         # tokens that models need. Once a job is complete, let the next one begin:\n",
        profile.claim.value, profile.folder.value, profile.secret.value
    );
    let space = profile.namespace.as_ref();
    let space = space.map_or(String::new(), |space| format!(" -n {}", shell(space)));
    for pair in names.windows(2) {
        text.push_str(&format!(
            "#   kubectl wait{space} --for=condition=complete --timeout=-1s job/{} &&\n\
             #   kubectl patch{space} job/{} -p '{{\"spec\":{{\"suspend\":false}}}}'\n",
            pair[0], pair[1]
        ));
    }
    text
}

//! `clue trust`: shows what a pipeline would do beyond computing, and remembers that the user
//! allows it.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::ask::{Unasked, can_ask, line};
use super::codes::{BAD_INPUT, INTERRUPTED, REFUSED};
use super::consent::{config, refuse};
use super::ends::Ends;
use super::session::{Common, Settings, refuse as bad_usage};
use super::{err, out};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::model::reach::is_loopback;
use crate::text::visible::{plain, quoted};
use crate::trust::gather::of_all;
use crate::trust::memory::Memory;
use crate::trust::need::{first_of, render};
use crate::trust::sensitive::{self, Asks};

/// Arguments of `clue trust`.
#[derive(clap::Args)]
#[command(after_help = "\
What is allowed is remembered by its content: a changed command, variable, script or host is
asked for anew; a changed prompt is not. Sensitive records go only to machines that your own
configuration names, whatever is allowed here.")]
pub struct Args {
    /// The pipeline file
    #[arg(value_name = "PIPELINE", required_unless_present_any = ["list", "all"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Allow it without asking
    #[arg(long)]
    yes: bool,
    /// List what is allowed, of all pipelines
    #[arg(long, conflicts_with_all = ["file", "yes", "forget"])]
    list: bool,
    /// Forget what is allowed of this pipeline, or with `--all` of all
    #[arg(long, conflicts_with = "yes")]
    forget: bool,
    /// With `--forget`: of all pipelines
    #[arg(long, requires = "forget", conflicts_with = "file")]
    all: bool,
}

/// Runs the command.
pub fn trust(args: Args) -> ExitCode {
    let memory = Memory::of_user();
    if args.list {
        out(&list(&memory));
        return ExitCode::SUCCESS;
    }
    let done = match args.file {
        Some(file) if args.forget => forget(&memory, &file),
        Some(file) => {
            let common = Common {
                file,
                settings: args.settings,
            };
            return show(&common, &memory, args.yes);
        }
        None => memory
            .forget_all()
            .map(|n| format!("forgotten: {n} pipelines\n")),
    };
    match done {
        Ok(text) => {
            out(&text);
            ExitCode::SUCCESS
        }
        Err(fault) => bad_usage(&fault),
    }
}

fn list(memory: &Memory) -> String {
    let mut text = String::new();
    for agreed in memory.all() {
        let _ = writeln!(text, "{}", quoted(&agreed.pipeline.display().to_string()));
        for line in agreed.needs.values().flat_map(|shown| shown.lines()) {
            let _ = writeln!(text, "  {}", plain(line));
        }
    }
    if text.is_empty() {
        text.push_str("no pipeline is allowed anything\n");
    }
    text
}

fn forget(memory: &Memory, file: &std::path::Path) -> Result<String, Diagnostic> {
    let shown = quoted(&file.display().to_string());
    Ok(if memory.forget(file)? {
        format!("forgotten: {shown}\n")
    } else {
        format!("{shown} was not allowed anything\n")
    })
}

fn show(common: &Common, memory: &Memory, yes: bool) -> ExitCode {
    match shown(common, memory, yes) {
        Ok(code) | Err(code) => code,
    }
}

fn shown(common: &Common, memory: &Memory, yes: bool) -> Result<ExitCode, ExitCode> {
    let pipe = common.pipe()?;
    let config = config()?;
    let needs = of_all(&pipe);
    let asked = sensitive::asked(&pipe, 0..pipe.stages.len(), &config);
    let file = quoted(&common.file.display().to_string());
    if needs.is_empty() {
        out(&format!(
            "`{file}` runs no program and sends nothing to another machine\n"
        ));
    } else {
        out(&format!("`{file}` would\n{}", render(&needs)));
    }
    out(&ways(&pipe, &asked));
    refuse(&pipe, &sensitive::refused(&pipe, &asked, &config))?;
    let open = memory.of(&common.file).open(needs.clone());
    if open.is_empty() {
        if !needs.is_empty() {
            out("you have allowed all of it\n");
        }
        return Ok(ExitCode::SUCCESS);
    }
    if open.len() < needs.len() {
        out(&format!("of that you have not allowed\n{}", render(&open)));
    }
    if !yes && !answer()? {
        err("not allowed\n");
        return Ok(ExitCode::from(REFUSED));
    }
    // All of it, so that what the list tells is what was shown.
    memory
        .add(&common.file, &needs)
        .map_err(|fault| bad_usage(&fault))?;
    out("allowed, until it changes\n");
    Ok(ExitCode::SUCCESS)
}

/// Where sensitive records would go, for the user to see.
fn ways(pipe: &Pipe, asked: &[Asks]) -> String {
    if asked.is_empty() {
        return String::new();
    }
    let mut text = "sensitive records would go to\n".to_owned();
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for asks in asked {
        let host = plain(&asks.way.host);
        let stage = plain(&pipe.stages[asks.stage].spec.name.value);
        let way = match &asks.way.proxy {
            Some(proxy) => format!("`{host}` through the proxy `{}`", plain(proxy)),
            None if is_loopback(&host) => format!("`{host}`, this machine"),
            None => format!("`{host}`"),
        };
        let stage = format!("stage `{stage}`");
        match lines.iter_mut().find(|(known, _)| *known == way) {
            Some((_, stages)) => stages.push(stage),
            None => lines.push((way, vec![stage])),
        }
    }
    for (way, stages) in lines {
        let _ = writeln!(text, "  {way}   ({})", first_of(&stages));
    }
    text
}

/// Asks whether all that was shown is allowed.
fn answer() -> Result<bool, ExitCode> {
    if !can_ask() {
        err("there is no terminal to ask at; say so with `--yes`\n");
        return Err(ExitCode::from(REFUSED));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| ExitCode::from(BAD_INPUT))?;
    let told = runtime.block_on(async {
        let mut ends = Ends::listen().map_err(|_| Unasked::Nothing)?;
        line("allow it? [y/N] ", &mut ends).await
    });
    // A read that never returns must not keep the program from ending.
    runtime.shutdown_background();
    match told {
        Ok(text) => Ok(matches!(text.trim().to_lowercase().as_str(), "y" | "yes")),
        Err(Unasked::Interrupted) => Err(ExitCode::from(INTERRUPTED)),
        Err(Unasked::Nothing) => Ok(false),
    }
}

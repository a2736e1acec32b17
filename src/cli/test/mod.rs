//! `clue test`: pipelines on a few records, with answers that are given. Needs no server, no
//! network and no cache, and leaves nothing behind.

mod came;
mod case;
mod compare;
pub mod file;
mod find;
mod inputs;
mod known;
mod play;
mod stop;
mod update;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;

use super::codes::{BAD_INPUT, FAILED, INTERRUPTED, REFUSED};
use super::consent::config;
use super::session::refuse;
use super::{err, out};
use crate::diag::Diagnostic;
use crate::report::words::{count, time};
use case::Case;
use play::{May, Played, Unplayed, play, rendered};
use stop::Stop;

/// Arguments of `clue test`.
#[derive(clap::Args)]
#[command(after_help = "\
A test file names a pipeline, a few records, what models answer (by rule, or from a cassette by
`clue record`), and what must come of it; `clue schema --test` prints its schema. Exit codes: 0 all
passed, 1 some failed, 2 a file is at fault, 3 a test needs consent, to start a program or to read a
file outside of its pipeline's project, 130 interrupted.")]
pub struct Args {
    /// Test files, or folders with files named *.test.yaml
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Take what comes as what is expected: in files, and values in test files
    #[arg(long)]
    update: bool,
    /// With `--update`: take also what comes from data marked `sensitive`
    #[arg(long, requires = "update")]
    include_sensitive: bool,
    /// Allow the programs and files that the pipelines name
    #[arg(long)]
    yes: bool,
    /// Tell it as JSON lines
    #[arg(long)]
    json: bool,
}

/// Tests of one kind.
#[derive(Default)]
struct Counts {
    passed: u64,
    updated: u64,
    failed: u64,
    bad: u64,
    refused: u64,
}

/// Runs the tests.
pub fn test(args: &Args) -> ExitCode {
    match tested(args) {
        Ok(code) => code,
        Err(fault) => refuse(&fault),
    }
}

fn tested(args: &Args) -> Result<ExitCode, Diagnostic> {
    let found = find::find(&args.paths)?;
    if found.is_empty() {
        let paths = args
            .paths
            .iter()
            .map(|path| format!("`{}`", path.display()));
        let paths = paths.collect::<Vec<_>>().join(", ");
        let fault = Diagnostic::error(format!("no tests in {paths}"));
        return Err(fault.help("tests are files named `NAME.test.yaml`"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Diagnostic::error(format!("cannot start: {error}")))?;
    let config = match config() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let stop = Stop::listen(&runtime)
        .map_err(|error| Diagnostic::error(format!("cannot listen to signals: {error}")))?;
    let may = May {
        run: args.yes,
        update: args.update,
        include_sensitive: args.include_sensitive,
        config,
        stop: stop.clone(),
    };
    let start = Instant::now();
    let mut counts = Counts::default();
    for path in &found {
        if stop.is_raised() {
            break;
        }
        let start = Instant::now();
        let played = match Case::read(path) {
            Ok(case) => play(&case, &may, &runtime),
            Err((faults, sources)) => Err(Unplayed::Bad(rendered(&faults, &sources))),
        };
        if matches!(played, Err(Unplayed::Stopped)) {
            break;
        }
        let seconds = start.elapsed();
        let (word, lines) = counts.add(played);
        if args.json {
            let told = json!({
                "event": "test",
                "test": path,
                "result": word,
                "seconds": seconds.as_secs_f64(),
                "told": lines,
            });
            out(&format!("{told}\n"));
        } else {
            told(path, word, &lines, &time(seconds));
        }
    }
    let stopped = stop.is_raised();
    let code = if stopped { INTERRUPTED } else { counts.code() };
    if args.json {
        let told = json!({
            "event": "end",
            "seconds": start.elapsed().as_secs_f64(),
            "passed": counts.passed,
            "updated": counts.updated,
            "failed": counts.failed,
            "at_fault": counts.bad,
            "refused": counts.refused,
            "interrupted": stopped,
        });
        out(&format!("{told}\n"));
    } else {
        let took = time(start.elapsed());
        out(&format!("{}, in {took}\n", counts.text()));
    }
    if counts.refused > 0 && !args.json {
        err(
            "tests need your consent for what they would do: say so with `--yes`, or once and for \
             all with `clue trust PIPELINE`\n",
        );
    }
    if stopped {
        err("interrupted\n");
    }
    // A blocking read that never returns must not keep the program from ending.
    runtime.shutdown_background();
    Ok(ExitCode::from(code))
}

fn told(path: &Path, word: &str, lines: &[String], took: &str) {
    let mut text = format!("{word:<8} {} ({took})\n", path.display());
    for line in lines.iter().flat_map(|told| told.lines()) {
        // White space at the end may be the difference.
        let indent = if line.is_empty() { "" } else { "    " };
        text.push_str(&format!("{indent}{line}\n"));
    }
    out(&text);
}

impl Counts {
    /// Counts a test: the word for it, and what is told of it.
    fn add(&mut self, played: Result<Played, Unplayed>) -> (&'static str, Vec<String>) {
        match played {
            Ok(Played { wrong, updated }) if wrong.is_empty() => {
                if updated.is_empty() {
                    self.passed += 1;
                    return ("passed", Vec::new());
                }
                self.updated += 1;
                ("updated", vec![format!("updated: {}", updated.join(", "))])
            }
            Ok(Played { mut wrong, updated }) => {
                self.failed += 1;
                if !updated.is_empty() {
                    wrong.push(format!("updated: {}", updated.join(", ")));
                }
                ("FAILED", wrong)
            }
            Err(Unplayed::Bad(told)) => {
                self.bad += 1;
                ("AT FAULT", vec![told])
            }
            Err(Unplayed::Refused(needs)) => {
                self.refused += 1;
                ("REFUSED", vec![format!("this test would\n{needs}")])
            }
            // Told for all of them.
            Err(Unplayed::Stopped) => ("STOPPED", Vec::new()),
        }
    }

    fn code(&self) -> u8 {
        match self {
            Counts { bad: 1.., .. } => BAD_INPUT,
            Counts { refused: 1.., .. } => REFUSED,
            Counts { failed: 1.., .. } => FAILED,
            _ => 0,
        }
    }

    fn text(&self) -> String {
        let all = self.passed + self.updated + self.failed + self.bad + self.refused;
        let parts = [
            (self.passed, "passed"),
            (self.updated, "updated"),
            (self.failed, "failed"),
            (self.bad, "at fault"),
            (self.refused, "refused"),
        ];
        let parts = parts.iter().filter(|(n, word)| *n > 0 || *word == "passed");
        let parts: Vec<String> = parts.map(|(n, word)| format!("{n} {word}")).collect();
        format!("{}: {}", count(all, "test"), parts.join(", "))
    }
}

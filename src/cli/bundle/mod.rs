//! `clue bundle`: one file with a pipeline, what a run of it was made of and what came out, as
//! much of it as may leave. Asks nobody: calls come from the cache.

mod leaving;
mod played;
mod scanned;
mod told;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::codes::REFUSED;
use super::consent::config;
use super::free::free;
use super::locked::{Facts, facts};
use super::session::{Common, bad, refuse};
use super::when::when;
use super::{err, warn};
use crate::diag::Diagnostic;
use crate::engine::history::{params, runs};
use crate::engine::keep::OutFile;
use crate::engine::pipe::Pipe;
use crate::engine::survey::{Survey, Wanted, survey};
use crate::share::bundle::archive;
use crate::share::bundle::manifest::{Level, Manifest};
use crate::share::bundle::salt::Salt;
use crate::share::bundle::{look, used};
use crate::share::gather;
use crate::share::lock::Lock;
use crate::store::Store;
use crate::trust::config::Config;
use crate::trust::outputs::outside;
use crate::trust::sensitive::{Origin, origins_of};

use leaving::Leaving;

/// Arguments of `clue bundle`.
#[derive(clap::Args)]
#[command(after_help = "\
Levels: `open` has everything, `no-inputs` no sensitive records and nothing that is made of single
ones (salted hashes stand for them), `code-only` the pipeline's files and hashes. Without `--level`
it is `no-inputs` if some data is marked `sensitive`, by the pipeline or by your configuration.
Exit codes: 0 written; 2 bad input, or the run is not complete; 3 refused, since words of sensitive
records would leave.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The bundle [default: NAME.clue.tar.zst]
    #[arg(short = 'o', long = "bundle", value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// How much leaves
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// With `--level open`: sensitive records, too, with all that is made of them
    #[arg(long)]
    include_sensitive: bool,
    /// An output file that goes in; may be given several times [default: all]
    #[arg(long = "output", value_name = "NAME")]
    outputs: Vec<String>,
    /// Larger files are left out, and known by their hashes
    #[arg(long, value_name = "SIZE", default_value = "100MB", value_parser = bytes_of)]
    max_file: u64,
    /// A file, or a file or folder of the bundle, that may hold words that sensitive records hold
    /// too; may be given several times
    #[arg(long = "allow-file", value_name = "FILE")]
    allow: Vec<PathBuf>,
    /// The day of the run, as the bundle tells other programs [default: of its end, in UTC]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    date: Option<String>,
    /// Also if the cache lacks calls or outputs of the run
    #[arg(long)]
    partial: bool,
    /// Show what would leave, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// A size such as `100MB`, in decimal units.
pub fn bytes_of(text: &str) -> Result<u64, String> {
    let wrong = || "expected a size such as 500kB, 100MB or 2GB".to_owned();
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match unit.trim().to_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

/// A day as ISO 8601 has it.
fn day(text: &str) -> Result<String, String> {
    let form = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let parts = part(0, 4).zip(part(5, 7)).zip(part(8, 10));
    let is_day = parts.is_some_and(|((year, month), day)| (1..=days(year, month)).contains(&day));
    if form && text.len() == 10 && is_day {
        Ok(text.to_owned())
    } else {
        Err("expected a day such as 2026-01-31".to_owned())
    }
}

/// How many days a month has; none if there is no such month.
fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// The day on which the last run with these params ended, if the cache knows.
fn last_day(source: &Source<'_>) -> Option<String> {
    let now: BTreeMap<_, _> = params(source.pipe).collect();
    let mut runs = runs(&source.store, source.pipe).into_iter();
    let run = runs.find(|run| run.params == now && !run.stints.is_empty())?;
    let facts = run.facts?;
    let ended = facts.began + (facts.took.unwrap_or(0.0) * 1000.0) as u64;
    Some(when(ended).chars().take(10).collect())
}

/// What a bundle is made of.
struct Source<'a> {
    args: &'a Args,
    pipe: &'a Arc<Pipe>,
    survey: Survey,
    store: Store,
    lock: Lock,
    origins: Vec<Origin>,
    level: Level,
    /// The file's name.
    name: String,
}

impl Source<'_> {
    /// True if records of a stage must not leave.
    fn hides(&self, stage: usize) -> bool {
        self.pipe.stages[stage].sensitive && self.level != Level::Open
    }

    /// A stage's name.
    fn stage(&self, at: usize) -> &str {
        &self.pipe.stages[at].spec.name.value
    }
}

/// Makes a bundle.
pub fn bundle(args: &Args) -> ExitCode {
    let config = match config() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let pipe = match args.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    match bundled(args, &pipe, &config) {
        Ok(code) => code,
        Err(faults) => bad(&faults, &pipe.pipeline.sources),
    }
}

fn bundled(args: &Args, pipe: &Arc<Pipe>, config: &Config) -> Result<ExitCode, Vec<Diagnostic>> {
    let one = |fault: Diagnostic| vec![fault];
    let origins = origins_of(pipe, config);
    let level = match level(args, &origins) {
        Ok(level) => level,
        Err(code) => return Ok(code),
    };
    let target = args.bundle.clone().unwrap_or_else(|| default_name(pipe));
    let faults = outside(pipe, args.common.settings.out.is_some());
    if !faults.is_empty() {
        return Err(faults);
    }
    let target = free(pipe, &args.common.settings, &target).map_err(one)?;
    let store = Store::open_read(&args.common.settings.store).map_err(one)?;
    let survey = survey(pipe, &store, &Wanted::default()).map_err(one)?;
    let served = gather::served(&store);
    let settings = &args.common.settings;
    let lock = facts(settings, pipe, &survey, &store, &Facts::Counted(&served)).map_err(one)?;
    let file = target.file_name().unwrap_or_default();
    let source = Source {
        args,
        pipe,
        survey,
        store,
        lock,
        origins,
        level,
        name: file.to_string_lossy().into_owned(),
    };
    let leaving = match made(&source).map_err(one)? {
        Ok(leaving) => leaving,
        Err(code) => return Ok(code),
    };
    let hits = match level {
        Level::Open => scanned::Found::default(),
        _ if source.origins.is_empty() => scanned::Found::default(),
        _ => scanned::scan(&source, &leaving).map_err(one)?,
    };
    warn(&source.store);
    if args.dry_run {
        told::dry(&source, &leaving, &hits);
    }
    if !hits.places.is_empty() {
        told::refused(args, &hits);
        return Ok(ExitCode::from(REFUSED));
    }
    if !args.dry_run {
        let (manifest, bytes) = write(&target, leaving).map_err(one)?;
        let shown = args.bundle.clone().unwrap_or_else(|| default_name(pipe));
        told::written(args, &shown, &manifest, bytes, &hits);
    }
    Ok(ExitCode::SUCCESS)
}

/// How much leaves.
fn level(args: &Args, origins: &[Origin]) -> Result<Level, ExitCode> {
    let level = args.level.unwrap_or(match origins.is_empty() {
        true => Level::Open,
        false => Level::NoInputs,
    });
    if args.include_sensitive && level != Level::Open {
        let fault = Diagnostic::error("`--include-sensitive` goes with `--level open` alone");
        return Err(refuse(&fault));
    }
    if level == Level::Open && !origins.is_empty() && !args.include_sensitive {
        err(
            "an open bundle would hold sensitive records, with prompts, answers and outputs about \
             them\nif all of it may leave, say so with `--include-sensitive`; `--level no-inputs` \
             leaves it out\n",
        );
        return Err(ExitCode::from(REFUSED));
    }
    Ok(level)
}

fn default_name(pipe: &Pipe) -> PathBuf {
    let plain = |c: char| {
        if c.is_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = pipe.pipeline.name.chars().map(plain).collect();
    let name = name.trim_start_matches('.');
    PathBuf::from(format!("{name}.clue.tar.zst"))
}

/// Everything that would leave, or the exit code when it was told why it must not.
fn made(source: &Source<'_>) -> Result<Result<Leaving, ExitCode>, Diagnostic> {
    let files: Vec<PathBuf> = source
        .origins
        .iter()
        .flat_map(|o| o.files.clone())
        .collect();
    let all = used::used(
        source.pipe,
        &source.survey,
        &source.lock,
        &files,
        &source.args.common.settings.params_files,
    )?;
    let mut leaving = Leaving::begin(source, &all)?;
    if source.level != Level::CodeOnly {
        let salt = salt(source, &leaving)?;
        if let Err(code) = leaving.outputs(source)? {
            return Ok(Err(code));
        }
        played::play(source, salt, &mut leaving)?;
    } else {
        leaving.leave(
            "data, calls, outputs and the report",
            "the level is `code-only`",
        );
    }
    if !leaving.lacks.is_empty() && !source.args.partial {
        let fault = Diagnostic::error("the cache does not hold the whole run");
        let lacks = leaving.lacks.iter().cloned();
        let fault = lacks.fold(fault, Diagnostic::note);
        let file = source.pipe.pipeline.file.display();
        return Err(fault.help(format!(
            "run it with the same params (`clue run {file}`), or leave that out with `--partial`"
        )));
    }
    let day = source.args.date.clone().or_else(|| last_day(source));
    leaving.end(source, day)?;
    Ok(Ok(leaving))
}

/// The salt of hashes, if some are wanted: made of the sensitive files in their order.
fn salt(source: &Source<'_>, leaving: &Leaving) -> Result<Option<Salt>, Diagnostic> {
    if source.level != Level::NoInputs || source.origins.is_empty() {
        return Ok(None);
    }
    look::salt(leaving.sensitive.iter().map(PathBuf::as_path))
}

/// Writes the bundle; its manifest and its size.
fn write(target: &Path, leaving: Leaving) -> Result<(Manifest, u64), Diagnostic> {
    let mut file = Sink {
        file: OutFile::create(target)?,
        fault: None,
    };
    let (mut manifest, members) = leaving.members();
    let written = archive::write(&mut file, &mut manifest, &members);
    if let Some(fault) = file.fault.take() {
        return Err(fault);
    }
    written?;
    let (_, bytes) = file.file.finish()?;
    Ok((manifest, bytes))
}

/// A file of the user's as something to write to.
struct Sink {
    file: OutFile,
    fault: Option<Diagnostic>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(fault) => {
                self.fault = Some(fault);
                Err(io::Error::other("the bundle cannot be written"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read() {
        for text in ["2026-01-31", "2028-02-29", "2000-02-29", "2026-12-01"] {
            assert!(day(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "soon",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-01-32",
            "2026-02-31",
            "2026-02-29",
            "2100-02-29",
            "2026-04-31",
            "2026-1-1",
            "20260101xx",
            "2026-01-011",
        ] {
            assert!(day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("100MB", 100_000_000),
            ("2 gb", 2_000_000_000),
            ("500", 500),
            ("1k", 1000),
        ] {
            assert_eq!(bytes_of(text), Ok(bytes));
        }
        for text in [
            "",
            "MB",
            "1.5MB",
            "99999999999999999999",
            "99999999999TB",
            "-1",
        ] {
            assert!(bytes_of(text).is_err(), "{text}");
        }
    }
}

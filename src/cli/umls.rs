//! `clue umls`: the dictionary of concepts that the metric `concept_f1` needs, from the user's
//! own UMLS release.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use super::session::refuse;
use super::{err, out};
use crate::diag::Diagnostic;
use crate::metrics::concepts::build::{Built, Wanted, build, glance};
use crate::metrics::concepts::types::Types;
use crate::report::words::{count, size, thousands, time};

/// The commands.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Build a dictionary of concepts from MRCONSO.RRF and MRSTY.RRF, plain or gzipped
    Build(BuildArgs),
}

/// What to build, and from what.
#[derive(clap::Args)]
pub struct BuildArgs {
    /// MRCONSO.RRF, or the folder (META) with it and MRSTY.RRF; several become one dictionary
    #[arg(value_name = "PATH", required = true)]
    concepts: Vec<PathBuf>,
    /// The file of semantic types [default: MRSTY.RRF beside the first MRCONSO.RRF]
    #[arg(long, value_name = "FILE")]
    mrsty: Option<PathBuf>,
    /// Build without semantic types: they cannot be chosen later
    #[arg(long, conflicts_with_all = ["mrsty", "types"])]
    no_types: bool,
    /// Where the dictionary goes
    #[arg(long, value_name = "FILE", default_value = "umls.dict")]
    out: PathBuf,
    /// The language of names
    #[arg(long, value_name = "LAT", default_value = "ENG")]
    language: String,
    /// Only names from these sources, such as SNOMEDCT_US,MSH,RXNORM
    #[arg(long, value_name = "SAB", value_delimiter = ',')]
    sources: Vec<String>,
    /// Only concepts of these semantic types or groups, such as T047,T184,CHEM
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Take names, too, that UMLS marks as suppressible
    #[arg(long)]
    keep_suppressed: bool,
}

/// Runs a command.
pub fn umls(command: &Command) -> ExitCode {
    let Command::Build(args) = command;
    match built(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => refuse(&fault),
    }
}

fn built(args: &BuildArgs) -> Result<(), Diagnostic> {
    let started = Instant::now();
    let wanted = Wanted {
        language: args.language.clone(),
        sources: args.sources.clone(),
        types: Types::named(args.types.iter().map(String::as_str))?,
        keep_suppressed: args.keep_suppressed,
    };
    let concepts = args.concepts.iter().map(|path| file(path, "MRCONSO.RRF"));
    let concepts = concepts.collect::<Result<Vec<PathBuf>, Diagnostic>>()?;
    glance(&concepts)?;
    let types = types(args, &concepts)?;
    let live = io::stderr().is_terminal();
    let mut progress = |rows| {
        if live {
            err(&format!("\r{} rows read", thousands(rows)));
        }
    };
    let built = build(
        &concepts,
        types.as_deref(),
        &wanted,
        &args.out,
        &mut progress,
    );
    if live {
        let _ = io::stderr().write_all(b"\r\x1b[K");
    }
    summary(&built?, &args.out, started);
    Ok(())
}

/// The file itself, or the one of this name in a folder.
fn file(path: &Path, name: &str) -> Result<PathBuf, Diagnostic> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    within(path, name).ok_or_else(|| {
        let what = format!("the folder `{}` has no `{name}`", path.display());
        let fault = Diagnostic::error(what);
        match within(&path.join("META"), name) {
            Some(_) => fault.help(format!("name `{}`", path.join("META").display())),
            None => fault.help("name the folder META of a UMLS release, or the file itself"),
        }
    })
}

fn within(folder: &Path, name: &str) -> Option<PathBuf> {
    let files = [folder.join(name), folder.join(format!("{name}.gz"))];
    files.into_iter().find(|path| path.is_file())
}

/// The file of semantic types, unless there shall be none.
fn types(args: &BuildArgs, concepts: &[PathBuf]) -> Result<Option<PathBuf>, Diagnostic> {
    if args.no_types {
        return Ok(None);
    }
    if let Some(path) = &args.mrsty {
        return file(path, "MRSTY.RRF").map(Some);
    }
    let beside = concepts.first().and_then(|path| path.parent());
    let found = beside.and_then(|folder| within(folder, "MRSTY.RRF"));
    found.map(Some).ok_or_else(|| {
        let folder = beside.filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).display();
        Diagnostic::error(format!("no `MRSTY.RRF` in `{folder}`"))
            .help("name it with `--mrsty FILE`, or build with `--no-types`")
    })
}

fn summary(built: &Built, path: &Path, started: Instant) {
    let (head, counts) = (&built.head, &built.counts);
    let left_out = counts.left_out();
    let left_out = left_out
        .iter()
        .map(|(rows, why)| format!("{} {why}", thousands(*rows)));
    let left_out: Vec<String> = left_out.collect();
    out(&format!(
        "read: {} of names, {} of semantic types\nkept: {}\n",
        count(counts.rows, "row"),
        count(built.type_rows, "row"),
        count(counts.kept, "row"),
    ));
    if !left_out.is_empty() {
        out(&format!("left out: {}\n", left_out.join(", ")));
    }
    out(&format!(
        "written: {} ({} of {}, {}) in {}\n",
        path.display(),
        count(head.names, "name"),
        count(head.concepts, "concept"),
        size(built.size),
        time(started.elapsed())
    ));
}

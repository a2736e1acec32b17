//! `clue init`: a first pipeline to change, with its prompt, a few records, a test, and the
//! schema by which editors complete and explain it. Nothing that is there is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::session::{refuse, shapes};
use crate::cli::{err, out};
use crate::diag::Diagnostic;
use crate::engine::keep::OutFile;
use crate::spec::json_schema;

const PIPELINE: &str = include_str!("pipeline.yaml");
const PROMPT: &str = include_str!("prompt.j2");
const NOTES: &str = include_str!("notes.csv");
const TEST: &str = include_str!("test.yaml");
/// Keeps out of git what holds records, as the data do.
const IGNORED: &str = "/.clue/\n/out/\n";
const SCHEMA: &str = "clue.schema.json";
/// What stands for the pipeline's name in the files.
const NAME: &str = "{NAME}";

/// Arguments of `clue init`.
#[derive(clap::Args)]
pub struct Args {
    /// The folder, made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The pipeline's name [default: that of the folder]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Writes the files.
pub fn init(args: &Args) -> ExitCode {
    match written(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => refuse(&fault),
    }
}

fn written(args: &Args) -> Result<(), Diagnostic> {
    let name = match &args.name {
        Some(name) if *name == named(name) && !name.is_empty() => name.clone(),
        Some(name) => {
            let fault = Diagnostic::error(format!("`{name}` is no name for a pipeline"));
            let better = named(name);
            let fault = fault.note("expected letters, digits, `_` and `-`");
            return Err(match better.is_empty() {
                true => fault,
                false => fault.help(format!("did you mean `{better}`?")),
            });
        }
        None => of_folder(&args.folder),
    };
    let pipeline = format!("{name}.yaml");
    let schema = format!("{:#}\n", json_schema(&shapes()));
    let files = [
        (pipeline.clone(), PIPELINE),
        ("prompt.j2".to_owned(), PROMPT),
        ("notes.csv".to_owned(), NOTES),
        (format!("{name}.test.yaml"), TEST),
    ];
    let there = |name: &str| fs::symlink_metadata(args.folder.join(name)).is_ok();
    if let Some((file, _)) = files.iter().find(|(file, _)| there(file)) {
        let shown = args.folder.join(file);
        let fault = Diagnostic::error(format!("`{}` is there already", shown.display()));
        return Err(fault.help("name another folder, or another pipeline with `--name`"));
    }
    for (file, text) in &files {
        write(&args.folder.join(file), &text.replace(NAME, &name))?;
    }
    // Those are the same for all pipelines of a folder.
    for (file, text) in [(SCHEMA, schema.as_str()), (".gitignore", IGNORED)] {
        if there(file) {
            err(&format!(
                "left as it is: {}\n",
                args.folder.join(file).display()
            ));
        } else {
            write(&args.folder.join(file), text)?;
        }
    }
    let enter = match args.folder.as_os_str() == "." {
        true => String::new(),
        false => format!("  cd {}\n", args.folder.display()),
    };
    out(&format!(
        "\nnext:\n{enter}  clue test                     passes, without any model\n  \
         clue plan {pipeline:<19} says what a run would do\n  \
         clue run {pipeline:<20} asks the model at `model_address`\n  \
         clue report {pipeline:<17} makes a page to look at\n"
    ));
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Diagnostic> {
    let mut file = OutFile::create(path)?;
    file.write(text.as_bytes())?;
    file.finish()?;
    out(&format!("written: {}\n", path.display()));
    Ok(())
}

/// A name for a pipeline that lies in a folder.
fn of_folder(folder: &Path) -> String {
    let whole = folder
        .canonicalize()
        .or_else(|_| std::path::absolute(folder));
    let last = whole
        .ok()
        .and_then(|path| Some(named(path.file_name()?.to_str()?)));
    let name = last.filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "pipeline".to_owned())
}

/// A text as a name: letters, digits, `_` and `-`.
fn named(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = text
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    name.trim_matches(['_', '-']).to_owned()
}

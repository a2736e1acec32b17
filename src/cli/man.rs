//! `clue man`: the manual as pages of troff, one for each command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::session::refuse;
use super::{Cli, out};
use crate::diag::Diagnostic;
use crate::engine::keep::OutFile;

/// Arguments of `clue man`.
#[derive(clap::Args)]
#[command(after_help = "\
clue man | man -l -           reads the page of the program
clue man -o ~/.local/share/man/man1    installs all of them: `man clue-run`")]
pub struct Args {
    /// Write a page for each command into this folder
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints the page of the program, or writes all pages.
pub fn man(args: &Args) -> ExitCode {
    let mut root = Cli::command();
    root.build();
    let Some(folder) = &args.folder else {
        out(&page(root));
        return ExitCode::SUCCESS;
    };
    let mut pages = Vec::new();
    gather(root, &mut pages);
    for (name, text) in &pages {
        if let Err(fault) = write(&folder.join(name), text) {
            return refuse(&fault);
        }
    }
    out(&format!(
        "written: {} pages in {}\n",
        pages.len(),
        folder.display()
    ));
    ExitCode::SUCCESS
}

/// The page of a command and those of its own commands, with their files' names.
fn gather(command: Command, pages: &mut Vec<(String, String)>) {
    // Once built, a command knows the names of those that it belongs to.
    let name = command.get_display_name().unwrap_or(command.get_name());
    let file = format!("{name}.1");
    let own = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set() && c.get_name() != "help");
    for command in own {
        gather(command.clone(), pages);
    }
    pages.push((file, page(command)));
}

fn page(command: Command) -> String {
    let mut text = Vec::new();
    // Into memory: nothing can fail.
    let _ = Man::new(command).render(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn write(path: &Path, text: &str) -> Result<(), Diagnostic> {
    let mut file = OutFile::create(path)?;
    file.write(text.as_bytes())?;
    file.finish().map(|_| ())
}

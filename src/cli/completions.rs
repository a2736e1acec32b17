//! `clue completions`: what shells need to complete commands, flags and files.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, out};

/// Arguments of `clue completions`.
#[derive(clap::Args)]
#[command(after_help = "\
bash:  clue completions bash > ~/.local/share/bash-completion/completions/clue
zsh:   clue completions zsh > ~/.zfunc/_clue       (with ~/.zfunc in fpath)
fish:  clue completions fish > ~/.config/fish/completions/clue.fish")]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints them.
pub fn completions(args: &Args) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "clue", &mut script);
    out(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

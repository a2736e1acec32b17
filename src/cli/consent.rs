//! Whether a command may do what a pipeline wants: refuses what the user did not allow, and
//! says how to.

use std::process::ExitCode;

use super::codes::REFUSED;
use super::err;
use super::session::{Common, bad, color};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::text::visible::quoted;
use crate::trust::config::Config;
use crate::trust::memory::Memory;
use crate::trust::need::{Need, render};
use crate::trust::sensitive;

/// The user's configuration; faults are printed.
///
/// # Errors
/// The exit code.
pub fn config() -> Result<Config, ExitCode> {
    Config::load().map_err(|(faults, sources)| bad(&faults, &sources))
}

/// Goes on only with what the user agreed to; `yes` agrees to all of it for this once. `what`
/// is the command as messages call it.
///
/// # Errors
/// The exit code, when it was told what is missing.
pub fn allowed(common: &Common, needs: Vec<Need>, yes: bool, what: &str) -> Result<(), ExitCode> {
    if yes {
        return Ok(());
    }
    let open = Memory::of_user().of(&common.file).open(needs);
    if open.is_empty() {
        return Ok(());
    }
    let settings = &common.settings;
    let params = if settings.params.is_empty() && settings.params_files.is_empty() {
        ""
    } else {
        " and the same params"
    };
    let file = common.file.display().to_string();
    err(&format!(
        "this {what} needs your consent, because it would\n{}allow it with `clue trust {}`{params}, \
         or for this {what} with `--yes`\n",
        render(&open),
        quoted(&file),
    ));
    Err(ExitCode::from(REFUSED))
}

/// Goes on only if nothing is open of what was agreed to elsewhere, for the same plan.
///
/// # Errors
/// The exit code, when it was told what is open.
pub fn granted(open: Vec<Need>, what: &str) -> Result<(), ExitCode> {
    if open.is_empty() {
        return Ok(());
    }
    err(&format!(
        "this {what} would do what was not agreed to when it was submitted:\n{}",
        render(&open)
    ));
    Err(ExitCode::from(REFUSED))
}

/// Goes on only if no sensitive record of these stages would go where the user's configuration
/// does not allow it. No consent changes that.
///
/// # Errors
/// The exit code, when it was told what would go where.
pub fn guarded(
    pipe: &Pipe,
    stages: impl IntoIterator<Item = usize>,
    config: &Config,
) -> Result<(), ExitCode> {
    let asked = sensitive::asked(pipe, stages, config);
    refuse(pipe, &sensitive::refused(pipe, &asked, config))
}

/// Prints refusals, if there are any.
///
/// # Errors
/// The exit code.
pub fn refuse(pipe: &Pipe, faults: &[Diagnostic]) -> Result<(), ExitCode> {
    if faults.is_empty() {
        return Ok(());
    }
    for fault in faults {
        let told = fault.render(&pipe.pipeline.sources, color());
        err(&format!("{told}\n\n"));
    }
    err("refused: nothing was run and nothing was sent\n");
    Err(ExitCode::from(REFUSED))
}

//! Questions at the terminal, also such whose answer must not be seen. Owns the echo: it is
//! back on whenever the program ends or stops in the meantime, unless it is killed or stopped by
//! force (SIGKILL, SIGSTOP) or by somebody else's SIGTSTP.

use std::io::{self, IsTerminal};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::ends::Ends;
use super::err;

/// No key at all, where a terminal has a key for something.
const NO_KEY: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };
/// What Ctrl-Z types where it does nothing.
const CTRL_Z: char = '\u{1a}';

/// Why there is no answer.
pub enum Unasked {
    /// Ctrl-C, or another signal to end.
    Interrupted,
    /// The end of the input, or no way to ask.
    Nothing,
}

/// True when there is somebody to ask.
pub fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line.
///
/// # Errors
/// There was no line.
pub async fn line(question: &str, ends: &mut Ends) -> Result<String, Unasked> {
    err(question);
    read(ends).await
}

/// Asks for a line that is not shown while it is typed.
///
/// # Errors
/// There was no line, or it cannot be hidden.
pub async fn hidden(question: &str, ends: &mut Ends) -> Result<String, Unasked> {
    // Before the echo is off, so that nothing leaves the terminal without it.
    ends.listen_to_all().map_err(|_| Unasked::Nothing)?;
    let echo = Echo::off().map_err(|_| Unasked::Nothing)?;
    err(question);
    let line = read(ends).await;
    drop(echo);
    // Nor was the end of the line shown.
    err("\n");
    line.map(|line| line.replace(CTRL_Z, ""))
}

async fn read(ends: &mut Ends) -> Result<String, Unasked> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|bytes| (bytes, line))
    });
    tokio::select! {
        // A thread that goes on reading does no harm: the program ends.
        () = ends.any() => Err(Unasked::Interrupted),
        done = read => match done {
            Ok(Ok((1.., line))) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
            _ => Err(Unasked::Nothing),
        },
    }
}

/// The terminal without echo and without Ctrl-Z, for as long as this lives: a shell would get
/// its terminal back without echo.
struct Echo(Termios);

impl Echo {
    fn off() -> rustix::io::Result<Echo> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.special_codes[SpecialCodeIndex::VSUSP] = NO_KEY;
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Echo(before))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

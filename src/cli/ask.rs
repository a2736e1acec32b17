//! Questions at the terminal, also such whose answer must not be seen. Owns the echo: it is
//! back on whatever happens.

use std::io::{self, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::err;

/// Why there is no answer.
pub enum Unasked {
    /// Ctrl-C.
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
pub async fn line(question: &str) -> Result<String, Unasked> {
    let interrupt = listen()?;
    err(question);
    read(interrupt).await
}

/// Asks for a line that is not shown while it is typed.
///
/// # Errors
/// There was no line, or it cannot be hidden.
pub async fn hidden(question: &str) -> Result<String, Unasked> {
    // Before the echo is off, so that nothing leaves the terminal without it.
    let interrupt = listen()?;
    let echo = Echo::off().map_err(|_| Unasked::Nothing)?;
    err(question);
    let line = read(interrupt).await;
    drop(echo);
    // Nor was the end of the line shown.
    err("\n");
    line
}

fn listen() -> Result<Signal, Unasked> {
    signal(SignalKind::interrupt()).map_err(|_| Unasked::Nothing)
}

async fn read(mut interrupt: Signal) -> Result<String, Unasked> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|bytes| (bytes, line))
    });
    tokio::select! {
        // A thread that goes on reading does no harm: the program ends.
        _ = interrupt.recv() => Err(Unasked::Interrupted),
        done = read => match done {
            Ok(Ok((1.., line))) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
            _ => Err(Unasked::Nothing),
        },
    }
}

/// The terminal without echo, for as long as this lives.
struct Echo(Termios);

impl Echo {
    fn off() -> rustix::io::Result<Echo> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Echo(before))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

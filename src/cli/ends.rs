//! Signals that ask the program to end, for commands that have something to put in order first.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens to signals, from the start of its life on: what comes while nobody waits is not lost.
pub struct Ends {
    interrupt: Signal,
    terminate: Signal,
    asking: Option<(Signal, Signal)>,
}

impl Ends {
    /// Listens to Ctrl-C and to the polite request to end.
    ///
    /// # Errors
    /// The operating system does not let us.
    pub fn listen() -> io::Result<Ends> {
        Ok(Ends {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            asking: None,
        })
    }

    /// Listens to the other two as well that end a program at a terminal: its end, and Ctrl-\.
    /// Only from when they matter, since nobody can stop listening: `nohup` must go on working
    /// for programs that ask nothing.
    ///
    /// # Errors
    /// The operating system does not let us.
    pub fn listen_to_all(&mut self) -> io::Result<()> {
        if self.asking.is_none() {
            let hangup = signal(SignalKind::hangup())?;
            self.asking = Some((hangup, signal(SignalKind::quit())?));
        }
        Ok(())
    }

    /// Waits for any of them.
    pub async fn any(&mut self) {
        let asking = async {
            match &mut self.asking {
                Some((hangup, quit)) => tokio::select! {
                    _ = hangup.recv() => {}
                    _ = quit.recv() => {}
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = asking => {}
        }
    }
}

//! Ctrl-C while others work: the first is heard at the next moment that fits, the second ends the
//! program at once.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::cli::codes::INTERRUPTED;
use crate::cli::ends::Ends;

/// Listens to signals that ask the program to end.
pub struct Stop(Receiver<()>);

impl Stop {
    /// Begins to listen.
    ///
    /// # Errors
    /// The operating system does not let us.
    pub fn listen() -> io::Result<Stop> {
        let (heard, stop) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut ends = runtime.block_on(async { Ends::listen() })?;
        std::thread::Builder::new()
            .name("stop".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    ends.any().await;
                    // A run that begins in this process listens by itself.
                    if heard.send(()).is_err() {
                        return;
                    }
                    ends.any().await;
                    std::process::exit(i32::from(INTERRUPTED));
                });
            })?;
        Ok(Stop(stop))
    }

    /// Waits so long; true, at once, if the program is to end.
    pub fn within(&self, time: Duration) -> bool {
        self.0.recv_timeout(time).is_ok()
    }
}

//! Ctrl-C while tests run: the test under way is called off, its programs are ended, and its
//! folder is removed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::cli::codes::INTERRUPTED;
use crate::cli::ends::Ends;
use crate::engine::halt::{Halt, Reason};

/// How long a test may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// After which time the program ends whatever the test does.
const PATIENCE: Duration = Duration::from_secs(8);

/// The wish of the user's that all ends.
#[derive(Clone, Default)]
pub struct Stop {
    halt: Halt,
    folder: Arc<Mutex<Option<PathBuf>>>,
}

impl Stop {
    /// Listens from now on: to the first signal, and to a second one, which ends the program.
    ///
    /// # Errors
    /// The operating system does not let us.
    pub fn listen(runtime: &Runtime) -> io::Result<Stop> {
        let stop = Stop::default();
        let _inside = runtime.enter();
        let mut ends = Ends::listen()?;
        let heard = stop.clone();
        runtime.spawn(async move {
            ends.any().await;
            heard.halt.raise(Reason::Interrupted);
            let _ = tokio::time::timeout(PATIENCE, ends.any()).await;
            if let Some(folder) = &*heard.folder() {
                let _ = std::fs::remove_dir_all(folder);
            }
            std::process::exit(i32::from(INTERRUPTED));
        });
        Ok(stop)
    }

    /// True once a signal came.
    pub fn is_raised(&self) -> bool {
        self.halt.is_raised()
    }

    /// Names the folder that must not be left behind, until what is returned is dropped.
    pub fn uses(&self, folder: &Path) -> Using {
        *self.folder() = Some(folder.to_owned());
        Using(self.clone())
    }

    /// Lets a run end by itself, or calls it off by its own `halt`; `None` if it was dropped.
    pub async fn guard<T>(&self, run: impl Future<Output = T>, halt: &Halt) -> Option<T> {
        let mut run = std::pin::pin!(run);
        tokio::select! {
            done = &mut run => Some(done),
            () = self.halt.raised() => {
                halt.raise(Reason::Interrupted);
                tokio::time::timeout(GRACE, run).await.ok()
            }
        }
    }

    fn folder(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A folder in use.
pub struct Using(Stop);

impl Drop for Using {
    fn drop(&mut self) {
        *self.0.folder() = None;
    }
}

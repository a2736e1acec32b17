//! The wish to stop: raised by Ctrl-C or by a stage with `on_error: stop`, heard everywhere.

use tokio::sync::watch;

/// Why a run stops early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The user interrupted it.
    Interrupted,
    /// A stage says that the run must stop at its first failure.
    Failure,
    /// The run may spend no more: which limit is reached.
    Budget(String),
    /// The cache cannot be written.
    Store(String),
}

/// A flag that can be raised once, and waited for.
#[derive(Clone, Debug)]
pub struct Halt(watch::Sender<Option<Reason>>);

impl Default for Halt {
    fn default() -> Halt {
        Halt(watch::Sender::new(None))
    }
}

impl Halt {
    /// Raises the flag. The first reason stays.
    pub fn raise(&self, reason: Reason) {
        self.0.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                *now = Some(reason);
            }
            first
        });
    }

    /// Why the run stops, if it does.
    pub fn reason(&self) -> Option<Reason> {
        self.0.borrow().clone()
    }

    /// True once the flag is raised.
    pub fn is_raised(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until the flag is raised.
    pub async fn raised(&self) {
        let mut watch = self.0.subscribe();
        let _ = watch.wait_for(Option::is_some).await;
    }
}

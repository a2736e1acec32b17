//! Why a transfer did not happen or was not whole.

use crate::diag::Diagnostic;
use crate::store::StoreError;

/// Why.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The user has to name or set something else.
    Input(Diagnostic),
    /// There is no cache yet.
    Absent(Diagnostic),
    /// The network, the server, or a disk: it may work another time.
    Transfer(Diagnostic),
    /// The user interrupted it.
    Interrupted,
}

impl Fault {
    /// There is no cache at a place.
    pub fn absent(shown: &str) -> Fault {
        Fault::Absent(
            Diagnostic::error(format!("there is no cache at `{shown}`"))
                .help("`clue cache push` makes one"),
        )
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Transfer(error.into())
    }
}

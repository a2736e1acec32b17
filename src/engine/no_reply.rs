//! Why a call has no reply.

use crate::diag::Diagnostic;

/// Why there is no reply.
#[derive(Clone, Debug)]
pub enum NoReply {
    /// The call failed: why, in one line.
    Failed(String),
    /// The model cannot be asked at all.
    NoModel(Box<Diagnostic>),
    /// The run stops before the call was made.
    Stopped,
    /// The call is not in the cache, and this run makes none.
    Missing,
}

//! Work that blocks, away from the threads that others wait on: an interrupt and the progress
//! are noticed meanwhile.

use super::error::Why;

/// Does something on a thread of its own.
///
/// # Errors
/// Those of the work.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Why> + Send + 'static,
) -> Result<T, Why> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(broken) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Work is only given up when the program ends.
            Err(_) => std::future::pending().await,
        },
    }
}

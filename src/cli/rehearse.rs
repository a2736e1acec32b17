//! The dry form of a run: what its stages would do with what the cache holds. Asks nobody and
//! writes nothing.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::diag::Diagnostic;
use crate::engine::board::Board;
use crate::engine::calls::{Calls, Means};
use crate::engine::halt::Halt;
use crate::engine::keep::Failures;
use crate::engine::pipe::Pipe;
use crate::engine::run::{Outcome, board, run as execute};
use crate::engine::stock::{Refused, Source, Stock};
use crate::engine::survey::Survey;
use crate::engine::taps::Taps;
use crate::engine::worker::Shop;
use crate::model::serve::Place;
use crate::replay::ledger::Ledger;
use crate::store::Store;

/// What is taken down of a rehearsal.
#[derive(Default)]
pub struct Notes {
    /// Of its calls.
    pub ledger: Arc<Ledger>,
    /// Of its records.
    pub taps: Arc<Taps>,
}

/// Goes through what a plan says has to run, with the answers that are in the cache. `source`
/// says what it means that one is not there.
///
/// # Errors
/// The runtime cannot start.
pub fn rehearse(
    pipe: &Arc<Pipe>,
    store: &Store,
    survey: &Survey,
    source: Source,
    notes: &Notes,
) -> Result<(Arc<Board>, Outcome), Diagnostic> {
    rehearse_with(pipe, store, survey, source, notes, Refused::default())
}

/// The same, with what becomes of calls that were refused.
///
/// # Errors
/// As [`rehearse`].
pub fn rehearse_with(
    pipe: &Arc<Pipe>,
    store: &Store,
    survey: &Survey,
    source: Source,
    notes: &Notes,
    refused: Refused,
) -> Result<(Arc<Board>, Outcome), Diagnostic> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Diagnostic::error(format!("cannot start: {error}")))?;
    let (events, _told) = mpsc::unbounded_channel();
    let board = Arc::new(board(pipe, survey));
    let halt = Halt::default();
    let nowhere = |_: &str| None::<Place>;
    let means = Means::default();
    let stock = Stock::new(store, source, notes.ledger.clone());
    let stock = stock.with_refused(refused);
    let calls = Calls::new(&pipe.models, nowhere, store, &halt, &events, means, stock);
    let shop = Shop {
        pipe: pipe.clone(),
        store: store.clone(),
        calls: Arc::new(calls),
        board: board.clone(),
        events,
        halt,
        failures: Arc::new(Failures::default()),
        taps: notes.taps.clone(),
        agreed: Arc::default(),
        dry: true,
    };
    let outcome = runtime.block_on(execute(&shop, survey));
    Ok((board, outcome))
}

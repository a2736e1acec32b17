//! Independent pieces of work on several threads.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many threads to look at so many stages with: for few, to start one takes longer than they
/// do.
pub fn threads(stages: usize) -> usize {
    match stages {
        0..200 => 1,
        _ => thread::available_parallelism().map_or(1, NonZero::get),
    }
}

/// What `work` makes of each item, in their order. Uses at most this many threads, the caller's
/// among them.
pub fn map<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            done.push((at, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        // A system that gives no more threads is served by fewer.
        let start = |_| thread::Builder::new().spawn_scoped(scope, share).ok();
        let others: Vec<_> = (1..threads.min(items.len())).map_while(start).collect();
        let mut done = share();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_threads_gives_all_results_in_order() {
        let items: Vec<usize> = (0..100).collect();
        let twice: Vec<usize> = (0..100).map(|item| 2 * item).collect();
        for threads in [0, 1, 3, 200] {
            assert_eq!(map(&items, threads, |item| 2 * item), twice);
        }
        assert!(map(&[], 2, |(): &()| ()).is_empty());
    }
}

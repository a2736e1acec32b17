//! Independent pieces of work on all cores.

use rayon::prelude::*;

/// For fewer items, to wake other threads takes longer than they do.
const MANY: usize = 200;

/// What a thread takes on at once, at least.
const SHARE: usize = 16;

/// What `work`, which is short, makes of each item, in their order.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    if items.len() < MANY {
        return items.iter().map(work).collect();
    }
    items.par_iter().with_min_len(SHARE).map(work).collect()
}

/// What two pieces of work over so many items make, both at once.
pub fn both<A: Send, B: Send>(
    items: usize,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if items < MANY {
        return (one(), other());
    }
    rayon::join(one, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_give_all_results_in_order() {
        for count in [0, 1, MANY - 1, MANY, 10 * MANY] {
            let items: Vec<usize> = (0..count).collect();
            let twice: Vec<usize> = (0..count).map(|item| 2 * item).collect();
            assert_eq!(map(&items, |item| 2 * item), twice);
            assert_eq!(both(count, || 1, || "a"), (1, "a"));
        }
    }
}

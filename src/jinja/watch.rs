//! Which evaluations are under way, and since when. Fuel bounds what Jinja counts; what it does
//! not count (lists that hold themselves many times over, written out; a pattern that is slow on
//! its text) can only be seen from outside. Whoever runs the program looks here, and ends it.

use std::cell::OnceCell;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What a thread evaluates: since when, and what.
type Slot = Mutex<Option<(Instant, Arc<str>)>>;

static SLOTS: Mutex<Vec<Weak<Slot>>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: OnceCell<Arc<Slot>> = const { OnceCell::new() };
}

/// An evaluation under way, until this is dropped.
#[derive(Debug)]
pub struct Busy {
    slot: Option<Arc<Slot>>,
}

/// Says that this thread begins to evaluate something; `what` as messages name it.
pub fn busy(what: &Arc<str>) -> Busy {
    let slot = OWN.try_with(|own| own.get_or_init(register).clone()).ok();
    let slot = slot.filter(|slot| {
        let mut now = slot.lock().unwrap_or_else(PoisonError::into_inner);
        // The outermost counts.
        now.is_none() && now.insert((Instant::now(), what.clone())).0 <= Instant::now()
    });
    Busy { slot }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

fn register() -> Arc<Slot> {
    let slot = Arc::new(Slot::default());
    let mut slots = SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    slots.retain(|slot| slot.strong_count() > 0);
    slots.push(Arc::downgrade(&slot));
    slot
}

/// The evaluation that has been under way for the longest: for how long, and what it is.
pub fn longest() -> Option<(Duration, Arc<str>)> {
    let slots = SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    let open = slots.iter().filter_map(Weak::upgrade).filter_map(|slot| {
        let now = slot.lock().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    });
    let first = open.min_by_key(|(since, _)| *since)?;
    Some((first.0.elapsed(), first.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_evaluation_is_seen_until_it_ends() {
        let names = |name: &str| longest().is_some_and(|(_, what)| *what == *name);
        let outer = busy(&"outer of this test".into());
        std::thread::sleep(Duration::from_millis(300));
        let inner = busy(&"inner".into());
        drop(inner);
        // Other tests evaluate too, but none for as long.
        assert!(names("outer of this test"));
        drop(outer);
        assert!(!names("outer of this test"));
    }
}

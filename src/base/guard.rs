//! Work on what strangers wrote: a panic in it is one answer among others, and nothing is printed about it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<u32> = const { Cell::new(0) };
}

/// Does the work and returns its answer; `None` when it panicked. The work must not leave shared things half changed.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    GUARDED.with(|depth| depth.set(depth.get() + 1));
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with(|depth| depth.set(depth.get() - 1));
    done.ok()
}

/// True while this thread does guarded work: a panic is expected there and no bug to tell a person of.
pub fn is_guarded() -> bool {
    GUARDED.with(Cell::get) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_and_the_guard_ends_with_the_work() {
        assert_eq!(guarded(|| guarded(|| (is_guarded(), 1))), Some(Some((true, 1))));
        assert_eq!(guarded(|| [1, 2].iter().position(|_| panic!("on purpose"))), None);
        assert!(!is_guarded());
    }
}

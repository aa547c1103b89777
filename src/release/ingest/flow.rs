//! Work on many files by several threads, with the answers on one, in order, and never more than so many bytes in flight.
//!
//! A file is begun when its bytes fit in the budget, and its bytes are given back once its answer was consumed. The file
//! whose answer is next is always begun, whatever its size: so one that is larger than the whole budget passes alone, and
//! files that wait for an earlier one never hold it up.

use crate::base::error::Result;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// How long the next answer is waited for before `consume` is told that there is none yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes an item with its answer, or learns that the next one lets itself be waited for.
pub(super) type Consume<'c, T, R> = &'c mut dyn FnMut(Option<(&T, R)>) -> Result<()>;

/// Bytes in flight, and whose turn it is.
struct Budget {
    state: Mutex<State>,
    changed: Condvar,
    limit: u64,
}

#[derive(Default)]
struct State {
    used: u64,
    next: usize,
    stopped: bool,
}

impl Budget {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the bytes of item `at` fit or it is its turn; false when the work was stopped.
    fn take(&self, at: usize, bytes: u64) -> bool {
        let mut state = self.lock();
        while !state.stopped && state.next != at && state.used.saturating_add(bytes) > self.limit {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.used = state.used.saturating_add(bytes);
        !state.stopped
    }

    fn give_back(&self, next: usize, bytes: u64) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(bytes);
        state.next = next;
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// Does `work` on every item with up to `jobs` threads and hands the answers to `consume` in the order of the items, on this
/// thread; it is called with `None` when the next answer lets itself be waited for. `bytes` is what an item takes while it is
/// in flight. The first error of `consume` ends the work.
///
/// # Errors
/// That of `consume`.
pub(super) fn ordered<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    limit: u64,
    bytes: &(impl Fn(&T) -> u64 + Sync),
    work: &(impl Fn(&T) -> R + Sync),
    consume: Consume<'_, T, R>,
) -> Result<()> {
    let budget = Budget { state: Mutex::default(), changed: Condvar::new(), limit };
    let (begun, gone) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1).min(items.len()) {
            let (send, budget, begun, gone) = (send.clone(), &budget, &begun, &gone);
            scope.spawn(move || {
                // A panic here must not leave the others waiting for a turn that never comes.
                let _stop = StopOnPanic(budget);
                loop {
                    let at = begun.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    if gone.load(Ordering::Relaxed) || !budget.take(at, bytes(item)) || send.send((at, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let done = collect(items, &receive, &budget, bytes, consume);
        gone.store(true, Ordering::Relaxed);
        budget.stop();
        done
    })
}

struct StopOnPanic<'b>(&'b Budget);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

fn collect<T, R>(
    items: &[T],
    receive: &mpsc::Receiver<(usize, R)>,
    budget: &Budget,
    bytes: &impl Fn(&T) -> u64,
    consume: Consume<'_, T, R>,
) -> Result<()> {
    let (mut early, mut next) = (BTreeMap::new(), 0);
    loop {
        match receive.recv_timeout(PATIENCE) {
            Ok((at, answer)) => early.insert(at, answer),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                consume(None)?;
                continue;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        };
        while let Some(answer) = early.remove(&next) {
            let item = &items[next];
            consume(Some((item, answer)))?;
            next += 1;
            budget.give_back(next, bytes(item));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Error;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn answers_come_in_order_and_bytes_stay_bounded() {
        let items: Vec<u64> = (0..500).map(|i| (i * 7919) % 50).collect();
        for jobs in [1, 3, 16] {
            let (flying, most) = (AtomicU64::new(0), AtomicU64::new(0));
            let mut out = Vec::new();
            let work = |n: &u64| {
                let now = flying.fetch_add(*n, Ordering::SeqCst) + n;
                most.fetch_max(now, Ordering::SeqCst);
                std::thread::yield_now();
                *n
            };
            let mut consume = |done: Option<(&u64, u64)>| {
                let Some((n, same)) = done else { return Ok(()) };
                flying.fetch_sub(*n, Ordering::SeqCst);
                out.push(same);
                Ok(())
            };
            ordered(&items, jobs, 100, &|n| *n, &work, &mut consume).expect("all consumed");
            assert_eq!(out, items, "{jobs} jobs");
            // The one whose turn it is passes even when the budget is full.
            assert!(most.load(Ordering::SeqCst) <= 100 + 50, "{} bytes in flight", most.load(Ordering::SeqCst));
        }
    }

    #[test]
    fn one_that_is_larger_than_the_budget_passes_and_an_error_ends_the_work() {
        let items = [1, 1_000, 2, 3];
        let mut seen = Vec::new();
        ordered(&items, 4, 10, &|n| *n, &|n| *n, &mut |done| {
            seen.extend(done.map(|(_, n)| n));
            Ok(())
        })
        .expect("all consumed");
        assert_eq!(seen, items);
        let all: Vec<u64> = (0..10_000).collect();
        let worked = AtomicU64::new(0);
        let work = |n: &u64| {
            worked.fetch_add(1, Ordering::SeqCst);
            *n
        };
        let ended = ordered(&all, 4, 10, &|_| 5, &work, &mut |done| match done {
            Some((_, 3)) => Err(Error::new("full")),
            _ => Ok(()),
        });
        assert_eq!(ended.expect_err("ended").to_string(), "full");
        assert!(worked.load(Ordering::SeqCst) < 100, "the rest was not begun");
    }

    #[test]
    fn any_sizes_and_any_threads_come_to_an_end() {
        let mut seed = 1_u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..300 {
            let items: Vec<(usize, u64)> = (0..next(60) as usize).map(|i| (i, next(40))).collect();
            let (jobs, limit, fails) = (next(9) as usize, next(60), next(80) as usize);
            let work = |item: &(usize, u64)| {
                // Some take longer than others, so that answers come out of order.
                (0..item.1 % 7).for_each(|_| std::thread::yield_now());
                item.0
            };
            let mut out = Vec::new();
            let mut consume = |done: Option<(&(usize, u64), usize)>| match done {
                Some((_, at)) if at == fails => Err(Error::new("full")),
                Some((item, at)) => {
                    assert_eq!(item.0, at);
                    out.push(at);
                    Ok(())
                }
                None => Ok(()),
            };
            let done = ordered(&items, jobs, limit, &|item| item.1, &work, &mut consume);
            assert_eq!(done.is_err(), fails < items.len(), "round {round}");
            assert_eq!(out, (0..items.len().min(fails)).collect::<Vec<_>>(), "round {round}: {jobs} jobs, {limit} bytes");
        }
    }

    #[test]
    fn who_waits_for_a_slow_item_is_told_so() {
        let items: Vec<usize> = (0..4).collect();
        let (waited, released) = (AtomicBool::new(false), Mutex::new(mpsc::channel::<()>()));
        let work = |item: &usize| {
            if *item == 2 {
                // Nothing but the wait itself lets it go on.
                let _ = released.lock().unwrap_or_else(PoisonError::into_inner).1.recv();
            }
            *item
        };
        let release = released.lock().expect("free").0.clone();
        let mut out = Vec::new();
        let mut consume = |done: Option<(&usize, usize)>| {
            match done {
                Some((_, at)) => out.push(at),
                None => {
                    assert_eq!(out, [0, 1], "what is ready was handed out before");
                    waited.store(true, Ordering::SeqCst);
                    release.send(()).expect("it waits");
                }
            }
            Ok(())
        };
        ordered(&items, 2, 100, &|_| 1, &work, &mut consume).expect("all consumed");
        assert!(waited.load(Ordering::SeqCst));
        assert_eq!(out, items);
    }

    #[test]
    fn a_panic_in_a_thread_ends_the_work_and_hangs_nobody() {
        let items: Vec<u64> = (0..100).collect();
        let work = |n: &u64| assert_ne!(*n, 5, "on purpose");
        let run = || ordered(&items, 3, 1, &|_| 1, &work, &mut |_| Ok(()));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).expect_err("it reaches the caller");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a scoped thread panicked"));
    }
}

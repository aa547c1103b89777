//! The same work on many things, such as files, on several threads, with the results in the things' order.

use crate::base::error::Result;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;

/// Work on one thing; tells the number of bytes done to its second argument as it goes.
pub(super) type Work<'a, I, T> = &'a (dyn Fn(&I, &mut dyn FnMut(u64)) -> Result<T> + Sync);

enum Report<T> {
    Bytes(u64),
    Done(usize, Result<T>),
}

/// Does `work` on every thing with up to `jobs` threads; `progress` is told of bytes done, on the calling thread.
///
/// # Errors
/// The first failure in the order of the things among those that happened; no new one is then begun.
pub(super) fn each<I: Sync, T: Send>(items: &[I], jobs: usize, progress: &dyn Fn(u64), work: Work<'_, I, T>) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (reports, inbox) = channel();
    let mut done: Vec<Option<Result<T>>> = items.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let (reports, next, stop) = (reports.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(i) else { break };
                    let result = work(item, &mut |n| drop(reports.send(Report::Bytes(n))));
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    let _ = reports.send(Report::Done(i, result));
                }
            });
        }
        drop(reports);
        for report in inbox {
            match report {
                Report::Bytes(n) => progress(n),
                Report::Done(i, result) => done[i] = Some(result),
            }
        }
    });
    // Without a failure every one was done; with one, those before it in the list may be missing but the failure is not.
    done.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Error;
    use std::cell::Cell;
    use std::path::{Path, PathBuf};

    fn paths(n: usize) -> Vec<PathBuf> {
        (0..n).map(|i| PathBuf::from(i.to_string())).collect()
    }

    #[test]
    fn results_keep_the_order_and_progress_adds_up() {
        for (n, jobs) in [(0, 4), (1, 0), (100, 8), (3, 100)] {
            let total = Cell::new(0);
            let done = each(&paths(n), jobs, &|bytes| total.set(total.get() + bytes), &|path, tick| {
                tick(2);
                Ok(path.to_owned())
            });
            assert_eq!(done.unwrap(), paths(n));
            assert_eq!(total.get(), 2 * n as u64);
        }
    }

    #[test]
    fn a_failure_stops_the_rest_and_is_returned() {
        let begun = AtomicUsize::new(0);
        let done = each(&paths(10_000), 2, &|_| (), &|path, _| {
            begun.fetch_add(1, Ordering::Relaxed);
            if path.as_path() == Path::new("3") { Err(Error::new("file 3 is bad")) } else { Ok(()) }
        });
        assert_eq!(done.unwrap_err().to_string(), "file 3 is bad");
        assert!(begun.into_inner() < 10_000);
    }
}

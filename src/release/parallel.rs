//! The same work on many things by several threads, with the answers on one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Does `work` on every item with up to `jobs` threads and tells each answer, with how many are done, on this thread, in the
/// order in which they come.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: &(impl Fn(&T) -> R + Sync),
    told: &mut dyn FnMut(&T, R, u64),
) {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1).min(items.len()) {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if send.send((item, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for (done, (item, answer)) in receive.iter().enumerate() {
            told(item, answer, done as u64 + 1);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once_whatever_the_number_of_threads() {
        let items: Vec<u64> = (0..1000).collect();
        for jobs in [0, 1, 7, 5000] {
            let (mut sum, mut last) = (0, 0);
            each(&items, jobs, &|n| n * 2, &mut |n, twice, done| {
                assert_eq!((twice, done), (n * 2, last + 1));
                sum += n;
                last = done;
            });
            assert_eq!((sum, last), (499_500, 1000), "{jobs} jobs");
        }
        each(&[], 4, &|n: &u64| *n, &mut |_, _, _| panic!("nothing to tell"));
    }
}

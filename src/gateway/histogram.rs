//! Durations, counted in buckets that grow by 2 %.
//!
//! Edges are 116 to a factor of ten from 0.1 ms on, so that 1, 10 and 100 ms and 1 and 10 s are edges themselves: how many answers
//! took longer than such a limit is exact. Counting is one search of ten steps and one addition that no other thread waits for.

use super::table::Took;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Edges in a factor of ten: 10^(1/116) is 1.0201.
const TO_TEN: usize = 116;
/// Factors of ten from 0.1 ms on: up to 10,000 s.
const TENS: usize = 8;
/// The first edge.
const FIRST_NANOS: f64 = 100_000.0;

/// The upper end of each bucket in nanoseconds; what is longer than the last is in one more bucket.
static EDGES: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let edge = |i: usize| FIRST_NANOS * 10_f64.powi((i / TO_TEN) as i32) * 10_f64.powf((i % TO_TEN) as f64 / TO_TEN as f64);
    (0..=TO_TEN * TENS).map(|i| edge(i).round() as u64).collect()
});

/// Counts of durations.
pub(super) struct Histogram {
    counts: Vec<AtomicU64>,
    /// Of all durations, in nanoseconds.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: (0..=EDGES.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    pub(super) fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = EDGES.partition_point(|edge| *edge < nanos);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The buckets that have any.
    pub(super) fn filled(&self) -> Vec<Took> {
        let counts = self.counts.iter().map(|n| n.load(Ordering::Relaxed)).enumerate().filter(|(_, n)| *n > 0);
        let end = |i: usize| EDGES.get(i).map(|nanos| *nanos as f64 / 1e9);
        counts.map(|(i, n)| (i.checked_sub(1).and_then(end).unwrap_or(0.0), end(i), n)).collect()
    }

    /// How many took at most each quarter of a factor of ten (in seconds), how many there are, and their sum in seconds.
    pub(super) fn quarters(&self) -> (Vec<(f64, u64)>, u64, f64) {
        let (mut below, mut all) = (Vec::new(), 0);
        for (i, n) in self.counts.iter().enumerate() {
            all += n.load(Ordering::Relaxed);
            if i % (TO_TEN / 4) == 0 && i < EDGES.len() {
                below.push((EDGES[i] as f64 / 1e9, all));
            }
        }
        (below, all, self.sum.load(Ordering::Relaxed) as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_by_two_percent_and_limits_are_edges() {
        assert!(EDGES.windows(2).all(|w| (1.018..1.022).contains(&(w[1] as f64 / w[0] as f64))));
        for limit in [100_000, 1_000_000, 100_000_000, 1_000_000_000, 10_000_000_000] {
            assert!(EDGES.binary_search(&limit).is_ok(), "{limit} ns");
        }
    }

    #[test]
    fn a_duration_is_in_the_bucket_that_ends_at_or_after_it() {
        let h = Histogram::new();
        h.add(Duration::from_millis(1000));
        h.add(Duration::from_nanos(1_000_000_001));
        h.add(Duration::ZERO);
        h.add(Duration::MAX);
        let filled = h.filled();
        assert_eq!(filled.iter().map(|(_, _, n)| *n).collect::<Vec<_>>(), [1, 1, 1, 1]);
        assert_eq!((filled[0].0, filled[0].1, filled[1].1, filled[2].0, filled[3].1), (0.0, Some(0.0001), Some(1.0), 1.0, None));
        assert!(filled[2].1.is_some_and(|most| most > 1.0 && most < 1.021), "{:?}", filled[2]);
        let (below, all, _) = h.quarters();
        assert_eq!((below.iter().find(|(edge, _)| *edge == 1.0).map(|(_, n)| *n), all), (Some(2), 4));
        assert_eq!(below.len(), TENS * 4 + 1);
    }
}

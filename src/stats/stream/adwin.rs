//! ADWIN (Bifet and Gavaldà 2007, "Learning from time-changing data with adaptive windowing"): a window of recent values that is
//! cut wherever two parts of it have different means.
//!
//! The window is kept as sums over 2ⁱ values, at most `PER_LEVEL` of each size, so that n values cost O(log n) memory. Every
//! `CLOCK` values each boundary between two sums is tried with a bound of Bernstein's kind at the significance asked for. The
//! constants are river's and MOA's.

use super::Change;
use std::collections::VecDeque;

/// Sums of one size that are kept before two become one of the next.
const PER_LEVEL: usize = 5;
/// Cuts are tried each time this many values have come.
const CLOCK: u64 = 32;
/// Values that each part of the window must have.
const LEAST_PART: f64 = 5.0;
/// Values that must have come before anything is cut.
const GRACE: f64 = 10.0;

/// The window.
#[derive(Clone, Debug)]
pub struct Adwin {
    significance: f64,
    /// Sums over 2ⁱ values at index i, the oldest first.
    levels: Vec<VecDeque<Part>>,
    all: Part,
    rows: f64,
    seen: u64,
}

/// The sum of some values and of their squared distances from their mean.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    total: f64,
    squares: f64,
}

impl Adwin {
    /// An empty window that is cut wrongly with at most the chance `significance` (0.002 is usual); the chance is clamped to
    /// 1e-300..=1.
    #[must_use]
    pub fn new(significance: f64) -> Self {
        Self { significance: significance.clamp(1e-300, 1.0), levels: vec![], all: Part::default(), rows: 0.0, seen: 0 }
    }

    /// Takes one value; tells whether the window was cut and which way its mean went. A value that is not finite is not taken.
    pub fn take(&mut self, value: f64) -> Option<Change> {
        if !value.is_finite() {
            return None;
        }
        let delta = value - self.mean().unwrap_or(value);
        self.rows += 1.0;
        self.all.squares += (self.rows - 1.0) * delta * delta / self.rows;
        self.all.total += value;
        self.insert(value);
        self.seen += 1;
        if !self.seen.is_multiple_of(CLOCK) || self.rows <= GRACE {
            return None;
        }
        let before = self.mean()?;
        let mut change = None;
        while self.has_cut() {
            self.forget_oldest();
            change = Some(if self.mean()? >= before { Change::Up } else { Change::Down });
        }
        change
    }

    /// How many recent values the window holds.
    pub fn rows(&self) -> u64 {
        self.rows as u64
    }

    /// The mean of the window, in the unit of the values; `None` when it is empty or
    /// its sum beyond `f64`.
    pub fn mean(&self) -> Option<f64> {
        (self.rows > 0.0).then(|| self.all.total / self.rows).filter(|mean| mean.is_finite())
    }

    fn insert(&mut self, value: f64) {
        let mut carried = Part { total: value, squares: 0.0 };
        let mut size = 1.0;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(VecDeque::new());
            }
            let parts = &mut self.levels[level];
            parts.push_back(carried);
            if parts.len() <= PER_LEVEL {
                return;
            }
            let oldest = parts.pop_front().unwrap_or_default();
            let next = parts.pop_front().unwrap_or_default();
            let apart = (oldest.total - next.total) / size;
            let squares = oldest.squares + next.squares + size / 2.0 * apart * apart;
            carried = Part { total: oldest.total + next.total, squares };
            size *= 2.0;
        }
    }

    /// Whether any boundary parts two means that differ by more than chance.
    fn has_cut(&self) -> bool {
        let (mut old_rows, mut old_total) = (0.0, 0.0);
        for (level, parts) in self.levels.iter().enumerate().rev() {
            for part in parts {
                old_rows += size_of_level(level);
                old_total += part.total;
                let rows = self.rows - old_rows;
                if rows < LEAST_PART {
                    return false;
                }
                let gap = old_total / old_rows - (self.all.total - old_total) / rows;
                if old_rows >= LEAST_PART && gap.abs() > self.bound(old_rows, rows) {
                    return true;
                }
            }
        }
        false
    }

    /// How far apart two means of parts with these many rows come by chance.
    fn bound(&self, old: f64, recent: f64) -> f64 {
        let log = (2.0 * self.rows.ln() / self.significance).ln();
        let weight = 1.0 / (old - LEAST_PART + 1.0) + 1.0 / (recent - LEAST_PART + 1.0);
        // Rounding may leave a little less than no variance.
        let variance = (self.all.squares / self.rows).max(0.0);
        (2.0 * weight * variance * log).sqrt() + 2.0 / 3.0 * log * weight
    }

    fn forget_oldest(&mut self) {
        let Some(parts) = self.levels.last_mut() else { return };
        let oldest = parts.pop_front().unwrap_or_default();
        let empty = parts.is_empty();
        let size = size_of_level(self.levels.len() - 1);
        if empty {
            self.levels.pop();
        }
        self.rows -= size;
        self.all.total -= oldest.total;
        let apart = oldest.total / size - self.all.total / self.rows;
        self.all.squares -= oldest.squares + size * self.rows * apart * apart / (size + self.rows);
    }
}

fn size_of_level(level: usize) -> f64 {
    2f64.powi(level as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::stream::page_hinkley::tests::detections;
    use crate::stats::vectors::rows;

    /// river 0.26.1: `_river_rust.drift.AdaptiveWindowing(0.002, 32, 5, 5, 10)`, never reset; detections and the last width.
    #[test]
    fn cuts_where_river_cuts() {
        for row in rows("streams") {
            let mut adwin = Adwin::new(0.002);
            assert_eq!(detections(&row.list("values"), |v| adwin.take(v)), row.counts("adwin"), "{}", row.text("name"));
            assert_eq!(adwin.rows(), row.u64("adwin_width"), "{}", row.text("name"));
        }
    }

    #[test]
    fn what_is_not_finite_leaves_no_trace_and_memory_is_bounded() {
        let mut adwin = Adwin::new(0.002);
        for i in 0..100_000u32 {
            assert_eq!(adwin.take(f64::from(i % 2)), None, "at {i}");
            assert_eq!((adwin.take(f64::NAN), adwin.take(f64::INFINITY)), (None, None));
        }
        assert_eq!((adwin.rows(), adwin.mean()), (100_000, Some(0.5)));
        assert!(adwin.levels.iter().map(VecDeque::len).sum::<usize>() <= PER_LEVEL * 17);
    }

    #[test]
    fn tells_the_direction() {
        let mut adwin = Adwin::new(0.002);
        let mut step = |value: f64, n: usize| (0..n).filter_map(|_| adwin.take(value)).last();
        assert_eq!((step(0.0, 500), step(1.0, 500), step(0.0, 900)), (None, Some(Change::Up), Some(Change::Down)));
    }
}

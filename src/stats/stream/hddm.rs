//! HDDM_A (Frías-Blanco et al. 2015, IEEE TKDE 27): the mean of all values against the best mean so far, by Hoeffding's bound.
//!
//! For values within 0..=1: no law is assumed but that. Two-sided; river and MOA default to increases only and so miss a recovery.

use super::Change;

/// The test.
#[derive(Clone, Debug)]
pub struct Hddm {
    significance: f64,
    all: Mean,
    /// The cut after which the mean was lowest, bound included.
    lowest: Mean,
    /// The cut after which it was highest.
    highest: Mean,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    rows: f64,
    value: f64,
}

impl Hddm {
    /// A new test that calls a change of a calm stream with about the chance `significance` (0.001 is usual); clamped to
    /// 1e-300..=1.
    #[must_use]
    pub fn new(significance: f64) -> Self {
        let none = Mean::default();
        Self { significance: significance.clamp(1e-300, 1.0), all: none, lowest: none, highest: none }
    }

    /// Takes one value within 0..=1; tells whether the mean changed, and then starts anew. Another value is not taken.
    pub fn take(&mut self, value: f64) -> Option<Change> {
        if !(0.0..=1.0).contains(&value) {
            return None;
        }
        self.all.rows += 1.0;
        self.all.value += (value - self.all.value) / self.all.rows;
        let margin = self.margin(self.all);
        if self.lowest.rows == 0.0 || self.lowest.value + self.margin(self.lowest) >= self.all.value + margin {
            self.lowest = self.all;
        }
        if self.highest.rows == 0.0 || self.highest.value - self.margin(self.highest) <= self.all.value - margin {
            self.highest = self.all;
        }
        let change = if self.all.value - self.lowest.value >= self.gap(self.lowest) {
            Change::Up
        } else if self.highest.value - self.all.value >= self.gap(self.highest) {
            Change::Down
        } else {
            return None;
        };
        *self = Self::new(self.significance);
        Some(change)
    }

    /// How far the mean of so many values is from the truth.
    fn margin(&self, mean: Mean) -> f64 {
        ((1.0 / self.significance).ln() / (2.0 * mean.rows)).sqrt()
    }

    /// How far the mean of all must be from that of the first values to differ; without end while there is nothing after them.
    fn gap(&self, first: Mean) -> f64 {
        let rows = self.all.rows - first.rows;
        if rows > 0.0 { (rows / first.rows / self.all.rows / 2.0 * (2.0 / self.significance).ln()).sqrt() } else { f64::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::stream::page_hinkley::tests::detections;
    use crate::stats::vectors::rows;

    /// river 0.26.1: `drift.binary.HDDM_A(two_sided_test=True)`.
    #[test]
    fn signals_where_river_signals() {
        for row in rows("streams").into_iter().filter(|row| row.text("name") != "wide") {
            let mut test = Hddm::new(0.001);
            assert_eq!(detections(&row.list("values"), |v| test.take(v)), row.counts("hddm"), "{}", row.text("name"));
        }
    }

    #[test]
    fn what_is_no_share_leaves_no_trace() {
        let mut test = Hddm::new(0.001);
        for _ in 0..200 {
            assert_eq!((test.take(1.0), test.take(f64::NAN), test.take(1.5), test.take(-0.5)), (None, None, None, None));
        }
        assert_eq!((0..60).find_map(|_| test.take(0.0)), Some(Change::Down));
    }
}

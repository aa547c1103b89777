//! The Page–Hinkley test (Page 1954, Biometrika 41): cumulative sums of what a value is above or below the mean so far, less a
//! tolerance; a change when one has risen by more than a threshold since its lowest.
//!
//! Both thresholds are in the unit of the values: there are none that suit every stream, and a small one alarms on calm streams.

use super::Change;

/// Values that must have come before anything is called.
const LEAST_ROWS: u64 = 30;
/// How much of the sums is kept at each value.
const MEMORY: f64 = 1.0 - 0.0001;

/// The test, both ways.
#[derive(Clone, Debug)]
pub struct PageHinkley {
    tolerance: f64,
    threshold: f64,
    state: State,
}

#[derive(Clone, Debug)]
struct State {
    rows: u64,
    mean: f64,
    up: f64,
    lowest: f64,
    down: f64,
    highest: f64,
}

impl State {
    const NEW: Self = Self { rows: 0, mean: 0.0, up: 0.0, lowest: f64::INFINITY, down: 0.0, highest: f64::NEG_INFINITY };
}

impl PageHinkley {
    /// A new test: deviations up to `tolerance` are no change (0.005 is usual for rates), sums up to `threshold` neither (50).
    #[must_use]
    pub fn new(tolerance: f64, threshold: f64) -> Self {
        Self { tolerance, threshold, state: State::NEW }
    }

    /// Takes one value; tells whether the mean changed, and then starts anew. A value that is not finite is not taken.
    pub fn take(&mut self, value: f64) -> Option<Change> {
        if !value.is_finite() {
            return None;
        }
        let s = &mut self.state;
        s.rows += 1;
        s.mean += (value - s.mean) / s.rows as f64;
        let deviation = value - s.mean;
        s.up = MEMORY * s.up + deviation - self.tolerance;
        s.down = MEMORY * s.down + deviation + self.tolerance;
        s.lowest = s.lowest.min(s.up);
        s.highest = s.highest.max(s.down);
        let change = match (s.up - s.lowest > self.threshold, s.highest - s.down > self.threshold) {
            (true, _) => Change::Up,
            (_, true) => Change::Down,
            _ => return None,
        };
        if s.rows < LEAST_ROWS {
            return None;
        }
        self.state = State::NEW;
        Some(change)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::stats::vectors::rows;

    /// The positions from 0 at which a detector signals.
    pub(in crate::stats::stream) fn detections(values: &[f64], mut take: impl FnMut(f64) -> Option<Change>) -> Vec<u64> {
        (0u64..).zip(values).filter_map(|(at, value)| take(*value).map(|_| at)).collect()
    }

    /// river 0.26.1: `drift.PageHinkley(threshold=...)`.
    #[test]
    fn signals_where_river_signals() {
        for row in rows("streams") {
            for threshold in [15.0, 50.0] {
                let mut test = PageHinkley::new(0.005, threshold);
                let want = row.counts(&format!("page_hinkley_{threshold}"));
                assert_eq!(detections(&row.list("values"), |v| test.take(v)), want, "{} {threshold}", row.text("name"));
            }
        }
    }

    #[test]
    fn what_is_not_finite_leaves_no_trace() {
        let mut test = PageHinkley::new(0.005, 5.0);
        for _ in 0..100 {
            assert_eq!((test.take(1.0), test.take(f64::NAN), test.take(f64::NEG_INFINITY)), (None, None, None));
        }
        assert_eq!((0..40).find_map(|_| test.take(-1.0)), Some(Change::Down));
    }
}

//! One number on both sides: what it was, what it is, between which ends the change lies, and what is said of it.
//!
//! A limit counts only when the whole interval is beyond it; across it nothing is said, but how many rows would say it.

use super::figures::Sides;
use super::policy::Status;
use super::why::rows_of;
use crate::stats::interval::Interval;
use serde::{Deserialize, Serialize};

/// A number that may have changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What it is: `accuracy`, `latency p95`, `success rate`.
    pub name: String,
    /// It in the reference, in its own unit; absent when it cannot be had.
    pub reference: Option<f64>,
    /// It in the current data.
    pub current: Option<f64>,
    /// Rows it rests on.
    pub n: Sides<u64>,
    /// What is held against the limit: a loss, a ratio or the current number itself.
    pub change: Option<f64>,
    /// The lower end of its 95 % interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// What it may not pass; absent for what is shown and not judged.
    pub limit: Option<f64>,
    /// The chance of such a change when nothing changed, where there is a test.
    pub p: Option<f64>,
    /// What is said.
    pub status: Status,
    /// Rows of both sides with which it could be said, when it cannot.
    pub needed: Option<Sides<u64>>,
    /// Why, in one sentence.
    pub why: String,
}

impl Change {
    /// A number that nothing is known of yet.
    #[must_use]
    pub fn open(name: &str, n: Sides<u64>, why: String) -> Self {
        Self {
            name: name.to_owned(),
            reference: None,
            current: None,
            n,
            change: None,
            low: None,
            high: None,
            limit: None,
            p: None,
            status: Status::Inconclusive,
            needed: None,
            why,
        }
    }

    /// The same with its numbers; numbers that are not finite are absent.
    #[must_use]
    pub fn measured(self, sides: Sides<f64>, change: f64, interval: Option<Interval>) -> Self {
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        Self {
            reference: finite(sides.reference),
            current: finite(sides.current),
            change: finite(change),
            low: interval.and_then(|interval| finite(interval.low)),
            high: interval.and_then(|interval| finite(interval.high)),
            ..self
        }
    }

    /// What the interval says of a limit that may not be passed: `beyond` when it lies above as a whole, `Ok` when below.
    pub fn against(&self, limit: f64, beyond: Status) -> Status {
        match (self.low, self.high) {
            (Some(low), _) if low > limit => beyond,
            (_, Some(high)) if high <= limit => Status::Ok,
            _ => Status::Inconclusive,
        }
    }
}

/// Rows of both sides with which 1/n + 1/m is below `spread`: the larger side stays as it is where that is enough. `None` when they
/// have them, or no number would do.
pub fn rows_for(spread: f64, n: u64, m: u64) -> Option<Sides<u64>> {
    let above = |rows: f64| (0.0..1e15).contains(&rows).then(|| rows as u64 + 1);
    let both = above(2.0 / spread)?;
    let beside = |given: u64| above(1.0 / (spread - 1.0 / given as f64));
    let needed = match (n >= both, m >= both) {
        (true, _) => Sides::new(n, beside(n)?.max(m)),
        (_, true) => Sides::new(beside(m)?.max(n), m),
        _ => Sides::new(both, both),
    };
    (needed != Sides::new(n, m)).then_some(needed)
}

/// `; 558 and 558 rows could decide`; nothing when it is not known.
pub fn could_decide(needed: Option<Sides<u64>>) -> String {
    needed.map_or(String::new(), |rows| format!("; {} could decide", rows_of(rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_just_enough() {
        assert_eq!(rows_for(0.01, 20, 30), Some(Sides::new(201, 201)));
        assert_eq!(rows_for(0.01, 1000, 30), Some(Sides::new(1000, 112)));
        assert_eq!(rows_for(0.01, 30, 1000), Some(Sides::new(112, 1000)));
        assert_eq!(rows_for(0.01, 300, 300), None);
        for spread in [0.0, -1.0, f64::NAN, 1e-300] {
            assert_eq!(rows_for(spread, 5, 5), None, "{spread}");
        }
    }

    #[test]
    fn only_a_whole_interval_says_something() {
        let of = |low, high| {
            let change = Change::open("x", Sides::new(1, 1), String::new());
            change.measured(Sides::new(1.0, 1.0), 1.0, Some(Interval { low, high })).against(1.2, Status::Warning)
        };
        assert_eq!((of(1.21, 1.5), of(1.1, 1.3), of(0.9, 1.2)), (Status::Warning, Status::Inconclusive, Status::Ok));
        assert_eq!(of(f64::NAN, f64::INFINITY), Status::Inconclusive);
    }
}

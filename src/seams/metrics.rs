//! Somebody who counts what two versions of a model did: a gateway, a Prometheus server, a program, a file, evaluations.
//!
//! Invariants: a figure that a source does not have is absent, never zero; nothing is counted twice, because the next reading
//! begins where the last one's cursor says; what a source answers is checked, garbage is an error.

use crate::base::error::Result;
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::stats::describe::{Counts, Moments};
use std::collections::BTreeMap;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The model.
    pub model: &'a Name,
    /// The version that serves; `None` when none does.
    pub stable: Option<Version>,
    /// The version on trial.
    pub canary: Version,
    /// Where the window begins.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Timestamp,
    /// Where the last reading ended, as its source wrote it; `None` for the first.
    pub cursor: Option<&'a str>,
}

/// What was counted of both versions in a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Of the version that serves.
    pub stable: Counted,
    /// Of the version on trial.
    pub canary: Counted,
    /// Stable minus canary on the same questions, by metric, in the unit of the score.
    pub pairs: BTreeMap<String, Moments>,
    /// Where the next reading begins; `None` when the source goes by time.
    pub cursor: Option<String>,
    /// Why nothing is known yet, in words; `None` when something is.
    pub missing: Option<String>,
}

/// What was counted of one version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Requests, failed ones and time-outs too; `None` when the source does not count them.
    pub requests: Option<u64>,
    /// Requests that failed, also those whose answer was cut short.
    pub errors: Option<u64>,
    /// How long answers took.
    pub latency: Option<Buckets>,
    /// Hits among draws, by metric.
    pub counts: BTreeMap<String, Counts>,
    /// Scores, by metric, in their unit.
    pub values: BTreeMap<String, Moments>,
    /// Logarithms of costs (tokens, money), by metric.
    pub costs: BTreeMap<String, Moments>,
}

/// Durations in buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Rising, none overlaps the next; those with nothing in them may be left out.
    pub counts: Vec<Bucket>,
}

/// The durations between two ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// All of them are above this, in seconds; at least 0.
    pub above: f64,
    /// None is above this, in seconds; infinite for the last of a histogram.
    pub most: f64,
    /// How many there are.
    pub n: u64,
}

/// How much wider each bucket of [`Buckets::of`] is than the one before.
const GROWTH: f64 = 1.02;

impl Buckets {
    /// Of buckets of which none is left out: the upper end of each in seconds, with how many are in it alone.
    pub fn dense(counts: impl IntoIterator<Item = (f64, u64)>) -> Self {
        let mut above = 0.0;
        let bucket = |(most, n)| Bucket { above: std::mem::replace(&mut above, most), most, n };
        Self { counts: counts.into_iter().map(bucket).collect() }
    }

    /// Of single durations in seconds, 2 % wide, with a second as one of the ends. `None` for one that is negative or not finite.
    pub fn of(seconds: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut found: BTreeMap<i64, u64> = BTreeMap::new();
        for duration in seconds {
            if !duration.is_finite() || duration < 0.0 {
                return None;
            }
            // Less than a microsecond counts as one. The end of a bucket belongs to it, also where the logarithm rounds up.
            let place = duration.max(1e-6).ln() / GROWTH.ln();
            let near = (place - place.round()).abs() < 1e-9;
            *found.entry(if near { place.round() } else { place.ceil() } as i64).or_default() += 1;
        }
        let end = |place: i64| GROWTH.powf(place as f64);
        Some(Self { counts: found.into_iter().map(|(place, n)| Bucket { above: end(place - 1), most: end(place), n }).collect() })
    }

    /// How many there are.
    pub fn n(&self) -> u64 {
        self.counts.iter().fold(0, |sum, b| sum.saturating_add(b.n))
    }
}

/// Who counts.
pub trait MetricSource: Send + Sync {
    /// What it is, for people: `Prometheus at http://prometheus:9090`.
    fn describe(&self) -> String;

    /// What it counted in a window.
    ///
    /// # Errors
    /// When it cannot be asked, or its answer cannot be.
    fn read(&self, ask: &Ask<'_>) -> Result<Reading>;

    /// The same for somebody who may stop to wait for it: `goes_on` is asked now and then and says whether they still do. `None` when they
    /// do not. Whoever answers soon, or not at all when their target does not either, need not ask.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn read_while(&self, ask: &Ask<'_>, goes_on: &dyn Fn() -> bool) -> Result<Option<Reading>> {
        let _ = goes_on;
        self.read(ask).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_begins_where_the_one_before_ends() {
        let bucket = |above, most, n| Bucket { above, most, n };
        let counts = vec![bucket(0.0, 0.5, 3), bucket(0.5, 1.0, 0), bucket(1.0, f64::INFINITY, 2)];
        assert_eq!(Buckets::dense([(0.5, 3), (1.0, 0), (f64::INFINITY, 2)]), Buckets { counts });
    }

    #[test]
    fn single_durations_lie_in_narrow_buckets() {
        let of = |seconds: &[f64]| Buckets::of(seconds.iter().copied());
        let found = of(&[0.2, 2.5, 0.2, 1.0, 1.000_001]).expect("durations").counts;
        assert_eq!(found.iter().map(|b| b.n).collect::<Vec<_>>(), [2, 1, 1, 1]);
        assert!(found.iter().all(|b| (b.most / b.above - GROWTH).abs() < 1e-9), "{found:?}");
        assert_eq!((found[1].most, found[2].above), (1.0, 1.0));
        assert!(found[0].above < 0.2 && found[0].most >= 0.2 && of(&[0.0]).expect("nothing is a duration").n() == 1);
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(of(&[0.1, bad]), None);
        }
    }
}

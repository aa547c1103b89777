//! The report on latencies for people: how far the canary's lie above the stable version's, and where the tails are. It is
//! no verdict: ranks see a shift and not a few very slow answers, and a p99 of 50 answers is the slowest of them.
//!
//! A sample is `(value, how many times)`: raw values, or the buckets of a histogram with a value that stands for each. Time-outs
//! and aborted answers have no latency; they count as errors and as slow, and are not in here.

use crate::stats::interval::{CONFIDENCE, Interval};
use crate::stats::ordered::Ordered;
use crate::stats::rank::{self, Quantile};
use crate::stats::rank_sum;
use serde::Serialize;

/// The quantiles that are told.
pub const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// Latencies of both versions, in the unit of the values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tail {
    /// Quantiles of both, for each of [`QUANTILES`].
    pub quantiles: Vec<Row>,
    /// The chance that an answer of the canary is slower than one of the stable version (ties by half): 0.5 when neither is.
    pub effect: Option<f64>,
    /// How much slower a typical answer is (Hodges and Lehmann), in the unit of the values.
    pub shift: Option<f64>,
    /// The lower end of the interval of `shift`.
    pub shift_low: Option<f64>,
    /// The upper end of the interval of `shift`.
    pub shift_high: Option<f64>,
    /// The two-sided chance of ranks this far apart when both are alike (Mann and Whitney), looked at once.
    pub p_value: Option<f64>,
}

/// One quantile of both versions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The quantile, 0 to 1.
    pub q: f64,
    /// The stable version's; `None` without answers.
    pub stable: Option<Ends>,
    /// The canary's; `None` without answers.
    pub canary: Option<Ends>,
}

/// A quantile with its interval; an end is `None` when there are too few answers for one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ends {
    /// The quantile of the answers that were seen.
    pub value: f64,
    /// The lower end.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

impl From<Quantile> for Ends {
    fn from(q: Quantile) -> Self {
        Self { value: q.value, low: q.low, high: q.high }
    }
}

/// Compares the latencies of the stable version and the canary. What cannot be had (no answers, values that are not finite,
/// all values equal) is `None`.
pub fn report(stable: &[(f64, u64)], canary: &[(f64, u64)]) -> Tail {
    let sample = |counted: &[(f64, u64)]| Ordered::of_counted(counted.iter().copied());
    let (stable, canary) = (sample(stable), sample(canary));
    let of = |sample: &Option<Ordered>, q| rank::quantile(sample.as_ref()?, q, CONFIDENCE).map(Ends::from);
    let quantiles = QUANTILES.map(|q| Row { q, stable: of(&stable, q), canary: of(&canary, q) }).into();
    let ranks = stable.zip(canary).and_then(|(stable, canary)| rank_sum::compare(&stable, &canary, CONFIDENCE));
    let interval: Option<Interval> = ranks.map(|r| r.interval);
    Tail {
        quantiles,
        effect: ranks.map(|r| r.effect),
        shift: ranks.map(|r| r.shift),
        shift_low: interval.map(|i| i.low),
        shift_high: interval.map(|i| i.high),
        p_value: ranks.map(|r| r.p_value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five of a hundred answers of the canary are a hundred times slower, which ranks hardly see: the quantiles show it.
    #[test]
    fn a_slow_tail_is_in_the_quantiles_and_hardly_in_the_ranks() {
        let stable: Vec<(f64, u64)> = (0..100).map(|i| (100.0 + f64::from(i), 10)).collect();
        let canary: Vec<(f64, u64)> = stable.iter().map(|(v, _)| (if *v < 195.0 { *v } else { v * 100.0 }, 1)).collect();
        let tail = report(&stable, &canary);
        assert!(tail.effect.is_some_and(|e| (e - 0.5).abs() < 0.01) && tail.p_value.is_some_and(|p| p > 0.5), "{tail:?}");
        let p99 = tail.quantiles[2];
        assert!(p99.stable.is_some_and(|s| s.high.is_some_and(|h| h < 200.0)), "{p99:?}");
        assert!(p99.canary.is_some_and(|c| c.value > 19_000.0 && c.high.is_none()), "{p99:?}");
    }

    #[test]
    fn a_shift_is_told_with_its_interval() {
        let stable: Vec<(f64, u64)> = (0..200).map(|i| (f64::from(i), 1)).collect();
        let canary: Vec<(f64, u64)> = stable.iter().map(|(v, n)| (v + 50.0, *n)).collect();
        let tail = report(&stable, &canary);
        assert_eq!(tail.shift, Some(50.0));
        assert!(tail.shift_low.is_some_and(|l| l > 35.0) && tail.shift_high.is_some_and(|h| h < 65.0), "{tail:?}");
        let none = report(&[], &canary);
        assert_eq!((none.shift, none.quantiles[0].stable, none.effect), (None, None, None));
    }
}

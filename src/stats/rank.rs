//! Quantiles and their intervals from order statistics: no law of the values is assumed.
//!
//! The number of rows at most the true quantile is binomial, so the interval runs between two of the rows (Conover 1999, "Practical
//! nonparametric statistics", 3.2). Of few rows an end may not exist: no row of 50 is surely above their 99th percentile.

use super::beta::regularised;
use super::ordered::Ordered;

/// A quantile and where the true one lies, in the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// The smallest value that at least the asked share of the rows does not exceed.
    pub value: f64,
    /// The lower end; `None` when there are too few rows for one.
    pub low: Option<f64>,
    /// The upper end; `None` when there are too few rows for one.
    pub high: Option<f64>,
}

/// The `q`-quantile with its interval. `None` when `q` or the confidence is not strictly between 0 and 1.
pub fn quantile(sample: &Ordered, q: f64, confidence: f64) -> Option<Quantile> {
    if !(q > 0.0 && q < 1.0 && confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    let (low, high) = quantile_interval(sample, q, confidence);
    let rank = ((q * sample.rows() as f64).ceil() as u64).clamp(1, sample.rows());
    Some(Quantile { value: value_at(sample, rank)?, low, high })
}

/// The ends between which the true `q`-quantile lies with the confidence, in the unit of the values; an end that the sample does
/// not reach is absent. Both absent when `q` or the confidence is not strictly between 0 and 1.
pub fn quantile_interval(sample: &Ordered, q: f64, confidence: f64) -> (Option<f64>, Option<f64>) {
    let beyond = (1.0 - confidence) / 2.0;
    if !(q > 0.0 && q < 1.0 && confidence > 0.0 && beyond > 0.0) {
        return (None, None);
    }
    let rows = sample.rows();
    // The chance that at least so many rows are at most the quantile.
    let at_least = |rank: u64| regularised(rank as f64, (rows - rank) as f64 + 1.0, q, 1.0 - q).unwrap_or(0.0);
    let low = partition(rows, |rank| at_least(rank) >= 1.0 - beyond);
    let high = partition(rows, |rank| at_least(rank) > beyond) + 1;
    // A rank read off a stored grid may be off by its slack.
    let low = low.checked_sub(sample.slack()).filter(|rank| *rank > 0);
    (low.and_then(|rank| value_at(sample, rank)), high.checked_add(sample.slack()).and_then(|rank| value_at(sample, rank)))
}

/// The fewest rows of which the confidence has an upper end for the `q`-quantile; `None` as [`quantile_interval`] has none.
pub fn rows_for_upper_end(q: f64, confidence: f64) -> Option<u64> {
    let rows = ((1.0 - confidence) / 2.0).ln() / q.ln();
    (rows.is_finite() && rows > 0.0 && rows < 1e15).then_some(rows.ceil() as u64)
}

/// The largest rank from 1 to `rows` that holds, when all below it do; 0 when none does.
fn partition(rows: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, rows + 1);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The value of a rank from 1; `None` beyond the rows.
fn value_at(sample: &Ordered, rank: u64) -> Option<f64> {
    sample.points().get(sample.points().partition_point(|(_, upto)| *upto < rank)).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1: the ranks whose `binom.sf(rank - 1, n, q)` is at least 0.975 and at most 0.025.
    #[test]
    fn ranks_agree_with_scipy() {
        for (n, q, low, high) in [
            (100, 0.5, Some(40.0), Some(61.0)),
            (100, 0.95, Some(90.0), Some(100.0)),
            (1000, 0.99, Some(983.0), Some(997.0)),
            (20, 0.5, Some(6.0), Some(15.0)),
            (50, 0.99, Some(48.0), None),
            (1, 0.5, None, None),
        ] {
            let sample = Ordered::of((1..=n).map(f64::from).collect()).expect("a sample");
            assert_eq!(quantile_interval(&sample, q, 0.95), (low, high), "{q} of {n}");
        }
    }

    /// scipy's `quantile_test(...).confidence_interval(0.95)` of 1, 2, …, n.
    #[test]
    fn quantiles_agree_with_scipy() {
        for row in crate::stats::evidence::tests::reference("quantiles") {
            let n = row["n"].as_u64().expect("a count");
            let sample = Ordered::of((1..=n).rev().map(|v| v as f64).collect()).expect("a sample");
            let q = row["q"].as_f64().expect("a number");
            let got = quantile(&sample, q, 0.95).expect("a quantile");
            assert_eq!((got.low, got.high), (row["low"].as_f64(), row["high"].as_f64()), "{row}");
            assert_eq!(got.value, (q * n as f64).ceil(), "{row}");
        }
        let sample = Ordered::of(vec![1.0]).expect("a sample");
        assert_eq!(
            (quantile(&sample, 0.0, 0.95), quantile(&sample, f64::NAN, 0.95), quantile(&sample, 0.5, 1.0)),
            (None, None, None)
        );
    }

    #[test]
    fn an_upper_end_needs_rows() {
        for q in [0.5, 0.95, 0.99] {
            let rows = rows_for_upper_end(q, 0.95).expect("a number");
            let end = |rows: u64| {
                let sample = Ordered::of((0..rows).map(|i| i as f64).collect()).expect("a sample");
                quantile_interval(&sample, q, 0.95).1
            };
            assert!(end(rows).is_some() && end(rows - 1).is_none(), "{rows} of {q}");
        }
        assert_eq!((rows_for_upper_end(1.0, 0.95), rows_for_upper_end(f64::NAN, 0.95)), (None, None));
    }

    #[test]
    fn a_stored_grid_has_wider_ends_and_nonsense_none() {
        let sample = Ordered::of((1..=10_000).map(f64::from).collect()).expect("a sample");
        let (exact, thin) = (quantile_interval(&sample, 0.5, 0.95), quantile_interval(&sample.thinned(100), 0.5, 0.95));
        assert!(thin.0 <= exact.0 && exact.1 <= thin.1, "{exact:?} {thin:?}");
        for (q, confidence) in [(0.0, 0.9), (1.0, 0.9), (0.5, 0.0), (0.5, 1.0), (f64::NAN, 0.9), (0.5, f64::NAN)] {
            assert_eq!(quantile_interval(&sample, q, confidence), (None, None));
        }
    }
}

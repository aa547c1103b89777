//! Confidence intervals of a mean and of a proportion.
//!
//! Where the numbers come from: Student's t on n − 1 degrees of freedom for a mean without bounds; Wilson's score interval
//! (Wilson 1927, JASA 22) for a proportion, because the symmetric one has no width when every row passes; [`super::bounded`]
//! for other scores within a range. Quantiles by `statrs`.

use super::bounded::of_bounded_mean;
use super::describe::{mean, standard_error};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The confidence of an interval unless the user asks for another.
pub const CONFIDENCE: f64 = 0.95;

/// A range that holds the true value with the confidence it was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// The part of it between two bounds, for what cannot be beyond them; `lowest` must not be above `highest`.
    #[must_use]
    pub fn within(self, lowest: f64, highest: f64) -> Self {
        Self { low: self.low.clamp(lowest, highest), high: self.high.clamp(lowest, highest) }
    }
}

/// Student's interval of the mean. `None` for fewer than two values, values that are not finite, or a confidence that is not
/// strictly between 0 and 1. Equal values give an interval without width: t knows no other spread than the one it saw.
pub fn of_mean(values: &[f64], confidence: f64) -> Option<Interval> {
    let half = t_quantile(confidence, values.len().checked_sub(1)?)? * standard_error(values)?;
    let mean = mean(values)?;
    finite(mean - half, mean + half)
}

/// Wilson's score interval of `successes` out of `n`, without continuity correction; within 0..=1. `None` when `n` is 0 or
/// less than `successes`, or the confidence is not strictly between 0 and 1.
pub fn wilson(successes: u64, n: u64, confidence: f64) -> Option<Interval> {
    if n == 0 || successes > n {
        return None;
    }
    let z2 = z_quantile(confidence)?.powi(2);
    let (s, n) = (successes as f64, n as f64);
    let p = s / n;
    let centre = (s + z2 / 2.0) / (n + z2);
    let half = (z2 * (n * p * (1.0 - p) + z2 / 4.0)).sqrt() / (n + z2);
    // At the ends the formula gives 0 and 1 but for rounding.
    let low = if s == 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if s == n { 1.0 } else { (centre + half).min(1.0) };
    finite(low, high)
}

/// The interval that suits scores within `range` (lowest, highest): [`wilson`] when the range is 0 to 1 and all values are 0
/// or 1, else [`of_bounded_mean`]. It never leaves the range and always has a width.
pub fn of_scores(values: &[f64], range: (f64, f64), confidence: f64) -> Option<Interval> {
    if range == (0.0, 1.0) && values.iter().all(|v| *v == 0.0 || *v == 1.0) {
        let successes = values.iter().filter(|v| **v == 1.0).count();
        return wilson(successes as u64, values.len() as u64, confidence);
    }
    of_bounded_mean(values, range, confidence)
}

/// The two-sided quantile of the standard normal distribution: 1.96 for a confidence of 0.95. `None` when it
/// is not strictly between 0 and 1.
pub fn z_quantile(confidence: f64) -> Option<f64> {
    Some(Normal::standard().inverse_cdf(upper(confidence)?)).filter(|z| z.is_finite())
}

/// The chance of lying beyond one end of an interval and its normal quantile: 0.025 and −1.96 for a confidence of 0.95.
pub(super) fn tail_quantile(confidence: f64) -> Option<(f64, f64)> {
    Some(((1.0 - confidence) / 2.0, -z_quantile(confidence)?))
}

/// The two-sided quantile of Student's t distribution; `None` without degrees of freedom.
pub(super) fn t_quantile(confidence: f64, degrees: usize) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, degrees as f64).ok()?;
    Some(t.inverse_cdf(upper(confidence)?)).filter(|t| t.is_finite())
}

fn upper(confidence: f64) -> Option<f64> {
    (confidence > 0.0 && confidence < 1.0).then_some(f64::midpoint(1.0, confidence)).filter(|u| *u < 1.0)
}

pub(super) fn finite(low: f64, high: f64) -> Option<Interval> {
    (low.is_finite() && high.is_finite()).then_some(Interval { low, high })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(got: Option<Interval>, low: f64, high: f64) {
        let near = got.is_some_and(|i| (i.low - low).abs() < 1e-9 && (i.high - high).abs() < 1e-9);
        assert!(near, "{got:?} is not {low}..{high}");
    }

    /// scipy 1.17.1: `scipy.stats.t.interval(c, n - 1, np.mean(x), scipy.stats.sem(x))`.
    #[test]
    fn mean_intervals_agree_with_scipy() {
        let x = [0.91, 0.84, 0.77, 1.0, 0.66, 0.93, 0.81];
        check(of_mean(&x[..7], 0.95), 0.741_235_755_590_636, 0.950_192_815_837_935_5);
        check(of_mean(&x[..7], 0.9), 0.762_744_145_462_399_9, 0.928_684_425_966_171_5);
        check(of_mean(&x[..7], 0.99), 0.687_414_087_844_061_4, 1.004_014_483_584_510_2);
        check(of_mean(&x[..2], 0.95), 0.430_282_834_233_885_4, 1.319_717_165_766_114_6);
        check(of_mean(&x[..3], 0.95), 0.666_110_360_177_476_8, 1.013_889_639_822_523);
        let many: Vec<f64> = (0..200).map(|i| f64::from(i % 7) / 7.0).collect();
        check(of_mean(&many, 0.95), 0.384_400_656_670_595_75, 0.464_170_771_900_832_9);
    }

    /// statsmodels 0.15.0: `proportion_confint(s, n, alpha, method="wilson")`.
    #[test]
    fn proportions_agree_with_statsmodels() {
        check(wilson(0, 10, 0.95), 0.0, 0.277_532_799_862_889_2);
        check(wilson(10, 10, 0.95), 0.722_467_200_137_110_7, 0.999_999_999_999_999_9);
        check(wilson(7, 10, 0.95), 0.396_778_147_461_145_37, 0.892_208_732_593_698_9);
        check(wilson(1, 1, 0.95), 0.206_549_314_377_237_45, 1.0);
        check(wilson(188, 200, 0.95), 0.898_068_307_042_337_2, 0.965_347_805_745_668_1);
        check(wilson(3, 50, 0.99), 0.015_294_840_009_215_73, 0.207_799_000_702_296_84);
    }

    #[test]
    fn binary_scores_take_wilson_and_others_keep_within_their_range() {
        let unit = (0.0, 1.0);
        assert_eq!(of_scores(&[1.0; 20], unit, 0.95), wilson(20, 20, 0.95));
        assert_eq!(of_scores(&[1.0, 0.0, 0.5], unit, 0.95), of_bounded_mean(&[1.0, 0.0, 0.5], unit, 0.95));
        let grades = of_scores(&[1.0, 1.0, 0.0], (0.0, 5.0), 0.95).expect("an interval");
        assert!(grades.high > 1.0 && grades.high < 5.0, "{grades:?}");
    }

    #[test]
    fn what_cannot_be_had_is_none() {
        assert_eq!((of_mean(&[], 0.95), of_mean(&[1.0], 0.95), of_mean(&[1.0, f64::NAN], 0.95)), (None, None, None));
        assert_eq!((wilson(0, 0, 0.95), wilson(2, 1, 0.95), of_scores(&[], (0.0, 1.0), 0.95)), (None, None, None));
        for confidence in [0.0, 1.0, -1.0, f64::NAN, 0.999_999_999_999_999_9] {
            assert!(of_mean(&[1.0, 2.0], confidence).is_none_or(|i| i.low.is_finite() && i.high.is_finite()), "{confidence}");
            assert!(wilson(1, 2, confidence).is_none_or(|i| i.low >= 0.0 && i.high <= 1.0), "{confidence}");
        }
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_estimate(v in proptest::collection::vec(-1e3f64..1e3, 2..50), s in 0u64..500, more in 1u64..500) {
            let mean = mean(&v).expect("values");
            let i = of_mean(&v, CONFIDENCE).expect("an interval");
            prop_assert!(i.low <= mean && mean <= i.high);
            let n = s + more;
            let w = wilson(s, n, CONFIDENCE).expect("an interval");
            let p = s as f64 / n as f64;
            prop_assert!(0.0 <= w.low && w.low <= p && p <= w.high && w.high <= 1.0 && w.low < w.high);
        }
    }
}

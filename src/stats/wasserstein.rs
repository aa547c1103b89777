//! The Wasserstein-1 (earth mover's) distance of two samples, and a scale to read it by.
//!
//! Divided by the standard deviation the distance is blind on columns with an outlier (the outlier is the scale) and false on heavy
//! tails; [`scale`] is the spread of the middle half, which one row cannot change.

use super::ordered::{Ordered, together};

/// The interquartile range of a standard normal distribution.
const NORMAL_IQR: f64 = 1.348_979_500_392_163_5;

/// W₁ = ∫|F − G|, in the unit of the values; off by at most the sum of both samples' shifts. `None` beyond `f64`.
pub fn distance(a: &Ordered, b: &Ordered) -> Option<f64> {
    let (n, m) = (a.rows() as f64, b.rows() as f64);
    let mut sum = 0.0;
    let mut last: Option<(f64, f64)> = None;
    for (value, of_a, of_b) in together(a, b) {
        if let Some((from, gap)) = last {
            sum += (value - from) * gap;
        }
        last = Some((value, (of_a as f64 / n - of_b as f64 / m).abs()));
    }
    Some(sum).filter(|sum| sum.is_finite())
}

/// What a scale was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The interquartile range over that of a standard normal distribution.
    MiddleHalf,
    /// The standard deviation: more than half of the rows have one value, so that the middle half has no width (and the median
    /// deviation from the median is 0 as well).
    StandardDeviation,
    /// The magnitude of the median: all rows are equal.
    Median,
}

/// A positive scale of the sample, in the unit of the values, and what it was taken from. `None` when all rows are 0 or the spread
/// is beyond `f64`.
pub fn scale(sample: &Ordered) -> Option<(f64, Scale)> {
    let middle = (sample.quantile(0.75)? - sample.quantile(0.25)?) / NORMAL_IQR;
    let (_, sd) = sample.moments().unwrap_or((0.0, 0.0));
    let choices = [(middle, Scale::MiddleHalf), (sd, Scale::StandardDeviation), (sample.quantile(0.5)?.abs(), Scale::Median)];
    choices.into_iter().find(|(scale, _)| *scale > 0.0 && scale.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{near, rows};

    fn sample(values: &[f64]) -> Ordered {
        Ordered::of(values.to_vec()).expect("a sample")
    }

    /// scipy 1.17.1: `wasserstein_distance(a, b)`, `iqr(a) / (2 * norm.ppf(.75))`.
    #[test]
    fn distances_agree_with_scipy() {
        for row in rows("two_samples") {
            let (a, b) = (sample(&row.list("a")), sample(&row.list("b")));
            near(distance(&a, &b), row.f64("w"), 1e-12, "W");
            near(distance(&b, &a), row.f64("w"), 1e-12, "W the other way");
            if row.f64("iqr_sd") > 0.0 {
                assert_eq!(scale(&a).map(|s| s.1), Some(Scale::MiddleHalf));
                near(scale(&a).map(|s| s.0), row.f64("iqr_sd"), 1e-12, "scale");
            }
        }
    }

    #[test]
    fn a_scale_falls_back_and_says_so() {
        assert_eq!(scale(&sample(&[0.0, 0.0, 0.0, 0.0, 0.0, 3.0])).map(|s| s.1), Some(Scale::StandardDeviation));
        assert_eq!(scale(&sample(&[-4.0; 9])), Some((4.0, Scale::Median)));
        assert_eq!(scale(&sample(&[0.0; 9])), None);
        assert_eq!(scale(&sample(&[1.0, 2.0, 3.0, 4.0, 1e300])).map(|s| s.1), Some(Scale::MiddleHalf));
        assert_eq!(distance(&sample(&[f64::MIN]), &sample(&[f64::MAX])), None);
    }
}

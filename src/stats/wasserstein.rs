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

/// By how much [`scale`] may be off because the sample is thinned, in the unit of the values; 0 for an exact one. `None` likewise.
pub fn scale_error(sample: &Ordered) -> Option<f64> {
    let (scale, kind) = scale(sample)?;
    if sample.slack() == 0 {
        return Some(0.0);
    }
    // A rank is off by the slack, and by one more where a quantile lies between two rows.
    let shift = (sample.slack() + 1) as f64 / (sample.rows().max(2) - 1) as f64;
    let at = |q: f64| sample.quantile(q.clamp(0.0, 1.0));
    let error = match kind {
        Scale::MiddleHalf => {
            let widest = (at(0.75 + shift)? - at(0.25 - shift)?) / NORMAL_IQR;
            let narrowest = (at(0.75 - shift)? - at(0.25 + shift)?).max(0.0) / NORMAL_IQR;
            (widest - scale).max(scale - narrowest)
        }
        // Deviations differ by at most the second Wasserstein distance, whose square is at most the first times the range.
        Scale::StandardDeviation => (sample.shift() * (at(1.0)? - at(0.0)?)).sqrt(),
        Scale::Median => 0.0,
    };
    Some(error)
}

/// By how much a `distance` over a scale may be off, when each is off by an error; infinite when the scale may be 0.
pub fn scaled_error((distance, of_distance): (f64, f64), (scale, of_scale): (f64, f64)) -> f64 {
    if of_scale >= scale {
        return f64::INFINITY;
    }
    let scaled = distance / scale;
    let most = (distance + of_distance) / (scale - of_scale);
    let least = (distance - of_distance).max(0.0) / (scale + of_scale);
    (most - scaled).max(scaled - least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Rng;
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

    /// The scale and the distance of a thinned sample lie within what it says of them, for smooth, heavy and lumpy samples.
    #[test]
    fn what_is_thinned_says_how_far_it_is_off() {
        let mut rng = Rng::new(8);
        let shapes: [fn(f64) -> f64; 4] =
            [|u| u, |u| u.powf(-1.5), |u| if u < 0.6 { 0.0 } else { u }, |u| if u < 0.7499 { u / 1e6 } else { 5.0 + u }];
        for (at, shape) in shapes.into_iter().enumerate() {
            let mut draw =
                |rows: usize, by: f64| Ordered::of((0..rows).map(|_| shape(rng.unit()) + by).collect()).expect("a sample");
            let (whole, other) = (draw(20_000, 0.0), draw(3_000, 0.1));
            let thin = whole.thinned(200);
            let ((exact, _), (near, _)) = (scale(&whole).expect("a scale"), scale(&thin).expect("a scale"));
            let off = scale_error(&thin).expect("a scale");
            assert!(off > 0.0 && (exact - near).abs() <= off, "{at}: {exact} {near} ± {off}");
            assert_eq!(scale_error(&whole), Some(0.0));
            let (d, d_near) = (distance(&whole, &other).expect("finite"), distance(&thin, &other).expect("finite"));
            let error = scaled_error((d_near, thin.shift()), (near, off));
            assert!((d / exact - d_near / near).abs() <= error, "{at}: {} {} ± {error}", d / exact, d_near / near);
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

//! Mean, spread and quantiles of a sample.
//!
//! Invariant: equal values have exactly that value as their mean and exactly zero spread, whatever rounding would say.

use serde::{Deserialize, Serialize};

/// What is told of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many values.
    pub n: usize,
    /// Their arithmetic mean, in the unit of the values.
    pub mean: f64,
    /// Their standard deviation (divisor n − 1), in the unit of the values; `None` for a single value.
    pub sd: Option<f64>,
    /// The standard error of the mean, in the unit of the values; `None` for a single value.
    pub standard_error: Option<f64>,
}

/// Count, mean, standard deviation and standard error; `None` for no values or values that are not finite.
pub fn summary(values: &[f64]) -> Option<Summary> {
    let sd = sd(values);
    Some(Summary { n: values.len(), mean: mean(values)?, sd, standard_error: sd.map(|sd| sd / count(values).sqrt()) })
}

/// The arithmetic mean; `None` for no values or values that are not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    let mean = if values.iter().all(|v| *v == first) { first } else { sum(values.iter().copied()) / count(values) };
    Some(mean).filter(|m| m.is_finite())
}

/// The standard deviation with divisor n − 1; `None` for fewer than two values or values that are not finite.
pub fn sd(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values)?;
    let squares = sum(values.iter().map(|v| (v - mean) * (v - mean)));
    Some((squares / (count(values) - 1.0)).sqrt()).filter(|s| s.is_finite())
}

/// The standard error of the mean, sd / √n; `None` for fewer than two values or values that are not finite.
pub fn standard_error(values: &[f64]) -> Option<f64> {
    Some(sd(values)? / count(values).sqrt())
}

/// The `q`-quantile by linear interpolation (Hyndman and Fan 1996, type 7: numpy's default); `None` for no values, values
/// that are not finite, or `q` outside 0..=1. The values need no order.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_sorted(&sorted, q)
}

/// [`quantile`] of values that are in ascending order already, for those who want several of one sample.
pub fn quantile_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&q) || !sorted.iter().all(|v| v.is_finite()) {
        return None;
    }
    let at = q * sorted.len().checked_sub(1)? as f64;
    let below = sorted[at.floor() as usize];
    let above = sorted[at.ceil() as usize];
    // Weighted instead of `below + (above − below)·w`: the difference of two finite values may overflow.
    let weight = at - at.floor();
    Some(if below == above { below } else { below * (1.0 - weight) + above * weight })
}

/// Count, mean and spread of values that are gone: what windows keep, and what adds up to that of all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// How many values.
    pub n: u64,
    /// Their mean, in the unit of the values; 0 without values.
    pub mean: f64,
    /// Their standard deviation (divisor n − 1), in the unit of the values; 0 with fewer than two.
    pub sd: f64,
}

impl Moments {
    /// Of values at hand; `None` for values that are not finite, or whose sums are not.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return Some(Self::default());
        }
        let sd = if values.len() < 2 { 0.0 } else { sd(values)? };
        Some(Self { n: values.len() as u64, mean: mean(values)?, sd })
    }

    /// With `from.0` as 0 and `from.1` as 1 (they may fall, but must differ).
    #[must_use]
    pub fn scaled(&self, from: (f64, f64)) -> Self {
        let span = from.1 - from.0;
        Self { n: self.n, mean: (self.mean - from.0) / span, sd: self.sd / span.abs() }
    }

    /// Σ(x − mean)².
    pub fn squares(&self) -> f64 {
        self.n.saturating_sub(1) as f64 * self.sd * self.sd
    }

    /// Of the values of both (Chan, Golub and LeVeque 1983).
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        if self.n == 0 || other.n == 0 {
            return if self.n == 0 { *other } else { *self };
        }
        let n = self.n.saturating_add(other.n);
        let (all, theirs) = (n as f64, other.n as f64);
        let gap = other.mean - self.mean;
        let squares = self.squares() + other.squares() + gap * gap * self.n as f64 * theirs / all;
        Self { n, mean: self.mean + gap * theirs / all, sd: (squares / (all - 1.0)).sqrt() }
    }
}

fn count(values: &[f64]) -> f64 {
    values.len() as f64
}

/// Neumaier's compensated sum: the error does not grow with the number of terms.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0f64, 0.0);
    for v in values {
        let next = total + v;
        lost += if total.abs() >= v.abs() { (total - next) + v } else { (v - next) + total };
        total = next;
    }
    total + lost
}

/// Draws and hits among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// How many draws were hits.
    pub hits: u64,
    /// How many draws there were.
    pub n: u64,
}

impl Counts {
    /// The share of hits; `None` without draws.
    pub fn rate(self) -> Option<f64> {
        (self.n > 0).then(|| self.hits as f64 / self.n as f64)
    }

    /// Both together. More hits than draws, which no source should report, count as all.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let n = self.n.saturating_add(other.n);
        Self { hits: self.hits.saturating_add(other.hits).min(n), n }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: [f64; 7] = [0.91, 0.84, 0.77, 1.0, 0.66, 0.93, 0.81];

    fn near(got: Option<f64>, want: f64) {
        assert!(got.is_some_and(|g| (g - want).abs() < 1e-12), "{got:?} is not {want}");
    }

    /// numpy 2.4.6: `np.mean(x)`, `np.std(x, ddof=1)`; scipy 1.17.1: `scipy.stats.sem(x)`.
    #[test]
    fn moments_agree_with_numpy() {
        near(mean(&SAMPLE), 0.845_714_285_714_285_7);
        near(sd(&SAMPLE), 0.112_968_600_778_733_02);
        near(standard_error(&SAMPLE), 0.042_698_117_659_923_6);
        let s = summary(&SAMPLE).expect("a summary");
        assert_eq!((s.n, Some(s.mean), s.sd, s.standard_error), (7, mean(&SAMPLE), sd(&SAMPLE), standard_error(&SAMPLE)));
    }

    /// numpy 2.4.6: `np.quantile(x, q)`.
    #[test]
    fn quantiles_agree_with_numpy() {
        for (q, want) in [(0.0, 0.66), (0.25, 0.79), (0.5, 0.84), (0.9, 0.958), (0.95, 0.979), (1.0, 1.0)] {
            near(quantile(&SAMPLE, q), want);
        }
    }

    #[test]
    fn what_cannot_be_had_is_none() {
        assert_eq!((mean(&[]), sd(&[1.0]), quantile(&[], 0.5), summary(&[])), (None, None, None, None));
        assert_eq!((quantile(&SAMPLE, 1.5), quantile(&SAMPLE, f64::NAN)), (None, None));
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!((mean(&[1.0, bad]), sd(&[1.0, bad]), quantile(&[1.0, bad], 0.5)), (None, None, None));
        }
        assert_eq!((mean(&[f64::MAX, f64::MAX / 2.0]), sd(&[f64::MAX, -f64::MAX])), (None, None));
        assert_eq!(quantile(&[f64::MIN, f64::MAX], 0.5), Some(0.0));
    }

    #[test]
    fn a_sum_keeps_what_is_small() {
        near(mean(&[1e16, 1.0, -1e16, 1.0]), 0.5);
    }

    proptest! {
        #[test]
        fn moments_of_parts_add_up(v in proptest::collection::vec(-9.0f64..9.0, 0..40), at in 0usize..40) {
            let (a, b) = v.split_at(at.min(v.len()));
            let (parts, all) = (Moments::of(a).expect("one").and(&Moments::of(b).expect("one")), Moments::of(&v).expect("one"));
            prop_assert_eq!(parts.n, all.n);
            prop_assert!((parts.mean - all.mean).abs() < 1e-12 && (parts.sd - all.sd).abs() < 1e-9, "{parts:?} {all:?}");
        }

        #[test]
        fn equal_values_have_no_spread(v in -1e300f64..1e300, n in 2usize..40) {
            let values = vec![v; n];
            prop_assert_eq!((mean(&values), sd(&values), quantile(&values, 0.3)), (Some(v), Some(0.0), Some(v)));
        }

        #[test]
        fn quantiles_rise_and_stay_inside(mut v in proptest::collection::vec(-1e6f64..1e6, 1..40), p in 0.0f64..=1.0, q in 0.0f64..=1.0) {
            let (low, high) = (quantile(&v, p.min(q)).expect("one"), quantile(&v, p.max(q)).expect("one"));
            v.sort_by(f64::total_cmp);
            prop_assert!(low <= high + 1e-9 && v[0] - 1e-9 <= low && high <= v[v.len() - 1] + 1e-9);
        }
    }
}

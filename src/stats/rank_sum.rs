//! Two samples compared by rank: how far one lies above the other, whatever their shape.
//!
//! Where the numbers come from: Mann and Whitney 1947, two-sided, exact without ties up to [`EXACT_PAIRS`] pairs, else normal
//! with the variance corrected for ties and a continuity correction of ½ (as `scipy.stats.mannwhitneyu`); the common-language
//! effect size (McGraw and Wong 1992; ties count half); the shift of Hodges and Lehmann 1963 with its interval by the normal
//! quantile of U (Hollander, Wolfe and Chicken 2013, §4.2–4.3).

use super::interval::{Interval, tail_quantile};
use super::ordered::Ordered;
use statrs::distribution::{ContinuousCDF, Normal};

/// Up to this many pairs without ties the distribution of U is counted out.
pub const EXACT_PAIRS: u64 = 400;

/// Distinct values in ascending order, each with how often it was seen.
type Sample = [(f64, u64)];

/// The second sample against the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranks {
    /// Draws of the first sample.
    pub first: u64,
    /// Draws of the second sample.
    pub second: u64,
    /// Pairs in which the second's value is higher, ties by half.
    pub u: f64,
    /// The chance that a draw of the second is above one of the first, ties by half: ½ when neither is higher.
    pub effect: f64,
    /// The two-sided chance of a U this far from the middle when both have one distribution.
    pub p_value: f64,
    /// The median of second − first over all pairs, in the unit of the values.
    pub shift: f64,
    /// The interval of `shift`.
    pub interval: Interval,
}

/// Compares two samples. `None` when all values are equal, a difference is beyond `f64`, or the confidence is not strictly between
/// 0 and 1.
pub fn compare(first: &Ordered, second: &Ordered, confidence: f64) -> Option<Ranks> {
    let (n, m) = (first.rows(), second.rows());
    let (first, second): (Vec<_>, Vec<_>) = (first.weights().collect(), second.weights().collect());
    let pairs = n.checked_mul(m)?;
    let (u, ties) = statistic(&first, &second);
    let all = (n + m) as f64;
    let variance = pairs as f64 / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return None;
    }
    let far = (u - pairs as f64 / 2.0).abs();
    let p_value = if ties == 0.0 && pairs <= EXACT_PAIRS {
        exact(n, m, u.min(pairs as f64 - u))
    } else {
        2.0 * Normal::standard().sf((far - 0.5).max(0.0) / variance.sqrt())
    };
    let (_, z) = tail_quantile(confidence)?;
    // Hollander, Wolfe and Chicken, (4.34): the rank of the lower end among the differences; the upper end lies opposite.
    let rank = ((pairs as f64 / 2.0 + z * variance.sqrt()).floor().max(1.0) as u64).min(pairs);
    let difference = |k: u64| kth_difference(&first, &second, k);
    let shift = f64::midpoint(difference(pairs.div_ceil(2)), difference(pairs / 2 + 1));
    let interval = Interval { low: difference(rank), high: difference(pairs + 1 - rank) };
    let finite = shift.is_finite() && interval.low.is_finite() && interval.high.is_finite();
    finite.then_some(Ranks { first: n, second: m, u, effect: u / pairs as f64, p_value: p_value.min(1.0), shift, interval })
}

/// U of the second sample, and Σ(t³ − t) over the groups of equal values.
fn statistic(first: &Sample, second: &Sample) -> (f64, f64) {
    let mut values: Vec<(f64, u64, u64)> =
        first.iter().map(|s| (s.0, s.1, 0)).chain(second.iter().map(|s| (s.0, 0, s.1))).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut u, mut ties, mut below) = (0.0, 0.0, 0.0);
    for group in values.chunk_by(|a, b| a.0 == b.0) {
        let (n, m) = group.iter().fold((0.0, 0.0), |(n, m), g| (n + g.1 as f64, m + g.2 as f64));
        u += m * (below + n / 2.0);
        below += n;
        let t: f64 = n + m;
        ties += t * t * t - t;
    }
    (u, ties)
}

/// Twice the chance of U ≤ `u` without ties. The arrangements with each U are the coefficients of Gauss's binomial,
/// Π (1 − q^(n + i)) / (1 − q^i) for i = 1..=m: whole numbers, far below 2⁵³ with [`EXACT_PAIRS`].
fn exact(n: u64, m: u64, u: f64) -> f64 {
    let (n, m) = (n as usize, m as usize);
    let mut ways = vec![0.0; n * m + 1];
    ways[0] = 1.0;
    for i in 1..=m {
        for at in (n + i..ways.len()).rev() {
            ways[at] -= ways[at - n - i];
        }
        for at in i..ways.len() {
            ways[at] += ways[at - i];
        }
    }
    2.0 * ways.iter().take(u.floor() as usize + 1).sum::<f64>() / ways.iter().sum::<f64>()
}

/// The `k`-th smallest second − first over all pairs (k from 1), found by halving: no pair is ever listed.
fn kth_difference(first: &Sample, second: &Sample, k: u64) -> f64 {
    let total: u64 = first.iter().map(|s| s.1).sum();
    let not_above = |d: f64| {
        let (mut next, mut passed, mut pairs) = (0, 0, 0);
        // A higher value of the second passes more of the first: both are walked once, from below.
        for (value, times) in second {
            while next < first.len() && value - first[next].0 > d {
                passed += first[next].1;
                next += 1;
            }
            pairs += times * (total - passed);
        }
        pairs
    };
    let ends = |s: &Sample| (s.first().map_or(0.0, |v| v.0), s.last().map_or(0.0, |v| v.0));
    let ((first_low, first_high), (second_low, second_high)) = (ends(first), ends(second));
    let (mut low, mut high) = (second_low - first_high, second_high - first_low);
    if not_above(low) >= k {
        return low;
    }
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return high;
        }
        if not_above(middle) >= k {
            high = middle;
        } else {
            low = middle;
        }
    }
}

#[cfg(test)]
#[path = "rank_sum_tests.rs"]
mod tests;

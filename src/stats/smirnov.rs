//! The two-sample Kolmogorov–Smirnov test.
//!
//! The statistic is exact in whole numbers. Its p-value is exact up to [`EXACT_ROWS`] rows a side (lattice paths: Gnedenko and
//! Korolyuk 1951 for equal sizes, Hodges 1958 in the form of Viehmann 2021, arXiv 2102.08037, else), above that the exact
//! one-sample law at the rounded effective size n·m/(n + m): the choices of scipy's `ks_2samp`, digit for digit to 1e-9. With
//! ties it is conservative.

use super::kolmogorov::survival;
use super::ordered::{Ordered, together};

/// Up to this many rows on the larger side the p-value is exact.
pub const EXACT_ROWS: u64 = 10_000;

/// The test of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smirnov {
    /// D: the largest difference of the two shares of rows at most some value, 0 to 1.
    pub statistic: f64,
    /// The value where it is reached, in the unit of the values.
    pub at: f64,
    /// Whether the current sample has the larger share there, that is, lies lower.
    pub current_lower: bool,
    /// By how much D may be off because a sample is thinned; 0 when both are exact.
    pub error: f64,
    /// The two-sided chance of a D this large when nothing drifted.
    pub p_value: f64,
    /// The p-values at D + error and at D − error: both `p_value` when both samples are exact.
    pub p_range: (f64, f64),
}

/// Tests whether two samples come from one distribution. `None` when the product of their sizes is beyond 2⁶³.
pub fn smirnov(reference: &Ordered, current: &Ordered) -> Option<Smirnov> {
    let (n, m) = (reference.rows(), current.rows());
    let (cells, rows) = (i64::try_from(n.checked_mul(m)?).ok()?, (i64::try_from(n).ok()?, i64::try_from(m).ok()?));
    let mut widest = (0i64, reference.points()[0].0);
    for (value, r, c) in together(reference, current) {
        // Counts are at most the rows, which were converted above.
        let gap = c as i64 * rows.0 - r as i64 * rows.1;
        if gap.abs() > widest.0.abs() {
            widest = (gap, value);
        }
    }
    let statistic = widest.0.unsigned_abs() as f64 / cells as f64;
    let error = reference.rank_error() + current.rank_error();
    let p_value = p_value(n, m, widest.0.unsigned_abs());
    let moved = |d: f64| p_value_at(n, m, d.clamp(0.0, 1.0));
    let p_range = if error > 0.0 { (moved(statistic + error), moved(statistic - error)) } else { (p_value, p_value) };
    Some(Smirnov { statistic, at: widest.1, current_lower: widest.0 > 0, error, p_value, p_range })
}

/// P(D ≥ gap/(n·m)) for sizes of at least 1 whose product is below 2⁶³.
fn p_value(n: u64, m: u64, gap: u64) -> f64 {
    let g = divisor(n, m);
    if gap == 0 {
        1.0
    } else if n.max(m) > EXACT_ROWS {
        p_value_at(n, m, gap as f64 / (n * m) as f64)
    } else if n == m {
        equal_sizes(n, gap / g)
    } else {
        inside(n.max(m), n.min(m), g, gap / g)
    }
}

/// The law of large samples.
fn p_value_at(n: u64, m: u64, d: f64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    survival((n * m / (n + m)).round_ties_even().max(1.0) as u64, d)
}

/// P(D ≥ h/n) of two samples of `n` rows: 2·(C(2n, n−h) − C(2n, n−2h) + …)/C(2n, n), as nested products so that nothing cancels.
fn equal_sizes(n: u64, h: u64) -> f64 {
    let mut p = 0.0;
    for k in (0..=n / h).rev() {
        let ratio = (0..h).fold(1.0, |ratio, j| ratio * n.saturating_sub(k * h + j) as f64 / (n + k * h + j + 1) as f64);
        p = ratio * (1.0 - p);
    }
    (2.0 * p).clamp(0.0, 1.0)
}

/// The share of lattice paths from (0, 0) to (m, n) that somewhere have |x/m − y/n| ≥ h/lcm(m, n); `g` is the greatest common
/// divisor. Column by column: the share of the paths to a point that went outside is the mean of those of its two predecessors,
/// weighted by how many paths come from each.
fn inside(m: u64, n: u64, g: u64, h: u64) -> f64 {
    let (step_x, step_y) = (n / g, m / g);
    // Outside of the window all is 1.
    let mut outside = vec![1.0; n as usize + 1];
    let mut first = 0u64;
    for x in 0..=m {
        let at = x * step_x;
        let low = if at < h { 0 } else { (at - h) / step_y + 1 };
        let high = (at + h).div_ceil(step_y).min(n + 1);
        if low >= high {
            return 1.0;
        }
        outside[first as usize..low as usize].fill(1.0);
        first = low;
        let mut below = 1.0;
        for y in low..high {
            let here = &mut outside[y as usize];
            *here = match (x, y) {
                (0, _) => 0.0,
                (_, 0) => *here,
                _ => (*here * x as f64 + below * y as f64) / (x + y) as f64,
            };
            below = *here;
        }
    }
    outside[n as usize]
}

fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::ordered::GRID;
    use crate::stats::vectors::{near, rows};

    fn sample(values: Vec<f64>) -> Ordered {
        Ordered::of(values).expect("a sample")
    }

    /// scipy 1.17.1: `ks_2samp(a, b)`.
    #[test]
    fn samples_agree_with_scipy() {
        for row in rows("two_samples") {
            let got = smirnov(&sample(row.list("a")), &sample(row.list("b"))).expect("a test");
            near(Some(got.statistic), row.f64("d"), 1e-13, "D");
            near(Some(got.p_value), row.f64("ks_p"), 1e-9, "p");
        }
    }

    /// scipy 1.17.1: `ks_2samp` of samples built to have this D.
    #[test]
    fn p_values_by_size_agree_with_scipy() {
        for row in rows("ks_sizes") {
            let [n, m, gap] = ["n", "m", "gap"].map(|key| row.u64(key));
            near(Some(p_value(n, m, gap)), row.f64("p"), 1e-9, &format!("n {n}, m {m}, gap {gap}"));
        }
    }

    #[test]
    fn samples_alike_and_apart() {
        let (low, high) = (sample(vec![1.0, 2.0, 3.0]), sample(vec![7.0, 8.0]));
        let same = smirnov(&low, &low).expect("a test");
        assert_eq!((same.statistic, same.p_value), (0.0, 1.0));
        let apart = smirnov(&low, &high).expect("a test");
        assert_eq!((apart.statistic, apart.at, apart.current_lower), (1.0, 3.0, false));
        assert!(smirnov(&high, &low).is_some_and(|s| s.current_lower));
    }

    #[test]
    fn a_thinned_reference_says_how_far_it_may_be_off() {
        let values = |n: u32, shift: f64| sample((0..n).map(|i| f64::from(i) * 0.618_033_988_749 % 1.0 + shift).collect());
        let (reference, current) = (values(60_000, 0.0), values(20_000, 0.004));
        let exact = smirnov(&reference, &current).expect("a test");
        let thin = smirnov(&reference.thinned(GRID), &current).expect("a test");
        assert!(thin.error > 0.0 && (thin.statistic - exact.statistic).abs() <= thin.error, "{thin:?} {exact:?}");
        assert!(thin.p_range.0 <= exact.p_value && exact.p_value <= thin.p_range.1, "{thin:?} {exact:?}");
    }
}

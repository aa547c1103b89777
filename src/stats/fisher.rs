//! Two shares compared exactly (Fisher 1934, "Statistical methods for research workers"): the test for rare things.
//!
//! Given how many there are on both sides together, how many of them the current side has follows the hypergeometric law, whatever
//! the share. The z-test of [`super::contingency::proportions`] calls one row in 200 against none in 20,000 a chance of 1e-23;
//! it is 0.02. The tail is summed from the row seen outwards, about as many terms as √rows.

use super::beta::binomial_density;

/// The two-sided chance of shares this far apart when they are the same: twice the tail on the side it lies, at most 1. Each as (how many, of how
/// many). `None` when a side has no rows or fewer than how many.
pub fn fisher(reference: (u64, u64), current: (u64, u64)) -> Option<f64> {
    let sound = |(of, all): (u64, u64)| all > 0 && of <= all;
    if !(sound(reference) && sound(current)) {
        return None;
    }
    let (n, m) = (reference.1 as f64, current.1 as f64);
    let (k, marked) = (current.0 as f64, reference.0 as f64 + current.0 as f64);
    // Counted are the marked rows on the current side, or, where these are fewer than expected, those of the reference.
    let tail = if k * (n + m) >= marked * m { upper_tail(k, marked, m, n) } else { upper_tail(marked - k, marked, n, m) };
    Some((2.0 * tail).clamp(0.0, 1.0))
}

/// P(X ≥ k) where X of `marked` rows are among `drawn` when there are `rest` others. Quick where `k` is not below the mean.
pub(super) fn upper_tail(k: f64, marked: f64, drawn: f64, rest: f64) -> f64 {
    let all = drawn + rest;
    let (p, q) = (drawn / all, rest / all);
    let point =
        binomial_density(k, marked, p, q) * binomial_density(drawn - k, all - marked, p, q) / binomial_density(drawn, all, p, q);
    let (mut sum, mut term, mut at) = (0.0, 1.0, k);
    while term > sum * f64::EPSILON / 16.0 {
        sum += term;
        term *= (marked - at) * (drawn - at) / ((at + 1.0) * (rest - marked + at + 1.0));
        at += 1.0;
    }
    point * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{near, rows};
    use proptest::prelude::*;

    /// Whole numbers of Python, exact.
    #[test]
    fn chances_are_exact() {
        for row in rows("fisher") {
            let side = |k: &str, n: &str| (row.u64(k), row.u64(n));
            near(fisher(side("r", "n"), side("c", "m")), row.f64("p"), 1e-9, "p");
        }
    }

    #[test]
    fn shares_without_rows_have_no_chance() {
        assert_eq!((fisher((0, 0), (1, 2)), fisher((3, 2), (1, 2)), fisher((0, 5), (0, 9))), (None, None, Some(1.0)));
        assert_eq!(fisher((5, 5), (9, 9)), Some(1.0));
    }

    proptest! {
        #[test]
        fn sides_and_complements_are_alike(r in 0u64..60, n in 1u64..60, c in 0u64..60, m in 1u64..60) {
            let (reference, current) = ((r.min(n), n), (c.min(m), m));
            let other = |(of, all): (u64, u64)| (all - of, all);
            let p = fisher(reference, current).expect("shares");
            prop_assert!((0.0..=1.0).contains(&p));
            for again in [fisher(current, reference), fisher(other(reference), other(current))] {
                prop_assert!((again.expect("shares") - p).abs() < 1e-12);
            }
        }
    }
}

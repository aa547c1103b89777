//! Several attempts at one task: pass@k, whether one of k would do (Chen et al. 2021, "Evaluating large language models trained on code"),
//! and pass^k, whether all k would (Yao et al. 2024, "τ-bench"). Both are unbiased from n ≥ k attempts.

/// The chance that at least one of `k` attempts drawn from the `n` made passes, when `passed` of them did: 1 − C(n − c, k)/C(n, k).
/// `None` when fewer were made than are drawn, more passed than were made, or none is drawn.
pub fn any_of(n: u64, passed: u64, k: u64) -> Option<f64> {
    Some(1.0 - share(n, n.checked_sub(passed)?, k)?)
}

/// The chance that all of `k` attempts drawn from the `n` made pass: C(c, k)/C(n, k). `None` as [`any_of`].
pub fn all_of(n: u64, passed: u64, k: u64) -> Option<f64> {
    n.checked_sub(passed)?;
    share(n, passed, k)
}

/// C(of, k)/C(n, k), factor by factor, which never leaves 0 to 1.
fn share(n: u64, of: u64, k: u64) -> Option<f64> {
    if k == 0 || n < k {
        return None;
    }
    // The shorter of the two products that are equal: over k factors, or over the n − of others.
    Some(if of < k {
        0.0
    } else if k <= n - of {
        (0..k).map(|i| (of - i) as f64 / (n - i) as f64).product()
    } else {
        (0..n - of).map(|i| (n - k - i) as f64 / (n - i) as f64).product()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{ab_rows, near};
    use proptest::prelude::*;

    /// Whole numbers of Python's `math.comb`, divided as `Fraction`.
    #[test]
    fn chances_are_those_of_whole_numbers() {
        for row in ab_rows("attempts") {
            let [n, c, k] = ["n", "c", "k"].map(|key| row.u64(key));
            for (got, key) in [(any_of(n, c, k), "any"), (all_of(n, c, k), "all")] {
                let close = got.is_some_and(|got| (got - row.f64(key)).abs() < 1e-12);
                assert!(close, "{key} of {c} in {n}, {k} drawn: {got:?} is not {}", row.f64(key));
            }
        }
        near(any_of(10, 3, 1), 0.3, 1e-12, "one drawn");
    }

    #[test]
    fn fewer_attempts_than_are_drawn_score_nothing() {
        assert_eq!((any_of(4, 4, 5), all_of(4, 4, 5), any_of(4, 5, 2), all_of(4, 5, 2)), (None, None, None, None));
        assert_eq!((any_of(4, 0, 0), any_of(0, 0, 1), any_of(4, 0, 4), all_of(4, 4, 4)), (None, None, Some(0.0), Some(1.0)));
    }

    proptest! {
        #[test]
        fn one_is_easier_than_all_and_more_draws_make_it_so(n in 1u64..60, c in 0u64..60, k in 1u64..60) {
            let (c, k) = (c.min(n), k.min(n));
            let (any, all) = (any_of(n, c, k).expect("one"), all_of(n, c, k).expect("one"));
            prop_assert!((0.0..=1.0).contains(&any) && (0.0..=1.0).contains(&all) && all <= any + 1e-12);
            if k < n {
                prop_assert!(any_of(n, c, k + 1).expect("one") >= any - 1e-12 && all_of(n, c, k + 1).expect("one") <= all + 1e-12);
            }
        }
    }
}

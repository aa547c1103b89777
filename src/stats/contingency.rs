//! Counts of levels compared: the chi-squared test of a 2×K table, Cramér's V, two proportions.
//!
//! The reference is a sample like the current data: a goodness-of-fit test that takes it for the truth calls drift in 22 to 96 %
//! of tables without any. No continuity correction. The chi-squared law needs about five expected rows a cell; [`pool_rare`] sees
//! to that.

use super::divergence::totals;
use super::interval::{Interval, finite, wilson};
use super::tail::{chi_squared, normal_two_sided};

/// The least number of expected rows a cell of the chi-squared test should have (Cochran 1954).
pub const LEAST_EXPECTED: f64 = 5.0;

/// A 2×K table tested for independence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contingency {
    /// Pearson's statistic.
    pub statistic: f64,
    /// K − 1, of the levels that occur.
    pub degrees: usize,
    /// The chance of a table this uneven when nothing drifted; 1 with a single level.
    pub p_value: f64,
    /// Cramér's V: √(statistic/(n + m)), 0 (alike) to 1 (no level in common).
    pub cramers_v: f64,
}

/// Tests counts of the same levels on both sides. `None` when the lengths differ or a side has no rows.
pub fn contingency(reference: &[u64], current: &[u64]) -> Option<Contingency> {
    let (n, m) = totals(reference, current)?;
    let (n, m) = (n as f64, m as f64);
    let (mut statistic, mut levels) = (0.0, 0usize);
    for (r, c) in reference.iter().zip(current).map(|(r, c)| (*r as f64, *c as f64)).filter(|(r, c)| r + c > 0.0) {
        levels += 1;
        // Both cells of a level miss their expectation by the same amount.
        let (expected_r, expected_c) = ((r + c) * (n / (n + m)), (r + c) * (m / (n + m)));
        statistic += (r - expected_r).powi(2) * (1.0 / expected_r + 1.0 / expected_c);
    }
    let degrees = levels - 1;
    let p_value = if degrees == 0 { 1.0 } else { chi_squared(statistic, degrees as f64)? };
    Some(Contingency { statistic, degrees, p_value, cramers_v: (statistic / (n + m)).sqrt().min(1.0) })
}

/// For each level the row of a smaller table it belongs to, so that [`contingency`] of the sums has [`LEAST_EXPECTED`] rows in
/// every cell: rare levels share one row, with the smallest other level if they are still too few. Row numbers are in the order of
/// the levels and dense from 0. `None` as [`contingency`].
pub fn pool_rare(reference: &[u64], current: &[u64]) -> Option<Vec<usize>> {
    let (n, m) = totals(reference, current)?;
    let smaller_share = n.min(m) as f64 / (n as f64 + m as f64);
    let sizes: Vec<f64> = reference.iter().zip(current).map(|(r, c)| *r as f64 + *c as f64).collect();
    let mut rare: Vec<bool> = sizes.iter().map(|size| size * smaller_share < LEAST_EXPECTED).collect();
    let pooled: f64 = sizes.iter().zip(&rare).filter(|(_, rare)| **rare).map(|(size, _)| size).sum();
    // Levels without a row are no row of the table either.
    if rare.contains(&true) && pooled * smaller_share < LEAST_EXPECTED {
        let kept = (0..sizes.len()).filter(|i| !rare[*i]).min_by(|a, b| sizes[*a].total_cmp(&sizes[*b]));
        if let Some(smallest) = kept {
            rare[smallest] = true;
        }
    }
    let (mut pool, mut next) = (None, 0);
    let mut take = || {
        next += 1;
        next - 1
    };
    Some(rare.into_iter().map(|rare| if rare { *pool.get_or_insert_with(&mut take) } else { take() }).collect())
}

/// The sums of `counts` by the rows that [`pool_rare`] gave.
#[must_use]
pub fn pooled(counts: &[u64], rows: &[usize]) -> Vec<u64> {
    let mut sums = vec![0; rows.iter().max().map_or(0, |last| last + 1)];
    counts.iter().zip(rows).for_each(|(count, row)| sums[*row] += count);
    sums
}

/// Whether counts are split as planned: Pearson's goodness of fit with K − 1 degrees of freedom, as its chance when they are. `None` for
/// other than one planned share a count, shares that are not positive and finite, or no rows.
pub fn fits(counts: &[u64], shares: &[f64]) -> Option<f64> {
    let sum: f64 = shares.iter().sum();
    let sound = counts.len() == shares.len() && counts.len() > 1 && shares.iter().all(|s| *s > 0.0 && s.is_finite());
    let rows: f64 = counts.iter().map(|n| *n as f64).sum();
    if !sound || rows == 0.0 || !sum.is_finite() {
        return None;
    }
    let apart = |(n, share): (&u64, &f64)| {
        let expected = rows * share / sum;
        (*n as f64 - expected).powi(2) / expected
    };
    chi_squared(counts.iter().zip(shares).map(apart).sum(), (counts.len() - 1) as f64)
}

/// Two shares compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proportions {
    /// The current share minus the reference share, −1 to 1.
    pub difference: f64,
    /// The z statistic with the pooled share; 0 when all rows of both sides are alike.
    pub z: f64,
    /// Its two-sided p-value.
    pub p_value: f64,
}

/// The z-test of two proportions, each as (how many, of how many). `None` when a side has no rows or fewer than how many.
pub fn proportions(reference: (u64, u64), current: (u64, u64)) -> Option<Proportions> {
    let (r, n) = share(reference)?;
    let (c, m) = share(current)?;
    let pool = (reference.0 as f64 + current.0 as f64) / (n + m);
    let error = (pool * (1.0 - pool) * (1.0 / n + 1.0 / m)).sqrt();
    let difference = c - r;
    let z = if error > 0.0 { difference / error } else { 0.0 };
    Some(Proportions { difference, z, p_value: normal_two_sided(z)? })
}

/// The interval of the current minus the reference share by Newcombe's hybrid score method (1998, Statistics in Medicine 17, method
/// 10). `None` as [`proportions`], or for a confidence that is not strictly between 0 and 1.
pub fn newcombe(reference: (u64, u64), current: (u64, u64), confidence: f64) -> Option<Interval> {
    let (r, _) = share(reference)?;
    let (c, _) = share(current)?;
    let of_r = wilson(reference.0, reference.1, confidence)?;
    let of_c = wilson(current.0, current.1, confidence)?;
    let low = c - r - (c - of_c.low).hypot(of_r.high - r);
    let high = c - r + (of_c.high - c).hypot(r - of_r.low);
    finite(low.max(-1.0), high.min(1.0))
}

fn share((of, all): (u64, u64)) -> Option<(f64, f64)> {
    (all > 0 && of <= all).then(|| (of as f64 / all as f64, all as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{near, rows};
    use proptest::prelude::*;

    /// scipy 1.17.1: `chi2_contingency(table, correction=False)`, `contingency.association(table, "cramer")`.
    #[test]
    fn tables_agree_with_scipy() {
        for row in rows("contingency") {
            let got = contingency(&row.counts("r"), &row.counts("c")).expect("a table");
            near(Some(got.statistic), row.f64("statistic"), 1e-12, "statistic");
            near(Some(got.p_value), row.f64("p"), 1e-10, "p");
            near(Some(got.cramers_v), row.f64("v"), 1e-12, "V");
            assert_eq!(got.degrees as u64, row.u64("degrees"));
        }
    }

    /// statsmodels 0.15.0: `proportions_ztest`, `confint_proportions_2indep(method="newcomb")`.
    #[test]
    fn proportions_agree_with_statsmodels() {
        for row in rows("proportions") {
            let side = |k: &str, n: &str| (row.u64(k), row.u64(n));
            let (reference, current) = (side("r", "n"), side("c", "m"));
            let got = proportions(reference, current).expect("shares");
            near(Some(got.z), row.f64("z"), 1e-11, "z");
            near(Some(got.p_value), row.f64("p"), 1e-10, "p");
            let interval = newcombe(reference, current, 0.95).expect("an interval");
            near(Some(interval.low), row.f64("low"), 1e-9, "low");
            near(Some(interval.high), row.f64("high"), 1e-9, "high");
        }
    }

    #[test]
    fn one_level_or_shares_alike_are_no_drift() {
        let one = contingency(&[5, 0], &[9, 0]).expect("a table");
        assert_eq!((one.degrees, one.p_value, one.cramers_v), (0, 1.0, 0.0));
        assert_eq!(proportions((0, 5), (0, 7)), Some(Proportions { difference: 0.0, z: 0.0, p_value: 1.0 }));
    }

    #[test]
    fn what_cannot_be_compared_is_none() {
        assert_eq!((contingency(&[1], &[1, 2]), contingency(&[0], &[1]), contingency(&[], &[])), (None, None, None));
        assert_eq!((proportions((0, 0), (1, 2)), proportions((3, 2), (1, 2)), newcombe((1, 2), (1, 2), 1.0)), (None, None, None));
    }

    /// scipy 1.17.1: `chisquare(counts, shares * sum(counts)).pvalue`.
    #[test]
    fn splits_agree_with_scipy() {
        for row in crate::stats::vectors::ab_rows("split") {
            crate::stats::vectors::near(fits(&row.counts("counts"), &row.list("shares")), row.f64("p"), 1e-9, "split");
        }
        assert_eq!((fits(&[1], &[1.0]), fits(&[0, 0], &[0.5, 0.5]), fits(&[1, 2], &[0.5, 0.0])), (None, None, None));
    }

    #[test]
    fn rare_levels_share_a_row() {
        // Expected rows of the smaller side: 50, 1, 1.5, 40; the two rare ones are too few alone and take the 40 in.
        assert_eq!(pool_rare(&[50, 1, 1, 40], &[50, 1, 2, 40]), Some(vec![0, 1, 1, 1]));
        assert_eq!(pool_rare(&[50, 4, 4, 40], &[50, 4, 4, 40]), Some(vec![0, 1, 1, 2]));
        assert_eq!(pool_rare(&[50, 40], &[50, 40]), Some(vec![0, 1]));
        assert_eq!(pool_rare(&[1, 1], &[1, 0]), Some(vec![0, 0]));
        assert_eq!(pool_rare(&[0, 5], &[0, 5]), Some(vec![0, 0]));
        assert_eq!(pooled(&[50, 1, 1, 40], &[0, 1, 1, 1]), [50, 42]);
    }

    proptest! {
        #[test]
        fn pooled_tables_have_enough_in_every_cell(cells in proptest::collection::vec((0u64..40, 0u64..40), 1..30)) {
            let (r, c): (Vec<u64>, Vec<u64>) = cells.into_iter().unzip();
            let Some(rows) = pool_rare(&r, &c) else { return Ok(()) };
            let (r2, c2) = (pooled(&r, &rows), pooled(&c, &rows));
            let (n, m): (u64, u64) = (r.iter().sum(), c.iter().sum());
            prop_assert_eq!((n, m), (r2.iter().sum(), c2.iter().sum()));
            let least = r2.iter().zip(&c2).map(|(r, c)| (r + c) as f64 * n.min(m) as f64 / (n + m) as f64).fold(f64::MAX, f64::min);
            prop_assert!(r2.len() == 1 || least >= LEAST_EXPECTED, "{} in {:?} {:?}", least, r2, c2);
        }
    }
}

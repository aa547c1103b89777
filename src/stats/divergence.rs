//! How far apart two distributions over the same cells are: population stability index, Kullback–Leibler, Jensen–Shannon,
//! Hellinger.
//!
//! [`psi`] takes counts and smooths them with Jeffreys' prior, (c + ½)/(n + K/2): a floor such as 1e-4 for empty cells would make
//! the index a function of that floor. Under no drift it is distributed as (1/n + 1/m)·χ²(K − 1) (Yurdakul 2018, "Statistical
//! properties of the population stability index"), from which its p-value, its bias and its critical value come; the law is
//! right to a few percent from about five expected rows a cell. The others take shares as they are, in nats.

use super::tail::{chi_squared, chi_squared_critical};

/// The population stability index of two samples over the same cells, and what it is worth at their sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Psi {
    /// The index: Σ (c − r)·ln(c/r) over smoothed shares; 0 for equal shares, without an upper bound.
    pub value: f64,
    /// What each cell adds, in the order given; never negative. 0 for a cell that is empty on both sides.
    pub terms: Vec<f64>,
    /// Cells that hold a row of at least one side: the K of the law.
    pub cells: usize,
    /// Cells that hold rows of one side only; smoothing stands in for the missing ones.
    pub one_sided: usize,
    /// The chance of an index this large when nothing drifted.
    pub p_value: f64,
    /// 1/n + 1/m.
    spread: f64,
}

impl Psi {
    /// What the index is expected to be when nothing drifted: (K − 1)(1/n + 1/m).
    pub fn bias(&self) -> f64 {
        (self.cells as f64 - 1.0) * self.spread
    }

    /// What the index passes with the chance `alpha` when nothing drifted; 0 with a single cell. `None` when `alpha` is not
    /// strictly between 0 and 1.
    pub fn critical(&self, alpha: f64) -> Option<f64> {
        critical_psi(alpha, self.cells, self.spread)
    }
}

/// The chance that the index passes `threshold` when nothing drifted: the false alarms of a fixed threshold at these sizes.
/// `None` without rows or cells, or for a threshold that is negative or not finite.
pub fn psi_false_alarms(threshold: f64, cells: usize, n: u64, m: u64) -> Option<f64> {
    (n > 0 && m > 0).then_some(())?;
    psi_tail(threshold, cells, 1.0 / n as f64 + 1.0 / m as f64)
}

/// The index of two rows of counts over the same cells. `None` when they differ in length or a side has no rows.
pub fn psi(reference: &[u64], current: &[u64]) -> Option<Psi> {
    let (n, m) = totals(reference, current)?;
    let pairs = || reference.iter().zip(current).map(|(r, c)| (*r, *c));
    let cells = pairs().filter(|(r, c)| *r > 0 || *c > 0).count();
    let one_sided = pairs().filter(|(r, c)| (*r == 0) != (*c == 0)).count();
    let (r, c) = smoothed(reference, current)?;
    let terms: Vec<f64> = r.iter().zip(&c).map(|(r, c)| if *r == 0.0 { 0.0 } else { (c - r) * (c / r).ln() }).collect();
    let value = terms.iter().sum();
    let spread = 1.0 / n as f64 + 1.0 / m as f64;
    Some(Psi { value, terms, cells, one_sided, p_value: psi_tail(value, cells, spread)?, spread })
}

/// The shares of both sides, smoothed so that none is 0 but in cells that are empty on both sides, which count for nothing. `None`
/// as [`psi`].
pub fn smoothed(reference: &[u64], current: &[u64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let (n, m) = totals(reference, current)?;
    let held: Vec<bool> = reference.iter().zip(current).map(|(r, c)| *r > 0 || *c > 0).collect();
    let prior = held.iter().filter(|held| **held).count() as f64 / 2.0;
    let side = |counts: &[u64], rows: u64| {
        let share = |(count, held): (&u64, &bool)| if *held { (*count as f64 + 0.5) / (rows as f64 + prior) } else { 0.0 };
        counts.iter().zip(&held).map(share).collect()
    };
    Some((side(reference, n), side(current, m)))
}

/// KL(p ‖ q) = Σ p·ln(p/q) in nats, both scaled to sum 1. `None` when it is infinite (something in `p` where `q` has nothing), the
/// lengths differ, or a weight is negative or not finite or all are 0.
pub fn kullback_leibler(p: &[f64], q: &[f64]) -> Option<f64> {
    let (p, q) = shares(p, q)?;
    let terms = p.iter().zip(&q).map(|(p, q)| if *p == 0.0 { 0.0 } else { p * (p / q).ln() });
    Some(terms.sum::<f64>()).filter(|v| v.is_finite()).map(|v| v.max(0.0))
}

/// The Jensen–Shannon distance: the root of the divergence in nats, 0 to √ln 2 = 0.8326. `None` as [`kullback_leibler`], but
/// never because of empty cells.
pub fn jensen_shannon(p: &[f64], q: &[f64]) -> Option<f64> {
    let (p, q) = shares(p, q)?;
    let side = |v: f64, middle: f64| if v == 0.0 { 0.0 } else { v * (v / middle).ln() };
    let terms = p.iter().zip(&q).map(|(p, q)| side(*p, f64::midpoint(*p, *q)) + side(*q, f64::midpoint(*p, *q)));
    Some((terms.sum::<f64>() / 2.0).max(0.0).sqrt())
}

/// The Hellinger distance √(½·Σ(√p − √q)²), 0 to 1. `None` as [`jensen_shannon`].
pub fn hellinger(p: &[f64], q: &[f64]) -> Option<f64> {
    let (p, q) = shares(p, q)?;
    let squares: f64 = p.iter().zip(&q).map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2)).sum();
    Some((squares / 2.0).min(1.0).sqrt())
}

fn psi_tail(psi: f64, cells: usize, spread: f64) -> Option<f64> {
    match cells {
        0 => None,
        1 => Some(1.0),
        _ => chi_squared(psi / spread, cells as f64 - 1.0),
    }
}

fn critical_psi(alpha: f64, cells: usize, spread: f64) -> Option<f64> {
    match cells {
        0 => None,
        1 => (alpha > 0.0 && alpha < 1.0).then_some(0.0),
        _ => Some(chi_squared_critical(alpha, cells as f64 - 1.0)? * spread),
    }
}

/// The rows of both sides; `None` when the cells differ or a side is empty or beyond counting.
pub fn totals(reference: &[u64], current: &[u64]) -> Option<(u64, u64)> {
    (reference.len() == current.len()).then_some(())?;
    let total = |counts: &[u64]| counts.iter().try_fold(0u64, |sum, c| sum.checked_add(*c)).filter(|n| *n > 0);
    Some((total(reference)?, total(current)?))
}

fn shares(p: &[f64], q: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let scaled = |v: &[f64]| {
        let sum: f64 = v.iter().sum();
        let sound = v.iter().all(|v| *v >= 0.0) && sum > 0.0 && sum.is_finite();
        sound.then(|| v.iter().map(|v| v / sum).collect())
    };
    if p.len() == q.len() { Some((scaled(p)?, scaled(q)?)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{near, rows};
    use proptest::prelude::*;

    /// numpy 2.4.6 from the formula, chi-squared law of scipy 1.17.1.
    #[test]
    fn the_index_and_its_law_agree_with_the_reference() {
        for row in rows("psi") {
            let got = psi(&row.counts("r"), &row.counts("c")).expect("an index");
            near(Some(got.value), row.f64("psi"), 1e-12, "psi");
            near(Some(got.p_value), row.f64("p"), 1e-9, "its p");
            near(got.critical(0.001), row.f64("critical"), 1e-10, "its critical value");
            assert_eq!((got.cells as u64, got.one_sided as u64), (row.u64("cells"), row.u64("one_sided")));
        }
    }

    /// scipy 1.17.1: `entropy`, `spatial.distance.jensenshannon`; Hellinger by its formula in numpy.
    #[test]
    fn divergences_agree_with_scipy() {
        for row in rows("divergences") {
            let (p, q) = (row.list("p"), row.list("q"));
            near(jensen_shannon(&p, &q), row.f64("js"), 1e-12, "Jensen-Shannon");
            near(hellinger(&p, &q), row.f64("hellinger"), 1e-12, "Hellinger");
            if q.iter().all(|q| *q > 0.0) {
                near(kullback_leibler(&p, &q), row.f64("kl"), 1e-12, "Kullback-Leibler");
            } else {
                assert_eq!(kullback_leibler(&p, &q), None, "infinite");
            }
        }
    }

    /// Below 558 rows a side the index passes 0.1 more often than once in a thousand, drift or none (ten cells).
    #[test]
    fn a_threshold_has_a_least_number_of_rows() {
        assert!(critical_psi(0.001, 10, 2.0 / 558.0).is_some_and(|c| c < 0.1));
        assert!(critical_psi(0.001, 10, 2.0 / 557.0).is_some_and(|c| c > 0.1));
        assert!(psi_false_alarms(0.1, 10, 558, 558).is_some_and(|p| p < 0.001));
        assert!(psi_false_alarms(0.1, 10, 557, 557).is_some_and(|p| p > 0.001));
    }

    #[test]
    fn what_cannot_be_compared_is_none() {
        assert!(psi(&[1, 2], &[1]).is_none() && psi(&[0, 0], &[1, 2]).is_none() && psi(&[], &[]).is_none());
        assert!(psi(&[u64::MAX, 1], &[1, 1]).is_none());
        for bad in [&[f64::NAN, 1.0][..], &[-1.0, 2.0], &[0.0, 0.0], &[1.0], &[f64::INFINITY, 1.0]] {
            assert_eq!(
                (kullback_leibler(&[0.5, 0.5], bad), jensen_shannon(bad, &[0.5, 0.5]), hellinger(bad, &[0.5, 0.5])),
                (None, None, None)
            );
        }
        assert_eq!((critical_psi(0.0, 1, 0.4), critical_psi(0.01, 0, 0.4), psi_false_alarms(0.1, 5, 0, 5)), (None, None, None));
    }

    #[test]
    fn one_cell_cannot_drift() {
        let got = psi(&[9, 0], &[5, 0]).expect("an index");
        assert_eq!((got.value, got.p_value, got.critical(0.001), got.bias()), (0.0, 1.0, Some(0.0), 0.0));
    }

    proptest! {
        #[test]
        fn sides_are_alike_and_terms_add_up(cells in proptest::collection::vec((0u64..500, 0u64..500), 2..20)) {
            let (r, c): (Vec<u64>, Vec<u64>) = cells.into_iter().unzip();
            if let (Some(a), Some(b)) = (psi(&r, &c), psi(&c, &r)) {
                prop_assert!((a.value - b.value).abs() < 1e-9 && a.terms.iter().all(|t| *t >= 0.0) && (0.0..=1.0).contains(&a.p_value));
            }
        }
    }
}

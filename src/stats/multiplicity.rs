//! Many tests at once: q-values of Benjamini and Hochberg (1995, JRSS B 57) and Holm's p-values (1979, Scand. J. Stat. 6).
//!
//! Both in the order of the p-values given; the family is exactly those, so it must be all tests that were looked at.

/// The false discovery rate at which each would just be called: adjusted p-values of Benjamini and Hochberg. `None` when one is
/// not a chance.
pub fn benjamini_hochberg(p: &[f64]) -> Option<Vec<f64>> {
    // From the largest down, each at most the one above it.
    adjusted(p, |rank, n| n / (rank + 1.0), true)
}

/// The family-wise error rate at which each would just be called: Holm's adjusted p-values. `None` when one is not a chance.
pub fn holm(p: &[f64]) -> Option<Vec<f64>> {
    // From the smallest up, each at least the one below it.
    adjusted(p, |rank, n| n - rank, false)
}

/// Each p-value times its factor of (rank from 0, number), made monotone from the largest down or from the smallest up.
fn adjusted(p: &[f64], factor: impl Fn(f64, f64) -> f64, from_largest: bool) -> Option<Vec<f64>> {
    if !p.iter().all(|p| (0.0..=1.0).contains(p)) {
        return None;
    }
    let mut order: Vec<(usize, usize)> = {
        let mut by_size: Vec<usize> = (0..p.len()).collect();
        by_size.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
        by_size.into_iter().enumerate().collect()
    };
    if from_largest {
        order.reverse();
    }
    let mut out = vec![0.0; p.len()];
    let mut last: f64 = if from_largest { 1.0 } else { 0.0 };
    for (rank, at) in order {
        let raw = (p[at] * factor(rank as f64, p.len() as f64)).min(1.0);
        last = if from_largest { last.min(raw) } else { last.max(raw) };
        out[at] = last;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{near, rows};

    /// scipy 1.17.1 `false_discovery_control(p)`, statsmodels `multipletests(p, method="holm")`.
    #[test]
    fn adjusted_values_agree_with_scipy_and_statsmodels() {
        for row in rows("multiplicity") {
            let p = row.list("p");
            for (got, want) in [(benjamini_hochberg(&p), row.list("bh")), (holm(&p), row.list("holm"))] {
                let got = got.expect("chances");
                assert_eq!(got.len(), want.len());
                got.iter().zip(&want).for_each(|(g, w)| near(Some(*g), *w, 1e-13, &format!("{p:?}")));
            }
        }
    }

    #[test]
    fn an_empty_family_is_empty_and_what_is_no_chance_has_none() {
        assert_eq!((benjamini_hochberg(&[]), holm(&[])), (Some(vec![]), Some(vec![])));
        for bad in [f64::NAN, -0.1, 1.1] {
            assert_eq!((benjamini_hochberg(&[0.5, bad]), holm(&[bad])), (None, None));
        }
    }
}

//! The area under the curve: the chance that a value of one sample is above one of another.
//!
//! Mann and Whitney's statistic over n·m. Of two samples alike it is ½ with the standard deviation √((n + m + 1)/(12·n·m)), less with
//! ties.

/// The chance that a current value is above one of the reference, ties half; 0 to 1. `None` for a side without values or values that are
/// no numbers.
pub fn auc(reference: &[f64], current: &[f64]) -> Option<f64> {
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let side = |values: &[f64], current: bool| values.iter().map(|v| (*v, current)).collect::<Vec<_>>();
    let mut all = [side(reference, false), side(current, true)].concat();
    (n > 0.0 && m > 0.0 && !all.iter().any(|(v, _)| v.is_nan())).then_some(())?;
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won) = (0.0, 0.0);
    for ties in all.chunk_by(|a, b| a.0 == b.0) {
        let current = ties.iter().filter(|(_, current)| *current).count() as f64;
        let reference = ties.len() as f64 - current;
        won += current * (below + reference / 2.0);
        below += reference;
    }
    Some(won / (n * m))
}

/// The standard deviation of [`auc`] of `n` and `m` values when both samples are alike, without ties. `None` for a side without values.
pub fn null_sd(n: usize, m: usize) -> Option<f64> {
    let (n, m) = (n as f64, m as f64);
    (n > 0.0 && m > 0.0).then(|| ((n + m + 1.0) / (12.0 * n * m)).sqrt())
}

/// The 95 % interval of an area of `n` values of the reference and `m` current ones, by the standard error of Hanley and McNeil
/// (1982); as wide as 0 to 1 at most, and without width for areas of 0 and 1. `None` for a side without values.
pub fn interval(area: f64, n: usize, m: usize) -> Option<(f64, f64)> {
    let (n, m) = (n as f64, m as f64);
    (n > 0.0 && m > 0.0).then_some(())?;
    let (above, below) = (area / (2.0 - area) - area * area, 2.0 * area * area / (1.0 + area) - area * area);
    let error = ((area * (1.0 - area) + (m - 1.0) * above + (n - 1.0) * below) / (n * m)).max(0.0).sqrt();
    Some(((area - Z * error).max(0.0), (area + Z * error).min(1.0)))
}

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{cloud_rows, near};

    /// scikit-learn 1.9.1 `roc_auc_score`, which the makers compare with scipy's `mannwhitneyu`.
    #[test]
    fn areas_agree_with_scikit_learn() {
        for row in cloud_rows("auc") {
            near(auc(&row.list("a"), &row.list("b")), row.f64("auc"), 1e-12, "area");
        }
    }

    /// All 20 ways to choose three of six ranks.
    #[test]
    fn the_deviation_is_that_of_all_orders() {
        let orders = (0..64u32).filter(|set| set.count_ones() == 3);
        let area = |set: u32| {
            let side = |want| (0..6).filter(|i| (set >> i & 1 == 1) == want).map(f64::from).collect::<Vec<_>>();
            auc(&side(false), &side(true)).expect("values")
        };
        let areas: Vec<f64> = orders.map(area).collect();
        let variance = areas.iter().map(|a| (a - 0.5).powi(2)).sum::<f64>() / areas.len() as f64;
        assert_eq!(areas.len(), 20);
        near(null_sd(3, 3), variance.sqrt(), 1e-12, "deviation");
    }

    /// Hanley and McNeil (1982), equation 2, with exponential Q1 = A/(2 − A) and Q2 = 2A²/(1 + A), worked out in exact fractions by Python.
    #[test]
    fn the_interval_has_the_standard_error_of_hanley_and_mcneil() {
        let (low, high) = interval(0.893, 58, 51).expect("values");
        near(Some((0.893 - low) / Z), 0.032_511_581_767_646_62, 1e-12, "standard error");
        near(Some(high + low), 2.0 * 0.893, 1e-12, "middle");
        assert_eq!((interval(1.0, 3, 4), interval(0.5, 0, 4)), (Some((1.0, 1.0)), None));
    }

    #[test]
    fn what_cannot_be_compared_is_none() {
        assert_eq!((auc(&[], &[1.0]), auc(&[1.0], &[f64::NAN]), null_sd(0, 3)), (None, None, None));
        assert_eq!(auc(&[1.0, -0.0], &[0.0]), Some(0.25));
    }
}

//! A mean of values that come in clumps: rows of one document, answers of one conversation, repeats of one question.
//!
//! Where the numbers come from: the cluster-robust standard error √(C/(C − 1)·Σ(sum of a cluster's deviations)²)/n on C − 1 degrees of
//! freedom (Liang and Zeger 1986, Biometrika 73; Miller 2024, "Adding error bars to evals"). With every value a cluster of its own it
//! is Student's. Repeats: the analysis of variance of one factor (Searle, Casella and McCulloch 1992, "Variance Components").

use super::bounded::{Unit, of_bounded_units};
use super::describe::{mean, sd};
use super::interval::{self, Interval, finite, t_quantile};
use super::tail::t_two_sided;
use std::collections::BTreeMap;

/// The mean of values in clusters, tested against 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clustered {
    /// How many values.
    pub n: usize,
    /// How many clusters.
    pub clusters: usize,
    /// Their mean, in the unit of the values; each value counts the same.
    pub mean: f64,
    /// Its standard error, in that unit.
    pub standard_error: f64,
    /// Where the true mean lies.
    pub interval: Interval,
    /// The two-sided chance of a mean this far from 0 when it is 0; `None` where no cluster differs from another.
    pub p_value: Option<f64>,
}

/// The mean of values of which those with the same number in `clusters` are not independent. `None` for lists of different lengths,
/// fewer than two clusters (one tells no spread), values that are not finite, or a confidence that is not strictly between 0 and 1.
pub fn clustered(values: &[f64], clusters: &[usize], confidence: f64) -> Option<Clustered> {
    if values.len() != clusters.len() {
        return None;
    }
    let centre = mean(values)?;
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    for (value, cluster) in values.iter().zip(clusters) {
        *sums.entry(*cluster).or_default() += value - centre;
    }
    let degrees = sums.len().checked_sub(1).filter(|d| *d > 0)?;
    let (n, c) = (values.len() as f64, sums.len() as f64);
    let squares: f64 = sums.values().map(|s| s * s).sum();
    // Clusters whose rows differ and whose sums agree leave what rounding does to them, and that is no spread.
    let rounding = 4.0 * f64::EPSILON * values.iter().map(|v| v.abs()).sum::<f64>();
    let standard_error = if squares.sqrt() <= rounding { 0.0 } else { (c / (c - 1.0) * squares).sqrt() / n };
    let half = t_quantile(confidence, degrees)? * standard_error;
    let p_value = (standard_error > 0.0).then(|| t_two_sided(centre / standard_error, degrees as f64)).flatten();
    let interval = finite(centre - half, centre + half)?;
    Some(Clustered { n: values.len(), clusters: sums.len(), mean: centre, standard_error, interval, p_value })
}

/// The interval of the mean of scores within `range` (lowest, highest), of which those with the same number in `clusters` are not
/// independent; where none shares one that of [`interval::of_scores`]. It never leaves the range and has a width, a very wide one for a
/// single cluster. `None` for lists of different lengths, and where the scores have none.
pub fn of_scores(values: &[f64], clusters: &[usize], range: (f64, f64), confidence: f64) -> Option<Interval> {
    if values.len() != clusters.len() {
        return None;
    }
    let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (value, cluster) in values.iter().zip(clusters) {
        let (sum, rows) = sums.entry(*cluster).or_default();
        *sum += value;
        *rows += 1.0;
    }
    if sums.len() == values.len() {
        return interval::of_scores(values, range, confidence);
    }
    let units = sums.into_values().map(|(sum, rows)| Unit { mean: sum / rows, weight: rows }).collect();
    of_bounded_units(units, range, confidence)
}

/// A number for each label, the same for equal ones; what has none is alone.
pub fn numbered<'a>(labels: impl Iterator<Item = Option<&'a str>>) -> Vec<usize> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let mut next = 0;
    let mut number = |label: Option<&'a str>| {
        let of = label.map_or(next, |label| *known.entry(label).or_insert(next));
        next += usize::from(of == next);
        of
    };
    labels.map(&mut number).collect()
}

/// What of a spread lies between rows and what within them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Components {
    /// Rows.
    pub rows: usize,
    /// The variance of the rows' true values, in the unit squared; 0 where the repeats explain all of it.
    pub between: f64,
    /// The variance of the repeats of a row, in the unit squared.
    pub within: f64,
    /// Repeats of a row: the harmonic mean, which is how many where all rows have as many.
    pub repeats: f64,
}

impl Components {
    /// Of the repeats of each row. `None` for fewer than two rows, a row without a value, no row with two, or values that are not finite.
    pub fn of(rows: &[Vec<f64>]) -> Option<Self> {
        let means = rows.iter().map(|row| mean(row)).collect::<Option<Vec<f64>>>()?;
        let spread = sd(&means)?.powi(2);
        let spare: usize = rows.iter().map(|row| row.len() - 1).sum();
        if spare == 0 {
            return None;
        }
        let squares: f64 = rows.iter().map(|row| sd(row).map_or(0.0, |sd| sd * sd * (row.len() - 1) as f64)).sum();
        let within = squares / spare as f64;
        let repeats = rows.len() as f64 / rows.iter().map(|row| 1.0 / row.len() as f64).sum::<f64>();
        let found = Self { rows: rows.len(), between: (spread - within / repeats).max(0.0), within, repeats };
        (found.between.is_finite() && found.within.is_finite()).then_some(found)
    }

    /// The standard error of the mean of `rows` rows asked `repeats` times each, in the unit of the values.
    pub fn standard_error(&self, rows: usize, repeats: f64) -> Option<f64> {
        let variance = (self.between + self.within / repeats) / rows as f64;
        Some(variance.sqrt()).filter(|e| e.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::interval::{CONFIDENCE, of_mean};
    use crate::stats::rng::Rng;
    use crate::stats::vectors::{ab_rows, near};
    use proptest::prelude::*;

    /// statsmodels 0.15.0: `OLS(y, ones).fit(cov_type="cluster", cov_kwds={"groups": g, "df_correction": True}, use_t=True)`, whose
    /// factor C/(C − 1)·(n − 1)/(n − 1) is the one above.
    #[test]
    fn clusters_agree_with_statsmodels() {
        for row in ab_rows("clustered") {
            let clusters: Vec<usize> = row.counts("clusters").into_iter().map(|c| c as usize).collect();
            let found = clustered(&row.list("values"), &clusters, CONFIDENCE).expect("a mean");
            for (got, key) in [
                (Some(found.mean), "mean"),
                (Some(found.standard_error), "se"),
                (found.p_value, "p"),
                (Some(found.interval.low), "low"),
                (Some(found.interval.high), "high"),
            ] {
                near(got, row.f64(key), 1e-9, key);
            }
            assert_eq!(found.clusters as u64, row.u64("count"));
        }
    }

    /// statsmodels 0.15.0: mean squares of `anova_lm(ols("y ~ C(row)"))`; (MSB − MSW)/K between and MSW within.
    #[test]
    fn repeats_agree_with_an_analysis_of_variance() {
        for row in ab_rows("components") {
            let (values, k) = (row.list("values"), row.u64("k") as usize);
            let rows: Vec<Vec<f64>> = values.chunks(k).map(<[f64]>::to_vec).collect();
            let found = Components::of(&rows).expect("components");
            near(Some(found.within), row.f64("within"), 1e-9, "within");
            near(Some(found.between), row.f64("between"), 1e-9, "between");
            near(found.standard_error(rows.len(), k as f64), row.f64("se"), 1e-9, "standard error");
        }
    }

    /// A conversation that goes wrong goes wrong in most of its answers: rows that agree within their cluster to different degrees, in
    /// clusters of 1 to 9 rows. Held to 95 % less three standard errors of 1,000 samples (2.1 %).
    #[test]
    fn the_truth_is_inside_as_often_as_promised_where_rows_come_in_clusters() {
        let held = |good: f64, alike: f64, n: usize, apart: bool| {
            let mut rng = Rng::new(n as u64);
            let inside = (0..1000).filter(|_| {
                let (mut values, mut clusters) = (Vec::new(), Vec::new());
                for cluster in 0..n {
                    let all = rng.unit() < good;
                    for _ in 0..=rng.below(9) {
                        let own = rng.unit() < good;
                        values.push(f64::from(u8::from(if rng.unit() < alike { all } else { own })));
                        clusters.push(if apart { values.len() } else { cluster });
                    }
                }
                of_scores(&values, &clusters, (0.0, 1.0), CONFIDENCE).is_some_and(|i| i.low <= good && good <= i.high)
            });
            inside.count() as f64 / 1000.0
        };
        for (good, alike, n) in [(0.9, 0.9, 10), (0.9, 0.3, 30), (0.5, 0.9, 5), (0.7, 0.6, 30), (0.97, 1.0, 40), (0.1, 0.9, 20)] {
            assert!(held(good, alike, n, false) >= 0.929, "{good} {alike} {n}: {}", held(good, alike, n, false));
        }
        // The check can fail: rows taken for independent do.
        assert!(held(0.7, 0.6, 30, true) < 0.8, "{}", held(0.7, 0.6, 30, true));
    }

    #[test]
    fn rows_that_share_no_cluster_have_the_interval_of_rows() {
        let values = [1.0, 0.0, 1.0, 1.0];
        let unit = (0.0, 1.0);
        assert_eq!(of_scores(&values, &[3, 1, 2, 0], unit, CONFIDENCE), interval::of_scores(&values, unit, CONFIDENCE));
        let halves = of_scores(&[1.0, 0.5, 1.0, 0.5], &[0, 0, 1, 1], unit, CONFIDENCE);
        assert_eq!(halves, interval::of_scores(&[0.75, 0.75], unit, CONFIDENCE), "as many rows in each");
        let one = of_scores(&values, &[0; 4], unit, CONFIDENCE).expect("one");
        assert!(one.low < 0.02 && one.high > 0.99, "{one:?}");
        assert_eq!(of_scores(&values, &[0, 1], unit, CONFIDENCE), None);
    }

    #[test]
    fn what_has_no_spread_to_see_is_none() {
        assert_eq!(clustered(&[1.0, 2.0, 3.0], &[4, 4, 4], CONFIDENCE), None, "one cluster");
        assert_eq!((clustered(&[], &[], CONFIDENCE), clustered(&[1.0], &[1, 2], CONFIDENCE)), (None, None));
        assert_eq!((Components::of(&[vec![1.0], vec![2.0]]), Components::of(&[vec![1.0, 2.0], vec![]])), (None, None));
        let equal = clustered(&[0.5; 4], &[0, 0, 1, 1], CONFIDENCE).expect("a mean");
        assert_eq!((equal.standard_error, equal.p_value), (0.0, None));
        let alike = clustered(&[0.1, 0.7, 0.1, 0.1, 0.7, 0.1], &[0, 0, 0, 1, 1, 1], CONFIDENCE).expect("a mean");
        assert_eq!((alike.standard_error, alike.p_value), (0.0, None), "sums that agree but for rounding");
    }

    #[test]
    fn rows_without_a_label_are_alone() {
        assert_eq!(numbered([Some("a"), None, Some("a"), None, Some("b")].into_iter()), [0, 1, 0, 2, 3]);
    }

    proptest! {
        #[test]
        fn clusters_of_one_are_students(v in proptest::collection::vec(-9.0f64..9.0, 2..40)) {
            let alone: Vec<usize> = (0..v.len()).collect();
            let found = clustered(&v, &alone, CONFIDENCE).expect("a mean");
            let student = of_mean(&v, CONFIDENCE).expect("an interval");
            prop_assert!((found.interval.low - student.low).abs() < 1e-9 && (found.interval.high - student.high).abs() < 1e-9);
        }

        /// A value told twice by the same row is no second row.
        #[test]
        fn copies_within_a_cluster_prove_nothing(v in proptest::collection::vec(-9.0f64..9.0, 2..20)) {
            let twice: Vec<f64> = v.iter().chain(&v).copied().collect();
            let rows: Vec<usize> = (0..v.len()).chain(0..v.len()).collect();
            let (once, again) = (clustered(&v, &rows[..v.len()], CONFIDENCE), clustered(&twice, &rows, CONFIDENCE));
            let (once, again) = (once.expect("one"), again.expect("one"));
            prop_assert!((once.standard_error - again.standard_error).abs() < 1e-12);
        }
    }
}

//! What Evidently 0.7.23 computes for a column, for people who compare: its choice of method, its bins, its fills, its thresholds.
//!
//! Read from its source (`evidently/legacy/calculations/stattests`), defects included, because equal numbers are the point: PSI,
//! KL and JS ignore their number of bins and take Sturges' rule over the pooled range; empty cells become 1e-4 (or a millionth of
//! the smallest share); chi-squared takes the reference for the truth; nothing is corrected for many columns or few rows. The rest
//! of [`super`] does better. Values agree to 1e-9 relative (`tests/fixtures/drift/make.py`); p-values of z below 1e-7 are rounding
//! there.
//!
//! Columns come cleaned as there: nulls and infinities dropped, so that they never count as drift.

pub mod table;

use crate::base::name::words;
use crate::stats::divergence::{hellinger, jensen_shannon, kullback_leibler, totals};
use crate::stats::ordered::Ordered;
use crate::stats::smirnov::smirnov;
use crate::stats::tail::{chi_squared, normal_two_sided};
use crate::stats::{contingency::proportions, wasserstein};

/// The share of drifted columns from which the data set has drifted.
pub const DATASET_SHARE: f64 = 0.5;
/// Up to this many reference rows the default is a test, above it a distance.
const SMALL: u64 = 1000;
/// A numeric column with at most this many distinct reference values is compared value by value.
const FEW_VALUES: usize = 20;
/// The least scale of its normed Wasserstein distance.
const LEAST_SCALE: f64 = 0.001;

words! {
    /// A method of Evidently.
    Method, "method" {
        /// The p-value of the two-sample test; numeric columns.
        Ks = "ks",
        /// W₁ over the reference's standard deviation; numeric columns.
        Wasserstein = "wasserstein",
        /// The p-value of a goodness-of-fit test; levels.
        ChiSquare = "chisquare",
        /// The p-value of a test of proportions; two levels.
        Z = "z",
        /// The distance, in nats.
        JensenShannon = "jensenshannon",
        /// The population stability index.
        Psi = "psi",
        /// Of the reference against the current data, in nats.
        KullbackLeibler = "kl_div",
        /// The Hellinger distance.
        Hellinger = "hellinger",
    }
}

impl Method {
    /// The threshold of its default.
    pub fn threshold(self) -> f64 {
        if self.is_test() { 0.05 } else { 0.1 }
    }

    /// Whether this score is drift by the default threshold.
    pub fn drifted(self, score: f64) -> bool {
        match self {
            Self::Ks => score <= self.threshold(),
            _ if self.is_test() => score < self.threshold(),
            _ => score >= self.threshold(),
        }
    }

    /// The default for a numeric column: rows of the reference, distinct values of both sides together.
    pub fn of_numbers(reference_rows: u64, distinct: usize) -> Self {
        match (reference_rows <= SMALL, distinct) {
            (_, ..=5) => Self::of_levels(reference_rows, distinct),
            (true, _) => Self::Ks,
            (false, _) => Self::Wasserstein,
        }
    }

    /// The default for a categorical column, by the same.
    pub fn of_levels(reference_rows: u64, distinct: usize) -> Self {
        match (reference_rows <= SMALL, distinct) {
            (false, _) => Self::JensenShannon,
            (true, ..=2) => Self::Z,
            (true, _) => Self::ChiSquare,
        }
    }

    fn is_test(self) -> bool {
        matches!(self, Self::Ks | Self::ChiSquare | Self::Z)
    }
}

/// The score of a numeric column from exact samples; `integers` when both columns hold whole numbers without nulls, whose bins are
/// at least 1 wide. `None` where Evidently has NaN or an error.
pub fn numbers(method: Method, reference: &Ordered, current: &Ordered, integers: bool) -> Option<f64> {
    match method {
        Method::Ks => Some(smirnov(reference, current)?.p_value),
        Method::Wasserstein => {
            let (n, sd) = (reference.rows() as f64, reference.moments()?.1);
            let population = sd * ((n - 1.0) / n).sqrt();
            Some(wasserstein::distance(reference, current)? / population.max(LEAST_SCALE)).filter(|w| w.is_finite())
        }
        Method::Hellinger => {
            let edges = sturges(reference, current, distinct(reference, current) as f64, integers);
            hellinger(&as_weights(&histogram(reference, &edges)), &as_weights(&histogram(current, &edges)))
        }
        Method::Psi | Method::KullbackLeibler | Method::JensenShannon if reference.points().len() > FEW_VALUES => {
            let edges = sturges(reference, current, (reference.rows() + current.rows()) as f64, integers);
            levels(method, &histogram(reference, &edges), &histogram(current, &edges))
        }
        _ => {
            let (r, c): (Vec<u64>, Vec<u64>) = by_value(reference, current).into_iter().unzip();
            levels(method, &r, &c)
        }
    }
}

/// The score of a categorical column from the counts of all levels of both sides, in the order of the levels (which decides the
/// sign of z only). `None` where Evidently has NaN or an error, or for a method of numbers.
pub fn levels(method: Method, reference: &[u64], current: &[u64]) -> Option<f64> {
    let (n, m) = totals(reference, current)?;
    let shares = |counts: &[u64], rows: u64| counts.iter().map(|c| *c as f64 / rows as f64).collect::<Vec<f64>>();
    let (r, c) = (shares(reference, n), shares(current, m));
    match method {
        Method::JensenShannon => jensen_shannon(&r, &c),
        Method::Hellinger => hellinger(&r, &c),
        Method::KullbackLeibler => kullback_leibler(&filled(r), &filled(c)),
        Method::Psi => Some(filled(r).iter().zip(&filled(c)).map(|(r, c)| (r - c) * (r / c).ln()).sum()),
        Method::ChiSquare => goodness_of_fit(reference, current, m as f64 / n as f64),
        Method::Z => two_levels(reference[0], n, current[0], m),
        Method::Ks | Method::Wasserstein => None,
    }
}

/// The reference scaled to the size of the current data is what is expected; a level that was not expected is impossible.
fn goodness_of_fit(reference: &[u64], current: &[u64], scale: f64) -> Option<f64> {
    let held = || reference.iter().zip(current).filter(|(r, c)| **r > 0 || **c > 0);
    if held().any(|(r, _)| *r == 0) {
        return Some(0.0);
    }
    let statistic = held().map(|(r, c)| (*c as f64 - *r as f64 * scale).powi(2) / (*r as f64 * scale)).sum();
    chi_squared(statistic, held().count() as f64 - 1.0)
}

/// The first level against the others. Computed as 1 minus the other side, as there: 0 from z = 8.3 on.
fn two_levels(first_r: u64, n: u64, first_c: u64, m: u64) -> Option<f64> {
    let z = proportions((n - first_r, n), (m - first_c, m))?.z;
    Some(2.0 * (1.0 - (1.0 - normal_two_sided(z)? / 2.0)))
}

/// Empty cells filled with 1e-4, or with a millionth of the smallest share when that is not above 1e-4.
fn filled(mut shares: Vec<f64>) -> Vec<f64> {
    let least = shares.iter().copied().filter(|s| *s > 0.0).fold(1.0, f64::min);
    let fill = if least <= 1e-4 { least / 1e6 } else { 1e-4 };
    shares.iter_mut().filter(|s| **s == 0.0).for_each(|s| *s = fill);
    shares
}

/// numpy's `histogram_bin_edges(bins="sturges")` for `size` values in the pooled range.
fn sturges(reference: &Ordered, current: &Ordered, size: f64, integers: bool) -> Vec<f64> {
    let range = |f: fn(f64, f64) -> f64, at: fn(&Ordered) -> f64| f(at(reference), at(current));
    let least = range(f64::min, |o| o.points()[0].0);
    let greatest = range(f64::max, |o| o.points()[o.points().len() - 1].0);
    if least == greatest {
        return vec![least - 0.5, least + 0.5];
    }
    let width = (greatest - least) / (size.log2() + 1.0);
    let width = if integers { width.max(1.0) } else { width };
    let bins = ((greatest - least) / width).ceil();
    let step = (greatest - least) / bins;
    // Bins are at most log₂ of a row count and one.
    (0..bins as usize).map(|i| i as f64 * step + least).chain([greatest]).collect()
}

/// Rows by half-open bins, the last closed.
fn histogram(sample: &Ordered, edges: &[f64]) -> Vec<u64> {
    let below: Vec<u64> = edges.iter().map(|edge| sample.below(*edge)).collect();
    let mut counts: Vec<u64> = below.windows(2).map(|w| w[1].saturating_sub(w[0])).collect();
    if let (Some(count), Some(edge)) = (counts.last_mut(), edges.last()) {
        *count += sample.at_most(*edge) - sample.below(*edge);
    }
    counts
}

fn as_weights(counts: &[u64]) -> Vec<f64> {
    counts.iter().map(|c| *c as f64).collect()
}

/// The rows of both sides by distinct value, in ascending order.
fn by_value(reference: &Ordered, current: &Ordered) -> Vec<(u64, u64)> {
    let mut values: Vec<f64> = reference.points().iter().chain(current.points()).map(|p| p.0).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.dedup();
    values.into_iter().map(|v| (reference.at_most(v) - reference.below(v), current.at_most(v) - current.below(v))).collect()
}

/// How many distinct values both sides have together.
pub fn distinct(reference: &Ordered, current: &Ordered) -> usize {
    by_value(reference, current).len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors(table: &str) -> Vec<Value> {
        let all: Value = serde_json::from_str(include_str!("../../../tests/fixtures/drift/evidently.json")).expect("JSON");
        let rows = all[table].as_array().expect("a table").clone();
        assert!(!rows.is_empty());
        rows
    }

    fn list(row: &Value, key: &str) -> Vec<f64> {
        row[key].as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
    }

    fn method(score: &Value) -> Method {
        score["method"].as_str().expect("a name").parse().expect("a method")
    }

    fn check(row: &Value, default: Method, got: impl Fn(Method) -> Option<f64>) {
        for score in row["scores"].as_array().expect("scores") {
            let (want, got) = (score["score"].as_f64().expect("a number"), got(method(score)).expect("a score"));
            // Near 0 Evidently's Hellinger is the root of a rounding error.
            let close = (got - want).abs() <= 1e-9 * want.abs() + if want < 1e-7 { 2e-8 } else { 0.0 };
            assert!(close, "{row}: {score}: {got}");
            assert_eq!(method(score).drifted(got), score["drifted"], "{row}: {score}");
            assert_eq!(default == method(score), score["default"], "{row}: {score}");
        }
    }

    /// Evidently 0.7.23's own functions on these columns.
    #[test]
    fn numbers_agree_with_evidently() {
        for row in vectors("numbers") {
            let [r, c] = ["r", "c"].map(|key| Ordered::of(list(&row, key)).expect("a sample"));
            let default = Method::of_numbers(r.rows(), distinct(&r, &c));
            check(&row, default, |method| numbers(method, &r, &c, row["integers"] == true));
        }
    }

    /// The same of columns of texts, given as counts by level.
    #[test]
    fn levels_agree_with_evidently() {
        for row in vectors("levels") {
            let [r, c] = ["r", "c"].map(|key| list(&row, key).into_iter().map(|v| v as u64).collect::<Vec<u64>>());
            check(&row, Method::of_levels(r.iter().sum(), r.len()), |method| levels(method, &r, &c));
        }
    }

    #[test]
    fn what_evidently_cannot_score_is_none() {
        assert_eq!(
            (levels(Method::Psi, &[1], &[1, 2]), levels(Method::Psi, &[0], &[1]), levels(Method::Ks, &[1], &[1])),
            (None, None, None)
        );
        assert_eq!((levels(Method::Psi, &[], &[]), levels(Method::ChiSquare, &[5], &[9])), (None, None));
    }
}

//! Two versions on the same rows: the difference of a metric, how sure it is, and what so many rows could show.
//!
//! Rows of one cluster (a document, a conversation) are not independent: where there are any the interval and the chance are those of
//! [`crate::stats::clustered`], else those of [`crate::stats::paired`]. Clusters that all agree tell no spread, and fewer than
//! [`CLUSTERS_MIN`] tell too little of it for Student's test: the chance is then that of the signs of whole clusters. A single cluster
//! decides nothing.

use crate::stats::clustered::{self, clustered, numbered};
use crate::stats::interval::{CONFIDENCE, Interval, z_quantile};
use crate::stats::{paired, power};
use std::collections::{BTreeMap, BTreeSet};

/// The seed of drawn permutations: fixed, so that the same rows always give the same answer.
pub const SEED: u64 = 20_261_121;
/// The fewest clusters whose spread is taken for that of all.
pub const CLUSTERS_MIN: usize = 5;

/// Pairs of scores of the same row, (production, candidate), with the row's cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    scores: Vec<(f64, f64)>,
    clusters: Vec<usize>,
    span: Option<f64>,
}

/// Candidate minus production.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The mean difference, in the unit of the scores.
    pub difference: f64,
    /// Where the true one lies; `None` where the rows tell no spread.
    pub interval: Option<Interval>,
    /// The two-sided chance of one as large when there is none.
    pub p_value: f64,
    /// The standard deviation of a row's difference, as large as clusters make it; `None` where the rows tell none.
    pub sd: Option<f64>,
    /// Clusters, when rows share them.
    pub clusters: Option<usize>,
}

impl Pairs {
    /// Of (production, candidate, cluster); a row without a cluster is alone.
    pub fn of<'a>(rows: impl Iterator<Item = (f64, f64, Option<&'a str>)>) -> Self {
        let rows: Vec<(f64, f64, Option<&str>)> = rows.collect();
        let clusters = numbered(rows.iter().map(|r| r.2));
        Self { scores: rows.into_iter().map(|(before, now, _)| (before, now)).collect(), clusters, span: None }
    }

    /// Of (production, candidate) with the number of each row's cluster.
    pub fn numbered(scores: Vec<(f64, f64)>, clusters: Vec<usize>) -> Self {
        Self { scores, clusters, span: None }
    }

    /// With the largest difference that two scores can have, where it is known: what clusters that all agree leave open follows from it.
    #[must_use]
    pub fn spanning(self, span: Option<f64>) -> Self {
        Self { span, ..self }
    }

    /// (production, candidate) of each row.
    pub fn scores(&self) -> &[(f64, f64)] {
        &self.scores
    }

    fn differences(&self) -> Vec<f64> {
        self.scores.iter().map(|(before, now)| now - before).collect()
    }

    /// How many of what is independent: rows, or clusters of them.
    fn units(&self) -> usize {
        self.clusters.iter().collect::<BTreeSet<_>>().len()
    }

    /// Compares them; `None` without a row, or for scores that are not finite.
    pub fn compared(&self) -> Option<Difference> {
        self.of_rows(None).and_then(|whole| self.of_clusters(whole))
    }

    /// Compares them as gates do: with the interval that also counts what rows not seen may do, where the span is known.
    pub fn guarded(&self) -> Option<Difference> {
        let found = self.of_rows(self.span).and_then(|whole| self.of_clusters(whole))?;
        let interval = if found.clusters.is_some() { self.bounded().or(found.interval) } else { found.interval };
        Some(Difference { interval, ..found })
    }

    /// As if each row stood alone.
    fn of_rows(&self, span: Option<f64>) -> Option<Difference> {
        let found = paired::compare(&self.scores, span, CONFIDENCE, SEED)?;
        let paired::Comparison { difference, interval, p_value, sd, .. } = found;
        Some(Difference { difference, interval, p_value, sd, clusters: None })
    }

    /// What is left of it where rows share clusters.
    fn of_clusters(&self, whole: Difference) -> Option<Difference> {
        let (clusters, rows) = (self.units(), self.scores.len());
        if clusters == rows {
            return Some(whole);
        }
        let spread = clustered(&self.differences(), &self.clusters, CONFIDENCE).filter(|c| c.standard_error > 0.0);
        let student = spread.and_then(|c| c.p_value).filter(|_| clusters >= CLUSTERS_MIN);
        Some(Difference {
            interval: spread.map(|c| c.interval).or_else(|| self.bounded().filter(|_| clusters > 1)),
            p_value: student.map_or_else(|| self.p_of_clusters(), Some)?,
            sd: spread.map(|c| c.standard_error * (rows as f64).sqrt()),
            clusters: Some(clusters),
            ..whole
        })
    }

    /// The interval that also counts what rows not seen may do, as gates do; `None` without a span.
    pub fn bounded(&self) -> Option<Interval> {
        let span = self.span?;
        if self.units() == self.scores.len() {
            return self.of_rows(Some(span))?.interval;
        }
        clustered::of_scores(&self.differences(), &self.clusters, (-span, span), CONFIDENCE)
    }

    /// The chance of the signs of clusters, each of which rises or falls as a whole.
    fn p_of_clusters(&self) -> Option<f64> {
        let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for (cluster, difference) in self.clusters.iter().zip(self.differences()) {
            let (sum, size) = sums.entry(*cluster).or_default();
            *sum += difference;
            *size += difference.abs();
        }
        // What rounding leaves of rows that make up for each other has no sign.
        let signed = |(sum, size): (f64, f64)| if sum.abs() <= 4.0 * f64::EPSILON * size { 0.0 } else { sum };
        paired::sign_flips(&sums.into_values().map(signed).collect::<Vec<_>>(), SEED)
    }
}

impl Difference {
    /// The least difference that so many rows show with power 0.8; `None` where their spread is not known. Rows that all differ by the
    /// same have none to see, but their interval may have a width that tells of one.
    pub fn detectable(&self, n: usize) -> Option<f64> {
        let of_width = || {
            let half = self.interval.map(|i| (i.high - i.low) / 2.0).filter(|half| *half > 0.0)?;
            Some(half / z_quantile(CONFIDENCE)? * (n as f64).sqrt())
        };
        let sd = self.sd.filter(|sd| *sd > 0.0).or_else(of_width)?;
        power::detectable_difference(sd, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same rows as clusters of five copies: five times as many rows prove no more.
    #[test]
    fn copies_of_a_row_are_one_row() {
        let base = [(0.5, 0.6), (0.4, 0.6), (0.7, 0.72), (0.3, 0.28), (0.5, 0.58), (0.2, 0.35), (0.6, 0.61)];
        let alone = Pairs::of(base.iter().map(|(a, b)| (*a, *b, None))).compared().expect("one");
        let names: Vec<String> = (0..base.len()).map(|i| format!("c{i}")).collect();
        let copies = base.iter().zip(&names).flat_map(|((a, b), name)| std::iter::repeat_n((*a, *b, Some(name.as_str())), 5));
        let copies = Pairs::of(copies).compared().expect("one");
        let (one, five) = (alone.interval.expect("one"), copies.interval.expect("one"));
        assert!((one.low - five.low).abs() < 1e-12 && (one.high - five.high).abs() < 1e-12, "{one:?} {five:?}");
        assert_eq!((alone.clusters, copies.clusters), (None, Some(7)));
        assert!((copies.detectable(35).expect("one") / alone.detectable(7).expect("one") - 1.0).abs() < 1e-9);
    }

    /// Of 44 rows that pass or fail and none of which changed Agresti and Min leave 0.0426 open: (1.96 + 0.84)/1.96 times that shows.
    #[test]
    fn rows_that_did_not_change_show_what_their_interval_leaves_open() {
        let same = Pairs::of((0..44).map(|_| (1.0, 1.0, None))).compared().expect("one");
        assert!((same.detectable(44).expect("a number") - 0.0609).abs() < 1e-4, "{:?}", same.detectable(44));
        let equal = Pairs::of((0..44).map(|_| (0.25, 0.5, None))).compared().expect("one");
        assert_eq!(equal.detectable(44), None, "no width, nothing to go by");
    }

    #[test]
    fn one_cluster_decides_nothing() {
        let one = Pairs::of((0..30).map(|i| (0.1, 0.5 + f64::from(i) / 100.0, Some("a")))).compared().expect("one");
        assert_eq!((one.interval, one.p_value, one.detectable(30), one.clusters), (None, 1.0, None, Some(1)));
        assert_eq!(Pairs::default().compared(), None);
    }

    /// Clusters that all gained the same are as many rows that did: two of them have p = 2/2² whatever they hold, six have 2/2⁶. What
    /// they leave open is what rows not seen may do, and where nobody knows how much that is there is no interval.
    #[test]
    fn clusters_that_agree_are_as_many_rows() {
        let of = |n: usize, span| {
            let names: Vec<String> = (0..n).map(|i| format!("c{i}")).collect();
            let rows =
                names.iter().flat_map(|c| (0..20).map(move |i| (0.25, if i < 10 { 0.75 } else { 0.25 }, Some(c.as_str()))));
            Pairs::of(rows).spanning(span).compared().expect("one")
        };
        for (n, p) in [(2, 0.5), (6, 2.0 / 64.0)] {
            let found = of(n, Some(1.0));
            assert_eq!((found.p_value, found.clusters, found.sd), (p, Some(n), None), "{found:?}");
            let i = found.interval.expect("an interval");
            assert!(i.low < 0.25 && i.high > 0.25 && i.high <= 1.0 && found.detectable(20 * n).is_some(), "{n}: {i:?}");
            assert_eq!((of(n, None).interval, of(n, None).p_value), (None, p));
        }
    }

    /// Two clusters that nearly agree are two all the same: their spread of one degree of freedom is an accident.
    #[test]
    fn few_clusters_decide_nothing() {
        let of = |gains: &[f64]| {
            let names: Vec<String> = (0..gains.len()).map(|i| format!("c{i}")).collect();
            let rows = gains.iter().zip(&names).flat_map(|(g, c)| std::iter::repeat_n((0.25, 0.25 + g, Some(c.as_str())), 20));
            Pairs::of(rows).spanning(Some(1.0)).compared().expect("one").p_value
        };
        assert_eq!((of(&[0.25, 0.251]), of(&[0.25, 0.251, 0.249, 0.25])), (0.5, 0.125));
        assert!(of(&[0.25, 0.251, 0.249, 0.25, 0.251]) < 1e-6);
    }
}

//! An evaluation in slices: by language, by tag, and what cannot be answered, each with its own number of rows.
//!
//! A mean over all rows hides that one language got worse. But twenty slices of five metrics are a hundred chances to be unlucky, so a slice
//! is called better or worse only by its q-value (Benjamini and Hochberg over all of the table), which bounds the share of false calls
//! among all calls at 5 %. Rows of one cluster count together, as in the comparison of the whole.

use super::compare::Pairs;
use super::metrics;
use super::record::RowScore;
use crate::domain::golden::Row;
use crate::stats::{clustered, describe, interval, multiplicity, power};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A metric of some rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sliced {
    /// Which rows: `language de`, `tag returns`, `unanswerable`.
    pub slice: String,
    /// How many rows of the dataset these are.
    pub rows: usize,
    /// The metric.
    pub metric: String,
    /// Rows scored.
    pub n: usize,
    /// Their mean.
    pub mean: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Candidate minus production on the rows that both have; `None` without production or such rows.
    pub difference: Option<f64>,
    /// The chance of so large a difference when there is none, corrected for all of the table.
    pub q_value: Option<f64>,
    /// `better`, `worse` or `inconclusive`; `None` where there is nothing to compare with.
    pub verdict: Option<&'static str>,
}

/// The slices of a dataset that are neither empty nor all of it, by name, each with the ids of its rows.
pub fn slices(rows: &[Row]) -> BTreeMap<String, BTreeSet<&str>> {
    let mut found: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        let names = row.language.iter().map(|l| format!("language {l}")).chain(row.tags.iter().map(|t| format!("tag {t}")));
        let unanswerable = (row.answerable == Some(false)).then(|| "unanswerable".to_owned());
        for name in names.chain(unanswerable) {
            found.entry(name).or_default().insert(&row.id);
        }
    }
    found.retain(|_, ids| ids.len() < rows.len());
    found
}

/// Every metric in every slice; `production` has the scores of the version that serves, by metric and row.
pub fn table(rows: &[Row], scores: &[RowScore], production: &HashMap<(String, String), f64>) -> Vec<Sliced> {
    let clusters: HashMap<&str, Option<&str>> = rows.iter().map(|r| (r.id.as_str(), r.cluster.as_deref())).collect();
    let mut by_metric: BTreeMap<&str, Vec<&RowScore>> = BTreeMap::new();
    for score in scores {
        by_metric.entry(&score.metric).or_default().push(score);
    }
    let mut all = Vec::new();
    let mut chances = Vec::new();
    for (slice, ids) in slices(rows) {
        for (metric, scores) in &by_metric {
            let mine: Vec<(&str, f64)> =
                scores.iter().filter(|s| ids.contains(s.row.as_str())).filter_map(|s| Some((s.row.as_str(), s.value?))).collect();
            let before = |row: &str| production.get(&((*metric).to_owned(), row.to_owned())).copied();
            let cluster = |row: &str| clusters.get(row).copied().flatten();
            let pairs = Pairs::of(mine.iter().filter_map(|(row, now)| Some((before(row)?, *now, cluster(row)))));
            let compared = pairs.compared();
            chances.extend(compared.as_ref().map(|c| (all.len(), c.p_value)));
            let values: Vec<f64> = mine.iter().map(|m| m.1).collect();
            let clumps = clustered::numbered(mine.iter().map(|(row, _)| cluster(row)));
            let within = |range| clustered::of_scores(&values, &clumps, range, interval::CONFIDENCE);
            let range = metrics::find(metric).and_then(|m| within(m.range));
            all.push(Sliced {
                slice: slice.clone(),
                rows: ids.len(),
                metric: (*metric).to_owned(),
                n: values.len(),
                mean: describe::mean(&values),
                low: range.map(|r| r.low),
                high: range.map(|r| r.high),
                difference: compared.map(|c| c.difference),
                q_value: None,
                verdict: None,
            });
        }
    }
    let p: Vec<f64> = chances.iter().map(|c| c.1).collect();
    for ((at, _), q) in chances.iter().zip(multiplicity::benjamini_hochberg(&p).unwrap_or_default()) {
        let of = &mut all[*at];
        of.q_value = Some(q);
        let higher_is_better = metrics::find(&of.metric).is_none_or(|m| m.direction == metrics::Direction::HigherIsBetter);
        of.verdict = Some(match of.difference {
            Some(d) if q <= power::ALPHA && d != 0.0 => {
                if (d > 0.0) == higher_is_better {
                    "better"
                } else {
                    "worse"
                }
            }
            _ => "inconclusive",
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        (0..40)
            .map(|i| Row {
                id: format!("r{i}"),
                question: "q".into(),
                language: Some(if i < 20 { "de" } else { "fr" }.into()),
                tags: if i % 4 == 0 { vec!["returns".into(), "all".into()] } else { vec!["all".into()] },
                answerable: (i == 7).then_some(false),
                ..Row::default()
            })
            .collect()
    }

    fn scores(value: impl Fn(usize) -> f64) -> Vec<RowScore> {
        let one = |i: usize| RowScore {
            pos: i as i64,
            row: format!("r{i}"),
            metric: "token-f1".into(),
            value: Some(value(i)),
            reason: None,
        };
        (0..40).map(one).collect()
    }

    #[test]
    fn what_is_all_rows_is_no_slice() {
        let all = rows();
        let found = slices(&all);
        let sizes: Vec<_> = found.iter().map(|(name, ids)| (name.as_str(), ids.len())).collect();
        assert_eq!(sizes, [("language de", 20), ("language fr", 20), ("tag returns", 10), ("unanswerable", 1)]);
    }

    /// One language lost, the other gained as much: all rows together show nothing.
    #[test]
    fn a_language_that_lost_is_found_with_its_own_n() {
        let before: HashMap<(String, String), f64> = (0..40).map(|i| (("token-f1".to_owned(), format!("r{i}")), 0.5)).collect();
        let shift = |i: usize| if i < 20 { -0.2 - (i % 5) as f64 / 100.0 } else { 0.2 + (i % 5) as f64 / 100.0 };
        let found = table(&rows(), &scores(|i| 0.5 + shift(i)), &before);
        let of = |slice: &str| found.iter().find(|s| s.slice == slice).expect("a slice");
        let (de, fr, few) = (of("language de"), of("language fr"), of("unanswerable"));
        assert_eq!((de.verdict, de.n, de.rows), (Some("worse"), 20, 20));
        assert_eq!(
            (fr.verdict, of("tag returns").verdict, few.verdict),
            (Some("better"), Some("inconclusive"), Some("inconclusive"))
        );
        assert!(de.q_value.is_some_and(|q| q < 0.001) && de.low.is_some_and(|l| l < 0.28), "{de:?}");
        let alone = table(&rows(), &scores(|_| 0.5), &HashMap::new());
        assert!(alone.iter().all(|s| s.verdict.is_none() && s.difference.is_none() && s.mean == Some(0.5)), "{alone:?}");
    }

    /// Twenty slices of noise: one in twenty has p ≤ 0.05, and none is called.
    #[test]
    fn noise_in_many_slices_is_not_called() {
        let mut rng = crate::stats::rng::Rng::new(9);
        let rows: Vec<Row> = (0..600)
            .map(|i| Row { id: format!("r{i}"), question: "q".into(), tags: vec![format!("t{}", i % 30)], ..Row::default() })
            .collect();
        let scores: Vec<RowScore> = (0..600)
            .map(|i| RowScore { pos: i, row: format!("r{i}"), metric: "token-f1".into(), value: Some(rng.unit()), reason: None })
            .collect();
        let before: HashMap<(String, String), f64> =
            (0..600).map(|i| (("token-f1".to_owned(), format!("r{i}")), rng.unit())).collect();
        let found = table(&rows, &scores, &before);
        assert_eq!((found.len(), found.iter().filter(|s| s.verdict != Some("inconclusive")).count()), (30, 0));
    }
}

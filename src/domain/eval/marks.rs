//! What gates know of rows beside their scores: which must pass each by itself, and which belong to one cluster.
//!
//! Marks are kept among the scores of an evaluation, sealed by the same digest, under names that no metric has. Rows of a cluster are
//! numbered from 1 in the order of the dataset, so what a cluster is called (a document, a conversation) is not in the state.

use super::record::{self, RowScore};
use crate::base::error::Result;
use crate::domain::golden::Row;
use crate::stats::clustered::numbered;
use crate::store::View;
use std::collections::{BTreeMap, BTreeSet};

/// The mark of a row that must pass.
pub const MUST_PASS: &str = "must-pass";
/// The mark of a row that belongs to a cluster; its value is the number of the cluster.
pub const CLUSTER: &str = "cluster";

/// The marks of the rows of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    must_pass: BTreeSet<String>,
    /// The number of the cluster of each row that is in one.
    clusters: BTreeMap<String, u32>,
}

impl Marks {
    /// Of the rows of a dataset.
    pub fn of(rows: &[Row]) -> Self {
        let must_pass = rows.iter().filter(|r| r.must_pass == Some(true)).map(|r| r.id.clone()).collect();
        let named: Vec<(&Row, &str)> = rows.iter().filter_map(|r| Some((r, r.cluster.as_deref()?))).collect();
        let numbers = numbered(named.iter().map(|(_, label)| Some(*label)));
        let number = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
        let clusters = named.iter().zip(numbers).map(|((row, _), n)| (row.id.clone(), number(n))).collect();
        Self { must_pass, clusters }
    }

    /// Of a recorded evaluation.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn recorded(view: View<'_>, evaluation: &str) -> Result<Self> {
        let must_pass = record::scored_rows(view, evaluation, MUST_PASS)?.into_iter().map(|(row, _)| row).collect();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "numbers of clusters, sealed as they were written"
        )]
        let clusters = record::scored_rows(view, evaluation, CLUSTER)?.into_iter().map(|(row, n)| (row, n as u32)).collect();
        Ok(Self { must_pass, clusters })
    }

    /// The rows that must pass.
    pub fn must_pass(&self) -> impl Iterator<Item = &str> {
        self.must_pass.iter().map(String::as_str)
    }

    /// True when no row is said to belong to a cluster.
    pub fn has_no_cluster(&self) -> bool {
        self.clusters.is_empty()
    }

    /// Of each row that is in a cluster the one that stands for it: the first by its id, so that another version of a dataset, which may
    /// number its clusters otherwise, has the same one.
    pub fn heads(&self) -> BTreeMap<&str, &str> {
        let mut first: BTreeMap<u32, &str> = BTreeMap::new();
        let rows = self.clusters.iter();
        rows.map(|(row, n)| (row.as_str(), *first.entry(*n).or_insert(row.as_str()))).collect()
    }

    /// A number for each of these rows, the same for those of one cluster; a row without one is alone.
    pub fn clusters<'a>(&self, rows: impl Iterator<Item = &'a str>) -> Vec<usize> {
        let mut alone = self.clusters.len();
        let mut number = |row: &str| match self.clusters.get(row) {
            // There are at most as many clusters as rows that are in one.
            Some(n) => *n as usize - 1,
            None => {
                alone += 1;
                alone
            }
        };
        rows.map(&mut number).collect()
    }

    /// Scores with the marks of their rows, in the order in which they are sealed.
    pub fn with(&self, scores: &[RowScore]) -> Vec<RowScore> {
        let mut rows = scores.to_vec();
        let mut last = None;
        for score in scores {
            if last.replace(score.pos) == Some(score.pos) {
                continue;
            }
            let mark =
                |name: &str, value: f64| RowScore { metric: name.to_owned(), value: Some(value), reason: None, ..score.clone() };
            rows.extend(self.must_pass.contains(&score.row).then(|| mark(MUST_PASS, 1.0)));
            rows.extend(self.clusters.get(&score.row).map(|n| mark(CLUSTER, f64::from(*n))));
        }
        rows.sort_by(|a, b| (a.pos, &a.metric).cmp(&(b.pos, &b.metric)));
        rows
    }
}

/// True for what stands among scores and is none.
pub fn is_mark(name: &str) -> bool {
    name == MUST_PASS || name == CLUSTER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, cluster: Option<&str>, must_pass: bool) -> Row {
        Row { id: id.into(), cluster: cluster.map(str::to_owned), must_pass: must_pass.then_some(true), ..Row::default() }
    }

    fn marks() -> Marks {
        Marks::of(&[
            row("a", Some("doc 7"), true),
            row("b", None, false),
            row("c", Some("doc 9"), false),
            row("d", Some("doc 7"), true),
        ])
    }

    #[test]
    fn rows_of_a_cluster_have_one_number_and_others_their_own() {
        let found = marks().clusters(["d", "b", "a", "x", "c"].into_iter());
        assert_eq!(found[0], found[2]);
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 4, "{found:?}");
        assert_eq!(marks().heads(), BTreeMap::from([("a", "a"), ("c", "c"), ("d", "a")]));
        assert!(Marks::of(&[row("a", None, true)]).has_no_cluster() && !marks().has_no_cluster());
    }

    #[test]
    fn each_row_is_marked_once_and_a_cluster_keeps_its_name_for_itself() {
        let score = |pos: i64, row: &str, metric: &str| RowScore {
            pos,
            row: row.into(),
            metric: metric.into(),
            value: Some(0.5),
            reason: None,
        };
        let scores: Vec<RowScore> =
            ["a", "b", "c", "d"].iter().zip(0..).flat_map(|(id, pos)| [score(pos, id, "bleu"), score(pos, id, "map")]).collect();
        let told: Vec<(String, String, Option<f64>)> =
            marks().with(&scores).into_iter().map(|r| (r.row, r.metric, r.value)).collect();
        let of = |mark: &str| told.iter().filter(|t| t.1 == mark).map(|t| (t.0.as_str(), t.2)).collect::<Vec<_>>();
        assert_eq!(of(MUST_PASS), [("a", Some(1.0)), ("d", Some(1.0))]);
        assert_eq!(of(CLUSTER), [("a", Some(1.0)), ("c", Some(2.0)), ("d", Some(1.0))]);
        assert!(told.is_sorted_by(|a, b| (&a.0, &a.1) <= (&b.0, &b.1)) && told.len() == 13, "{told:?}");
        assert!(is_mark(CLUSTER) && is_mark(MUST_PASS) && !is_mark("map"));
    }
}

//! Which rows a search may look at, and which decide.
//!
//! A dataset whose rows say `split` is divided as it says: `dev` (also `train`, `validation`) and `holdout` (also `test`). Others are
//! divided by a hash of what belongs together, so that a row stays on its side while the dataset grows: rows of one cluster, and rows
//! that ask the same.

use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::text::{count, visible};
use crate::base::weight::Weight;
use crate::domain::golden::{Row, plain};
use serde::Serialize;
use std::collections::BTreeMap;

/// Words of `split` for rows that are searched on.
const DEV: [&str; 6] = ["dev", "development", "train", "training", "validation", "val"];
/// Words for rows that decide.
const HOLDOUT: [&str; 3] = ["holdout", "held-out", "test"];

/// A dataset divided, by where its rows stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Split {
    /// Rows that are searched on.
    #[serde(skip)]
    pub dev: Vec<usize>,
    /// Rows that decide.
    #[serde(skip)]
    pub holdout: Vec<usize>,
    /// Rows of another `split`, which are neither.
    pub left: usize,
    /// True when the dataset says it, false when it was drawn.
    pub given: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Dev,
    Holdout,
    Neither,
}

/// Divides rows; `share` of those that say nothing decides, drawn by `seed`.
///
/// # Errors
/// When one side has no row, or when what belongs together stands on both sides.
pub fn split(rows: &[Row], share: Weight, seed: u64) -> Result<Split> {
    let given = rows.iter().any(|r| r.split.is_some());
    let units = units(rows);
    let side = |at: usize| if given { said(&rows[at]) } else { drawn(&units[at], share, seed) };
    let sides: Vec<Side> = (0..rows.len()).map(side).collect();
    let of = |side: Side| (0..rows.len()).filter(|at| sides[*at] == side).collect::<Vec<_>>();
    let (dev, holdout) = (of(Side::Dev), of(Side::Holdout));
    if dev.is_empty() || holdout.is_empty() {
        let found = format!("{} to search on and {} to decide on", count(dev.len(), "row"), count(holdout.len(), "row"));
        let hint = match given {
            true => "write `dev` or `holdout` as the `split` of each row",
            false => "add rows, or draw them with another `--seed` or `--holdout`",
        };
        return Err(Error::new(format!("the dataset has {found}")).hint(hint));
    }
    let first: BTreeMap<&str, usize> = dev.iter().rev().map(|at| (units[*at].as_str(), *at)).collect();
    if let Some((there, here)) = holdout.iter().find_map(|at| Some((first.get(units[*at].as_str())?, at))) {
        let (a, b) = (visible(&rows[*there].id, 40), visible(&rows[*here].id, 40));
        return Err(Error::new(format!(
            "rows `{a}` of dev and `{b}` of the holdout belong together: they have the same cluster or the same question"
        ))
        .hint("give both the same `split`: a holdout that was seen decides nothing"));
    }
    Ok(Split { left: rows.len() - dev.len() - holdout.len(), dev, holdout, given })
}

fn said(row: &Row) -> Side {
    let word = row.split.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
    match word.as_str() {
        w if DEV.contains(&w) => Side::Dev,
        w if HOLDOUT.contains(&w) => Side::Holdout,
        _ => Side::Neither,
    }
}

fn drawn(unit: &str, share: Weight, seed: u64) -> Side {
    let hex = Digest::of(format!("holdout\0{seed}\0{unit}").as_bytes()).hex();
    let number = hex.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default();
    if number % 10_000 < u64::from(share.hundredths()) { Side::Holdout } else { Side::Dev }
}

/// What each row belongs to: the same name for rows that share a cluster or a question, directly or through others.
fn units(rows: &[Row]) -> Vec<String> {
    let keys = |row: &Row| {
        let cluster = row.cluster.as_ref().map(|c| format!("cluster\0{c}"));
        cluster.into_iter().chain([format!("question\0{}", plain(&row.question))]).collect::<Vec<_>>()
    };
    let mut group: Vec<usize> = (0..rows.len()).collect();
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        for key in keys(row) {
            let other = *first.entry(key).or_insert(at);
            let (a, b) = (root(&group, at), root(&group, other));
            group[a.max(b)] = a.min(b);
        }
    }
    // A name that does not depend on which rows there are besides: the least of all keys.
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    for (key, at) in &first {
        let root = root(&group, *at);
        names.entry(root).or_insert_with(|| key.clone());
    }
    (0..rows.len()).map(|at| names.get(&root(&group, at)).cloned().unwrap_or_default()).collect()
}

fn root(group: &[usize], mut at: usize) -> usize {
    while group[at] != at {
        at = group[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: usize, cluster: Option<&str>, split: Option<&str>) -> Row {
        let text = |t: &str| t.to_owned();
        Row {
            id: format!("r{id}"),
            question: format!("question {id}"),
            cluster: cluster.map(text),
            split: split.map(text),
            ..Row::default()
        }
    }

    fn half() -> Weight {
        Weight::from_percent(50.0).expect("a half")
    }

    #[test]
    fn what_belongs_together_stays_together_and_rows_stay_where_they_are() {
        let clusters: Vec<String> = (0..400).map(|i| format!("c{}", i / 4)).collect();
        let mut rows: Vec<Row> = (0..400).map(|i| row(i, Some(&clusters[i]), None)).collect();
        rows[9].question = "question  3".into();
        let found = split(&rows, half(), 7).expect("a split");
        assert_eq!((found.dev.len() + found.holdout.len(), found.left, found.given), (400, 0, false));
        assert!((120..280).contains(&found.dev.len()), "{}", found.dev.len());
        let side = |at: usize| found.dev.contains(&at);
        assert!((0..400).all(|at| side(at) == side(at / 4 * 4)), "clusters");
        assert_eq!(side(9), side(3), "the same question in two clusters");
        let fewer = split(&rows[..200], half(), 7).expect("a split");
        assert_eq!(fewer.dev, found.dev.iter().copied().filter(|at| *at < 200).collect::<Vec<_>>());
        assert_ne!(split(&rows, half(), 8).expect("a split").dev, found.dev, "the seed draws");
    }

    #[test]
    fn a_dataset_that_says_it_is_believed() {
        let rows =
            [row(0, None, Some("Train")), row(1, None, Some("holdout")), row(2, None, Some("retired")), row(3, None, None)];
        let found = split(&rows, half(), 0).expect("a split");
        assert_eq!((found.dev, found.holdout, found.left, found.given), (vec![0], vec![1], 2, true));
        let refused = |rows: &[Row], why: &str| {
            let e = split(rows, half(), 0).expect_err("refused");
            assert!(e.to_string().contains(why) && !e.hints().is_empty(), "{e}");
        };
        refused(&rows[..1], "1 row to search on and 0 rows to decide on");
        refused(&[row(0, Some("a"), Some("dev")), row(1, Some("a"), Some("test"))], "rows `r0` of dev and `r1` of the holdout");
        refused(&[], "0 rows to search on");
    }
}

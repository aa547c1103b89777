//! The cells numeric values are counted in: cut at the reference's quantiles, open at both ends.
//!
//! Equal-width cells put everything in one when a single value is far off; quantiles of the reference cannot be moved by what is
//! compared with it. A value that holds a tenth of the rows or more (a default, a zero) has a cell of its own, so that leaving it
//! on either side is seen. A cell holds the values above the edge before it up to and with its own edge.

use super::profile::exact;
use crate::stats::ordered::Ordered;
use serde::{Deserialize, Serialize};

/// Cells of about equal reference mass, unless values repeat.
pub const BINS: usize = 10;

/// Counts of cells. Invariant: edges finite and strictly ascending, one cell more than edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Histogram {
    #[serde(with = "exact::list")]
    edges: Vec<f64>,
    counts: Vec<u64>,
}

/// What was stored, before it is believed.
#[derive(Deserialize)]
struct Stored {
    #[serde(with = "exact::list")]
    edges: Vec<f64>,
    counts: Vec<u64>,
}

impl TryFrom<Stored> for Histogram {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let countable = stored.counts.iter().try_fold(0u64, |sum, c| sum.checked_add(*c)).is_some();
        if stored.counts.len() != stored.edges.len() + 1 || !countable {
            return Err("a histogram needs one count more than edges");
        }
        let counts = stored.counts;
        Self::empty(stored.edges).map(|empty| Self { counts, ..empty }).ok_or("the edges of a histogram must ascend")
    }
}

impl Histogram {
    /// No rows yet, in cells with these upper edges (the last cell has none). `None` when they are not finite and strictly
    /// ascending.
    pub fn empty(edges: Vec<f64>) -> Option<Self> {
        let ascending = edges.windows(2).all(|w| w[0] < w[1]) && edges.iter().all(|e| e.is_finite());
        let counts = vec![0; edges.len() + 1];
        ascending.then_some(Self { edges, counts })
    }

    /// The sample counted in cells with these edges; exact for an exact sample. `None` as [`Self::empty`].
    pub fn of(sample: &Ordered, edges: &[f64]) -> Option<Self> {
        let mut histogram = Self::empty(edges.to_vec())?;
        let mut before = 0;
        for (cell, upto) in edges.iter().map(|edge| sample.at_most(*edge)).chain([sample.rows()]).enumerate() {
            histogram.counts[cell] = upto - before;
            before = upto;
        }
        Some(histogram)
    }

    /// Counts one value; NaN is counted in the last cell.
    pub fn add(&mut self, value: f64) {
        let cell = self.cell(value);
        self.counts[cell] = self.counts[cell].saturating_add(1);
    }

    /// The cell of a value; NaN is in the last one.
    pub fn cell(&self, value: f64) -> usize {
        self.edges.partition_point(|edge| *edge < value || value.is_nan())
    }

    /// The upper edges of all cells but the last, in the unit of the values.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The rows of each cell.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The range of a cell: above the first, up to and with the second; `None` where it is open.
    pub fn range(&self, cell: usize) -> (Option<f64>, Option<f64>) {
        (cell.checked_sub(1).and_then(|i| self.edges.get(i).copied()), self.edges.get(cell).copied())
    }

    /// The counts of both. `None` when their cells differ or the rows are beyond counting.
    pub fn merged(&self, other: &Self) -> Option<Self> {
        let counts = self.counts.iter().zip(&other.counts).map(|(a, b)| a.checked_add(*b)).collect::<Option<_>>()?;
        (self.edges == other.edges).then(|| Self { edges: self.edges.clone(), counts })
    }
}

/// The edges for a reference: its deciles (type 7), each value with a tenth of the rows alone, cells with less than half of a tenth
/// joined to a neighbour.
pub fn edges(reference: &Ordered) -> Vec<f64> {
    let tenth = reference.rows() as f64 / BINS as f64;
    let lone: Vec<f64> = reference.weights().filter(|(_, rows)| *rows as f64 >= tenth).map(|(value, _)| value).collect();
    let around = |value: &f64| [value.next_down(), *value];
    let fixed: Vec<f64> = lone.iter().flat_map(around).filter(|edge| edge.is_finite()).collect();
    let deciles = (1..BINS).filter_map(|i| reference.quantile(i as f64 / BINS as f64));
    let mut edges: Vec<f64> = deciles.chain(fixed.iter().copied()).collect();
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
    let is_fixed = |edge: f64| fixed.contains(&edge);
    let mut kept: Vec<f64> = Vec::with_capacity(edges.len());
    for edge in edges {
        let low = kept.last().map_or(0, |last| reference.at_most(*last));
        let small = ((reference.at_most(edge) - low) as f64) < tenth / 2.0;
        // A small cell goes to the one above it, or if its own edge must stay to the one below.
        if small && !is_fixed(edge) {
            continue;
        }
        if small && kept.last().is_some_and(|last| !is_fixed(*last)) {
            kept.pop();
        }
        kept.push(edge);
    }
    let top = kept.last().map_or(0, |last| reference.rows() - reference.at_most(*last));
    if (top as f64) < tenth / 2.0 && kept.last().is_some_and(|last| !is_fixed(*last)) {
        kept.pop();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(values: &[f64]) -> Vec<u64> {
        let sample = Ordered::of(values.to_vec()).expect("a sample");
        Histogram::of(&sample, &edges(&sample)).expect("edges").counts().to_vec()
    }

    #[test]
    fn values_that_differ_fill_ten_cells_alike() {
        assert_eq!(cells(&(0..1000).map(f64::from).collect::<Vec<_>>()), [100; 10]);
    }

    #[test]
    fn a_value_that_repeats_is_alone() {
        let zeros: Vec<f64> = (0..100).map(|i| f64::from((i - 60).max(0))).collect();
        assert_eq!(cells(&zeros)[..2], [0, 61]);
        let constant = Ordered::of(vec![5.0; 40]).expect("a sample");
        let edges = edges(&constant);
        let count = |v: f64| Histogram::of(&Ordered::of(vec![v]).expect("one"), &edges).expect("edges").counts().to_vec();
        assert_eq!((count(4.9), count(5.0), count(5.1)), (vec![1, 0, 0], vec![0, 1, 0], vec![0, 0, 1]));
    }

    #[test]
    fn cells_tell_their_range() {
        let histogram = Histogram::empty(vec![1.0, 2.0]).expect("edges");
        assert_eq!(histogram.range(0), (None, Some(1.0)));
        assert_eq!(histogram.range(1), (Some(1.0), Some(2.0)));
        assert_eq!(histogram.range(2), (Some(2.0), None));
    }

    #[test]
    fn values_one_by_one_fill_the_cells_of_a_sample() {
        let values = [0.5, 1.0, 1.5, 2.0, 9.0, 1.0];
        let mut one_by_one = Histogram::empty(vec![1.0, 2.0]).expect("edges");
        values.iter().for_each(|v| one_by_one.add(*v));
        let sample = Ordered::of(values.to_vec()).expect("a sample");
        assert_eq!(Some(one_by_one), Histogram::of(&sample, &[1.0, 2.0]));
    }

    #[test]
    fn other_cells_do_not_merge_and_bad_edges_are_none() {
        let of = |edges: &[f64]| Histogram::empty(edges.to_vec());
        assert_eq!(of(&[1.0]).and_then(|h| h.merged(&of(&[2.0])?)), None);
        assert!(of(&[2.0, 1.0]).is_none() && of(&[1.0, 1.0]).is_none() && of(&[f64::NAN]).is_none());
        for bad in [r#"{"edges":[],"counts":[]}"#, r#"{"edges":[2,1],"counts":[1,2,3]}"#] {
            assert!(serde_json::from_str::<Histogram>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_cell_and_none_is_needlessly_small(v in proptest::collection::vec(-30i32..30, 1..400)) {
            let sample = Ordered::of(v.iter().map(|v| f64::from(*v) / 3.0).collect()).expect("a sample");
            let edges = edges(&sample);
            let histogram = Histogram::of(&sample, &edges).expect("edges");
            prop_assert_eq!(histogram.counts().iter().sum::<u64>(), v.len() as u64);
            prop_assert!(edges.len() <= 3 * BINS);
            for (value, rows) in sample.weights() {
                if rows as f64 >= v.len() as f64 / BINS as f64 {
                    let cell = edges.partition_point(|e| *e < value);
                    prop_assert_eq!(histogram.counts()[cell], rows, "{} is not alone", value);
                }
            }
        }
    }
}

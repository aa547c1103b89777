//! Rows that speak for a cluster, or for what is new: their numbers, and their texts when a column of texts goes with the vectors.

use serde::{Deserialize, Serialize};

/// Rows kept for each cluster, and of those farthest from all.
pub(super) const KEPT: usize = 3;
/// Characters kept of a text.
const TEXT: usize = 200;

/// One row that speaks for others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Near {
    /// Its place among all rows of its side, from 0.
    pub row: u64,
    /// Its squared distance from the centre, in the vectors' unit squared.
    #[serde(with = "super::packed::one")]
    pub distance: f64,
    /// The beginning of its text, when that was told.
    pub text: Option<String>,
}

impl Near {
    pub(super) fn tell(&mut self, text: &str) {
        self.text = Some(text.chars().take(TEXT).collect());
    }
}

/// Puts a row among the best: the nearest, or with `farthest` the farthest ones. Of rows exactly as far, which repeat one text as a rule,
/// the first stays.
pub(super) fn offer(kept: &mut Vec<Near>, new: &Near, farthest: bool) {
    let better = |a: f64, b: f64| if farthest { a > b } else { a < b };
    let full = kept.len() >= KEPT;
    if kept.iter().any(|near| near.distance == new.distance) || (full && !better(new.distance, kept[KEPT - 1].distance)) {
        return;
    }
    let at = kept.iter().position(|near| better(new.distance, near.distance)).unwrap_or(kept.len());
    kept.insert(at, new.clone());
    kept.truncate(KEPT);
}

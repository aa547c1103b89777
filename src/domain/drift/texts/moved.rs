//! The texts that moved: new ones that make the difference, and those of the reference that became rare.

use super::sample::Sample;
use crate::base::name::words;
use crate::domain::drift::cloud::{CloudProfile, Leaning, leaning};
use crate::domain::drift::figures::Cell;
use crate::domain::drift::text::classifier::{Classifier, Typical};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use unicode_segmentation::UnicodeSegmentation;

words! {
    /// Which way a text went.
    Way, "way of a text" {
        /// There are more like it in the new data.
        Came = "new",
        /// There are fewer like it than in the reference.
        Went = "gone",
    }
}

/// A text that speaks for others that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Which way.
    pub way: Way,
    /// Its row, from 1: of the new data, or of those that the baseline was taken of.
    pub row: u64,
    /// Its cluster, from 1, where it was compared by its vector.
    pub cluster: Option<usize>,
    /// Its beginning, or its digest where texts are not kept; absent where the baseline keeps it and it is not to be told.
    pub text: Option<String>,
}

/// Texts that are told of each side.
const TOLD: usize = 5;
/// Of the words of two texts together the share that both have, from which on they say the same and one of them is told.
const ALIKE: f64 = 0.4;
/// A text that lies less than this share as far in the direction in which the mean went as the farthest one is not told.
const NEAR_FARTHEST: f64 = 0.5;
/// What a cluster adds to the index, without its sign, before it is said to have shrunk.
const SHRUNK: f64 = 0.02;

/// New texts whose vectors lie farthest in the direction in which the mean went, none much like another.
pub(super) fn came(reference: &CloudProfile, current: &CloudProfile, sample: &Sample) -> Vec<Moved> {
    let mut all = leaning(reference, current, &sample.vectors).unwrap_or_default();
    all.sort_by(|a, b| b.along.total_cmp(&a.along).then(a.place.cmp(&b.place)));
    let least = all.first().map_or(0.0, |farthest| farthest.along * NEAR_FARTHEST);
    let mut told: Vec<(Leaning, BTreeSet<String>)> = Vec::new();
    for found in all.into_iter().take_while(|found| found.along > 0.0 && found.along >= least) {
        if told.len() >= TOLD {
            break;
        }
        let words: BTreeSet<String> = sample.told[found.place].unicode_words().map(str::to_lowercase).collect();
        if !told.iter().any(|(_, others)| are_alike(&words, others)) {
            told.push((found, words));
        }
    }
    let moved = told.into_iter().map(|(found, _)| Moved {
        way: Way::Came,
        row: sample.places[found.place] + 1,
        cluster: Some(found.cluster + 1),
        text: Some(sample.told[found.place].clone()),
    });
    moved.collect()
}

fn are_alike(a: &BTreeSet<String>, b: &BTreeSet<String>) -> bool {
    let both = a.intersection(b).count();
    both as f64 >= ALIKE * (a.len() + b.len() - both) as f64
}

/// Texts of the reference nearest to the centres of clusters that shrank, those that shrank most first; `cells` are of the clusters.
pub(super) fn went(reference: &CloudProfile, cells: &[Cell]) -> Vec<Moved> {
    let mut shrunk: Vec<(usize, f64)> = cells.iter().map(|cell| cell.term).enumerate().filter(|(_, t)| *t < -SHRUNK).collect();
    shrunk.sort_by(|a, b| a.1.total_cmp(&b.1));
    let of_cluster = |(cluster, _): (usize, f64)| {
        reference.near(cluster).first().map(|near| Moved {
            way: Way::Went,
            row: near.row + 1,
            cluster: Some(cluster + 1),
            text: near.text.clone(),
        })
    };
    shrunk.into_iter().filter_map(of_cluster).take(TOLD).collect()
}

/// The texts that a classifier knew best as those of their side.
pub(in crate::domain::drift) fn typical(classifier: &Classifier) -> Vec<Moved> {
    let one = |way: Way| move |t: &Typical| Moved { way, row: t.row + 1, cluster: None, text: Some(t.text.clone()) };
    let (new, old) = (&classifier.typical_current, &classifier.typical_reference);
    new.iter().map(one(Way::Came)).chain(old.iter().map(one(Way::Went))).collect()
}

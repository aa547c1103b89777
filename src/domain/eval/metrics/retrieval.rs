//! How well a ranking of document ids finds what is relevant.
//!
//! Conventions (those of trec_eval where it has them): ids compare as text; a repeated id counts once, at its first rank, and
//! its later places are places without a relevant document; precision divides by k even when fewer were returned, recall by
//! all relevant; MAP@k divides by min(relevant, k); a query without relevant documents is unscored, and a ranking that found
//! nothing is 0. Sources: Manning, Raghavan and Schütze 2008, chapter 8; Järvelin and Kekäläinen 2002 for nDCG, with the
//! exponential gain of Burges et al. 2005.

use super::Score;
use std::collections::{BTreeMap, HashMap};

/// A ranking reduced to what the measures need.
#[derive(Debug)]
pub struct Ranking {
    /// The grade at each rank; 0 for what is not relevant and for repeats.
    grades: Vec<f64>,
    /// The grades of all relevant documents, highest first; never empty.
    ideal: Vec<f64>,
}

/// What a grade is worth in nDCG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gain {
    /// The grade itself.
    Linear,
    /// 2^grade − 1: stresses the highly relevant.
    Exponential,
}

impl Gain {
    fn of(self, grade: f64) -> f64 {
        match self {
            Self::Linear => grade,
            Self::Exponential => grade.exp2() - 1.0,
        }
    }
}

impl Ranking {
    /// Judges a ranking by graded relevance, or by a list of relevant ids (grade 1 each) when no grades are given. A grade of 0
    /// means not relevant.
    ///
    /// # Errors
    /// The reason why nothing can be scored: nothing is relevant, or a grade is negative or not finite.
    pub fn new(retrieved: &[String], relevant: &[String], graded: Option<&BTreeMap<String, f64>>) -> Result<Self, &'static str> {
        let mut left: HashMap<&str, f64> = match graded {
            Some(graded) => graded.iter().map(|(id, grade)| (id.as_str(), *grade)).collect(),
            None => relevant.iter().map(|id| (id.as_str(), 1.0)).collect(),
        };
        if left.values().any(|g| !g.is_finite() || *g < 0.0) {
            return Err("a relevance grade is negative or not a finite number");
        }
        left.retain(|_, grade| *grade > 0.0);
        let mut ideal: Vec<f64> = left.values().copied().collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        if ideal.is_empty() {
            return Err("the row names no relevant document");
        }
        let grades = retrieved.iter().map(|id| left.remove(id.as_str()).unwrap_or(0.0)).collect();
        Ok(Self { grades, ideal })
    }

    /// The relevant documents found within the first k, as ranks counted from 1.
    fn hits(&self, k: usize) -> impl Iterator<Item = usize> {
        self.grades.iter().take(k).enumerate().filter(|(_, grade)| **grade > 0.0).map(|(i, _)| i + 1)
    }
}

/// The relevant among the first k, divided by k.
pub fn precision_at_k(ranking: &Ranking, k: usize) -> Score {
    at_least_one(k, || ranking.hits(k).count() as f64 / k as f64)
}

/// The relevant among the first k, divided by all relevant.
pub fn recall_at_k(ranking: &Ranking, k: usize) -> Score {
    at_least_one(k, || ranking.hits(k).count() as f64 / ranking.ideal.len() as f64)
}

/// 1 when a relevant document is among the first k, else 0.
pub fn hit_at_k(ranking: &Ranking, k: usize) -> Score {
    at_least_one(k, || f64::from(ranking.hits(k).next().is_some()))
}

/// One divided by the rank of the first relevant document, 0 when none is among the first k. Its mean over rows is MRR.
pub fn reciprocal_rank(ranking: &Ranking, k: usize) -> Score {
    at_least_one(k, || ranking.hits(k).next().map_or(0.0, |rank| 1.0 / rank as f64))
}

/// The sum of the precisions at the ranks of relevant documents among the first k, divided by min(relevant, k). Its mean over
/// rows is MAP@k; with k at least the number of relevant documents and of those returned it is plain average precision.
pub fn average_precision(ranking: &Ranking, k: usize) -> Score {
    at_least_one(k, || {
        let sum: f64 = ranking.hits(k).enumerate().map(|(found, rank)| (found + 1) as f64 / rank as f64).sum();
        sum / ranking.ideal.len().min(k) as f64
    })
}

/// Discounted gain of the first k, divided by that of the best possible first k. The discount is log₂(rank + 1).
pub fn ndcg(ranking: &Ranking, k: usize, gain: Gain) -> Score {
    let sum = |grades: &[f64]| -> f64 {
        grades.iter().take(k).enumerate().map(|(i, grade)| gain.of(*grade) / ((i + 2) as f64).log2()).sum()
    };
    match sum(&ranking.ideal) {
        best if best.is_finite() => at_least_one(k, || sum(&ranking.grades) / best),
        _ => Score::Unscored("the relevance grades are too large for this gain".into()),
    }
}

fn at_least_one(k: usize, score: impl FnOnce() -> f64) -> Score {
    if k == 0 { Score::Unscored("k is 0, so no place of the ranking counts".into()) } else { Score::Scored(score()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(ids: &str) -> Vec<String> {
        ids.split_whitespace().map(str::to_owned).collect()
    }

    fn graded(grades: &[(&str, f64)]) -> BTreeMap<String, f64> {
        grades.iter().map(|(id, g)| ((*id).to_owned(), *g)).collect()
    }

    fn near(got: Score, want: f64) {
        assert!(got.value().is_some_and(|g| (g - want).abs() < 1e-12), "{got:?} is not {want}");
    }

    /// Manning, Raghavan and Schütze 2008: relevant at ranks 1 and 3 of three relevant in all.
    #[test]
    fn one_ranking_by_hand() {
        let r = Ranking::new(&ids("a x b y"), &ids("a b c"), None).expect("judged");
        near(precision_at_k(&r, 3), 2.0 / 3.0);
        near(precision_at_k(&r, 10), 0.2);
        near(recall_at_k(&r, 3), 2.0 / 3.0);
        near(hit_at_k(&r, 1), 1.0);
        near(reciprocal_rank(&r, 5), 1.0);
        near(average_precision(&r, 4), (1.0 + 2.0 / 3.0) / 3.0);
        near(average_precision(&r, 2), 0.5);
    }

    /// The example of Järvelin and Kekäläinen's measure in the article "Discounted cumulative gain" (Wikipedia): grades
    /// 3 2 3 0 1 2 with ideal 3 3 3 2 2 2 1 0, of which the first six count.
    #[test]
    fn the_published_ndcg() {
        let grades = graded(&[("1", 3.0), ("2", 2.0), ("3", 3.0), ("4", 0.0), ("5", 1.0), ("6", 2.0), ("7", 3.0), ("8", 2.0)]);
        let r = Ranking::new(&ids("1 2 3 4 5 6"), &[], Some(&grades)).expect("judged");
        let got = ndcg(&r, 6, Gain::Linear).value().expect("a score");
        assert!((got - 0.785).abs() < 5e-4, "{got}");
    }

    #[test]
    fn a_repeat_takes_a_place_and_counts_once() {
        let r = Ranking::new(&ids("a a b"), &ids("a b b"), None).expect("judged");
        near(precision_at_k(&r, 3), 2.0 / 3.0);
        near(recall_at_k(&r, 2), 0.5);
        near(average_precision(&r, 3), (1.0 + 2.0 / 3.0) / 2.0);
    }

    #[test]
    fn what_cannot_be_judged_is_unscored_and_what_was_not_found_is_zero() {
        assert!(Ranking::new(&ids("a"), &[], None).is_err());
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(Ranking::new(&ids("a"), &[], Some(&graded(&[("a", bad)]))).is_err(), "{bad}");
        }
        assert!(Ranking::new(&ids("a"), &ids("a"), Some(&graded(&[("a", 0.0)]))).is_err());
        let r = Ranking::new(&[], &ids("a"), None).expect("judged");
        for metric in [precision_at_k, recall_at_k, hit_at_k, reciprocal_rank, average_precision] {
            near(metric(&r, 5), 0.0);
            assert_eq!(metric(&r, 0).value(), None);
        }
        assert_eq!(ndcg(&r, 0, Gain::Linear).value(), None);
        let huge = Ranking::new(&ids("a"), &[], Some(&graded(&[("a", 2000.0)]))).expect("judged");
        assert_eq!(ndcg(&huge, 1, Gain::Exponential).value(), None);
        near(ndcg(&huge, 1, Gain::Linear), 1.0);
    }

    proptest! {
        #[test]
        fn every_measure_is_within_its_range(
            retrieved in proptest::collection::vec("[a-e]", 0..8),
            relevant in proptest::collection::vec("[a-e]", 1..6),
            k in 1usize..10,
        ) {
            let r = Ranking::new(&retrieved, &relevant, None).expect("judged");
            let scores = [precision_at_k(&r, k), recall_at_k(&r, k), average_precision(&r, k), ndcg(&r, k, Gain::Exponential)];
            for score in scores {
                prop_assert!(score.value().is_some_and(|s| (0.0..=1.0 + 1e-12).contains(&s)), "{:?}", score);
            }
        }
    }
}

//! Context precision and recall without a model: ragas' `NonLLMContextPrecisionWithReference` and `NonLLMContextRecall` as in
//! its release 0.4.3, on the Levenshtein similarity 1 − d / max length over code points.
//!
//! A retrieved context is relevant when its best similarity to a reference is **at least** one half; a reference counts as
//! found when its best similarity to a retrieved one is **more than** one half. Both conditions are decided on integers. Where
//! ragas raises (nothing retrieved, no reference), nothing retrieved is 0 and no reference is unscored.

use super::Score;
use super::bits::{Alphabet, Pattern};

const NO_REFERENCE_CONTEXT: &str = "the row has no reference context";

/// Average precision over the ranks of the retrieved contexts, relevant or not each. 0 when none is.
pub fn context_precision(retrieved: &[String], references: &[String]) -> Score {
    if references.is_empty() {
        return Score::Unscored(NO_REFERENCE_CONTEXT.into());
    }
    // d / max ≤ ½ is 2d ≤ max.
    let relevant = any_similar(retrieved, references, |longest| longest / 2);
    let (mut found, mut sum) = (0.0, 0.0);
    for (rank, _) in relevant.iter().enumerate().filter(|(_, relevant)| **relevant) {
        found += 1.0;
        sum += found / (rank + 1) as f64;
    }
    Score::Scored(if found > 0.0 { sum / found } else { 0.0 })
}

/// The share of reference contexts that are among those retrieved.
pub fn context_recall(retrieved: &[String], references: &[String]) -> Score {
    if references.is_empty() {
        return Score::Unscored(NO_REFERENCE_CONTEXT.into());
    }
    // d / max < ½ is 2d < max; two empty texts are alike.
    let found = any_similar(references, retrieved, |longest| longest.saturating_sub(1) / 2);
    Score::Scored(found.iter().filter(|f| **f).count() as f64 / found.len() as f64)
}

/// For each of `these`, whether one of `those` is within the distance that `limit` allows for the longer of the two.
fn any_similar(these: &[String], those: &[String], limit: impl Fn(usize) -> usize) -> Vec<bool> {
    let mut alphabet = Alphabet::default();
    let these: Vec<Vec<u32>> = these.iter().map(|t| alphabet.encode(t)).collect();
    let those: Vec<Vec<u32>> = those.iter().map(|t| alphabet.encode(t)).collect();
    let patterns: Vec<(usize, Pattern)> = those.iter().map(|t| (t.len(), Pattern::new(t, alphabet.size()))).collect();
    let similar = |text: &Vec<u32>| patterns.iter().any(|(length, p)| p.distance(text, limit(text.len().max(*length))).is_some());
    these.iter().map(similar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    /// Two of four characters differ: similarity exactly ½, which precision takes and recall does not.
    #[test]
    fn one_half_is_enough_for_precision_only() {
        let (a, b) = (texts(&["abcd"]), texts(&["abxy"]));
        assert_eq!(context_precision(&a, &b), Score::Scored(1.0));
        assert_eq!(context_recall(&a, &b), Score::Scored(0.0));
    }

    #[test]
    fn nothing_retrieved_is_zero_and_no_reference_is_unscored() {
        let some = texts(&["abc"]);
        for metric in [context_precision, context_recall] {
            assert_eq!(metric(&[], &some), Score::Scored(0.0));
            assert_eq!(metric(&some, &[]), Score::Unscored(NO_REFERENCE_CONTEXT.into()));
            assert_eq!(metric(&texts(&[""]), &texts(&[""])), Score::Scored(1.0));
            assert_eq!(metric(&texts(&[""]), &some), Score::Scored(0.0));
        }
    }
}

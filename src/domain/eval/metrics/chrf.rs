//! chrF2 (Popović 2015) as sacrebleu 2 computes it by default: character n-grams of order 1 to 6 without white space, no word
//! n-grams, β = 2, precision and recall averaged over the orders that both sides have, best over the references. On the scale
//! 0..=1, that is sacrebleu's score / 100.

use super::ngram::{CHAR_BITS, Windows};
use super::text::is_space;
use super::{Score, best_of};

const ORDER: u32 = 6;
const BETA_SQUARED: f64 = 4.0;

/// chrF2 of one answer. 0 when either side has no character but white space.
pub fn chrf(answer: &str, references: &[String]) -> Score {
    let answer = windows(answer);
    best_of(references, |r| f_score(&answer, &[windows(r)]))
}

fn windows(text: &str) -> Windows {
    let symbols: Vec<u32> = text.chars().filter(|c| !is_space(*c)).map(u32::from).collect();
    Windows::new(&symbols, CHAR_BITS, ORDER)
}

fn f_score(answer: &Windows, reference: &[Windows; 1]) -> f64 {
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
    for n in 1..=ORDER {
        let (had, wanted) = (answer.total(n), reference[0].total(n));
        if had > 0 && wanted > 0 {
            let matched = answer.matched(reference, n) as f64;
            precision += matched / had as f64;
            recall += matched / wanted as f64;
            orders += 1.0;
        }
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    (1.0 + BETA_SQUARED) * (precision / orders) * (recall / orders) / ((BETA_SQUARED * precision + recall) / orders)
}

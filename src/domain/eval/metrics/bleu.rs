//! Sentence BLEU (Papineni et al. 2002) as sacrebleu 2 computes it with `effective_order=True`: 13a tokens, exponential
//! smoothing, several references, closest reference length. On the scale 0..=1, that is sacrebleu's score / 100.
//!
//! Effective order matters: without it an answer of fewer than four tokens scores 0 even when it is the reference itself.

use super::Score;
use super::ngram::{WORD_BITS, Windows};
use super::text::{Vocabulary, pieces, thirteen_a};

const ORDER: u32 = 4;

/// BLEU of one answer against all its references together. 0 when nothing matches or the answer has no token.
pub fn bleu(answer: &str, references: &[String]) -> Score {
    if references.is_empty() {
        return Score::Unscored(super::NO_REFERENCE.into());
    }
    let answer = thirteen_a(answer);
    let references: Vec<String> = references.iter().map(|r| thirteen_a(r)).collect();
    let mut vocabulary = Vocabulary::default();
    let answer = vocabulary.encode(pieces(&answer));
    let references: Vec<Vec<u32>> = references.iter().map(|r| vocabulary.encode(pieces(r))).collect();
    let closest = references.iter().map(Vec::len).min_by_key(|len| (len.abs_diff(answer.len()), *len)).unwrap_or_default();
    let windows: Vec<Windows> = references.iter().map(|r| Windows::new(r, WORD_BITS, ORDER)).collect();
    Score::Scored(smoothed(&Windows::new(&answer, WORD_BITS, ORDER), &windows) * brevity(answer.len(), closest))
}

/// The geometric mean of the precisions of those orders that the answer has; each order without a match counts as half the
/// chance of the one before.
fn smoothed(answer: &Windows, references: &[Windows]) -> f64 {
    let counts: Vec<(usize, usize)> =
        (1..=ORDER).map(|n| (answer.matched(references, n), answer.total(n))).take_while(|(_, total)| *total > 0).collect();
    if counts.iter().all(|(matched, _)| *matched == 0) {
        return 0.0;
    }
    let mut halved = 1.0;
    let logs = counts.iter().map(|(matched, total)| {
        let matched = if *matched > 0 {
            *matched as f64
        } else {
            halved *= 0.5;
            halved
        };
        (matched / *total as f64).ln()
    });
    (logs.sum::<f64>() / counts.len() as f64).exp()
}

/// The penalty for being shorter than the reference.
fn brevity(answer: usize, reference: usize) -> f64 {
    match answer {
        0 => 0.0,
        _ if answer >= reference => 1.0,
        _ => (1.0 - reference as f64 / answer as f64).exp(),
    }
}

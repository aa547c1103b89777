//! Exact match and token F1, raw and as SQuAD normalises (Rajpurkar et al. 2016 and its official `evaluate-v2.0.py`).
//!
//! The normalisation is made for English: only the articles a, an and the are dropped and only ASCII punctuation is deleted.

use super::text::{Vocabulary, pieces};
use super::{Score, best_of};
use unicode_normalization::char::is_combining_mark;

/// 1 when the answer is one of the references character by character, else 0.
pub fn exact_match(answer: &str, references: &[String]) -> Score {
    best_of(references, |r| f64::from(r == answer))
}

/// 1 when the answer is one of the references after SQuAD's normalisation, else 0.
pub fn exact_match_normalized(answer: &str, references: &[String]) -> Score {
    let answer = normalized(answer);
    best_of(references, |r| f64::from(normalized(r) == answer))
}

/// The F1 of normalised tokens as multisets, best over the references. When either side has no token, 1 if both have none,
/// else 0.
pub fn token_f1(answer: &str, references: &[String]) -> Score {
    let answer = normalized(answer);
    best_of(references, |r| f1(&answer, &normalized(r)))
}

fn f1(answer: &str, reference: &str) -> f64 {
    let mut vocabulary = Vocabulary::default();
    let answer = vocabulary.encode(pieces(answer));
    let reference = vocabulary.encode(pieces(reference));
    if answer.is_empty() || reference.is_empty() {
        return f64::from(answer.is_empty() && reference.is_empty());
    }
    let mut left = vec![0u32; vocabulary.size()];
    for token in &reference {
        left[*token as usize] += 1;
    }
    let mut common = 0;
    for token in &answer {
        if let Some(fewer) = left[*token as usize].checked_sub(1) {
            left[*token as usize] = fewer;
            common += 1;
        }
    }
    2.0 * f64::from(common) / (answer.len() + reference.len()) as f64
}

/// Lower case, ASCII punctuation deleted, the words a, an, the dropped, white space squeezed.
fn normalized(text: &str) -> String {
    let mut lower = text.to_lowercase();
    lower.retain(|c| !c.is_ascii_punctuation());
    let mut spaced = String::with_capacity(lower.len());
    let mut rest = lower.as_str();
    while let Some(first) = rest.chars().next() {
        // Articles are found between Python's `\b`, so a run of letters and digits counts as a word: in `a–b` `a` is one.
        let inside = in_word(first);
        let end = rest.find(|c| in_word(c) != inside).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        spaced.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = after;
    }
    pieces(&spaced).collect::<Vec<_>>().join(" ")
}

/// Python's `\w`. Some combining marks and the circled and squared letters are alphabetic in Unicode but not in it.
fn in_word(c: char) -> bool {
    let symbol = matches!(c, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}');
    c.is_alphanumeric() && !symbol && !is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalisation_is_that_of_squad() {
        let check = |text: &str, want: &str| assert_eq!(normalized(text), want, "{text:?}");
        check("  The U.S.A.'s  an-swer\tis: A  (theory) ", "usas answer is theory");
        check("a–b and the “an”", "–b and “ ”");
        check("le père", "le père");
        check("Ⓐan a\u{345}x", "ⓐ \u{345}x");
        check("An", "");
    }
}

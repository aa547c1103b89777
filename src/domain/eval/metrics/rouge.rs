//! ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004) as F1 of n-grams or of the longest common subsequence, best over the references.
//!
//! `Ascii` gives the scores of google-research's `rouge_score` without its stemmer; it keeps `[a-z0-9]` only, so that it cuts
//! *película* in two and sees nothing in Chinese. `Unicode` keeps the words of every script.

use super::bits::Pattern;
use super::ngram::{WORD_BITS, Windows};
use super::text::{Vocabulary, ascii_words, folded, words};
use super::{Score, best_of};

/// What counts as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// Letters and digits of every script in lower case; each Han or kana character alone.
    Unicode,
    /// Runs of `[a-z0-9]` after lower-casing, as `rouge_score`.
    Ascii,
}

impl Tokens {
    fn fold(self, text: &str) -> String {
        match self {
            Self::Unicode => folded(text),
            Self::Ascii => text.to_lowercase(),
        }
    }

    fn split(self, folded: &str) -> Vec<&str> {
        match self {
            Self::Unicode => words(folded),
            Self::Ascii => ascii_words(folded),
        }
    }
}

/// ROUGE-N for `n` of 1 to 4. 0 when either side has no n-gram.
pub fn rouge_n(answer: &str, references: &[String], n: u32, tokens: Tokens) -> Score {
    if !(1..=4).contains(&n) {
        return Score::Unscored("ROUGE-N is defined here for n of 1 to 4".into());
    }
    by_tokens(answer, references, tokens, |answer, reference, _| {
        let answer = Windows::new(answer, WORD_BITS, 4);
        let reference = [Windows::new(reference, WORD_BITS, 4)];
        (answer.matched(&reference, n), answer.total(n), reference[0].total(n))
    })
}

/// ROUGE-L of the whole texts. 0 when either side has no word.
pub fn rouge_l(answer: &str, references: &[String], tokens: Tokens) -> Score {
    by_tokens(answer, references, tokens, |answer, reference, size| {
        let common = Pattern::new(reference, size).common_subsequence(answer);
        (common, answer.len(), reference.len())
    })
}

/// The best F1 over the references; `count` gives what matched, what the answer has and what the reference has, from both as
/// word numbers and how many numbers there are.
fn by_tokens(
    answer: &str,
    references: &[String],
    tokens: Tokens,
    count: impl Fn(&[u32], &[u32], usize) -> (usize, usize, usize),
) -> Score {
    let answer = tokens.fold(answer);
    let answer = tokens.split(&answer);
    best_of(references, |reference| {
        let reference = tokens.fold(reference);
        let mut vocabulary = Vocabulary::default();
        let answer = vocabulary.encode(answer.iter().copied());
        let reference = vocabulary.encode(tokens.split(&reference).into_iter());
        match count(&answer, &reference, vocabulary.size()) {
            (0, ..) => 0.0,
            // 2PR / (P + R) with P = matched / had and R = matched / wanted.
            (matched, had, wanted) => 2.0 * matched as f64 / (had + wanted) as f64,
        }
    })
}

//! How easily a text reads: the Flesch reading ease exactly as textstat 0.7.13 computes it, with its constants per language,
//! its words and its sentences. English syllables are counted by `super::syllables` instead of the CMU dictionary that
//! textstat downloads; the other languages use the hyphenation patterns of `hypher` 0.1.8, which are TeX's as Pyphen's are.
//!
//! Compared with textstat on 120 real documents of each language (Debian's manuals), mean and largest difference in points:
//! English 1.2 and 5.9 (words that are in no dictionary, which textstat hyphenates), German 1.5 and 5.8 (Pyphen's patterns
//! divide `fa-r-be`), Spanish and French 0.0. None fell on the other side of 30.
//!
//! Only prose is judged (see `super::prose`): a list or a table is one endless sentence to the formula.

use super::syllables;
use hypher::Lang;
use std::collections::HashMap;

/// Fewer words of prose than this say nothing: the formula swings by tens of points.
pub const MIN_WORDS: usize = 100;

/// Longer words are not hyphenated: no language of the table has one, and the cost of patterns grows with length.
const LONGEST_WORD: usize = 64;

/// `score = base - a * words per sentence - b * syllables per word` (textstat 0.7.13, `LANG_CONFIGS`; Flesch 1948, Amstad
/// 1978, Fernández Huerta 1959, Kandel and Moles 1958; English for
/// Portuguese). Only languages whose patterns have a permissive licence: the Italian and Dutch ones have the LPPL.
const FORMULAS: &[(&str, f64, f64, f64, Lang)] = &[
    ("en", 206.835, 1.015, 84.6, Lang::English),
    ("de", 180.0, 1.0, 58.5, Lang::German),
    ("es", 206.84, 1.02, 60.0, Lang::Spanish),
    ("fr", 207.0, 1.015, 73.6, Lang::French),
    ("pt", 206.835, 1.015, 84.6, Lang::Portuguese),
];

/// The words, sentences and syllables of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs between white space with at least one letter or digit; `well-known` is one word, `2024` too.
    pub words: usize,
    /// Stretches between `.`, `!` and `?` of at least three words; 1 when a text has none.
    pub sentences: usize,
    /// Syllables of the words, as the language counts them.
    pub syllables: usize,
}

/// The reading ease of prose in a language of two letters: about 0 (very hard) to 100 (very easy), unbounded either way.
/// `None` when the language has no formula here or the prose has fewer than 100 words.
pub fn flesch(prose: &[&str], language: &str) -> Option<f64> {
    let (_, base, a, b, _) = FORMULAS.iter().find(|row| row.0 == language)?;
    let counts = counts(prose, language)?;
    if counts.words < MIN_WORDS {
        return None;
    }
    let words = counts.words as f64;
    Some(base - a * words / counts.sentences as f64 - b * counts.syllables as f64 / words)
}

/// Words, sentences and syllables of pieces of text; `None` when the language has no formula here.
pub(super) fn counts(pieces: &[&str], language: &str) -> Option<Counts> {
    let patterns = FORMULAS.iter().find(|row| row.0 == language)?.4;
    let mut counter = Counter { counts: Counts::default(), patterns, known: HashMap::new() };
    pieces.iter().for_each(|text| counter.add(text));
    let sentences = counter.counts.sentences.max(usize::from(pieces.iter().any(|text| !text.is_empty())));
    Some(Counts { sentences, ..counter.counts })
}

/// True when a language has a formula.
pub fn knows(language: &str) -> bool {
    FORMULAS.iter().any(|row| row.0 == language)
}

/// Words in prose.
pub(super) fn words(prose: &[&str]) -> usize {
    prose.iter().flat_map(|text| text.split_whitespace()).filter(|word| word.contains(is_word_char)).count()
}

/// What Python's `\w` matches.
fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// textstat's sentences are the matches of `\b[^.!?]+[.!?]*`, of which those of two words or fewer do not count.
#[derive(Default)]
struct Sentences {
    counted: usize,
    words: usize,
}

impl Sentences {
    fn close(&mut self) {
        self.counted += usize::from(self.words > 2);
        self.words = 0;
    }
}

/// Counts a text piece by piece. Patterns cost a microsecond a word, and most words of a text come again.
struct Counter {
    counts: Counts,
    patterns: Lang,
    /// Syllables of words that were hyphenated already.
    known: HashMap<String, usize>,
}

impl Counter {
    fn add(&mut self, text: &str) {
        let mut sentences = Sentences::default();
        let mut word = String::new();
        for token in text.split_whitespace() {
            let merged = clean(token, &mut word, &mut sentences);
            if !word.is_empty() {
                self.counts.words += 1;
                self.counts.syllables += self.spoken(&word, merged);
            }
        }
        sentences.close();
        self.counts.sentences += sentences.counted;
    }

    fn spoken(&mut self, word: &str, merged: bool) -> usize {
        let plain = || word.bytes().all(|b| b.is_ascii_lowercase() || b == b'\'');
        if matches!(self.patterns, Lang::English) && !merged && plain() {
            return syllables::english(word) as usize;
        }
        if word.len() > LONGEST_WORD {
            return word.len() / 3;
        }
        if let Some(count) = self.known.get(word) {
            return *count;
        }
        let parts = hypher::hyphenate_bounded(word, self.patterns, 2, 2);
        let hidden: usize = if matches!(self.patterns, Lang::German) { parts.clone().map(hiatus).sum() } else { 0 };
        let count = parts.len().max(1) + hidden;
        self.known.insert(word.to_owned(), count);
        count
    }
}

/// Syllables that German patterns do not divide, because a line that ends in one letter is ugly, but everybody speaks:
/// `Di-a-log`, `Na-ti-on`, `Ja-nu-ar`. Without them German reads 1 point too easy.
fn hiatus(part: &str) -> usize {
    let bytes = part.as_bytes();
    let spoken = |i: &usize| match (bytes[*i], bytes[i + 1]) {
        (b'i', b'o' | b'a') => true,
        (b'u', b'a') => !bytes[..*i].ends_with(b"q"),
        _ => false,
    };
    (0..bytes.len().saturating_sub(1)).filter(spoken).count()
}

/// Writes a token as textstat's word: lower case, without punctuation but the apostrophes of English contractions. True when
/// punctuation between letters fell out, so that the word is in no dictionary: `and/or`, `well-known`.
fn clean(token: &str, word: &mut String, sentences: &mut Sentences) -> bool {
    word.clear();
    let (mut merged, mut gap, mut in_sentence) = (false, false, false);
    for (i, c) in token.char_indices() {
        if is_word_char(c) {
            merged |= gap;
            gap = false;
            in_sentence = true;
            if c.is_ascii() {
                word.push(c.to_ascii_lowercase());
            } else {
                word.extend(c.to_lowercase());
            }
        } else if c == '\'' && contraction(&token[i + 1..]) {
            word.push(c);
        } else {
            gap = !word.is_empty();
            if matches!(c, '.' | '!' | '?') {
                sentences.words += usize::from(in_sentence);
                sentences.close();
                in_sentence = false;
            }
        }
    }
    sentences.words += usize::from(in_sentence);
    merged
}

/// True when what follows an apostrophe makes it one of an English contraction: `t`, `s`, `d`, `ve`, `ll`, `re`.
fn contraction(rest: &str) -> bool {
    rest.starts_with(['t', 's', 'd']) || ["ve", "ll", "re"].iter().any(|end| rest.starts_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Counts of textstat 0.7.13: `count_words` and `count_sentences`.
    #[track_caller]
    fn check(text: &str, words: usize, sentences: usize) {
        let made = counts(&[text], "en").expect("English has a formula");
        assert_eq!((made.words, made.sentences), (words, sentences), "{text}");
    }

    #[test]
    fn words_and_sentences_are_those_of_textstat() {
        check("One two three. Four five six!", 6, 2);
        check("Yes. No. Three words here?", 5, 1);
        check("It costs 3.5 euros in all shops.", 7, 2);
        check("well-known and/or - ... 'quoted' don't", 4, 1);
        check("No stop at all\nand a new line", 8, 1);
        check("", 0, 0);
    }

    #[test]
    fn little_prose_and_unknown_languages_have_no_score() {
        assert_eq!(flesch(&["word ".repeat(99).as_str()], "en"), None);
        assert!(flesch(&["word ".repeat(100).as_str()], "en").is_some());
        assert_eq!(flesch(&["word ".repeat(100).as_str()], "xx"), None);
        assert!(FORMULAS.iter().all(|row| knows(row.0)));
    }

    proptest! {
        #[test]
        fn any_text_is_counted(text in any::<String>(), row in 0..FORMULAS.len()) {
            let made = counts(&[&text], FORMULAS[row].0).expect("a formula");
            prop_assert!(made.syllables >= made.words);
            prop_assert!(made.sentences <= 1 || made.sentences * 3 <= made.words + text.matches(['.', '!', '?']).count() * 3);
        }
    }
}

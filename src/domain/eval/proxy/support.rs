//! The sentences of the contexts that may support a sentence of the answer: all contexts are read once, piece by piece, and only
//! the best few pieces are kept for each sentence, so that memory depends on the answer and not on the contexts.

use super::lists::{self, Lang};
use super::words::{self, Sentence};
use crate::domain::ingest::chunk::sentences::sentences;
use crate::seams::embedder::SentenceVectors;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Pieces kept for each sentence of the answer.
const KEPT: usize = 4;
/// A piece is cut after this many bytes at the next white space: tables and lists have no full stop.
const PIECE: usize = 600;
/// Characters of a word that must agree for a first look; words of one family mostly do.
const KEY_CHARS: usize = 5;
/// The share of words in the first look, the rest is the vectors'.
const OF_WORDS: f64 = 0.6;
/// No cosine is above this: vectors are of unit length but for rounding.
const NEAREST: f64 = 1.001;

/// A text in pieces: lines, their sentences, and stretches of sentences that never end.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| sentences(line).flat_map(move |span| stretches(&line[span])))
}

fn stretches(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let from = rest.ceil_char_boundary(PIECE.min(rest.len()));
        let end = rest[from..].find(char::is_whitespace).map_or(rest.len(), |at| from + at);
        // Text without any space, as of Chinese, is cut where it is.
        let end = if end > 4 * PIECE { from } else { end };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// Calls `each` with a number for the beginning of every word.
fn keys(text: &str, mut each: impl FnMut(u64)) {
    let (mut key, mut chars) = (0_u64, 0_usize);
    let mut take = |c: Option<char>| match c {
        Some(c) => {
            chars += 1;
            if chars <= KEY_CHARS {
                key = (key ^ u64::from(u32::from(c))).wrapping_mul(0x0100_0000_01b3).wrapping_add(1);
            }
        }
        None => {
            if chars > 0 {
                each(key);
            }
            (key, chars) = (0, 0);
        }
    };
    if text.is_ascii() {
        text.bytes().for_each(|b| take(b.is_ascii_alphanumeric().then(|| char::from(b.to_ascii_lowercase()))));
    } else {
        let folded = text.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
        folded.for_each(|c| match c {
            'ß' => [Some('s'), Some('s')].into_iter().for_each(&mut take),
            c => take(c.is_alphanumeric().then_some(c)),
        });
    }
    take(None);
}

/// The key of one folded word.
fn key_of(word: &str) -> u64 {
    let mut found = 0;
    keys(word, |key| found = key);
    found
}

/// A sentence of the answer with what was found for it.
pub(super) struct Claim {
    /// The sentence.
    pub sentence: Sentence,
    /// Its vector as a whole.
    vector: Vec<f32>,
    /// The beginnings of its words with content.
    words: Vec<u64>,
    /// The best pieces: how good, and the text; of equals the first.
    best: Vec<(f64, String)>,
}

/// A piece of a context that a claim is held against.
pub(super) struct Candidate {
    /// The piece.
    pub sentence: Rc<Sentence>,
    /// The cosine with the claim, as a whole.
    pub cosine: f64,
}

/// Where the words of an answer stand.
pub(super) struct Evidence {
    /// The claims, in the order of the answer.
    pub claims: Vec<Claim>,
    /// The beginnings of the words that are looked for.
    sought: HashMap<u64, Sought, BuildHasherDefault<Plain>>,
    /// Pieces that were read for one claim, with their vectors, for the next that keeps them and is in the same language.
    read: RefCell<HashMap<(String, Option<Lang>), Read>>,
}

/// A piece that was read, and its vector.
type Read = (Rc<Sentence>, Rc<[f32]>);

/// The beginning of a word that is looked for.
#[derive(Default)]
struct Sought {
    /// The claims that look for it, by their places.
    by: Vec<usize>,
    /// Whether it stands in a claim, and is not only asked for by the question.
    said: bool,
    /// Whether any context has it.
    seen: bool,
    /// The last piece that has it, counted from 1.
    last: usize,
}

/// Keys that are hashes already.
#[derive(Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Evidence {
    /// Reads the contexts for these sentences. `about` is added to what is looked for: the question, which short answers need.
    pub(super) fn gather(
        said: &[&str],
        about: &str,
        contexts: &[String],
        lang: Option<Lang>,
        near: &dyn SentenceVectors,
    ) -> Self {
        let mut claims: Vec<Claim> = said.iter().map(|text| Claim::new(text, about, lang, near)).collect();
        let mut sought: HashMap<u64, Sought, BuildHasherDefault<Plain>> = HashMap::default();
        for (at, claim) in claims.iter().enumerate() {
            claim.words.iter().for_each(|key| sought.entry(*key).or_default().by.push(at));
            claim.sentence.tokens.iter().for_each(|t| sought.entry(key_of(&t.folded)).or_default().said = true);
        }
        let mut vector = vec![0.0; near.dimensions()];
        let mut shared = vec![0_usize; claims.len()];
        for (number, piece) in (1..).zip(contexts.iter().flat_map(|context| pieces(context))) {
            shared.fill(0);
            keys(piece, |key| {
                if let Some(word) = sought.get_mut(&key).filter(|word| word.last != number) {
                    (word.seen, word.last) = (true, number);
                    word.by.iter().for_each(|claim| shared[*claim] += 1);
                }
            });
            // Most pieces share nothing with any claim, and no vector could make up for that.
            let mut known = false;
            for (claim, shared) in claims.iter_mut().zip(&shared).filter(|(claim, shared)| claim.may_want(**shared)) {
                if !known {
                    near.sentence_vector(piece, &mut vector);
                    known = true;
                }
                claim.offer(piece, *shared, &vector);
            }
        }
        Self { claims, sought, read: RefCell::default() }
    }

    /// Whether a word beginning as this one stands in any context.
    pub(super) fn has(&self, folded: &str) -> bool {
        self.sought.get(&key_of(folded)).is_some_and(|word| word.said && word.seen)
    }

    /// The pieces kept for a claim, best first.
    pub(super) fn candidates(&self, claim: &Claim, near: &dyn SentenceVectors) -> Vec<Candidate> {
        let mut read = self.read.borrow_mut();
        let lang = claim.sentence.lang;
        let one = |(_, text): &(f64, String)| {
            let (sentence, vector) = read.entry((text.clone(), lang)).or_insert_with(|| {
                let mut vector = vec![0.0; near.dimensions()];
                near.sentence_vector(text, &mut vector);
                (Rc::new(Sentence::of(text, lang, near)), Rc::from(vector))
            });
            Candidate { sentence: Rc::clone(sentence), cosine: dot(&claim.vector, vector) }
        };
        claim.best.iter().map(one).collect()
    }
}

impl Claim {
    fn new(text: &str, about: &str, lang: Option<Lang>, near: &dyn SentenceVectors) -> Self {
        let sentence = Sentence::of(text, lang, near);
        let mut words: Vec<u64> = sentence.words.iter().map(|w| key_of(&sentence.tokens[w.at].folded)).collect();
        words.extend(sentence.tokens.iter().filter(|t| t.digits).map(|t| key_of(&t.folded)));
        let mut vector = vec![0.0; near.dimensions()];
        if sentence.words.len() < 4 {
            near.sentence_vector(&format!("{about} {text}"), &mut vector);
            let asked = words::tokens(about);
            words.extend(asked.iter().filter(|t| !lists::is_stop(&t.folded, lang)).map(|t| key_of(&t.folded)));
        } else {
            near.sentence_vector(text, &mut vector);
        }
        words.sort_unstable();
        words.dedup();
        Self { sentence, vector, words, best: Vec::new() }
    }

    /// The part that the first look takes from words, when a piece has so many of them.
    fn of_words(&self, shared: usize) -> f64 {
        OF_WORDS * (shared as f64 / self.words.len().max(1) as f64)
    }

    /// Whether a piece with so many of its words may be among the best, however near its vector is.
    fn may_want(&self, shared: usize) -> bool {
        self.best.len() < KEPT || self.best[KEPT - 1].0 < self.of_words(shared) + (1.0 - OF_WORDS) * NEAREST
    }

    fn offer(&mut self, piece: &str, shared: usize, vector: &[f32]) {
        let good = self.of_words(shared) + (1.0 - OF_WORDS) * dot(&self.vector, vector);
        if self.best.len() == KEPT && self.best[KEPT - 1].0 >= good {
            return;
        }
        let at = self.best.partition_point(|(other, ..)| *other >= good);
        self.best.insert(at, (good, piece.to_owned()));
        self.best.truncate(KEPT);
    }
}

/// The cosine of two vectors of unit length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    // Eight sums in a fixed order, so that the compiler may use wide registers.
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.chunks(lanes.len()).zip(b.chunks(lanes.len())) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    f64::from(lanes.iter().sum::<f32>())
}

/// How a word of the answer is held by a word of a context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    /// The word of the context.
    pub by: usize,
    /// How alike they are, 0 to 1.
    pub alike: f64,
    /// It says the opposite.
    pub opposite: bool,
}

/// A word that is another form of the same.
pub(super) const FORM: f64 = 0.95;
/// Cosines of two words below the first say nothing; from the second on the words mean the same.
const COSINES: [f64; 2] = [0.3, 0.85];
/// The most that vectors alone can say of two words.
const BY_VECTORS: f64 = 0.85;

/// The best word of the candidate for each word of the claim.
pub(super) fn align(claim: &Sentence, candidate: &Sentence) -> Vec<Option<Held>> {
    let lang = claim.lang.filter(|lang| Some(*lang) == candidate.lang);
    let alike = |i: usize, j: usize| {
        let (a, b) = (&claim.token(i).folded, &candidate.token(j).folded);
        if a == b {
            return (1.0, false);
        }
        if lists::differ_by_denial(a, b, lang) || lists::are_opposites(a, b, lang) {
            return (FORM, true);
        }
        if words::related(a, b) {
            return (FORM, false);
        }
        let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
        let part = if short.len() >= 4 && long.contains(short.as_str()) { 0.8 } else { 0.0 };
        let cosine = (dot(&claim.words[i].vector, &candidate.words[j].vector) - COSINES[0]) / (COSINES[1] - COSINES[0]);
        (f64::max(part, cosine.clamp(0.0, 1.0) * BY_VECTORS), false)
    };
    let best = |i: usize| {
        let all = (0..candidate.words.len()).map(|j| (j, alike(i, j)));
        let best = all.reduce(|best, this| if this.1.0 > best.1.0 { this } else { best })?;
        (best.1.0 > 0.0).then_some(Held { by: best.0, alike: best.1.0, opposite: best.1.1 })
    };
    (0..claim.words.len()).map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beginnings_of_words_are_compared_without_accents() {
        let read = |text| {
            let mut all = Vec::new();
            keys(text, |key| all.push(key));
            all
        };
        assert_eq!(read("Straße RÜCKGABE, l'été"), read("strasse ruckgabefrist l ete"));
        assert_ne!(read("12"), read("13"));
    }

    proptest! {
        #[test]
        fn pieces_keep_every_word(text in "[a-zé漢.,! \n]{0,300}", long in 0_usize..3) {
            let text = format!("{text}{}", "x".repeat(long * 3000));
            let kept: String = pieces(&text).collect();
            let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&kept), letters(&text));
        }
    }
}

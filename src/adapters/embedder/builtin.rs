//! The embedder that is always there: static word vectors and hashed characters, no model, no network.
//!
//! A vector has two parts. The first 128 numbers are the weighted mean of table rows: English from all-MiniLM-L6-v2, frequent
//! Spanish, French and German words carried into the same space, so that meanings meet across these languages (`table`). The
//! other 256 are hashed words and runs of characters, which hold for any language, name or number (`ngrams`). Weights are
//! those of smooth inverse frequency (Arora, Liang and Ma 2017); a word outside the table that BERT splits into pieces is the
//! mean of these, at `PIECES` of its weight. How much each part counts (`STATIC_SHARE`) was tuned on headings and
//! paragraphs of manuals in four languages; the figures are in `builtin/README.md`.

use super::ngrams;
use super::table::{self, Table};
use super::wordpiece::{self, WordPiece};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::seams::embedder::{Each, Embedder, Model, Purpose, SentenceVectors, Tokens};
use std::sync::LazyLock;

/// Changes whenever the same text would get another vector.
const VERSION: u32 = 1;
/// SHA-256 of the table and the vocabulary, so that they need not be hashed at every start; a test recomputes it.
const TABLE_DIGEST: &str = "a9c92dd879c5d07a78a9a1f58d7db8acedece816d3785b5d67e8c5e19f3c8192";
/// The share of the static part in the cosine of two texts.
const STATIC_SHARE: f32 = 0.4;
/// Words below this weight are not looked up when sentences are compared: a dozen in each language, a third of all text.
const SENTENCE_LEAST: f32 = 0.1;
/// What a word counts that is known only by its pieces.
const PIECES: f32 = 0.7;

static VOCABULARY: &str = include_str!("builtin/vocab.txt");
static VECTORS: &[u8] = include_bytes!("builtin/vectors.bin");
static SHARED: LazyLock<Builtin> = LazyLock::new(Builtin::load);

/// The built-in embedder, tokenizer and sentence comparer in one.
pub struct Builtin {
    model: Model,
    pieces: WordPiece,
    table: Table<'static>,
}

/// The built-in embedder, made ready at the first call (a few milliseconds).
pub fn builtin() -> &'static Builtin {
    &SHARED
}

impl Builtin {
    fn load() -> Self {
        let name = format!("kf builtin {VERSION} {TABLE_DIGEST}");
        let model = Model {
            name: "builtin".into(),
            digest: Digest::of(name.as_bytes()),
            dimensions: table::WIDTH + ngrams::WIDTH,
            max_tokens: u32::MAX,
        };
        let table = Table::new(VECTORS).expect("the table is part of the program, and a test reads it");
        Self { model, pieces: WordPiece::new(VOCABULARY), table }
    }

    /// Adds one word to the static part, unless it counts less than `least`; gives what it counts.
    fn add_static(&self, word: &[u8], chars: usize, least: f32, into: &mut [f32; table::WIDTH]) -> f32 {
        let token = self.pieces.token(word).map(|id| id as usize).filter(|row| *row < self.table.tokens());
        if let Some(row) = token.or_else(|| self.table.word(ngrams::hash(word))) {
            let weight = self.table.weight(row);
            if weight > least {
                self.table.add(row, weight, into);
            }
            return weight;
        }
        let (mut sum, mut room) = ([0.0; table::WIDTH], [0; wordpiece::WORD_CHARS_MAX]);
        for id in self.pieces.pieces(word, chars, &mut room) {
            if *id != self.pieces.unknown() && (*id as usize) < self.table.tokens() {
                self.table.add(*id as usize, 1.0, &mut sum);
            }
        }
        let length = length(&sum);
        if length > 0.0 {
            into.iter_mut().zip(sum).for_each(|(to, v)| *to += v * PIECES / length);
        }
        1.0
    }

    /// The vector of one text.
    fn vector(&self, text: &str) -> Vec<f32> {
        let (mut known, mut hashed) = ([0.0; table::WIDTH], [0.0; ngrams::WIDTH]);
        wordpiece::words(text, |word, chars| {
            let weight = self.add_static(word, chars, 0.0, &mut known);
            if weight > 0.0 {
                ngrams::add(word, weight, &mut hashed);
            }
        });
        let part = |v: &[f32], share: f32| match length(v) {
            n if n > 0.0 => share.sqrt() / n,
            _ => 0.0,
        };
        let (a, b) = (part(&known, STATIC_SHARE), part(&hashed, 1.0 - STATIC_SHARE));
        let mut vector: Vec<f32> = known.iter().map(|v| v * a).chain(hashed.iter().map(|v| v * b)).collect();
        let whole = length(&vector);
        if whole > 0.0 {
            vector.iter_mut().for_each(|v| *v /= whole);
        }
        vector
    }
}

/// The Euclidean length, in eight sums so that the compiler may use wide registers; the order of additions is fixed.
fn length(v: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for part in v.chunks(lanes.len()) {
        lanes.iter_mut().zip(part).for_each(|(lane, v)| *lane += v * v);
    }
    lanes.iter().sum::<f32>().sqrt()
}

impl Embedder for Builtin {
    fn model(&self) -> &Model {
        &self.model
    }

    fn embed_each(&self, texts: &[&str], _purpose: Purpose, each: &mut Each<'_>) -> Result<()> {
        each(texts.iter().map(|text| self.vector(text)).enumerate().collect())
    }
}

impl Tokens for Builtin {
    fn count_word(&self, word: &str) -> u32 {
        self.pieces.count_word(word)
    }

    fn count(&self, text: &str) -> u32 {
        self.pieces.count(text)
    }
}

impl SentenceVectors for Builtin {
    fn dimensions(&self) -> usize {
        table::WIDTH
    }

    fn sentence_vector(&self, sentence: &str, into: &mut [f32]) {
        let mut sum = [0.0; table::WIDTH];
        wordpiece::words(sentence, |word, chars| {
            self.add_static(word, chars, SENTENCE_LEAST, &mut sum);
        });
        let length = length(&sum).max(f32::MIN_POSITIVE);
        into.iter_mut().zip(sum).for_each(|(to, v)| *to = v / length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Hasher;
    use crate::domain::ingest::canon::Canon;
    use crate::domain::ingest::chunk::{Settings, chunk};
    use crate::domain::ingest::document::BlockKind;
    use proptest::prelude::*;

    fn vectors(texts: &[&str]) -> Vec<Vec<f32>> {
        builtin().embed(texts, Purpose::Document).expect("never fails")
    }

    fn cosine(a: &str, b: &str) -> f32 {
        let made = vectors(&[a, b]);
        made[0].iter().zip(&made[1]).map(|(x, y)| x * y).sum()
    }

    /// `near` is nearer to the text than `far` is.
    fn check(text: &str, near: &str, far: &str) {
        let (near_by, far_by) = (cosine(text, near), cosine(text, far));
        assert!(near_by > far_by + 0.05, "{text}: {near} {near_by}, {far} {far_by}");
    }

    #[test]
    fn the_table_is_the_one_that_was_tuned() {
        let mut hasher = Hasher::new();
        hasher.update(VECTORS);
        hasher.update(VOCABULARY.as_bytes());
        assert_eq!(hasher.finish().hex(), TABLE_DIGEST);
        assert!(VECTORS.len() + VOCABULARY.len() <= 5_000_000);
        assert_eq!(builtin().table.tokens(), VOCABULARY.lines().count());
    }

    #[test]
    fn meaning_brings_texts_together() {
        check("How do I get my money back?", "Refunds are paid within 5 days", "The server room is cooled");
        check("The car will not start", "The engine of the vehicle is broken", "Cook the rice for ten minutes");
        check("Das Auto ist kaputt", "Der Wagen hat einen Motorschaden", "Der Kuchen schmeckt gut");
        check("¿Cuánto cuesta el envío?", "Los gastos de entrega son 5 euros", "El perro duerme en la cama");
        check("Où est ma facture ?", "Les factures sont dans votre compte", "Le chat dort dans le jardin");
    }

    #[test]
    fn languages_meet() {
        check("Das Wetter ist schön", "The weather is beautiful", "The invoice is missing");
        check("el perro duerme en la casa", "the dog sleeps in the house", "the train leaves at noon");
        check("le prix de la voiture", "the price of the car", "a glass of water");
    }

    #[test]
    fn spelling_matters_only_where_it_should() {
        assert!(cosine("RÜCKGABE möglich", "ruckgabe moglich") > 0.999);
        check("order 48213", "order 48213", "order 48214");
        check("Lieferbedingungen", "Lieferbedingung", "Urlaubsanspruch");
        check("система", "системы", "погода");
    }

    #[test]
    fn nothing_to_embed_is_all_zeros() {
        assert!(vectors(&["", " \n", "...", "\u{0}"]).iter().all(|v| v.len() == 384 && v.iter().all(|x| *x == 0.0)));
    }

    /// Cuts a text of one paragraph and holds every chunk against the real count.
    fn held_to_the_limit(text: &str, settings: &Settings) -> Vec<(u32, u32)> {
        let mut canon = Canon::new();
        canon.push(BlockKind::Paragraph, None, text);
        let doc = canon.finish();
        let chunks = chunk(&doc, settings, builtin(), builtin());
        chunks.iter().map(|c| (builtin().count(c.text(&doc)), c.tokens)).collect()
    }

    #[test]
    fn chunks_of_ordinary_text_are_counted_exactly() {
        let text = "Die Rückgabe ist möglich, z. B. am 3. Mai. The refund takes 5 days (see page 12)! ¿Cuánto cuesta? L'été. ";
        let counts = held_to_the_limit(&text.repeat(100), &Settings::default());
        assert!(counts.len() > 5);
        for (real, stated) in counts {
            assert!(real == stated && stated <= 512, "{real} {stated}");
        }
    }

    proptest! {
        #[test]
        fn no_chunk_has_more_tokens_than_it_states(
            words in prop::collection::vec("[a-zA-Zéüß]{1,9}|[a-z]{90,240}|[漢字仮名]{1,60}|[.,;:!?()/-]{1,4}|[0-9]{1,30}|\\PC{1,20}", 0..120),
            limit in 128_u32..400,
        ) {
            let settings = Settings { limit, overlap: 20, target: 60, min: 8 };
            for (real, stated) in held_to_the_limit(&words.join(" "), &settings) {
                prop_assert!(real <= stated && stated <= limit, "{} {} {}", real, stated, limit);
            }
        }

        #[test]
        fn vectors_are_unit_and_do_not_depend_on_their_neighbours(a in ".{0,60}", b in "[a-z ,é漢0-9]{0,60}") {
            let (both, alone) = (vectors(&[&a, &b]), vectors(&[&b]));
            prop_assert_eq!(&both[1], &alone[0]);
            for v in both {
                let n = length(&v);
                prop_assert!(n == 0.0 || (n - 1.0).abs() < 1e-4, "{}", n);
            }
            let mut sentence = vec![1.0; table::WIDTH];
            builtin().sentence_vector(&b, &mut sentence);
            let n = length(&sentence);
            prop_assert!(n == 0.0 || (n - 1.0).abs() < 1e-4, "{}", n);
        }
    }
}

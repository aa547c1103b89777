//! What is kept of a column of texts: its descriptors as numeric columns, the words of the reference, a sample of texts.

use super::grams::{hash, plain, words};
use super::{Descriptor, SAMPLE, TEXT_MOST};
use crate::domain::drift::draw::{drawn, lot};
use crate::domain::drift::levels::Levels;
use crate::domain::drift::packed;
use crate::domain::drift::profile::Numeric;
use crate::domain::ingest::quality::language::of_text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Places of the words of a reference: 2²⁰ bits, 128 kB. A word that is new but shares the place of a known one is taken as known: one in
/// twenty of them at 50,000 known words.
const PLACES: usize = 1 << 20;
/// The share of the reference whose words are learnt; the other half tells how many unknown ones are usual.
const SHARE: f64 = 0.5;

/// The words of a reference: what texts of both sides are compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    seed: u64,
    #[serde(with = "packed::bits")]
    known: Vec<u64>,
}

/// A reference being read for the first time.
#[derive(Clone, Debug)]
pub struct Fit {
    words: Words,
    seen: u64,
}

/// A text of the sample.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::domain::drift) struct Sampled {
    /// Its lot: the texts with the least ones are kept.
    lot: u64,
    /// Its place among all rows of its side, from 0.
    pub(super) row: u64,
    /// Its first [`TEXT_MOST`] characters.
    pub(super) text: String,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct TextProfile(Parts);

/// What is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Parts {
    words: Words,
    rows: u64,
    nulls: u64,
    empty: u64,
    columns: BTreeMap<Descriptor, Numeric>,
    /// Of the texts in the sample.
    languages: Levels,
    sample: Vec<Sampled>,
}

/// Texts being counted.
#[derive(Clone, Debug)]
pub struct Tally {
    parts: Parts,
    /// Of the current data: the cells of the reference's descriptors.
    edges: Option<BTreeMap<Descriptor, Vec<f64>>>,
    values: BTreeMap<Descriptor, Vec<Option<f64>>>,
}

impl TryFrom<Parts> for TextProfile {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let words = parts.words.known.len() == PLACES / 64;
        let columns = parts.columns.len() == Descriptor::ALL.len();
        let rows = parts.nulls.checked_add(parts.empty).is_some_and(|some| some <= parts.rows);
        let sample = parts.sample.len() <= SAMPLE && parts.sample.is_sorted();
        if words && columns && rows && sample { Ok(Self(parts)) } else { Err("the parts of a profile of texts do not fit") }
    }
}

impl From<TextProfile> for Parts {
    fn from(profile: TextProfile) -> Self {
        profile.0
    }
}

impl Words {
    fn place(word: &str) -> (usize, u64) {
        let place = hash(word, 0) as usize % PLACES;
        (place / 64, 1 << (place % 64))
    }

    fn knows(&self, word: &str) -> bool {
        let (at, bit) = Self::place(word);
        self.known[at] & bit != 0
    }

    /// Whether a row of the reference was drawn for its words.
    fn learnt(&self, row: u64) -> bool {
        drawn(row, self.seed, SHARE)
    }
}

impl Fit {
    /// Nothing read yet; the same seed draws the same rows.
    pub fn new(seed: u64) -> Self {
        Self { words: Words { seed, known: vec![0; PLACES / 64] }, seen: 0 }
    }

    /// The next cells.
    pub fn add(&mut self, cells: &[Option<&str>]) {
        for cell in cells {
            if let (Some(text), true) = (cell, self.words.learnt(self.seen)) {
                for (at, bit) in words(&plain(text)).map(Words::place) {
                    self.words.known[at] |= bit;
                }
            }
            self.seen += 1;
        }
    }

    /// The words that were read.
    pub fn words(self) -> Words {
        self.words
    }
}

impl Tally {
    /// The reference that the words were learnt from, read again from its first row.
    pub fn reference(words: Words) -> Self {
        Self::new(words, None)
    }

    /// Current texts, to be compared with a reference.
    pub fn current(reference: &TextProfile) -> Self {
        let columns = reference.0.columns.iter();
        let edges = columns.map(|(which, column)| (*which, column.histogram().edges().to_vec())).collect();
        Self::new(reference.0.words.clone(), Some(edges))
    }

    fn new(words: Words, edges: Option<BTreeMap<Descriptor, Vec<f64>>>) -> Self {
        let parts = Parts {
            words,
            rows: 0,
            nulls: 0,
            empty: 0,
            columns: BTreeMap::new(),
            languages: Levels::default(),
            sample: Vec::new(),
        };
        let values = Descriptor::ALL.iter().map(|which| (*which, Vec::new())).collect();
        Self { parts, edges, values }
    }

    /// The next cells.
    pub fn add(&mut self, cells: &[Option<&str>]) {
        for cell in cells {
            let row = self.parts.rows;
            self.parts.rows += 1;
            match cell.map(plain) {
                None => self.parts.nulls += 1,
                Some(plain) if plain.is_empty() => self.parts.empty += 1,
                Some(plain) => self.text(row, &plain, cell.unwrap_or_default()),
            }
        }
        keep(&mut self.parts.sample);
    }

    /// Describes one text that is not empty.
    fn text(&mut self, row: u64, plain: &str, text: &str) {
        let is_new = self.edges.is_some() || !self.parts.words.learnt(row);
        let (all, known) =
            words(plain).fold((0u64, 0u64), |(all, known), w| (all + 1, known + u64::from(self.parts.words.knows(w))));
        let solid = plain.chars().filter(|c| !c.is_whitespace());
        let (marks, solid) = solid.fold((0u64, 0u64), |(marks, n), c| (marks + u64::from(!c.is_alphabetic()), n + 1));
        let share = |of: u64, all: u64| (all > 0).then(|| of as f64 / all as f64);
        for (which, values) in &mut self.values {
            match which {
                Descriptor::Length => values.push(Some(text.chars().count() as f64)),
                Descriptor::Words => values.push(Some(all as f64)),
                Descriptor::NonLetters => values.push(share(marks, solid)),
                Descriptor::UnknownWords if is_new => values.push(share(all - known, all)),
                Descriptor::UnknownWords => {}
            }
        }
        let lot = lot(row, !self.parts.words.seed).bits();
        let sample = &mut self.parts.sample;
        sample.push(Sampled { lot, row, text: text.chars().take(TEXT_MOST).collect() });
        if sample.len() >= 2 * SAMPLE {
            keep(sample);
        }
    }

    /// What was counted.
    pub fn profile(self) -> TextProfile {
        let Self { mut parts, edges, values } = self;
        let column = |which: &Descriptor, values| {
            let edges = edges.as_ref().and_then(|edges| edges.get(which)).map(Vec::as_slice);
            Numeric::of(values, edges).expect("the edges of a profile are in order")
        };
        parts.languages = languages(&parts.sample);
        parts.columns = values.into_iter().map(|(which, values)| (which, column(&which, values))).collect();
        TextProfile(parts)
    }
}

impl TextProfile {
    /// All rows.
    pub fn rows(&self) -> u64 {
        self.0.rows
    }

    /// Rows that are null.
    pub fn nulls(&self) -> u64 {
        self.0.nulls
    }

    /// Rows with no text but spaces; they are described no further.
    pub fn empty(&self) -> u64 {
        self.0.empty
    }

    /// A descriptor of the texts that are not empty, as a numeric column.
    pub fn column(&self, which: Descriptor) -> &Numeric {
        &self.0.columns[&which]
    }

    /// The languages of a sample of the texts that are not empty, by two letters.
    pub fn languages(&self) -> &Levels {
        &self.0.languages
    }

    /// The same without a sample of texts: nothing in it is a text as it was.
    #[must_use]
    pub fn without_texts(self) -> Self {
        Self(Parts { sample: Vec::new(), ..self.0 })
    }

    pub(in crate::domain::drift) fn sample(&self) -> &[Sampled] {
        &self.0.sample
    }

    pub(super) fn seed(&self) -> u64 {
        self.0.words.seed
    }

    /// Whether the other was counted with the same words.
    pub(super) fn fits(&self, other: &Self) -> bool {
        self.0.words == other.0.words
    }

    /// The same in the size that is stored.
    #[must_use]
    pub fn stored(&self) -> Self {
        let columns = self.0.columns.iter().map(|(which, column)| (*which, column.stored())).collect();
        Self(Parts { columns, ..self.0.clone() })
    }

    /// The profile of both parts of one side: the rows of `other` come after these. `None` for other words or cells, or rows beyond
    /// counting.
    pub fn merged(&self, other: &Self) -> Option<Self> {
        let (a, b) = (&self.0, &other.0);
        self.fits(other).then_some(())?;
        let columns = a.columns.iter().zip(b.columns.values()).map(|((which, a), b)| Some((*which, a.merged(b)?)));
        let later = b.sample.iter().map(|s| Sampled { row: a.rows.saturating_add(s.row), ..s.clone() });
        let mut sample: Vec<Sampled> = a.sample.iter().cloned().chain(later).collect();
        keep(&mut sample);
        Some(Self(Parts {
            words: a.words.clone(),
            rows: a.rows.checked_add(b.rows)?,
            nulls: a.nulls.checked_add(b.nulls)?,
            empty: a.empty.checked_add(b.empty)?,
            columns: columns.collect::<Option<_>>()?,
            // Of profiles without texts the samples are gone and what was found in them is not.
            languages: if sample.is_empty() { a.languages.clone().merged(&b.languages) } else { languages(&sample) },
            sample,
        }))
    }
}

/// What is said of a text whose language cannot be told for sure: most have few words.
const UNCERTAIN: &str = "uncertain";

fn languages(sample: &[Sampled]) -> Levels {
    let one = |s: &Sampled| of_text(&[s.text.as_str()]).filter(|found| found.certain).map_or(UNCERTAIN, |found| found.code);
    Levels::of(sample.iter().map(|s| Some(one(s))))
}

/// Leaves the texts with the least lots, in their order.
fn keep(sample: &mut Vec<Sampled>) {
    sample.sort_unstable();
    sample.truncate(SAMPLE);
}

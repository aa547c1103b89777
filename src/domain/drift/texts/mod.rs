//! A column of texts in a baseline and in a check.
//!
//! One such column is several of a check, each with its own test: under its name what the texts mean ([`Embedding`]: vectors of an
//! embedder, compared by [`super::cloud`]), `question, wording` (a classifier tells both sides apart), `question, language`, and the
//! descriptors `question, length`, `words`, `non-letters`, `unknown-words` ([`super::text`]). Nulls and texts of spaces are told of the
//! first.
//!
//! What a baseline keeps of texts as they are: up to 1,000 of them, 500 characters of each, and 200 characters of those nearest to the
//! centres of clusters. A column that keeps none ([`super::baseline::Selection::digests`]) has digests in their place and no wording.

mod meaning;
mod moved;
mod sample;

pub use meaning::{Embed, Embedding, MadeBy};
pub(super) use moved::typical;
pub use moved::{Moved, Way};
pub(super) use sample::told;

use super::embedded::descriptors;
use super::figures::{ColumnComparison, Compared, Figures, Role, Sides};
use super::policy::Rule;
use super::read::{SEED, texts};
use super::text::{Fit, Tally, TextProfile, compare};
use crate::base::error::{Error, Kind as Trouble, Result};
use crate::data::Table;
use meaning::Meaning;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use unicode_segmentation::UnicodeSegmentation;

/// What a baseline keeps of a column of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    text: TextProfile,
    meaning: Option<Meaning>,
    /// Whether texts are kept as they are.
    raw: bool,
}

impl Texts {
    /// The texts of a column as they read; what they mean is learnt apart.
    pub(super) fn of(table: &dyn Table, at: usize, digests: bool) -> Result<Self> {
        let mut fit = Fit::new(SEED);
        texts(table, at, &mut |run| {
            fit.add(run);
            Ok(())
        })?;
        let mut tally = Tally::reference(fit.words());
        counted(&mut tally, table, at)?;
        let text = tally.profile().stored();
        Ok(Self { text: if digests { text.without_texts() } else { text }, meaning: None, raw: !digests })
    }

    /// Learns what the texts mean.
    pub(super) fn learn(&mut self, table: &dyn Table, at: usize, embedding: &Embedding<'_>) -> Result<()> {
        self.meaning = Some(Meaning::of((table, at), embedding, !self.raw)?);
        Ok(())
    }

    /// What new texts mean beside those of the reference.
    pub(super) fn meant(
        &self,
        of: (&dyn Table, usize),
        embedding: &Embedding<'_>,
        digests: bool,
        rule: Rule,
    ) -> Result<Compared> {
        let lost = || Error::new("the baseline holds no vectors of it: take the baseline again");
        self.meaning.as_ref().ok_or_else(lost)?.beside(of, embedding, (digests, self.raw), rule)
    }

    /// How new texts read beside those of the reference: columns that are named after this one.
    pub(super) fn beside(
        &self,
        (name, role): (&str, Role),
        (table, at): (&dyn Table, usize),
        digests: bool,
    ) -> Result<Vec<ColumnComparison>> {
        let mut tally = Tally::current(&self.text);
        counted(&mut tally, table, at)?;
        let current = tally.profile();
        let column = |what: &str, figures| {
            let compared = Compared::Values(Box::new(figures));
            ColumnComparison { name: format!("{name}, {what}"), role, compared }
        };
        let mut columns = Vec::new();
        if self.raw && !digests {
            let found = compare::compare(&self.text, &current);
            let found = found.ok_or_else(|| Error::of(Trouble::Bug, "two profiles of texts with other words"))?;
            // Nulls and texts of spaces are told once, of the column itself.
            let (none, figures) = (Sides::new(0, 0), Figures::of_texts(&self.text, &current, &found));
            columns.push(column("wording", Figures { nulls: none, bad: none, ..figures }));
        }
        // One language where there were two is a change of shares like any other, not a broken pipe.
        let languages = Figures::of_levels(self.text.languages(), current.languages());
        columns.push(column("language", Figures { constant: None, variety: None, ..languages }));
        columns.extend(descriptors(name, role, &self.text, &current));
        Ok(columns)
    }
}

fn counted(tally: &mut Tally, table: &dyn Table, at: usize) -> Result<()> {
    texts(table, at, &mut |run| {
        tally.add(run);
        Ok(())
    })
}

/// Cells that are looked at to tell language from names and codes.
const LOOKED_AT: usize = 1_000;
/// Words that a text has at least: a name has two.
const WORDS: usize = 3;
/// Texts that are told apart before there are surely many.
const MANY: usize = 1 << 17;

/// More different texts than levels are compared.
const LEVELS: usize = 50;

/// Whether the cells of a column are language: at least half of the first ones have three words, and they differ. `repeated` ones too,
/// as where no text may be kept: as levels they would be.
pub(super) fn are_language(table: &dyn Table, at: usize, repeated: bool) -> Result<bool> {
    let (mut seen, mut long, mut rows, mut differ) = (0, 0, 0usize, HashSet::new());
    texts(table, at, &mut |run| {
        for cell in run.iter().copied().flatten().filter(|cell| !cell.trim().is_empty()) {
            rows += 1;
            if seen < LOOKED_AT {
                seen += 1;
                long += usize::from(has_words(cell));
            }
            if 2 * long >= seen && differ.len() < MANY {
                differ.insert(super::text::hash(cell));
            }
        }
        Ok(())
    })?;
    let different = match differ.len() {
        n if n > LEVELS => n >= MANY || 10 * n > rows,
        n => 2 * n > rows,
    };
    Ok(rows > 0 && 2 * long >= seen && (repeated || different))
}

/// Whether a cell has [`WORDS`] words. What stands between spaces is one, where a language has any; with a digit or a slash in it, it is a
/// code, an address or a path.
fn has_words(cell: &str) -> bool {
    let strange = |c: char| c.is_numeric() || matches!(c, '/' | '\\' | '_' | '@' | '=');
    let words = |part: &str| match part.contains(strange) {
        true => 0,
        false if part.is_ascii() => usize::from(part.contains(char::is_alphabetic)),
        false => part.unicode_words().count(),
    };
    cell.split_whitespace()
        .map(words)
        .scan(0, |sum, words| {
            *sum += words;
            Some(*sum)
        })
        .any(|sum| sum >= WORDS)
}

#[cfg(test)]
mod tests;

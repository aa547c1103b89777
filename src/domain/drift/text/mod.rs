//! Columns of texts: numbers that describe each, and whether anything tells the texts of two samples apart.
//!
//! Nothing here knows a language: words are those of Unicode, and pieces of words do for languages without spaces. The way of a check:
//! 1. [`Fit`] over the reference learns its words from one half of the rows;
//! 2. [`Tally::reference`] over the reference again, whose other half tells how many unknown words are usual, gives a [`TextProfile`];
//! 3. [`Tally::current`] over the new texts; parts merge;
//! 4. [`compare::compare`] tells the figures: each descriptor as a numeric column, and the [`classifier`] of a sample of both sides.

mod grams;
mod profile;

pub mod classifier;
pub mod compare;

pub use profile::{Fit, Tally, TextProfile, Words};

use crate::base::name::words;

words! {
    /// A number that describes a text.
    Descriptor, "descriptor" {
        /// Its length, in characters.
        Length = "length",
        /// How many words it has.
        Words = "words",
        /// The share of its characters, spaces left out, that are no letters.
        NonLetters = "non-letters",
        /// The share of its words that the reference's half did not have.
        UnknownWords = "unknown-words",
    }
}

/// A number that texts that differ do not share, but for one in 2⁶⁴.
pub fn hash(text: &str) -> u64 {
    grams::hash(text, 0)
}

/// Texts of a side that are kept for the classifier.
pub const SAMPLE: usize = 1_000;
/// Characters kept of a text there.
pub const TEXT_MOST: usize = 500;

#[cfg(test)]
pub(super) mod tests;

//! Better versions of what is there: which variants are tried, which rows decide, and when one of them is better.
//!
//! Pure: files and scores in, variants and verdicts out; who is asked and what is registered is `release::optimize`.
//! Invariants: a row that decides is never shown to whoever proposes a variant, nor written into one; a variant differs from its parent
//! in nothing but what its name says; what cannot be told is inconclusive, never better.

pub mod decide;
pub mod edit;
pub mod propose;
pub mod split;
pub mod vary;

use crate::base::name::words;
use std::collections::{BTreeMap, BTreeSet};

words! {
    /// How a variant is made.
    Operator, "way to make a variant" {
        /// Another number of passages.
        Passages = "passages",
        /// Another weight of words beside meaning.
        Words = "words",
        /// The parts of the prompt in another order.
        Order = "order",
        /// Marks around the passages.
        Format = "format",
        /// Examples from the dataset in the prompt.
        Demonstrations = "demonstrations",
        /// A prompt that somebody wrote.
        File = "file",
        /// Files that somebody wrote.
        Folder = "folder",
        /// A prompt that a language model proposed.
        Model = "model",
    }
}

/// The files of a version, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What is tried in the place of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// What it is called: what differs.
    pub name: String,
    /// How it is made.
    pub operator: Operator,
    /// All its files.
    pub files: Files,
    /// Rows that its files show; they say nothing about it.
    pub shows: BTreeSet<String>,
}

impl Variant {
    /// The files of a version with one of them written anew.
    pub fn with(parent: &Files, operator: Operator, name: impl Into<String>, (path, bytes): (&str, Vec<u8>)) -> Self {
        let mut files = parent.clone();
        files.insert(path.to_owned(), bytes);
        Self { name: name.into(), operator, files, shows: BTreeSet::new() }
    }
}

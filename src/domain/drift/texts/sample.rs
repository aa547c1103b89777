//! Texts of a column that are embedded: a draw of them, in batches, with what is told of each.

use super::meaning::Embedding;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::data::Table;
use crate::domain::drift::cloud::{NUMBERS_MOST, ROWS_MOST};
use crate::domain::drift::draw::drawn;
use crate::domain::drift::read::{SEED, texts};
use serde::{Deserialize, Serialize};

/// Characters of a text that are embedded.
const CHARS_MOST: usize = 8_000;
/// Characters that are told of a text.
const TOLD: usize = 200;
/// Texts that are embedded at once.
const BATCH: usize = 256;
/// The seed of the draw; that of the frame is another.
const DRAW: u64 = SEED ^ 0x7e_a75;

/// Rows of a column of texts by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rows {
    pub(super) all: u64,
    pub(super) nulls: u64,
    /// Texts of nothing but spaces.
    pub(super) blank: u64,
}

/// Texts with their vectors.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) rows: Rows,
    /// Where each stood, from 0.
    pub(super) places: Vec<u64>,
    /// What is told of each: its beginning or its digest.
    pub(super) told: Vec<String>,
    /// The vectors, one after the other.
    pub(super) vectors: Vec<f32>,
    batch: Vec<String>,
}

impl Sample {
    /// Draws texts of a column, at most [`ROWS_MOST`] and as many as have [`NUMBERS_MOST`] numbers, and has them embedded.
    pub(super) fn of((table, at): (&dyn Table, usize), embedding: &Embedding<'_>, digests: bool) -> Result<Self> {
        let width = embedding.made_by.dimensions.max(1) as u64;
        let share = ROWS_MOST.min(NUMBERS_MOST / width) as f64 / table.rows().max(1) as f64;
        let mut sample = Self::default();
        texts(table, at, &mut |run| run.iter().try_for_each(|cell| sample.take(*cell, share, digests, embedding)))?;
        sample.embed(embedding)?;
        Ok(sample)
    }

    /// Vectors that are there: all.
    pub(super) fn present(&self) -> Vec<bool> {
        vec![true; self.places.len()]
    }

    fn take(&mut self, cell: Option<&str>, share: f64, digests: bool, embedding: &Embedding<'_>) -> Result<()> {
        let row = self.rows.all;
        self.rows.all += 1;
        match cell {
            None => self.rows.nulls += 1,
            Some(text) if text.trim().is_empty() => self.rows.blank += 1,
            Some(text) if drawn(row, DRAW, share) => {
                self.places.push(row);
                self.told.push(told(text, digests));
                self.batch.push(text.chars().take(CHARS_MOST).collect());
            }
            Some(_) => {}
        }
        if self.batch.len() >= BATCH { self.embed(embedding) } else { Ok(()) }
    }

    fn embed(&mut self, embedding: &Embedding<'_>) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = self.batch.iter().map(String::as_str).collect();
        let vectors = (embedding.embed)(&texts)?;
        let width = embedding.made_by.dimensions;
        if vectors.len() != texts.len() || vectors.iter().any(|vector| vector.len() != width) {
            let name = &embedding.made_by.name;
            return Err(Error::new(format!("{name} gave other vectors than one of {width} numbers for each text")));
        }
        self.vectors.extend(vectors.into_iter().flatten());
        self.batch.clear();
        Ok(())
    }
}

/// What is told of a text: its beginning, or a digest by which whoever has it finds it again.
pub(in crate::domain::drift) fn told(text: &str, digests: bool) -> String {
    if digests { format!("sha256:{}", Digest::of(text.as_bytes()).short()) } else { text.chars().take(TOLD).collect() }
}

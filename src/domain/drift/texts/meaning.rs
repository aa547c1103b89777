//! What texts mean, as vectors of an embedder: those of a baseline, and new ones beside them.

use super::moved::{came, went};
use super::sample::{Rows, Sample};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::data::Table;
use crate::domain::drift::cloud::{CloudProfile, Refused, Tally};
use crate::domain::drift::figures::{Compared, Figures, Kind, Sides};
use crate::domain::drift::policy::Rule;
use crate::domain::drift::read::{learnt, ruled};
use serde::{Deserialize, Serialize};

/// What made vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeBy {
    /// The name that people use: `builtin`.
    pub name: String,
    /// What makes vectors comparable: only those of the same digest are.
    pub digest: Digest,
    /// Numbers in each.
    pub dimensions: usize,
}

/// Somebody who makes vectors of texts.
pub struct Embedding<'a> {
    /// Who.
    pub made_by: MadeBy,
    /// One vector for each text, in their order.
    pub embed: &'a Embed<'a>,
}

/// Makes vectors of texts.
pub type Embed<'a> = dyn Fn(&[&str]) -> Result<Vec<Vec<f32>>> + 'a;

/// The vectors of a reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Meaning {
    by: MadeBy,
    rows: Rows,
    /// Texts that were embedded.
    held: u64,
    /// Absent with too few texts.
    profile: Option<Box<CloudProfile>>,
}

impl Meaning {
    pub(super) fn of(of: (&dyn Table, usize), embedding: &Embedding<'_>, digests: bool) -> Result<Self> {
        let sample = Sample::of(of, embedding, digests)?;
        let (by, rows, held) = (embedding.made_by.clone(), sample.rows, sample.places.len() as u64);
        let present = sample.present();
        let learnt = learnt(by.dimensions, held, Some(&by.name), &|add| {
            add(by.dimensions, &sample.vectors, &present).map_err(Error::new)
        })?;
        let profile = match learnt {
            Ok(mut profile) => {
                profile.wanted().into_iter().for_each(|row| profile.tell(row, &sample.told[row as usize]));
                Some(Box::new(profile.renumbered(&sample.places).stored()))
            }
            Err(Refused::TooFew { .. }) => None,
            Err(refused) => return Err(Error::new(refused)),
        };
        Ok(Self { by, rows, held, profile })
    }

    /// New texts beside these; `told`: whether digests are told of the new ones, and whether the baseline has texts as they are.
    pub(super) fn beside(
        &self,
        of: (&dyn Table, usize),
        embedding: &Embedding<'_>,
        (digests, raw): (bool, bool),
        rule: Rule,
    ) -> Result<Compared> {
        if self.by.digest != embedding.made_by.digest {
            return Ok(Compared::Error(self.other(&embedding.made_by)));
        }
        let sample = Sample::of(of, embedding, digests)?;
        let figures = match &self.profile {
            Some(reference) => self.laid(reference, &sample, raw && digests, rule)?,
            None => {
                Figures { kind: Some(Kind::Embedding), n_ref: self.held, n_cur: sample.places.len() as u64, ..Figures::default() }
            }
        };
        let rows = Sides::new(self.rows, sample.rows);
        let (nulls, bad) = (rows.map(|rows| rows.nulls), rows.map(|rows| rows.blank));
        let none = Sides::new(0, 0);
        Ok(Compared::Values(Box::new(Figures { rows: rows.map(|rows| rows.all), nulls, bad, not_finite: none, ..figures })))
    }

    /// `hidden`: the baseline has texts as they are, and they are not to be told.
    fn laid(&self, reference: &CloudProfile, sample: &Sample, hidden: bool, rule: Rule) -> Result<Figures> {
        let without;
        let reference = if hidden {
            without = reference.clone().untold();
            &without
        } else {
            reference
        };
        let mut tally = Tally::current(reference, sample.places.len() as u64, None).map_err(Error::new)?;
        tally.add(self.by.dimensions, &sample.vectors, &sample.present()).map_err(Error::new)?;
        let current = tally.profile();
        let mut figures = ruled(reference, &current, rule)?;
        // Without drift nothing of the texts leaves the data.
        if figures.signs.iter().any(|sign| sign.passed) {
            figures.texts = came(reference, &current, sample);
            figures.texts.extend(went(reference, &figures.cells));
        }
        Ok(figures)
    }

    fn other(&self, now: &MadeBy) -> String {
        let of = |by: &MadeBy| format!("{} ({})", by.name, by.digest.short());
        format!(
            "the baseline was made with another embedder, {}, and mlops.toml names {}: take the baseline again",
            of(&self.by),
            of(now)
        )
    }
}

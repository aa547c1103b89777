//! What is kept of a column of vectors: counts by kind, sums and cells in the frame of a reference, kernel sums, rows that explain.
//!
//! About 1.5 MB for 384 numbers, most of it kernel sums, whatever the rows. Profiles counted in one frame merge.

use super::near::{Near, offer};
use super::{BLOCKS, CURRENT_BLOCKS, Frame, Refused, fit};
use crate::domain::drift::bins::Histogram;
use crate::domain::drift::packed;
use crate::domain::drift::profile::Numeric;
use crate::stats::cloud::{Centre, Cloud};
use crate::stats::fourier::FEATURES;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Rows by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Rows that hold a vector of finite numbers, not all 0.
    pub usable: u64,
    /// Of those, rows so far from the reference that they were drawn in.
    pub far: u64,
    /// Rows without a vector.
    pub absent: u64,
    /// Rows with a NaN or an infinity.
    pub not_finite: u64,
    /// Rows of zeros: what many services return for a text they could not embed.
    pub zero: u64,
}

/// One side of a comparison, counted in the frame of the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct CloudProfile(pub(super) Parts);

/// What is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Parts {
    pub(super) frame: Frame,
    pub(super) counted: Counted,
    /// Usable rows that the frame was not fitted to: those of cells, clusters and distances.
    pub(super) measured: u64,
    /// Of all usable rows, less the frame's mean.
    #[serde(with = "packed::centre")]
    pub(super) centre: Option<Centre>,
    /// Of the measured rows, in the coordinates of the components.
    #[serde(with = "packed::cloud")]
    pub(super) cloud: Option<Cloud>,
    pub(super) along: Vec<Histogram>,
    pub(super) clusters: Vec<u64>,
    pub(super) from_mean: Numeric,
    pub(super) outside: Numeric,
    pub(super) novel: u64,
    /// Rows in a block of the kernel sums.
    pub(super) block: usize,
    #[serde(with = "packed::singles")]
    pub(super) blocks: Vec<f32>,
    /// Of each cluster the rows nearest to its centre.
    pub(super) near: Vec<Vec<Near>>,
    /// The rows farthest from every centre, the farthest first.
    pub(super) farthest: Vec<Near>,
}

impl TryFrom<Parts> for CloudProfile {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let size = parts.frame.basis.components.len();
        let width = parts.frame.width();
        let clusters = parts.frame.clusters();
        let frame = parts.frame.edges.len() == size && clusters > 0 && parts.frame.centres.iter().all(|c| c.len() == size);
        let edges = parts.along.iter().zip(&parts.frame.edges).all(|(cells, edges)| cells.edges() == edges);
        let cells = parts.along.len() == size && edges && parts.clusters.len() == clusters && parts.near.len() == clusters;
        let sums =
            parts.centre.as_ref().is_none_or(|c| c.mean.len() == width) && parts.cloud.as_ref().is_none_or(|c| c.width() == size);
        let rows =
            parts.novel <= parts.measured && parts.measured <= parts.counted.usable && parts.counted.far <= parts.counted.usable;
        let blocks = parts.blocks.len().is_multiple_of(FEATURES) && (parts.block > 0 || parts.blocks.is_empty());
        if frame && cells && sums && rows && blocks {
            Ok(Self(parts))
        } else {
            Err("the parts of a profile of vectors do not fit")
        }
    }
}

impl From<CloudProfile> for Parts {
    fn from(profile: CloudProfile) -> Self {
        profile.0
    }
}

impl Counted {
    /// Counts a row; true when it can be used.
    pub(super) fn usable(&mut self, row: &[f32], there: bool) -> bool {
        let kind = if !there {
            &mut self.absent
        } else if fit::usable(row) {
            &mut self.usable
        } else if row.iter().all(|v| *v == 0.0) {
            &mut self.zero
        } else {
            &mut self.not_finite
        };
        *kind += 1;
        there && fit::usable(row)
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        [self.absent, self.not_finite, self.zero].iter().fold(self.usable, |sum, rows| sum.saturating_add(*rows))
    }

    fn merged(&self, other: &Self) -> Option<Self> {
        Some(Self {
            usable: self.usable.checked_add(other.usable)?,
            far: self.far.checked_add(other.far)?,
            absent: self.absent.checked_add(other.absent)?,
            not_finite: self.not_finite.checked_add(other.not_finite)?,
            zero: self.zero.checked_add(other.zero)?,
        })
    }
}

impl CloudProfile {
    /// The frame it was counted in.
    pub fn frame(&self) -> &Frame {
        &self.0.frame
    }

    /// Rows by what they are.
    pub fn counted(&self) -> &Counted {
        &self.0.counted
    }

    /// Rows that cells, clusters and distances are told of: the usable ones less those that the frame was fitted to.
    pub fn measured(&self) -> u64 {
        self.0.measured
    }

    /// The rows nearest to the centre of a cluster, the nearest first; none for a cluster that does not exist.
    pub fn near(&self, cluster: usize) -> &[Near] {
        self.0.near.get(cluster).map_or(&[], Vec::as_slice)
    }

    /// The rows farthest from every centre, the farthest first.
    pub fn farthest(&self) -> &[Near] {
        &self.0.farthest
    }

    /// The rows whose texts would explain something: read them from the column of texts, then [`Self::tell`] them.
    pub fn wanted(&self) -> BTreeSet<u64> {
        self.0.near.iter().flatten().chain(&self.0.farthest).map(|near| near.row).collect()
    }

    /// Tells the text of a row; of those it does not want it keeps nothing.
    pub fn tell(&mut self, row: u64, text: &str) {
        self.explaining().filter(|near| near.row == row).for_each(|near| near.tell(text));
    }

    /// The same, whose rows that explain are named by the places given: those of a draw by where they stood before it.
    #[must_use]
    pub fn renumbered(mut self, places: &[u64]) -> Self {
        let place = |row: u64| usize::try_from(row).ok().and_then(|row| places.get(row).copied()).unwrap_or(row);
        self.explaining().for_each(|near| near.row = place(near.row));
        self
    }

    /// The same without texts.
    #[must_use]
    pub fn untold(mut self) -> Self {
        self.explaining().for_each(|near| near.text = None);
        self
    }

    fn explaining(&mut self) -> impl Iterator<Item = &mut Near> {
        self.0.near.iter_mut().flatten().chain(&mut self.0.farthest)
    }

    /// The same in the size that is stored.
    #[must_use]
    pub fn stored(&self) -> Self {
        let (from_mean, outside) = (self.0.from_mean.stored(), self.0.outside.stored());
        Self(Parts { from_mean, outside, ..self.0.clone() })
    }

    /// The profile of both parts of one side: the rows of `other` come after these.
    ///
    /// # Errors
    /// [`Refused::Frame`]; [`Refused::Overflow`].
    pub fn merged(&self, other: &Self) -> Result<Self, Refused> {
        let (a, b) = (&self.0, &other.0);
        if a.frame != b.frame || a.block != b.block {
            return Err(Refused::Frame);
        }
        let first = a.counted.rows();
        let after = |near: &Near| Near { row: first.saturating_add(near.row), ..near.clone() };
        let join = |a: &[Near], b: &[Near], farthest| {
            let mut kept = a.to_vec();
            b.iter().for_each(|near| offer(&mut kept, &after(near), farthest));
            kept
        };
        let sum = |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(a, b)| a.checked_add(*b)).collect::<Option<Vec<u64>>>();
        let parts = || {
            Some(Parts {
                frame: a.frame.clone(),
                counted: a.counted.merged(&b.counted)?,
                measured: a.measured.checked_add(b.measured)?,
                centre: both(a.centre.as_ref(), b.centre.as_ref(), Centre::merged)?,
                cloud: both(a.cloud.as_ref(), b.cloud.as_ref(), Cloud::merged)?,
                along: a.along.iter().zip(&b.along).map(|(a, b)| a.merged(b)).collect::<Option<_>>()?,
                clusters: sum(&a.clusters, &b.clusters)?,
                from_mean: a.from_mean.merged(&b.from_mean)?,
                outside: a.outside.merged(&b.outside)?,
                novel: a.novel.checked_add(b.novel)?,
                block: a.block,
                blocks: a.blocks.iter().chain(&b.blocks).copied().take(BLOCKS.max(CURRENT_BLOCKS as usize) * FEATURES).collect(),
                near: a.near.iter().zip(&b.near).map(|(a, b)| join(a, b, false)).collect(),
                farthest: join(&a.farthest, &b.farthest, true),
            })
        };
        parts().map(Self).ok_or(Refused::Overflow)
    }
}

/// What both are together; the outer `None` when they cannot be put together.
fn both<T: Clone>(a: Option<&T>, b: Option<&T>, merge: impl Fn(&T, &T) -> Option<T>) -> Option<Option<T>> {
    match (a, b) {
        (Some(a), Some(b)) => merge(a, b).map(Some),
        (one, other) => Some(one.or(other).cloned()),
    }
}

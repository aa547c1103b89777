//! Columns of vectors (embeddings): what is kept of a reference, how new vectors differ from it, and what that amounts to.
//!
//! The way of a check, each side read in chunks of rows as [`crate::data::Table`] hands them out:
//! 1. [`Fit`] over the reference makes its [`Frame`]: components, clusters, cells, kernel. It learns from one half of the rows at most;
//! 2. [`Tally::reference`] over the reference again counts the rows that the frame has not seen, and gives a [`CloudProfile`] to store;
//! 3. [`Tally::current`] over the new vectors counts them in the same frame; parts merge;
//! 4. [`compare::compare`] tells the figures, [`rule`] what they amount to, [`CloudProfile::near`] whose texts explain it.
//!
//! A frame fits the rows it was made from better than any others: components are longest along them, centres lie among them. Counted on
//! those, a reference would differ from new vectors of the same kind (0.3 nats a component for 500 rows of 384 numbers). Rows are
//! therefore split by a seeded draw, and what is counted on both sides is equally new to the frame: the laws of the figures
//! hold without drift for any number of rows. Only sums that need no frame (centroid, kernel features) are of all rows.

mod fit;
mod lean;
mod near;
mod profile;
mod tally;

pub mod compare;
pub mod rule;

pub use fit::{Fit, Frame};
pub use lean::{Leaning, leaning};
pub use near::Near;
pub use profile::{CloudProfile, Counted};
pub use tally::Tally;

/// Components that vectors are counted along.
pub const COMPONENTS: usize = 32;
/// The most clusters; fewer when a cluster would have less than [`ROWS_A_CLUSTER`] rows of the fit.
pub const CLUSTERS: usize = 32;
/// Rows of the fit for each cluster.
pub const ROWS_A_CLUSTER: usize = 20;
/// The most rows that a frame is fitted to, and the most of a side whose kernel features are kept.
pub const ROWS_MOST: u64 = 20_000;
/// The most numbers of the vectors that a frame is fitted to: 32 MB.
pub const NUMBERS_MOST: u64 = 8 << 20;
/// The fewest vectors a frame can be fitted to; twice as many are needed.
pub const ROWS_LEAST: usize = 10;
/// Numbers a vector may have.
pub const WIDTH_MOST: usize = 4_096;
/// Blocks that the reference's kernel features are summed in.
pub const BLOCKS: usize = 400;
/// The most blocks of the current data.
pub const CURRENT_BLOCKS: u64 = 2_000;
/// Vectors farther from the reference's mean than so many of its spreads are drawn in to there: their place says nothing more, and its
/// square would leave the range of `f32`.
const REACH: f64 = 1e6;
/// Rows that are worked on at once.
const CHUNK: usize = 512;

/// Why vectors are refused as a whole. One bad row is counted instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Vectors of another width than the reference's: they come from another model, or through another reduction.
    Width {
        /// Numbers in a vector of the reference.
        reference: usize,
        /// Numbers in these.
        current: usize,
    },
    /// Vectors with more than [`WIDTH_MOST`] numbers, or with none.
    Unusable {
        /// Numbers in each.
        width: usize,
    },
    /// Vectors of another model: distances between them mean nothing.
    Model {
        /// What made the reference's vectors.
        reference: String,
        /// What made these.
        current: String,
    },
    /// Too few usable vectors to learn what is usual.
    TooFew {
        /// Usable vectors of the fit.
        usable: usize,
        /// How many it takes.
        least: usize,
    },
    /// Values and rows that do not belong together: not `width` numbers for each row.
    Ragged,
    /// Profiles that were not counted in the same frame.
    Frame,
    /// Rows beyond counting, or numbers whose sums are beyond `f64`.
    Overflow,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Width { reference, current } => {
                write!(f, "the vectors have {current} numbers, those of the reference {reference}")
            }
            Self::Unusable { width } => write!(f, "vectors of {width} numbers cannot be compared: 1 to {WIDTH_MOST}"),
            Self::Model { reference, current } => {
                write!(f, "the vectors are of {current}, those of the reference of {reference}")
            }
            Self::TooFew { usable, least } => write!(f, "{usable} usable vectors to learn from, fewer than {least}"),
            Self::Ragged => f.write_str("not as many numbers as rows of one width have"),
            Self::Frame => f.write_str("the profiles were not counted in the same frame"),
            Self::Overflow => f.write_str("the numbers are too large to be summed"),
        }
    }
}

/// Seeds of the draws of one profile, so that none repeats another.
mod seeds {
    pub(super) const FIT: u64 = 1;
    pub(super) const CLUSTERS: u64 = 2;
    pub(super) const FEATURES: u64 = 3;
    pub(super) const SAMPLE: u64 = 4;
    pub(super) const BLOCKS: u64 = 5;
    pub(super) const SHUFFLE: u64 = 6;
}

#[cfg(test)]
pub(super) mod tests;

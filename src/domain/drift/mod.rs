//! How new data differ from what a model was accepted on.
//!
//! Pure: no files, no SQL, no policy. A reader makes a [`profile::Numeric`] or [`levels::Levels`] of each column, whole or of chunks that are
//! merged; [`compare`] tells the numbers of two of them. What a number means (bands, actions) is decided by who calls.
//!
//! The way of a check:
//! 1. reference: `Numeric::of(values, None)?.stored()` or `Levels::of(cells)` for each column; store it (serde; every `f64` as its bits, so
//!    that what is read back is what was written);
//! 2. current: `Numeric::of(values, Some(reference.histogram().edges()))`: the same cells, so that the reference's are never
//!    moved by what is compared with them. Chunks: each with the same edges, then `merged`;
//! 3. `compare::numbers` or `compare::levels`; collect the p-values of the tests that are printed, adjust them as one family by
//!    `stats::multiplicity`.
//!
//! A column of vectors has a [`cloud::CloudProfile`] instead, a column of texts a [`text::TextProfile`]; [`cloud`] and [`text`] tell their
//! way.
//!
//! [`evidently`] computes the values of that tool instead.

pub mod bins;
pub mod cloud;
pub mod compare;
mod draw;
pub mod evidently;
pub mod levels;
mod packed;
pub mod profile;
pub mod text;

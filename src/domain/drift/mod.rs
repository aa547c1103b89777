//! How new data differ from what a model was accepted on.
//!
//! Pure: no files, no SQL. A reader makes a [`profile::Numeric`] or [`levels::Levels`] of each column, whole or of chunks that are
//! merged; [`compare`] tells the numbers of two of them, [`figures`] what is kept of these, [`verdict`] what they mean.
//!
//! The way of a check:
//! 1. reference: `Numeric::of(values, None)?.stored()` or `Levels::of(cells)` for each column; store it (serde; every `f64` as its bits, so
//!    that what is read back is what was written);
//! 2. current: `Numeric::of(values, Some(reference.histogram().edges()))`: the same cells, so that the reference's are never
//!    moved by what is compared with them. Chunks: each with the same edges, then `merged`;
//! 3. `Figures::of_numbers`, `of_levels` or `of_vectors` for each column; a column that is not there, is something else or cannot be read is
//!    [`figures::Compared`] as well;
//! 4. `verdict::judge` all columns together: one family of tests, upstream first;
//! 5. [`outcome`] adds what columns say together: [`concept`], [`calibration`], [`slices`], [`streams`];
//! 6. beside it, each with its own interval: [`performance`], [`anomaly`].
//!
//! A column of vectors has a [`cloud::CloudProfile`] instead, a column of texts a [`text::TextProfile`]; [`cloud`] and [`text`] tell their
//! way.
//!
//! [`page`] is what people read of it. [`evidently`] computes the values of that tool instead.

mod draw;
mod packed;
mod read;

pub mod action;
pub mod anomaly;
pub mod baseline;
pub mod bins;
pub mod calibration;
pub mod change;
pub mod check;
pub mod cloud;
pub mod compare;
pub mod concept;
pub mod embedded;
pub mod evidently;
pub mod figures;
pub mod levels;
pub mod outcome;
pub mod page;
pub mod performance;
pub mod policy;
pub mod profile;
pub mod record;
pub mod report;
pub mod slices;
pub mod streams;
pub mod table;
pub mod text;
pub mod texts;
pub mod upstream;
pub mod verdict;
pub mod why;

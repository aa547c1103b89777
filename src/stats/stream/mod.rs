//! Change detectors for values that come one by one: bounded memory, a verdict after each value.
//!
//! Reference: river 0.26.1. A detector that has signalled starts anew with the next value (river's way), except [`adwin`],
//! which keeps the recent part of its window as its authors say.

pub mod adwin;
pub mod hddm;
pub mod page_hinkley;

/// Which way the mean of a stream went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The recent mean is higher.
    Up,
    /// The recent mean is lower.
    Down,
}

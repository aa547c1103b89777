//! Draws of rows by their number: the same row and seed always fall the same way, whatever is read with them.

use crate::stats::rng::Rng;

/// A number that a row and a seed determine, as if drawn at random.
pub(super) fn lot(row: u64, seed: u64) -> Rng {
    Rng::new(seed ^ row.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Whether a row takes part in a draw of that `share` of all rows, 0 to 1.
pub(super) fn drawn(row: u64, seed: u64, share: f64) -> bool {
    lot(row, seed).unit() < share
}

//! Where in a log the lines since a time begin, found by halves.
//!
//! Invariants: what is given is the beginning of a line; lines are taken to be in the order of their times, except for a few that came late,
//! so a block of lines is as young as its youngest. What does not tell its time is never passed over on its own.

use crate::base::time::Timestamp;
use std::fs::File;
use std::io::{Read as _, Result, Seek as _, SeekFrom};

/// How much is looked at in one place, in bytes: some hundred lines of an access log.
const BLOCK: u64 = 64 << 10;

/// The byte at which a line begins before which all lines are older than `from`; as near to the first that is not as blocks tell.
/// `time` tells when a line was written.
pub(super) fn first_line(file: &mut File, from: Timestamp, time: &dyn Fn(&[u8]) -> Option<Timestamp>) -> Result<u64> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    while high - low > 2 * BLOCK {
        let middle = low + (high - low) / 2;
        match older(file, middle, from, time)? {
            Some(end) => low = middle + end,
            None => high = middle,
        }
    }
    Ok(low)
}

/// Where the last line of a block ends, when all lines that are whole in it are older, as far as they tell.
fn older(file: &mut File, at: u64, from: Timestamp, time: &dyn Fn(&[u8]) -> Option<Timestamp>) -> Result<Option<u64>> {
    let mut block = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(BLOCK).read_to_end(&mut block)?;
    let newline = |byte: &u8| *byte == b'\n';
    let ends = block.iter().position(newline).zip(block.iter().rposition(newline));
    let Some((first, last)) = ends.filter(|(first, last)| first < last) else { return Ok(None) };
    let youngest = block[first + 1..last].split(newline).filter_map(time).max();
    Ok(youngest.filter(|youngest| *youngest < from).map(|_| last as u64 + 1))
}

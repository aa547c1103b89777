//! Verifies the whole log, always by reading all of it: every body is hashed, and everything else the state says about it is
//! derived again and compared.
//!
//! What is compared: the leaf hash, the sealed tiles and the head with the tree of the bodies; the narrow columns, by which the
//! log is searched, with the fields of the body; facts beside an entry with the digests in it; openings and the names behind
//! pseudonyms with their commitments; origin and id of the state with the first entry; every stored checkpoint and every anchor
//! from outside with the root at its size, and their signatures with the known keys. A missing opening or name is no finding:
//! it may have been erased on purpose, which is what they are kept apart for. Times that go backwards are told, not judged:
//! the order of the log is its index.

mod anchor;
mod chunk;
mod names;
mod run;
mod tree;
mod words;

pub use anchor::Anchor;

use super::key::VerifierKey;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::verdict::Verdict;
use crate::store::View;
use chunk::Chunk;
use run::Run;
use serde::Serialize;
use std::collections::VecDeque;
use words::Words;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The index of the entry, or of the first of those it may be; `None` when it is about the whole log.
    pub index: Option<u64>,
    /// The index of the last entry that it may be; the same when it is known which.
    pub last: Option<u64>,
    /// What is wrong with it.
    pub what: String,
}

impl Finding {
    fn at(index: i64, what: String) -> Self {
        let index = u64::try_from(index).ok();
        Self { index, last: index, what }
    }

    /// About one of the entries of a range, its end excluded.
    fn within(range: std::ops::Range<u64>, what: String) -> Self {
        Self { index: Some(range.start), last: Some(range.end.saturating_sub(1).max(range.start)), what }
    }

    fn whole(what: String) -> Self {
        Self { index: None, last: None, what }
    }

    /// The order in which to look: at certain entries, then at ever larger ranges.
    fn rank(&self) -> (u64, u64) {
        let (Some(from), Some(to)) = (self.index, self.last) else { return (u64::MAX, 0) };
        (to - from, from)
    }
}

/// What comparing with an anchor gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Anchored {
    /// Where the anchor comes from.
    pub name: String,
    /// The number of entries it covers.
    pub size: u64,
    /// The root it states.
    pub root: Digest,
    /// The root that the entries of the log have at that size; `None` when it has not so many.
    pub found: Option<Digest>,
    /// Whether a known key signed it.
    pub signed: bool,
    /// Whether both agree.
    pub agrees: bool,
}

/// An entry whose time is before that of its predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Regression {
    /// The index of the later entry.
    pub index: u64,
    /// By how much the clock went back, in microseconds.
    pub micros: i64,
}

/// What verifying the log gave.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Whose log it is.
    pub origin: String,
    /// How many entries its head says it has.
    pub size: u64,
    /// How many were read.
    pub entries: u64,
    /// The root of the entries as read; `None` when so many are missing that there is none.
    pub root: Option<Digest>,
    /// The root that the head says it has.
    pub head: Digest,
    /// How many of the entries the newest valid checkpoint of a known key covers.
    pub signed: u64,
    /// How many are not covered by one.
    pub unsigned: u64,
    /// How many stored checkpoints were compared.
    pub checkpoints: u64,
    /// How many of them no known key vouches for, because none is known.
    pub unchecked: u64,
    /// Whether the log has a key and no checkpoint covers anything that was appended since the key was made.
    pub never_signed: bool,
    /// How many sealed tiles were compared.
    pub tiles: u64,
    /// How many openings were compared with their commitment.
    pub openings: u64,
    /// How many openings and names no key of this host reads, so that they were not compared.
    pub locked: u64,
    /// How many facts beside entries were compared with their digest.
    pub facts: u64,
    /// How many names behind pseudonyms were compared with their commitment.
    pub names: u64,
    /// The anchors.
    pub anchors: Vec<Anchored>,
    /// The first steps back in time.
    pub regressions: Vec<Regression>,
    /// How many steps back in time there are.
    pub regression_count: u64,
    /// The findings, the most exact first and by index; at most a hundred.
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub finding_count: u64,
}

impl Verified {
    /// Fails on any finding. Inconclusive when there are signatures that no known key could check, or none though the log
    /// has a key.
    pub fn verdict(&self) -> Verdict {
        match (self.finding_count, self.unchecked) {
            (0, 0) if !self.never_signed => Verdict::Pass,
            (0, _) => Verdict::Inconclusive,
            _ => Verdict::Fail,
        }
    }
}

/// Reads the whole log and compares everything; `keys` are the public keys that may have signed its checkpoints. `jobs` chunks
/// are checked side by side.
///
/// # Errors
/// When the state cannot be read. What is wrong with the log is never an error.
pub fn verify(view: View<'_>, keys: &[VerifierKey], anchors: &[Anchor], jobs: usize) -> Result<Verified> {
    let mut run = Run::new(view, keys, anchors)?;
    let words = Words::load(view)?;
    std::thread::scope(|scope| {
        let words = &words;
        let mut pending = VecDeque::new();
        let mut from = 0;
        while let Some(chunk) = Chunk::load(view, from, run.size())? {
            from = chunk.range.end;
            pending.push_back(scope.spawn(move || chunk.check(words, keys)));
            if pending.len() >= jobs.max(1) {
                pending.pop_front().into_iter().for_each(|checked| run.take(joined(checked)));
            }
        }
        pending.into_iter().for_each(|checked| run.take(joined(checked)));
        Ok::<_, Error>(())
    })?;
    run.finish(view)
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests;

//! Nearest vectors of a collection: an index names those that may be nearest, and these are scored again from the truth.
//!
//! The truth is the 32-bit vectors in the state; every index is derived from it, so all engines give the same answers. What an
//! index lacks because it is older than the truth is scored from the state; what was taken out since is noticed when the best
//! are scored again. There are two here, and [`nearest_by`] asks any other:
//!
//! - [`segment`]: a file of 8-bit codes in the cache, made again whenever it is missing, damaged or too old. A scan reads it in
//!   pieces, so its memory grows by four bytes a vector at most. Why flat: 8 ms for 100,000 vectors of 384 numbers with recall
//!   1.00 after 50 are scored again, 29 ms for a million whose `signs` are looked at first, and nothing to tune or to compact;
//!   graphs (HNSW) answer faster and cost ten times the work at each insert (measured; `docs/benchmarks.md`).
//! - [`pgvector`]: a table of the server that holds the state, which changes in the transactions that change the truth.
//!
//! A collection has the second where its table is there, and the first everywhere else.

pub mod pgvector;
pub mod segment;
mod signs;

use super::tx::View;
use crate::base::error::Result;
use pgvector::Pgvector;
use segment::Segment;
use std::fmt::Write as _;
use std::path::Path;

/// How many of the best by codes are scored again from the truth, for each one that is wanted, and at least.
const AGAIN: (usize, usize) = (5, 50);
/// Vectors newer than the segment that are scored from the state before the segment is made again: so many, or this share.
const TAIL_MAX: (usize, f64) = (20_000, 0.1);

/// Where vectors are read from: numbered, and a number is never given twice.
pub trait Truth {
    /// Calls `each` with the vectors whose numbers are above `after`, in the order of the numbers, `most` of them at most.
    ///
    /// # Errors
    /// Those of the state and of `each`.
    fn after(&self, after: i64, most: usize, each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()>;

    /// Calls `each` with the vectors of these numbers, those that are gone left out.
    ///
    /// # Errors
    /// Those of the state and of `each`.
    fn these(&self, numbers: &[i64], each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()>;
}

/// Something that knows which vectors may be nearest.
pub trait Index {
    /// The number up to which nothing of the truth is missing here.
    fn last(&self) -> i64;

    /// How many vectors it holds.
    fn held(&self) -> usize;

    /// The numbers of the `wanted` nearest that may be kept, as well as this index can tell, in any order; fewer only when
    /// there are no more. Some may be gone from the truth.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn best(&self, query: &[f32], wanted: usize, keep: &dyn Fn(i64) -> bool) -> Result<Vec<i64>>;
}

/// Where the file of a collection is kept.
#[derive(Clone, Copy, Debug)]
pub struct Home<'h> {
    /// The folder of the files.
    pub folder: &'h Path,
    /// What the collection is called there; another name for another embedder.
    pub name: &'h str,
}

/// What is looked for.
#[derive(Clone, Copy)]
pub struct Query<'q> {
    /// A unit vector.
    pub vector: &'q [f32],
    /// How many are wanted.
    pub k: usize,
    /// Whether a number may be among them.
    pub keep: &'q dyn Fn(i64) -> bool,
}

/// The numbers nearest to the query with their cosine, best first; equal ones in the order of their numbers.
///
/// # Errors
/// Those of the state; a segment that cannot be written only costs time.
pub fn nearest(view: View<'_>, truth: &dyn Truth, collection: i64, home: Home<'_>, query: &Query<'_>) -> Result<Vec<(i64, f32)>> {
    if let Some(index) = Pgvector::find(view, collection, query.vector.len())?
        && let Some(tail) = tail(truth, Some(&index))?
    {
        return search(truth, Some(&index), &tail, query);
    }
    by_segment(truth, home, query)
}

/// As [`nearest`] by an index that is kept elsewhere; `None` when it lacks so much that another one is better asked.
///
/// # Errors
/// Those of the state and of the index.
pub fn nearest_by(index: &dyn Index, truth: &dyn Truth, query: &Query<'_>) -> Result<Option<Vec<(i64, f32)>>> {
    tail(truth, Some(index))?.map(|tail| search(truth, Some(index), &tail, query)).transpose()
}

/// Asks an index that knows of no condition for more and more, until enough of what it names may be kept or it has no more:
/// `ask` gives the nearest, as many as it is told, in order.
///
/// # Errors
/// Those of `ask`.
pub fn widen(wanted: usize, keep: &dyn Fn(i64) -> bool, ask: &mut dyn FnMut(usize) -> Result<Vec<i64>>) -> Result<Vec<i64>> {
    let mut limit = wanted;
    loop {
        let numbers = ask(limit)?;
        let all = numbers.len() < limit;
        let kept: Vec<i64> = numbers.into_iter().filter(|n| keep(*n)).take(wanted).collect();
        if all || kept.len() >= wanted {
            return Ok(kept);
        }
        // A condition took out so many that those which are left may not be the best: look further.
        limit = limit.saturating_mul(8);
    }
}

/// A vector as JSON and pgvector read it, in the shortest form that reads back as the same 32-bit numbers.
pub fn literal(vector: &[f32]) -> String {
    let mut text = String::with_capacity(vector.len() * 12 + 2);
    text.push('[');
    for (i, x) in vector.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Writing to a text cannot fail.
        let _ = write!(text, "{comma}{x}");
    }
    text.push(']');
    text
}

fn by_segment(truth: &dyn Truth, home: Home<'_>, query: &Query<'_>) -> Result<Vec<(i64, f32)>> {
    let path = segment::path(home);
    let dimensions = query.vector.len();
    if let Some(segment) = Segment::open(&path, dimensions)
        && let Some(tail) = tail(truth, Some(&segment))?
    {
        return search(truth, Some(&segment), &tail, query);
    }
    if let Some(tail) = tail(truth, None)? {
        return search(truth, None, &tail, query);
    }
    search(truth, Some(&Segment::build(&path, dimensions, truth)?), &[], query)
}

/// Numbers with their vectors as they are kept.
type Kept = Vec<(i64, Vec<u8>)>;

/// Vectors that the index does not hold; `None` when there are so many that it is better made again.
fn tail(truth: &dyn Truth, index: Option<&dyn Index>) -> Result<Option<Kept>> {
    let (last, held) = index.map_or((i64::MIN, 0), |s| (s.last(), s.held()));
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let most = TAIL_MAX.0.min((held as f64 * TAIL_MAX.1) as usize).max(1_000);
    let mut tail = Vec::new();
    truth.after(last, most + 1, &mut |number, vector| {
        tail.push((number, vector.to_vec()));
        Ok(())
    })?;
    Ok((tail.len() <= most).then_some(tail))
}

fn search(truth: &dyn Truth, index: Option<&dyn Index>, tail: &[(i64, Vec<u8>)], query: &Query<'_>) -> Result<Vec<(i64, f32)>> {
    let mut wanted = (query.k * AGAIN.0).max(AGAIN.1);
    let mut found: Vec<(i64, f32)> = tail
        .iter()
        .filter(|(number, _)| (query.keep)(*number))
        .map(|(number, vector)| (*number, dot(query.vector, vector)))
        .collect();
    if let Some(index) = index {
        loop {
            let best = index.best(query.vector, wanted, query.keep)?;
            let all = best.len() < wanted;
            let mut again = Vec::with_capacity(best.len());
            truth.these(&best, &mut |number, vector| {
                again.push((number, dot(query.vector, vector)));
                Ok(())
            })?;
            // So many were taken out since that what is left may not be the best: look further.
            if all || again.len() >= query.k {
                found.extend(again);
                break;
            }
            wanted *= 4;
        }
    }
    // What is no number is near nothing.
    found.retain(|f| f.1.is_finite());
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.dedup_by_key(|f| f.0);
    found.truncate(query.k);
    Ok(found)
}

/// The inner product with a vector as it is kept: 32-bit floats, little-endian.
fn dot(query: &[f32], kept: &[u8]) -> f32 {
    query.iter().zip(kept.as_chunks::<4>().0).map(|(q, bytes)| q * f32::from_le_bytes(*bytes)).sum()
}

#[cfg(test)]
mod tests;

//! Nearest vectors of a collection: a flat scan over 8-bit codes, exact after the few best are scored again from the truth.
//!
//! The truth is the 32-bit vectors in the state. A [`segment`] file beside them holds each vector as 8-bit codes and is made
//! again from the truth whenever it is missing, damaged or too old; it lives in the cache and may be deleted at any time. A
//! scan reads it in pieces, so its memory does not grow with the collection. Vectors that are newer than the segment are
//! scored from the state; those that were taken out since are noticed when the best are scored again.
//!
//! Why flat: 6.6 ms for 100,000 vectors of 384 numbers with recall 1.00 after 50 are scored again, and nothing to tune or to
//! compact; graphs (HNSW) answer faster and cost ten times the work at each insert (measured; `docs/benchmarks.md`).

pub mod segment;

use crate::base::error::Result;
use segment::Segment;
use std::path::{Path, PathBuf};

/// How many of the best by codes are scored again from the truth, for each one that is wanted, and at least.
const AGAIN: (usize, usize) = (5, 50);
/// Vectors newer than the segment that are scored from the state before the segment is made again: so many, or this share.
const TAIL_MAX: (usize, f64) = (20_000, 0.1);

/// Where vectors are read from: numbered, and a number is never given twice.
pub trait Truth {
    /// Calls `each` with every vector whose number is above `after`, in the order of the numbers.
    ///
    /// # Errors
    /// Those of the state and of `each`.
    fn after(&self, after: i64, each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()>;

    /// Calls `each` with the vectors of these numbers, those that are gone left out.
    ///
    /// # Errors
    /// Those of the state and of `each`.
    fn these(&self, numbers: &[i64], each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()>;
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
/// `folder` is where the segment of this collection is kept, `name` its own.
///
/// # Errors
/// Those of the state; a segment that cannot be written only costs time.
pub fn nearest(truth: &dyn Truth, folder: &Path, name: &str, query: &Query<'_>) -> Result<Vec<(i64, f32)>> {
    let path: PathBuf = folder.join(format!("{name}.i8"));
    let dimensions = query.vector.len();
    let mut segment = Segment::open(&path, dimensions);
    let tail = tail(truth, segment.as_ref())?;
    let Some(tail) = tail else {
        segment = Some(Segment::build(&path, dimensions, truth)?);
        return search(truth, segment.as_ref(), &[], query);
    };
    search(truth, segment.as_ref(), &tail, query)
}

/// Vectors that the segment does not hold; `None` when there are so many that it is better made again.
fn tail(truth: &dyn Truth, segment: Option<&Segment>) -> Result<Option<Vec<(i64, Vec<u8>)>>> {
    let (last, held) = segment.map_or((i64::MIN, 0), |s| (s.last(), s.len()));
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let most = TAIL_MAX.0.min((held as f64 * TAIL_MAX.1) as usize).max(1_000);
    let mut tail = Vec::new();
    let mut many = false;
    truth.after(last, &mut |number, vector| {
        many |= tail.len() >= most;
        if !many {
            tail.push((number, vector.to_vec()));
        }
        Ok(())
    })?;
    Ok((!many).then_some(tail))
}

fn search(truth: &dyn Truth, segment: Option<&Segment>, tail: &[(i64, Vec<u8>)], query: &Query<'_>) -> Result<Vec<(i64, f32)>> {
    let mut wanted = (query.k * AGAIN.0).max(AGAIN.1);
    let mut found: Vec<(i64, f32)> = tail
        .iter()
        .filter(|(number, _)| (query.keep)(*number))
        .map(|(number, vector)| (*number, dot(query.vector, vector)))
        .collect();
    if let Some(segment) = segment {
        loop {
            let best = segment.best(query.vector, wanted, query.keep)?;
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

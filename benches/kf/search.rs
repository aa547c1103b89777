//! Nearest vectors by the embedded engine: made vectors of 384 numbers, in clusters as those of texts are. What is measured is
//! the scan of the file, which is nearly all of a search; up to 200,000 vectors it reads all codes, beyond the signs first.

use crate::line::{Bar, Line};
use crate::measure::{Of, median};
use crate::scratch;
use kf::base::error::{Context as _, Result};
use kf::store::vectors::segment::Segment;
use kf::store::vectors::{Index as _, Truth};
use std::cell::Cell;

const DIMENSIONS: usize = 384;
/// Clusters that the vectors fall into.
const CLUSTERS: u64 = 200;
/// What a search for ten looks at again.
const WANTED: usize = 50;
/// Searches in a batch, and batches.
const SEARCHES: u32 = 10;
const RUNS: usize = 3;

/// Vectors that are made whenever they are asked for.
struct Made(i64);

impl Truth for Made {
    fn after(&self, after: i64, most: usize, each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
        (after.max(0) + 1..=self.0).take(most).try_for_each(|n| each(n, &bytes(n)))
    }

    fn these(&self, numbers: &[i64], each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
        numbers.iter().try_for_each(|n| each(*n, &bytes(*n)))
    }
}

pub(crate) fn run() -> Result<Vec<Line>> {
    Ok(vec![measured(100_000, 10.0)?, measured(1_000_000, 50.0)?])
}

fn measured(count: i64, bar: f64) -> Result<Line> {
    let dir = scratch::on_disk()?;
    let segment = Segment::build(&dir.path().join("vectors.i8"), DIMENSIONS, &Made(count))?;
    let asked = Cell::new(count);
    let mut sample = median(Of::Own, RUNS, || {
        for _ in 0..SEARCHES {
            asked.set(asked.get() + 1);
            let found = segment.best(&vector(asked.get()), WANTED, &|_| true)?;
            if found.len() != WANTED {
                kf::fail!("a search found {} of {WANTED}", found.len());
            }
        }
        Ok(())
    })?;
    sample.cpu_ms /= f64::from(SEARCHES);
    sample.wall_ms /= f64::from(SEARCHES);
    let size = std::fs::metadata(dir.path().join("vectors.i8")).context(|| "cannot see the index")?.len();
    let note = format!("{} MB of codes and signs", size / 1_000_000);
    Ok(Line::timed(format!("search: {count} vectors"), sample, Bar::CpuMs(bar)).noted(note))
}

/// A vector near the centre of its cluster; its length does not matter here.
fn vector(n: i64) -> Vec<f32> {
    let noise = |seed: u64| {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // 16 bits: every value is a 32-bit float.
            f32::from((state >> 48) as u16) / 32_768.0 - 1.0
        }
    };
    let number = n.cast_unsigned();
    let (mut centre, mut own) = (noise(number % CLUSTERS), noise(number + CLUSTERS));
    (0..DIMENSIONS).map(|_| centre() + 0.8 * own()).collect()
}

fn bytes(n: i64) -> Vec<u8> {
    vector(n).iter().flat_map(|x| x.to_le_bytes()).collect()
}

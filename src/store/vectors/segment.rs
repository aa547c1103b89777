//! The file of 8-bit codes: `kf-i8/1\n`, then little-endian dimensions (u32), count (u64), the highest number (i64), then for
//! each vector its number (i64), its scale (f32) and one signed byte a dimension.
//!
//! A vector v is kept as round(v / s) with s = max|v| / 127, so each product is off by at most s/2 a dimension. The file is
//! written beside its place and renamed, so a reader sees a whole one or none.

use super::{Home, Index, Truth};
use crate::base::error::{Context, Result};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"kf-i8/1\n";
/// Bytes before the first vector.
const HEAD: usize = 8 + 4 + 8 + 8;
/// Bytes of a vector before its codes.
const ROW_HEAD: usize = 8 + 4;
/// Bytes that a scan reads at a time: they stay in the second-level cache.
const PIECE: usize = 256 << 10;

/// The file of a collection.
pub(super) fn path(home: Home<'_>) -> PathBuf {
    home.folder.join(format!("{}.i8", home.name))
}

/// Takes the file of a collection away; the next search makes it again.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn forget(home: Home<'_>) -> Result<()> {
    match std::fs::remove_file(path(home)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(|| "cannot remove the index of vectors"),
        _ => Ok(()),
    }
}

/// Vectors that are compared with the truth at a time.
const COMPARED: usize = 500;

/// A segment that can be scanned.
pub struct Segment {
    file: File,
    dimensions: usize,
    count: u64,
    last: i64,
}

/// A candidate in the heap of the best: greater is better, equal products go to the lower number.
#[derive(PartialEq)]
struct Scored(f32, i64);

impl Eq for Scored {}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

impl Segment {
    /// The segment at `path`; `None` when there is none that is whole and of these dimensions.
    pub fn open(path: &Path, dimensions: usize) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let mut head = [0; HEAD];
        file.read_exact(&mut head).ok()?;
        let (magic, rest) = head.split_at(8);
        let width = u32::from_le_bytes(rest[..4].try_into().ok()?);
        let count = u64::from_le_bytes(rest[4..12].try_into().ok()?);
        let last = i64::from_le_bytes(rest[12..20].try_into().ok()?);
        let row = (ROW_HEAD + dimensions) as u64;
        let whole = count.checked_mul(row)?.checked_add(HEAD as u64)?;
        let fits = magic == MAGIC && width as usize == dimensions && file.metadata().ok()?.len() == whole;
        fits.then_some(Self { file, dimensions, count, last })
    }

    /// Makes the segment again from the truth. Where it cannot be kept, it is kept without a name.
    ///
    /// # Errors
    /// Those of the state, and when nothing can be written at all.
    pub fn build(path: &Path, dimensions: usize, truth: &dyn Truth) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let kept = std::fs::create_dir_all(folder).and_then(|()| tempfile::NamedTempFile::new_in(folder));
        let place = match kept {
            Ok(file) => file,
            Err(_) => tempfile::NamedTempFile::new().context(|| "cannot make a temporary file for the index of vectors")?,
        };
        let context = || "cannot write the index of vectors";
        let mut out = BufWriter::with_capacity(PIECE, place);
        out.write_all(&[0; HEAD]).context(context)?;
        let (mut count, mut last) = (0_u64, i64::MIN);
        let mut row = Vec::with_capacity(ROW_HEAD + dimensions);
        truth.after(i64::MIN, usize::MAX, &mut |number, vector| {
            if vector.len() == dimensions * 4 {
                encode(number, vector, &mut row);
                out.write_all(&row).context(context)?;
                count += 1;
            }
            last = last.max(number);
            Ok(())
        })?;
        let mut place = out.into_inner().map_err(std::io::IntoInnerError::into_error).context(context)?;
        place.seek(SeekFrom::Start(0)).context(context)?;
        let width = u32::try_from(dimensions).context(|| "the vectors are too long for an index")?;
        let head = [&MAGIC[..], &width.to_le_bytes(), &count.to_le_bytes(), &last.to_le_bytes()].concat();
        place.write_all(&head).context(context)?;
        let file = place.reopen().context(context)?;
        // A cache that cannot be put in its place is used this once.
        let _ = place.persist(path);
        Ok(Self { file, dimensions, count, last })
    }

    /// Calls `each` with every row, in the order in which they were written.
    fn each(&self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let context = || "cannot read the index of vectors";
        let mut file = &self.file;
        file.seek(SeekFrom::Start(HEAD as u64)).context(context)?;
        let row = ROW_HEAD + self.dimensions;
        let mut piece = vec![0; (PIECE / row).max(1) * row];
        let mut left = self.held();
        while left > 0 {
            let rows = left.min(piece.len() / row);
            let bytes = &mut piece[..rows * row];
            file.read_exact(bytes).context(context)?;
            bytes.chunks_exact(row).try_for_each(&mut *each)?;
            left -= rows;
        }
        Ok(())
    }
}

/// What the file of a collection says otherwise than the truth: one line for each kind of difference. Vectors that were taken
/// out or added since it was made are no differences: a search knows of them.
///
/// # Errors
/// Those of the state, and when the file cannot be read.
pub fn differences(home: Home<'_>, dimensions: usize, truth: &dyn Truth) -> Result<Vec<String>> {
    let Some(segment) = Segment::open(&path(home), dimensions) else { return Ok(Vec::new()) };
    let mut rows: HashMap<i64, Vec<u8>> = HashMap::with_capacity(COMPARED);
    let (mut same, mut other) = (0_usize, 0_usize);
    let mut compare = |rows: &mut HashMap<i64, Vec<u8>>| {
        let numbers: Vec<i64> = rows.keys().copied().collect();
        let mut right = Vec::new();
        truth.these(&numbers, &mut |number, vector| {
            encode(number, vector, &mut right);
            if rows.get(&number).is_some_and(|kept| *kept == right) {
                same += 1
            } else {
                other += 1
            }
            Ok(())
        })?;
        rows.clear();
        Ok(())
    };
    segment.each(&mut |row| {
        rows.insert(parts(row).0, row.to_vec());
        if rows.len() == COMPARED { compare(&mut rows) } else { Ok(()) }
    })?;
    compare(&mut rows)?;
    let mut known = 0_usize;
    truth.after(i64::MIN, usize::MAX, &mut |number, _| {
        known += usize::from(number <= segment.last);
        Ok(())
    })?;
    let missing = known.saturating_sub(same + other);
    let found = [(missing, "vectors are not in it"), (other, "vectors of it are not those of their chunks")];
    Ok(found.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect())
}

impl Index for Segment {
    fn last(&self) -> i64 {
        self.last
    }

    fn held(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    fn best(&self, query: &[f32], wanted: usize, keep: &dyn Fn(i64) -> bool) -> Result<Vec<i64>> {
        let (codes, _) = quantize(query.iter().copied());
        let mut best: BinaryHeap<Reverse<Scored>> = BinaryHeap::with_capacity(wanted + 1);
        // What a candidate must exceed once the heap is full.
        let mut floor = f32::NEG_INFINITY;
        self.each(&mut |row| {
            let (number, scale, kept) = parts(row);
            #[expect(clippy::cast_precision_loss, reason = "a sum of products of bytes, below 2^24 up to 1,000 dimensions")]
            let score = product(&codes, kept) as f32 * scale;
            if score > floor && keep(number) {
                best.push(Reverse(Scored(score, number)));
                if best.len() > wanted {
                    best.pop();
                    floor = best.peek().map_or(floor, |worst| worst.0.0);
                }
            }
            Ok(())
        })?;
        Ok(best.into_iter().map(|Reverse(s)| s.1).collect())
    }
}

/// Number, scale and codes of a row.
fn parts(row: &[u8]) -> (i64, f32, &[u8]) {
    let (number, rest) = row.split_first_chunk::<8>().expect("a row has its number");
    let (scale, codes) = rest.split_first_chunk::<4>().expect("a row has its scale");
    (i64::from_le_bytes(*number), f32::from_le_bytes(*scale), codes)
}

/// The sum of products of signed bytes; written so that compilers make vector instructions of it.
fn product(query: &[i8], kept: &[u8]) -> i32 {
    query.iter().zip(kept).map(|(a, b)| i32::from(i16::from(*a) * i16::from(b.cast_signed()))).sum()
}

fn encode(number: i64, vector: &[u8], row: &mut Vec<u8>) {
    let (codes, scale) = quantize(vector.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
    row.clear();
    row.extend_from_slice(&number.to_le_bytes());
    row.extend_from_slice(&scale.to_le_bytes());
    row.extend(codes.iter().map(|c| c.cast_unsigned()));
}

/// A vector as signed bytes and the scale that undoes it.
fn quantize(vector: impl Iterator<Item = f32> + Clone) -> (Vec<i8>, f32) {
    let most = vector.clone().fold(0.0_f32, |m, x| m.max(x.abs()));
    if most == 0.0 || !most.is_finite() {
        return (vector.map(|_| 0).collect(), 0.0);
    }
    let scale = most / 127.0;
    #[expect(clippy::cast_possible_truncation, reason = "within -127..=127 by the choice of the scale")]
    let codes = vector.map(|x| (x / scale).round() as i8).collect();
    (codes, scale)
}

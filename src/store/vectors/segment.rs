//! The file of 8-bit codes: `kf-i8/2\n`, then little-endian dimensions (u32), whether signs are kept (u32, 1 or 0), count (u64),
//! the highest number (i64), then for each vector its number (i64), its scale (f32) and one signed byte a dimension; where signs
//! are kept, then for each vector its number again and its `signs` in 64-bit words, so that a search of many reads little.
//!
//! A vector v is kept as round(v / s) with s = max|v| / 127, so each product is off by at most s/2 a dimension. The file is
//! written beside its place and renamed, so a reader sees a whole one or none.

use super::{Home, Index, Truth, signs};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Result};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"kf-i8/2\n";
/// Bytes before the first vector.
const HEAD: usize = 8 + 4 + 4 + 8 + 8;
/// Bytes of a vector before its codes.
const ROW_HEAD: usize = 8 + 4;
/// Rows that are read though nobody asked for them rather than begin another read.
const GAP: usize = 16;
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
    signs: bool,
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
        let signs = rest[4..8] == 1_u32.to_le_bytes();
        let count = u64::from_le_bytes(rest[8..16].try_into().ok()?);
        let last = i64::from_le_bytes(rest[16..24].try_into().ok()?);
        let row = (ROW_HEAD + dimensions + if signs { signs_row(dimensions) } else { 0 }) as u64;
        let whole = count.checked_mul(row)?.checked_add(HEAD as u64)?;
        let fits = magic == MAGIC && width as usize == dimensions && file.metadata().ok()?.len() == whole;
        fits.then_some(Self { file, dimensions, count, last, signs })
    }

    /// Makes the segment again from the truth. Where it cannot be kept, it is kept without a name.
    ///
    /// # Errors
    /// Those of the state, and when nothing can be written at all.
    pub fn build(path: &Path, dimensions: usize, truth: &dyn Truth) -> Result<Self> {
        Self::build_with(path, dimensions, truth, signs::ABOVE)
    }

    /// The same, with signs where there are more vectors than `above`.
    pub(super) fn build_with(path: &Path, dimensions: usize, truth: &dyn Truth, above: u64) -> Result<Self> {
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
        let file = place.reopen().context(context)?;
        let segment = Self { file, dimensions, count, last, signs: count > above };
        if segment.signs {
            let mut out = BufWriter::with_capacity(PIECE, &mut place);
            segment.sign_rows(&mut |row| out.write_all(row).context(context))?;
            out.flush().context(context)?;
        }
        let width = u32::try_from(dimensions).context(|| "the vectors are too long for an index")?;
        let (kept, count) = (u32::from(segment.signs).to_le_bytes(), count.to_le_bytes());
        let head = [&MAGIC[..], &width.to_le_bytes(), &kept, &count, &last.to_le_bytes()].concat();
        place.seek(SeekFrom::Start(0)).context(context)?;
        place.write_all(&head).context(context)?;
        // A cache that cannot be put in its place is used this once.
        let _ = place.persist(path);
        Ok(segment)
    }

    /// Calls `each` with the row of signs that belongs to each row of codes.
    fn sign_rows(&self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut kept = Vec::with_capacity(signs_row(self.dimensions));
        self.each(&mut |row| {
            let (number, _, codes) = parts(row);
            let codes: Vec<i8> = codes.iter().map(|c| c.cast_signed()).collect();
            kept.clear();
            kept.extend_from_slice(&number.to_le_bytes());
            kept.extend(signs::of(&codes).iter().flat_map(|word| word.to_le_bytes()));
            each(&kept)
        })
    }

    /// Calls `each` with the rows of signs as they are in the file.
    fn kept_sign_rows(&self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.scan(HEAD + self.held() * (ROW_HEAD + self.dimensions), signs_row(self.dimensions), each)
    }

    /// Calls `each` with every row of codes, in the order in which they were written.
    fn each(&self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.scan(HEAD, ROW_HEAD + self.dimensions, each)
    }

    /// Calls `each` with every one of the rows of so many bytes that begin at `from`.
    fn scan(&self, from: usize, row: usize, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut piece = vec![0; (PIECE / row).max(1) * row];
        let (mut at, mut left) = (from, self.held());
        while left > 0 {
            let rows = left.min(piece.len() / row);
            let bytes = &mut piece[..rows * row];
            self.read(bytes, at)?;
            bytes.chunks_exact(row).try_for_each(&mut *each)?;
            at += bytes.len();
            left -= rows;
        }
        Ok(())
    }

    /// Calls `each` with the rows of codes at these places, which are in order.
    fn at(&self, places: &[usize], each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let row = ROW_HEAD + self.dimensions;
        let (mut piece, mut left) = (Vec::new(), places);
        while let Some(&first) = left.first() {
            let near = |pair: &&[usize]| pair[1] - pair[0] <= GAP && (pair[1] - first + 1) * row <= PIECE;
            let (together, rest) = left.split_at(1 + left.windows(2).take_while(near).count());
            let last = together.last().copied().unwrap_or(first);
            piece.resize((last - first + 1) * row, 0);
            self.read(&mut piece, HEAD + first * row)?;
            together.iter().try_for_each(|place| each(&piece[(place - first) * row..][..row]))?;
            left = rest;
        }
        Ok(())
    }

    fn read(&self, bytes: &mut [u8], at: usize) -> Result<()> {
        self.file.read_exact_at(bytes, at as u64).context(|| "cannot read the index of vectors")
    }

    /// The places of those whose signs are most like the query's, in order.
    fn alike(&self, codes: &[i8], wanted: usize, keep: &dyn Fn(i64) -> bool) -> Result<Vec<usize>> {
        let query = signs::of(codes);
        let mut differences = Vec::with_capacity(self.held());
        self.kept_sign_rows(&mut |row| {
            let (number, kept) = row.split_first_chunk::<8>().expect("a row has its number");
            let may_be = keep(i64::from_le_bytes(*number));
            differences.push(if may_be { signs::different(&query, kept) } else { signs::NEVER });
            Ok(())
        })?;
        Ok(signs::closest(&differences, wanted))
    }
}

/// Bytes of a row of signs.
fn signs_row(dimensions: usize) -> usize {
    8 + 8 * signs::words(dimensions)
}

/// The digest of some rows.
fn digest_of(rows: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>) -> Result<Digest> {
    let mut hasher = Hasher::new();
    rows(&mut |row| {
        hasher.update(row);
        Ok(())
    })?;
    Ok(hasher.finish())
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
    let mut found: Vec<String> = found.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if segment.signs && digest_of(|each| segment.sign_rows(each))? != digest_of(|each| segment.kept_sign_rows(each))? {
        found.push("the signs of its vectors are not those of their codes".to_owned());
    }
    Ok(found)
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
        let mut score = |row: &[u8]| {
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
        };
        if self.signs {
            self.at(&self.alike(&codes, wanted, keep)?, &mut score)?;
        } else {
            self.each(&mut score)?;
        }
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

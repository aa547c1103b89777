//! The table of word vectors that is built in: what stands in `builtin/vectors.bin`, whose format and making
//! `builtin/make.py` describes.

use std::ops::Range;

/// Numbers in a row.
pub(super) const WIDTH: usize = 128;

const HEADER: usize = 16;
/// Two numbers a byte.
const ROW_BYTES: usize = WIDTH / 2;
/// Buckets of further words, by the upper bits of their hash.
const BUCKETS: usize = 1 << 16;
const BUCKET_SHIFT: u32 = 16;

/// A table read in place.
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    tokens: usize,
    words: usize,
    /// For the upper 16 bits of a hash, the first word whose hash is not below them: words are looked up for every second
    /// word of Spanish, French or German, and a bucket holds less than one on average.
    buckets: Vec<usize>,
}

impl<'a> Table<'a> {
    /// Reads a table; `None` when the bytes are none.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        let (tokens, words, width) = (number(4)?, number(8)?, number(12)?);
        let rows = tokens.checked_add(words)?;
        let size = rows.checked_mul(ROW_BYTES + 3)?.checked_add(words.checked_mul(4)?)?.checked_add(HEADER)?;
        if !bytes.starts_with(b"KFV1") || width != WIDTH || size != bytes.len() {
            return None;
        }
        let mut table = Self { bytes, tokens, words, buckets: vec![words; BUCKETS + 1] };
        for at in (0..words).rev() {
            let bucket = table.key(at)? >> BUCKET_SHIFT;
            *table.buckets.get_mut(bucket as usize)? = at;
        }
        for bucket in (0..BUCKETS).rev() {
            table.buckets[bucket] = table.buckets[bucket].min(table.buckets[bucket + 1]);
        }
        Some(table)
    }

    /// Rows that belong to tokens of the vocabulary, by the token's number.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// The row of a word outside the vocabulary, by the upper half of its hash.
    pub(super) fn word(&self, hash: u64) -> Option<usize> {
        let key = u32::try_from(hash >> 32).ok()?;
        let bucket = (key >> BUCKET_SHIFT) as usize;
        let (first, end) = (*self.buckets.get(bucket)?, *self.buckets.get(bucket + 1)?);
        (first..end).find(|at| self.key(*at) == Some(key)).map(|at| self.tokens + at)
    }

    fn key(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(HEADER + at * 4..HEADER + at * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// How much a row counts, 0 to 1: rare words much, frequent ones little, marks nothing.
    pub(super) fn weight(&self, row: usize) -> f32 {
        let at = HEADER + self.words * 4 + (self.tokens + self.words) * 2 + row;
        self.bytes.get(at).filter(|_| row < self.tokens + self.words).map_or(0.0, |b| f32::from(*b) / 255.0)
    }

    /// Adds a row as a vector of length `factor`.
    pub(super) fn add(&self, row: usize, factor: f32, into: &mut [f32; WIDTH]) {
        if row >= self.tokens + self.words {
            return;
        }
        let length_at = HEADER + self.words * 4 + row * 2;
        let Some([low, high]) = self.bytes.get(length_at..length_at + 2) else { return };
        let length = f32::from(u16::from_le_bytes([*low, *high])) / 256.0;
        let Some(bytes) = self.bytes.get(self.row(row)).filter(|_| length > 0.0) else { return };
        let factor = factor / length;
        let (low, high) = into.split_at_mut(ROW_BYTES);
        for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
            *low += (f32::from(byte & 15) - 8.0) * factor;
            *high += (f32::from(byte >> 4) - 8.0) * factor;
        }
    }

    fn row(&self, row: usize) -> Range<usize> {
        let start = HEADER + self.words * 4 + (self.tokens + self.words) * 3 + row * ROW_BYTES;
        start..start + ROW_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of one token and one word whose hash is 7, every number of the token 1 and of the word -1.
    fn made() -> Vec<u8> {
        let mut bytes = b"KFV1".to_vec();
        for number in [1_u32, 1, 128, 7] {
            bytes.extend(number.to_le_bytes());
        }
        for length in [(128_f64.sqrt() * 256.0).round() as u16; 2] {
            bytes.extend(length.to_le_bytes());
        }
        bytes.extend([255, 51]);
        bytes.extend([0x99; 64]);
        bytes.extend([0x77; 64]);
        bytes
    }

    #[test]
    fn rows_are_read_in_place() {
        let bytes = made();
        let table = Table::new(&bytes).expect("a table");
        let mut sum = [0.0; WIDTH];
        table.add(0, 2.0, &mut sum);
        assert!((sum.iter().map(|v| v * v).sum::<f32>() - 4.0).abs() < 1e-3 && sum[5] > 0.0);
        let row = table.word(7 << 32).expect("a word");
        table.add(row, 2.0, &mut sum);
        assert!(sum.iter().all(|v| v.abs() < 1e-6));
        assert_eq!((row, table.word(8 << 32), table.word(0)), (1, None, None));
        assert_eq!((table.weight(0), table.weight(1), table.weight(9)), (1.0, 0.2, 0.0));
        table.add(9, 1.0, &mut sum);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let bytes = made();
        for end in 0..bytes.len() {
            assert!(Table::new(&bytes[..end]).is_none());
        }
        let mut huge = bytes;
        huge[4..12].fill(255);
        assert!(Table::new(&huge).is_none());
    }
}

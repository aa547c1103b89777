//! The log as static files (<https://c2sp.org/tlog-tiles>): its entries in bundles of 256, and for each eighth level of the
//! tree its hashes in tiles of 256. A full file never changes; only the last one of each row is partial.
//!
//! [`tree_files`] plans the files of a tree, [`encode_bundle`] and [`encode_tile`] make their contents, [`read_tree`] reads them
//! all again and says which root the entries really have.

use super::refused::{Refused, Why};
use crate::base::error::{Context, Result};
use crate::base::merkle::{Frontier, Hash, fold, leaf_hash};
use std::fmt;
use std::ops::Range;

/// Entries in a full bundle, and hashes in a full tile.
pub const WIDTH: u64 = 256;

/// The longest entry, in bytes: a bundle writes its length in 16 bits.
pub const ENTRY_MAX: usize = u16::MAX as usize;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Row {
    /// Entries of the log.
    Entries,
    /// Hashes of a tile level, from 0 for the leaves; each hash of a level covers a full tile of the one below.
    Hashes(u8),
}

/// One file of a tree. Its `Display` is its path under the root of the log, such as `tile/0/x001/x234/067.p/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TileFile {
    row: Row,
    index: u64,
    width: u64,
}

impl TileFile {
    /// What the file holds.
    pub fn row(&self) -> Row {
        self.row
    }

    /// The numbers of what it holds, in order: of entries (from 0), or at the level [`TileFile::level`] of the tree.
    pub fn range(&self) -> Range<u64> {
        let from = self.index * WIDTH;
        from..from + self.width
    }

    /// The level of the perfect subtrees whose hashes it holds, as [`crate::base::merkle::root`] counts levels; 0 for entries.
    pub fn level(&self) -> u8 {
        match self.row {
            Row::Entries => 0,
            Row::Hashes(level) => level * 8,
        }
    }

    /// True when the file is complete and will never change.
    pub fn is_full(&self) -> bool {
        self.width == WIDTH
    }
}

impl fmt::Display for TileFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            path = format!("x{:03}/{path}", rest % 1000);
            rest /= 1000;
        }
        if !self.is_full() {
            path = format!("{path}.p/{}", self.width);
        }
        match self.row {
            Row::Entries => f.pad(&format!("tile/entries/{path}")),
            Row::Hashes(level) => f.pad(&format!("tile/{level}/{path}")),
        }
    }
}

/// The files of a row of `count` entries or hashes: the full ones, then the partial one if there is a rest.
fn row_files(row: Row, count: u64) -> impl Iterator<Item = TileFile> {
    let (full, rest) = (count / WIDTH, count % WIDTH);
    let partial = (rest > 0).then_some(TileFile { row, index: full, width: rest });
    (0..full).map(move |index| TileFile { row, index, width: WIDTH }).chain(partial)
}

/// The files of the tree of `size` entries, without `checkpoint`: the bundles, then the tiles level by level. To be written in
/// this order, so that an export that was cut short holds no hash without its entries.
pub fn tree_files(size: u64) -> impl Iterator<Item = TileFile> {
    let counts = (0..8u8).map(move |level| (level, size >> (8 * u32::from(level))));
    let tiles = counts.take_while(|(_, count)| *count > 0).flat_map(|(level, count)| row_files(Row::Hashes(level), count));
    row_files(Row::Entries, size).chain(tiles)
}

/// The contents of a bundle: each entry after its length in 16 bits, big-endian.
///
/// # Errors
/// When an entry is longer than [`ENTRY_MAX`].
pub fn encode_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Refused> {
    let mut out = Vec::new();
    for entry in entries {
        let len = u16::try_from(entry.len())
            .map_err(|_| Refused::malformed(format!("an entry has {} bytes, more than {ENTRY_MAX}", entry.len())))?;
        out.extend(len.to_be_bytes());
        out.extend(entry);
    }
    Ok(out)
}

/// The entries in a bundle.
///
/// # Errors
/// When the bytes end within an entry or a length.
pub fn decode_bundle(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Refused> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let cut = || Refused::malformed(format!("the bundle is cut short in entry {} of its entries", entries.len() + 1));
        let (len, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or_else(cut)?;
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

/// The contents of a tile: the hashes, one after the other.
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Reads every file of the tree of `size` entries, checks each tile against the entries below it, and gives the root of the
/// entries. It is for the caller to compare that root with a checkpoint it trusts.
///
/// # Errors
/// Those of `read`, and one caused by a [`Refused`] that names the file: [`Why::Malformed`] for a damaged bundle,
/// [`Why::Mismatch`] for a tile that is not made of its entries.
pub fn read_tree(size: u64, read: &mut dyn FnMut(&TileFile) -> Result<Vec<u8>>) -> Result<Hash> {
    let mut frontier = Frontier::new();
    let mut rows = Rows { read, rows: Vec::new() };
    for file in row_files(Row::Entries, size) {
        let bytes = (rows.read)(&file)?;
        for leaf in leaves(&file, &bytes).context(|| format!("`{file}` is damaged"))? {
            frontier.push(leaf);
            rows.push(0, leaf)?;
        }
    }
    rows.check_partial()?;
    Ok(frontier.root())
}

/// The leaf hashes of the entries in a bundle.
fn leaves(file: &TileFile, bytes: &[u8]) -> Result<Vec<Hash>, Refused> {
    let entries = decode_bundle(bytes)?;
    if entries.len() as u64 != file.width {
        return Err(Refused::malformed(format!("the bundle holds {} entries and should hold {}", entries.len(), file.width)));
    }
    Ok(entries.into_iter().map(leaf_hash).collect())
}

/// The tiles that the entries read so far make; each is compared with its file as soon as it is full.
struct Rows<'a> {
    read: &'a mut dyn FnMut(&TileFile) -> Result<Vec<u8>>,
    /// For each level: how many tiles are full, and the hashes since.
    rows: Vec<(u64, Vec<Hash>)>,
}

impl Rows<'_> {
    fn push(&mut self, level: u8, hash: Hash) -> Result<()> {
        let at = usize::from(level);
        if self.rows.len() == at {
            self.rows.push((0, Vec::new()));
        }
        self.rows[at].1.push(hash);
        if self.rows[at].1.len() as u64 == WIDTH {
            self.check(level)?;
            let above = fold(&self.rows[at].1);
            self.rows[at].0 += 1;
            self.rows[at].1.clear();
            self.push(level + 1, above)?;
        }
        Ok(())
    }

    fn check_partial(&mut self) -> Result<()> {
        for level in 0..self.rows.len() {
            if !self.rows[level].1.is_empty() {
                self.check(level as u8)?;
            }
        }
        Ok(())
    }

    fn check(&mut self, level: u8) -> Result<()> {
        let (index, hashes) = &self.rows[usize::from(level)];
        let file = TileFile { row: Row::Hashes(level), index: *index, width: hashes.len() as u64 };
        let found = (self.read)(&file)?;
        if found == encode_tile(hashes) {
            return Ok(());
        }
        let detail = match hashes.iter().zip(found.chunks(32)).position(|(ours, theirs)| ours != theirs) {
            Some(i) => {
                format!("hash {} is not that of the entries below it: one of them was altered", file.range().start + i as u64)
            }
            None => format!("the tile has {} bytes and should have {}", found.len(), hashes.len() * 32),
        };
        Err(Refused::new(Why::Mismatch, detail)).context(|| format!("`{file}` does not match the entries"))
    }
}

#[cfg(test)]
mod tests;

//! The tree that the bodies really make, grown leaf by leaf, compared with every hash that is stored: the sealed tiles on the
//! way, the frontier at the end.

use super::Finding;
use crate::base::error::Result;
use crate::base::merkle::{Frontier, Hash};
use crate::store::View;
use crate::store::log::TILE_WIDTH;
use crate::values;
use std::collections::BTreeMap;

/// A larger hole than this ends the comparison of the tree: what follows cannot be told from something else.
const HOLE_MAX: u64 = 65_536;

/// The tree of the entries read so far.
pub(super) struct Tree {
    size: u64,
    /// For each tile level: how many tiles are full, and the frontier over the hashes since.
    rows: Vec<(u64, Frontier)>,
    /// Hashes of sealed tiles as stored, by tile level and index; taken out as they are compared.
    sealed: BTreeMap<(i64, i64), Option<Hash>>,
    /// How many sealed tiles were compared.
    pub(super) tiles: u64,
    broken: bool,
}

impl Tree {
    pub(super) fn new(view: View<'_>) -> Result<Self> {
        let mut sealed = BTreeMap::new();
        view.each("SELECT level, idx, hash FROM tile", values![], |row| {
            sealed.insert((row.int(0)?, row.int(1)?), row.blob(2)?.try_into().ok());
            Ok(())
        })?;
        Ok(Self { size: 0, rows: Vec::new(), sealed, tiles: 0, broken: false })
    }

    /// Entries taken so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The frontier over the leaves: those of the rows, the highest first.
    fn frontier(&self) -> Frontier {
        let hashes: Vec<u8> = self.rows.iter().rev().flat_map(|(_, since)| since.to_bytes()).collect();
        Frontier::from_bytes(self.size, &hashes).expect("a hash for each set bit of the size, eight bits a row")
    }

    /// The root over them; `None` after a hole too large to fill.
    pub(super) fn root(&self) -> Option<Hash> {
        (!self.broken).then(|| self.frontier().root())
    }

    /// Takes the leaf of entry `seq`, saying what is missing before it.
    pub(super) fn push(&mut self, seq: u64, leaf: Hash, findings: &mut Vec<Finding>) {
        if self.broken {
            return;
        }
        if seq > self.size() {
            findings.push(missing(self.size(), seq));
            if seq - self.size() > HOLE_MAX {
                self.broken = true;
                return;
            }
            // Something must stand there, so that what follows keeps its place; no entry has this hash.
            (self.size()..seq).for_each(|_| self.grow([0; 32], findings));
        }
        self.grow(leaf, findings);
    }

    fn grow(&mut self, leaf: Hash, findings: &mut Vec<Finding>) {
        self.size += 1;
        let (mut level, mut hash) = (0, leaf);
        loop {
            if self.rows.len() == level {
                self.rows.push((0, Frontier::new()));
            }
            let (index, since) = &mut self.rows[level];
            since.push(hash);
            if since.size() < TILE_WIDTH {
                return;
            }
            hash = std::mem::take(since).root();
            let at = *index;
            *index += 1;
            level += 1;
            self.compare(level, at, hash, findings);
        }
    }

    /// Compares the hash of a full tile with the stored one.
    fn compare(&mut self, level: usize, index: u64, hash: Hash, findings: &mut Vec<Finding>) {
        let width = TILE_WIDTH.pow(level as u32);
        let range = index * width..(index + 1) * width;
        let named = format!("entries {} to {}", range.start, range.end - 1);
        self.tiles += 1;
        match self.sealed.remove(&(level as i64, index as i64)) {
            Some(Some(stored)) if stored == hash => {}
            Some(_) => {
                let what =
                    format!("{named} do not have the hash under which they were sealed: one of them or the hash was altered");
                findings.push(Finding::within(range, what));
            }
            None => findings.push(Finding::within(range, format!("the hash that seals {named} is missing"))),
        }
    }

    /// Compares with the head of the log, and says what is stored too much.
    pub(super) fn finish(&mut self, head: &Frontier, findings: &mut Vec<Finding>) {
        for (level, index) in self.sealed.keys() {
            findings.push(Finding::whole(format!("a hash is stored for tile {level}/{index}, which is not full")));
        }
        if head.size() > self.size() {
            findings.push(missing(self.size(), head.size()));
        }
        if self.broken || head.size() != self.size() {
            return;
        }
        let mut from = 0;
        let (ours, stored) = (self.frontier().to_bytes(), head.to_bytes());
        let subtrees = (0..u64::BITS).rev().filter(|level| self.size() >> level & 1 == 1);
        for (level, (ours, stored)) in subtrees.zip(ours.chunks(32).zip(stored.chunks(32))) {
            let to = from + (1u64 << level);
            if ours != stored {
                let what = format!(
                    "entries {from} to {} do not lead to the head of the log: one of them or the head was altered",
                    to - 1
                );
                findings.push(Finding::within(from..to, what));
            }
            from = to;
        }
    }
}

fn missing(from: u64, to: u64) -> Finding {
    let what =
        if to - from == 1 { format!("entry {from} is missing") } else { format!("entries {from} to {} are missing", to - 1) };
    Finding::at(i64::try_from(from).unwrap_or(i64::MAX), what)
}

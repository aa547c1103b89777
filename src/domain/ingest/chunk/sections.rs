//! Which blocks belong together: a heading and what stands below it, up to the next heading.
//!
//! A heading with nothing below it goes with what follows, whatever its level. A section under the minimum goes with the next
//! when no heading of level 1 or 2 stands between, and the last one with the section before it when both fit in a chunk.

use super::Settings;
use crate::domain::ingest::document::{BlockKind, Document};
use crate::domain::ingest::tokens::{BYTES_A_TOKEN, cost};
use crate::seams::embedder::Tokens;
use std::ops::Range;

/// Headings of this level and above are never crossed by text.
const WALL: u8 = 2;

/// A run of blocks.
struct Section {
    blocks: Range<usize>,
    /// Its tokens, as far as anybody asks: counting ends at the minimum.
    cost: u32,
    /// Level of the heading it begins with; `None` at the document's start.
    level: Option<u8>,
    /// True when it is headings alone.
    bare: bool,
}

impl Section {
    fn join(&mut self, next: Self) {
        self.blocks.end = next.blocks.end;
        self.cost = self.cost.saturating_add(next.cost);
        self.bare &= next.bare;
    }

    fn is_walled_off(&self) -> bool {
        self.level.is_some_and(|level| level <= WALL)
    }
}

/// The sections of a document, as runs of its blocks that leave out none.
pub(super) fn sections(doc: &Document, settings: &Settings, tokens: &dyn Tokens) -> Vec<Range<usize>> {
    let mut done: Vec<Section> = Vec::new();
    for next in leaves(doc, settings.min, tokens) {
        match done.last_mut().filter(|last| last.bare || (last.cost < settings.min && !next.is_walled_off())) {
            Some(last) => last.join(next),
            None => done.push(next),
        }
    }
    while done.len() > 1 {
        let (last, before) = (&done[done.len() - 1], &done[done.len() - 2]);
        let small = last.bare || (last.cost < settings.min && !last.is_walled_off());
        let both = before.blocks.start..last.blocks.end;
        if !small || size(doc, both, settings.limit, tokens) > settings.limit {
            break;
        }
        if let (Some(last), Some(before)) = (done.pop(), done.last_mut()) {
            before.join(last);
        }
    }
    done.into_iter().map(|section| section.blocks).collect()
}

/// Each heading with what stands directly below it.
fn leaves(doc: &Document, min: u32, tokens: &dyn Tokens) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    for (at, block) in doc.blocks.iter().enumerate() {
        let level = if let BlockKind::Heading(level) = block.kind { Some(level) } else { None };
        if level.is_some() || found.is_empty() {
            found.push(Section { blocks: at..at, cost: 0, level, bare: true });
        }
        if let Some(section) = found.last_mut() {
            section.blocks.end = at + 1;
            section.bare &= level.is_some();
            if section.cost < min {
                section.cost = section.cost.saturating_add(size(doc, at..at + 1, min, tokens));
            }
        }
    }
    found
}

/// The tokens of some blocks; counting ends when they are more than `enough`, or when their length alone says so.
fn size(doc: &Document, blocks: Range<usize>, enough: u32, tokens: &dyn Tokens) -> u32 {
    let mut sum = 0_u32;
    for block in &doc.blocks[blocks] {
        let text = doc.slice(block);
        let long = text.len() / BYTES_A_TOKEN > enough as usize;
        sum = sum.saturating_add(if long { enough.saturating_add(1) } else { cost(text, tokens) });
        if sum > enough {
            break;
        }
    }
    sum
}

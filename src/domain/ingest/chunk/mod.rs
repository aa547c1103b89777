//! Chunks: the pieces of a document that are embedded, found and cited.
//!
//! Structure comes first. A chunk never crosses a heading of level 1 or 2; every heading begins a chunk, unless the section
//! before it is smaller than [`Settings::min`]; headings with nothing below them go with what follows. Only a section over the
//! limit is cut inside, where its meaning turns (`pack`).
//!
//! Invariants, held by the properties below:
//! - a chunk is a slice of the canonical text, without white space at either end;
//! - every character that is not white space lies in exactly one chunk outside its overlap;
//! - no chunk costs more than [`Settings::limit`] tokens, its overlap included;
//! - overlaps are whole sentences of the same section; chunks come in the order of the text;
//! - the same document, settings, tokenizer and sentence vectors give the same chunks. No model is run and nothing is asked
//!   over a network to cut.
//!
//! Time is linear in the text but for sections of at most 4,096 atoms (`pack`); memory is one record an atom of one section.
//! Numbers: 512 tokens with 64 of overlap are the project's requirement D3; 384, 64 and 128 come from the comparison of
//! splitters behind it (fragments of 43 tokens lose more than cuts in a sentence do).

mod atoms;
mod pack;
mod sections;
pub(in crate::domain) mod sentences;
#[cfg(test)]
mod tests;

use super::document::{BlockKind, Document};
use crate::base::digest::{Digest, hex};
use crate::seams::embedder::{SentenceVectors, Tokens};
use atoms::{Atom, Kind};
use std::fmt;
use std::ops::Range;

/// Changes whenever the same document would be cut otherwise, and with it the name of every chunk.
pub const VERSION: u32 = 1;

/// Bytes of one heading and of the whole path that are put before a chunk.
const HEADING_MAX: usize = 160;
const PATH_MAX: usize = 480;
/// Between the headings of a path.
const PATH_JOINT: &str = " › ";

/// How large chunks are, in tokens of the tokenizer they are cut with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most tokens of a chunk, its overlap included.
    pub limit: u32,
    /// The most tokens that a chunk repeats from the one before it.
    pub overlap: u32,
    /// The size that is aimed at where a section has to be cut.
    pub target: u32,
    /// A section smaller than this goes with the next one.
    pub min: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limit: 512, overlap: 64, target: 384, min: 64 }
    }
}

impl Settings {
    /// Settings that chunks can be made with: at least 8 tokens, at most half of them overlap, target and minimum within what
    /// is left.
    fn sound(self) -> Self {
        let limit = self.limit.max(8);
        let overlap = self.overlap.min(limit / 2);
        Self { limit, overlap, target: self.target.clamp(4, limit - overlap), min: self.min.min(limit / 2) }
    }
}

/// What kinds of text are in a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Running text.
    pub prose: bool,
    /// Items of lists.
    pub list: bool,
    /// Rows of tables.
    pub table: bool,
    /// Program text.
    pub code: bool,
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes of the canonical text.
    pub span: Range<usize>,
    /// Where the text begins that the chunk before does not have; `span.start` without overlap. Citations count from here.
    pub overlap_end: usize,
    /// Tokens of the slice, overlap included, as [`super::tokens::cost`] counts them.
    pub tokens: u32,
    /// The pages of its first and last block, where the format has any.
    pub pages: Option<(u32, u32)>,
    /// The headings above its own text, outermost first, as blocks of the document.
    pub headings: Vec<usize>,
    /// What it holds besides headings.
    pub kinds: Kinds,
    /// The header row of the table that it begins inside of: put before the slice when it is embedded, no part of it.
    pub context: Option<Range<usize>>,
}

/// Cuts a document.
pub fn chunk(doc: &Document, settings: &Settings, tokens: &dyn Tokens, near: &dyn SentenceVectors) -> Vec<Chunk> {
    let settings = settings.sound();
    let mut maker = Maker { doc, settings, path: Vec::new(), seen: 0, header: None, chunks: Vec::new() };
    for section in sections::sections(doc, &settings, tokens) {
        let mut atoms = Vec::new();
        for block in section {
            atoms::append(doc, block, settings.limit - settings.overlap, tokens, &mut atoms);
        }
        let bodies = pack::pack(&atoms, &doc.text, &settings, near);
        for (i, body) in bodies.iter().enumerate() {
            let before = if i == 0 { body.start } else { bodies[i - 1].start + 1 };
            maker.make(&atoms, body.clone(), before);
        }
    }
    maker.chunks
}

/// Makes chunks from runs of atoms, keeping track of what stands above them.
struct Maker<'a> {
    doc: &'a Document,
    settings: Settings,
    /// Open headings, outermost first: level and block.
    path: Vec<(u8, usize)>,
    /// Blocks that `path` and `header` have taken in.
    seen: usize,
    /// The header row of the table that the last seen block is in.
    header: Option<usize>,
    chunks: Vec<Chunk>,
}

impl Maker<'_> {
    /// A chunk of the atoms in `body`, with an overlap from atoms not before `earliest`.
    fn make(&mut self, atoms: &[Atom], body: Range<usize>, earliest: usize) {
        let own = &atoms[body.clone()];
        let (Some(first), Some(last)) = (own.first(), own.last()) else { return };
        let (start, overlap) = self.overlap(atoms, body.start, earliest);
        // The path is that of the first text below a heading: what stands above the words that will be found.
        let lead = own.iter().find(|atom| atom.kind != Kind::Heading).unwrap_or(first);
        let context = self.header_of(first);
        self.see(lead.block());
        let kinds = own.iter().fold(Kinds::default(), |kinds, atom| match atom.kind {
            Kind::Heading => kinds,
            Kind::Prose => Kinds { prose: true, ..kinds },
            Kind::Item => Kinds { list: true, ..kinds },
            Kind::Row => Kinds { table: true, ..kinds },
            Kind::Code => Kinds { code: true, ..kinds },
        });
        let pages = self.doc.blocks[first.block()].page.zip(self.doc.blocks[last.block()].page);
        self.chunks.push(Chunk {
            span: start..last.end(),
            overlap_end: first.start,
            tokens: own.iter().map(|atom| atom.cost).sum::<u32>() + overlap,
            pages,
            headings: self.path.iter().map(|(_, block)| *block).collect(),
            kinds,
            context,
        });
    }

    /// Where an overlap before atom `at` begins and what it costs: whole sentences of running text.
    fn overlap(&self, atoms: &[Atom], at: usize, earliest: usize) -> (usize, u32) {
        let (mut start, mut sum) = (atoms[at].start, 0);
        for atom in atoms[earliest.min(at)..at].iter().rev() {
            if !matches!(atom.kind, Kind::Prose | Kind::Item) || sum + atom.cost > self.settings.overlap {
                break;
            }
            (start, sum) = (atom.start, sum + atom.cost);
        }
        (start, sum)
    }

    /// The header row of the table that an atom stands in below it.
    fn header_of(&mut self, atom: &Atom) -> Option<Range<usize>> {
        self.see(atom.block());
        let below = matches!(self.doc.blocks[atom.block()].kind, BlockKind::TableRow(false));
        self.header.filter(|_| below).map(|header| self.doc.blocks[header].span.clone())
    }

    /// Takes in the blocks up to and including `block`.
    fn see(&mut self, block: usize) {
        while self.seen <= block {
            let kind = self.doc.blocks[self.seen].kind;
            match kind {
                BlockKind::TableRow(true) => self.header = Some(self.seen),
                BlockKind::TableRow(false) => {}
                _ => self.header = None,
            }
            if let BlockKind::Heading(level) = kind {
                self.path.retain(|(above, _)| *above < level);
                self.path.push((level, self.seen));
            }
            self.seen += 1;
        }
    }
}

impl Chunk {
    /// The slice of the canonical text, overlap included.
    pub fn text<'a>(&self, doc: &'a Document) -> &'a str {
        doc.text.get(self.span.clone()).unwrap_or_default()
    }

    /// The headings above the chunk in one line, outermost first; long ones are shortened, of a long path the outer part goes.
    pub fn heading_path(&self, doc: &Document) -> String {
        path(self.headings.iter().map(|block| doc.slice(&doc.blocks[*block])))
    }

    /// The chunk's name: BLAKE3 over tenant, content, version of the cutter and place, so that the same content under the same
    /// tenant gives the same names, and other tenants' names tell nothing.
    pub fn id(&self, tenant: &str, content: &Digest) -> ChunkId {
        ChunkId::of(tenant, content, &self.span)
    }
}

impl ChunkId {
    /// The same of a chunk that is known by its place: bytes of the canonical text.
    pub fn of(tenant: &str, content: &Digest, span: &Range<usize>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("kf 2026 chunk id");
        hasher.update(&(tenant.len() as u64).to_le_bytes());
        hasher.update(tenant.as_bytes());
        hasher.update(content.as_bytes());
        hasher.update(&VERSION.to_le_bytes());
        hasher.update(&(span.start as u64).to_le_bytes());
        hasher.update(&(span.end as u64).to_le_bytes());
        Self(hasher.finalize().into())
    }
}

/// Joins headings, keeping the innermost when not all fit.
fn path<'a>(headings: impl DoubleEndedIterator<Item = &'a str>) -> String {
    let (mut kept, mut length) = (Vec::new(), 0);
    for heading in headings.rev() {
        let mut end = heading.len().min(HEADING_MAX);
        while !heading.is_char_boundary(end) {
            end -= 1;
        }
        length += end + PATH_JOINT.len();
        if length > PATH_MAX {
            break;
        }
        kept.push(&heading[..end]);
    }
    kept.reverse();
    kept.join(PATH_JOINT)
}

/// What stands before the slice of a chunk in vector space: the headings above it that its slice does not show, and the header
/// of the table it begins inside of; one a line. Headings, then the header, are left out when the whole would cost more than
/// `most` tokens.
pub fn context(chunk: &Chunk, doc: &Document, tokens: &dyn Tokens, most: u32) -> String {
    let above = chunk.headings.iter().map(|block| &doc.blocks[*block]).filter(|block| block.span.start < chunk.span.start);
    let path = path(above.map(|block| doc.slice(block)).collect::<Vec<_>>().into_iter());
    let header = chunk.context.clone().and_then(|span| doc.text.get(span)).unwrap_or_default();
    let mut room = most.saturating_sub(chunk.tokens);
    let mut fits = |text: &str| {
        let cost = super::tokens::cost(text, tokens);
        let fits = !text.is_empty() && cost <= room;
        room -= if fits { cost } else { 0 };
        fits
    };
    let header = if fits(header) { header } else { "" };
    let path = if fits(&path) { path.as_str() } else { "" };
    lines(&[path, header])
}

/// The text that stands for a chunk in vector space and in the index of words: what [`context`] says, and the slice, whole.
pub fn embed_text(context: &str, slice: &str) -> String {
    lines(&[context, slice])
}

/// Those that are not empty, one a line.
fn lines(texts: &[&str]) -> String {
    texts.iter().copied().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The name of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId(pub [u8; 32]);

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// The sentences of a text, in order, without white space around them.
pub fn sentences_of(text: &str) -> Vec<&str> {
    sentences::sentences(text).filter_map(|range| text.get(range)).map(str::trim).filter(|s| !s.is_empty()).collect()
}

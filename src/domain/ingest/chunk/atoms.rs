//! What a section is made of: sentences, rows of tables, stanzas of code. A chunk is a run of these atoms.

use super::sentences::sentences;
use crate::domain::ingest::document::{Block, BlockKind, Document};
use crate::domain::ingest::tokens::{cost, cut};
use crate::seams::embedder::Tokens;
use std::ops::Range;

/// Sentences and stanzas shorter than this many tokens are joined with the next of their block: alone they say too little to
/// be compared, and a text of "A. B. C." would need a record for every four bytes.
const ATOM_MIN: u32 = 12;

/// What an atom is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Heading,
    Prose,
    Item,
    Row,
    Code,
}

/// The smallest stretch that a cut may stand between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atom {
    /// First byte of the canonical text.
    pub start: usize,
    /// Its bytes, without white space at either end.
    pub len: u32,
    /// Its cost in tokens, at least 1.
    pub cost: u32,
    block: u32,
    /// What it is.
    pub kind: Kind,
}

impl Atom {
    /// The byte after its last.
    pub(super) fn end(&self) -> usize {
        self.start + self.len as usize
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.start..self.end()
    }

    /// The block it comes from.
    pub(super) fn block(&self) -> usize {
        self.block as usize
    }
}

/// The atoms of a block, each of at most `most` tokens, appended to `into`.
pub(super) fn append(doc: &Document, at: usize, most: u32, tokens: &dyn Tokens, into: &mut Vec<Atom>) {
    let block = &doc.blocks[at];
    let kind = kind(block);
    let mut gather = Gather { text: doc.slice(block), base: block.span.start, block: at, kind, most, into, open: None };
    match kind {
        Kind::Row | Kind::Heading => gather.take(0..gather.text.len(), tokens),
        Kind::Prose | Kind::Item => sentences(gather.text).for_each(|span| gather.take(span, tokens)),
        Kind::Code => stanzas(gather.text).for_each(|span| gather.take(span, tokens)),
    }
    gather.close();
}

fn kind(block: &Block) -> Kind {
    match block.kind {
        BlockKind::Heading(_) => Kind::Heading,
        BlockKind::Paragraph => Kind::Prose,
        BlockKind::ListItem => Kind::Item,
        BlockKind::TableRow(_) => Kind::Row,
        BlockKind::Code => Kind::Code,
    }
}

/// The parts of code between blank lines, without white space at either end.
fn stanzas(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.split("\n\n").filter_map(move |part| {
        let start = part.as_ptr() as usize - text.as_ptr() as usize + (part.len() - part.trim_start().len());
        let len = part.trim().len();
        (len > 0).then(|| start..start + len)
    })
}

/// Makes atoms from the parts of one block: joins what is short, cuts what is long.
struct Gather<'a> {
    text: &'a str,
    base: usize,
    block: usize,
    kind: Kind,
    most: u32,
    into: &'a mut Vec<Atom>,
    open: Option<(Range<usize>, u32)>,
}

impl Gather<'_> {
    fn take(&mut self, span: Range<usize>, tokens: &dyn Tokens) {
        let cost = cost(&self.text[span.clone()], tokens);
        if cost > self.most {
            self.close();
            for part in cut(&self.text[span.clone()], self.most, tokens) {
                self.push(span.start + part.span.start..span.start + part.span.end, part.cost);
            }
            return;
        }
        match &mut self.open {
            Some((open, sum)) if *sum + cost <= self.most => (open.end, *sum) = (span.end, *sum + cost),
            _ => {
                self.close();
                self.open = Some((span, cost));
            }
        }
        if self.open.as_ref().is_some_and(|(_, sum)| *sum >= ATOM_MIN) {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some((span, cost)) = self.open.take() {
            self.push(span, cost);
        }
    }

    fn push(&mut self, span: Range<usize>, cost: u32) {
        let narrow = |n: usize| u32::try_from(n).expect("documents of 4 GiB are refused long before");
        let (len, block) = (narrow(span.len()), narrow(self.block));
        self.into.push(Atom { start: self.base + span.start, len, cost, block, kind: self.kind });
    }
}

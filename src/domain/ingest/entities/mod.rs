//! What a document speaks of, and how those things hang together, without any model: patterns of things that look alike in
//! every text (dates, sums, standards, laws, versions), definitions of acronyms, proper names, names that the tenant lists,
//! links, and a handful of verbs between two of these in one sentence.
//!
//! Invariants:
//! - The same document gives the same [`Found`]; time grows with the length of the text.
//! - Mentions do not overlap, stand in order, and their offsets count characters of the canonical text.
//! - Every relation between two things has the sentence that says so as evidence; a relation of the document itself has where
//!   it points from.
//! - Nothing of an e-mail address but its domain is kept.
//!
//! How right this is on unseen sentences is measured by `tests/it/graph.rs`, which holds the figures of `docs/graph.md`.

mod acronyms;
mod gazetteer;
mod links;
mod money;
mod names;
mod patterns;
mod relations;
mod words;

pub use gazetteer::Gazetteer;

use super::chunk::sentences::sentences;
use super::document::{BlockKind, Document};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use words::{Word, words};

/// The most mentions that are kept of one document: a table of a million dates says nothing with its last nine tenths.
pub const MENTIONS_MAX: usize = 10_000;

/// A kind of things: one of [`KINDS`], or what a gazetteer says.
pub type Kind = Cow<'static, str>;

/// The kinds that kf finds by itself.
pub const KINDS: [&str; 12] =
    ["cve", "date", "document", "doi", "domain", "identifier", "law", "money", "name", "standard", "term", "version"];

/// A thing, the same wherever it is spoken of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// What makes it the same thing: lower case, dates as ISO 8601, sums as `eur 12.5`; of a document its source.
    pub key: String,
    /// As it was written first.
    pub name: String,
}

impl Node {
    fn new(kind: &'static str, key: impl Into<String>, name: &str) -> Self {
        Self { kind: kind.into(), key: key.into(), name: name.to_owned() }
    }

    /// A document by its source.
    pub fn document(source: &str) -> Self {
        Self::new("document", source, source)
    }
}

/// Where a document speaks of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The thing.
    pub node: Node,
    /// Characters of the canonical text.
    pub span: Range<usize>,
    /// What found it: `pattern`, `acronym`, `name`, `gazetteer`, `definition`.
    pub method: Cow<'static, str>,
    /// How likely it is right, 0 to 100: a rank of the methods, not a probability.
    pub confidence: u8,
}

/// How two things hang together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The one.
    pub subject: Node,
    /// `acquired`, `founded`, `leads`, `located-in`, `part-of`, `requires`, `replaces`, `short-for`, `uses`; of documents
    /// `defines`, `links-to`, `near-copy-of`.
    pub relation: Cow<'static, str>,
    /// The other.
    pub object: Node,
    /// Characters of the canonical text that say so.
    pub evidence: Range<usize>,
    /// What found it: `acronym`, `definition`, `link`, `signature`, `verb`.
    pub method: Cow<'static, str>,
    /// How likely it is right, 0 to 100.
    pub confidence: u8,
}

impl Relation {
    /// That a document says nearly the same as another one; `similarity` from 0 to 1.
    pub fn near_copy(source: &str, other: &str, similarity: f64) -> Self {
        Self {
            subject: Node::document(source),
            relation: "near-copy-of".into(),
            object: Node::document(other),
            evidence: 0..0,
            method: "signature".into(),
            confidence: (1..=100).rev().find(|n| f64::from(*n) <= similarity * 100.0).unwrap_or(0),
        }
    }
}

/// What was found in a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Mentions in the order of the text.
    pub mentions: Vec<Mention>,
    /// Relations.
    pub relations: Vec<Relation>,
    /// Mentions beyond [`MENTIONS_MAX`], not kept.
    pub dropped: usize,
}

/// Finds what the document from `source`, written in `language` (ISO 639-1), speaks of.
pub fn extract(document: &Document, source: &str, language: Option<&str>, gazetteer: &Gazetteer) -> Found {
    let terms = acronyms::all(document);
    let known = Known { language, gazetteer, lower: lower_words(document), short: acronyms::short_forms(&terms) };
    let mut raw = Raw::default();
    for block in &document.blocks {
        if block.kind == BlockKind::Code {
            continue;
        }
        let text = document.slice(block);
        let prose = matches!(block.kind, BlockKind::Paragraph | BlockKind::ListItem | BlockKind::TableRow(false));
        if block.kind == BlockKind::ListItem {
            definition(text, block.span.start, source, &mut raw);
        }
        for span in sentences(text) {
            let at = block.span.start + span.start..block.span.start + span.end;
            sentence(&text[span], at, prose, &known, &terms, &mut raw);
        }
    }
    raw.relations.extend(acronyms::relations(&terms));
    raw.relations.extend(links::relations(document, source));
    raw.finish(&document.text)
}

/// What is known before a sentence is read.
struct Known<'a> {
    language: Option<&'a str>,
    gazetteer: &'a Gazetteer,
    /// Words that the document also writes small: no names.
    lower: HashSet<&'a str>,
    /// Acronyms that the document explains.
    short: BTreeMap<String, Node>,
}

fn lower_words(document: &Document) -> HashSet<&str> {
    let all = document.text.split(|c: char| !c.is_alphanumeric() && c != '-');
    all.filter(|w| w.chars().next().is_some_and(char::is_lowercase)).collect()
}

/// Mentions and relations by bytes.
#[derive(Default)]
struct Raw {
    mentions: Vec<Mention>,
    relations: Vec<Relation>,
}

fn sentence(text: &str, at: Range<usize>, prose: bool, known: &Known<'_>, terms: &[acronyms::Defined], raw: &mut Raw) {
    let words = words(text, at.start);
    let mut taken = Taken { used: vec![false; words.len()], mentions: Vec::new() };
    known.gazetteer.find(&words, &mut taken);
    patterns::find(&words, known.language, &mut taken);
    acronyms::find(&words, terms, &known.short, &mut taken);
    if prose {
        names::find(&words, known.language, &known.lower, &mut taken);
    }
    taken.mentions.sort_by_key(|m| m.span.start);
    raw.relations.extend(relations::find(&words, &taken.mentions, &at, known.language));
    raw.mentions.append(&mut taken.mentions);
}

/// The mentions of a sentence, and which words they have taken; who comes first wins.
struct Taken {
    used: Vec<bool>,
    mentions: Vec<Mention>,
}

impl Taken {
    /// Takes these words for a thing, unless one of them is taken.
    fn take(&mut self, all: &[Word<'_>], range: Range<usize>, node: Node, method: &'static str, confidence: u8) {
        let Some(used) = self.used.get_mut(range.clone()).filter(|u| !u.is_empty() && !u.contains(&true)) else { return };
        used.fill(true);
        let span = all[range.start].span.start..all[range.end - 1].span.end;
        self.mentions.push(Mention { node, span, method: method.into(), confidence });
    }
}

/// Words of a term in a list of definitions, at most.
const TERM_WORDS: usize = 4;
/// Words that explain it, at least.
const EXPLAINED_BY: usize = 4;

/// An item such as `Lead time: how long an order takes` explains a term.
fn definition(text: &str, at: usize, source: &str, raw: &mut Raw) {
    let cut = [": ", " – ", " — "].iter().filter_map(|mark| text.find(mark).map(|i| (i, i + mark.len()))).min();
    let Some((end, rest)) = cut else { return };
    let (term, meaning) = (&text[..end], &text[rest..]);
    let plain = term.chars().all(|c| c.is_alphanumeric() || c == ' ' || c == '-') && term.chars().any(char::is_alphabetic);
    if !plain || term.split(' ').count() > TERM_WORDS || meaning.split_whitespace().count() < EXPLAINED_BY {
        return;
    }
    let node = Node::new("term", term.to_lowercase(), term);
    let evidence = at..at + text.len();
    let (subject, method) = (Node::document(source), "definition".into());
    raw.relations.push(Relation { subject, relation: "defines".into(), object: node, evidence, method, confidence: 60 });
}

impl Raw {
    /// Offsets in characters, bounded, each relation once.
    fn finish(mut self, text: &str) -> Found {
        self.mentions.sort_by_key(|m| (m.span.start, m.span.end));
        let dropped = self.mentions.len().saturating_sub(MENTIONS_MAX);
        self.mentions.truncate(MENTIONS_MAX);
        let spans = self.mentions.iter().map(|m| &m.span).chain(self.relations.iter().map(|r| &r.evidence));
        let mut bytes: Vec<usize> = spans.flat_map(|s| [s.start, s.end]).collect();
        bytes.sort_unstable();
        bytes.dedup();
        let (mut at, mut characters) = (0, 0);
        let counted: BTreeMap<usize, usize> = bytes
            .into_iter()
            .map(|byte| {
                characters += text.get(at..byte).map_or(0, |between| between.chars().count());
                at = byte;
                (byte, characters)
            })
            .collect();
        let count = |span: &mut Range<usize>| *span = counted[&span.start]..counted[&span.end];
        self.mentions.iter_mut().for_each(|m| count(&mut m.span));
        self.relations.iter_mut().for_each(|r| count(&mut r.evidence));
        self.relations.sort_by(|a, b| order(a).cmp(&order(b)));
        self.relations.dedup_by(|b, a| order(a) == order(b));
        Found { mentions: self.mentions, relations: self.relations, dropped }
    }
}

/// What makes a relation of a document another one: things by kind and key, and where it is said.
fn order(r: &Relation) -> (&str, (&str, &str), (&str, &str), usize) {
    (&r.relation, (&r.subject.kind, &r.subject.key), (&r.object.kind, &r.object.key), r.evidence.start)
}

#[cfg(test)]
mod tests;

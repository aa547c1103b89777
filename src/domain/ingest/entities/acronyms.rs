//! Acronyms and what they stand for, by the rule of Schwartz and Hearst ("A simple algorithm for identifying abbreviation
//! definitions in biomedical text", PSB 2003): a short form in brackets, whose letters stand in this order in the words before,
//! the first one at the beginning of a word.

use super::super::chunk::sentences::sentences;
use super::super::document::{BlockKind, Document};
use super::words::Word;
use super::{Node, Relation, Taken};
use std::collections::BTreeMap;
use std::ops::Range;

/// An acronym that is explained.
pub(super) struct Defined {
    short: Node,
    long: Node,
    long_span: Range<usize>,
    sentence: Range<usize>,
}

/// Letters of a short form, as the paper bounds them.
const SHORT: std::ops::RangeInclusive<usize> = 2..=10;

/// Every definition of a document.
pub(super) fn all(document: &Document) -> Vec<Defined> {
    let mut found = Vec::new();
    for block in document.blocks.iter().filter(|b| b.kind != BlockKind::Code) {
        let text = document.slice(block);
        if !text.contains('(') {
            continue;
        }
        for span in sentences(text) {
            in_sentence(&text[span.clone()], block.span.start + span.start, &mut found);
        }
    }
    found
}

fn in_sentence(text: &str, at: usize, found: &mut Vec<Defined>) {
    for (open, _) in text.match_indices('(') {
        let Some(close) = text[open..].find(')').map(|n| open + n) else { return };
        let short = text[open + 1..close].split([',', ';']).next().unwrap_or_default().trim();
        if !is_short(short) {
            continue;
        }
        if let Some(long) = long_form(short, &text[..open]) {
            found.push(Defined {
                short: Node::new("term", short.to_lowercase(), short),
                long: Node::new("term", text[long.clone()].to_lowercase(), &text[long.clone()]),
                long_span: at + long.start..at + long.end,
                sentence: at..at + text.len(),
            });
        }
    }
}

/// Two capitals or more, and at least half of the letters: `(see)` and `(Berlin)` are none.
fn is_short(short: &str) -> bool {
    let letters = short.chars().filter(|c| c.is_alphabetic()).count();
    let capitals = short.chars().filter(|c| c.is_uppercase()).count();
    let plain = short.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '&' | '/'));
    SHORT.contains(&short.chars().count()) && plain && capitals >= 2 && capitals * 2 >= letters
}

/// The stretch before the bracket that the short form stands for.
fn long_form(short: &str, before: &str) -> Option<Range<usize>> {
    let before = before.trim_end();
    let letters: Vec<char> = short.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let words = (letters.len() + 5).min(letters.len() * 2);
    let from = before.char_indices().rev().filter(|(_, c)| c.is_whitespace()).nth(words - 1).map_or(0, |(i, c)| i + c.len_utf8());
    let mut left = before.len();
    for (i, letter) in letters.iter().enumerate().rev() {
        let fits = |(at, c): &(usize, char)| {
            let starts = before[..*at].chars().next_back().is_none_or(|p| !p.is_alphanumeric());
            c.to_lowercase().eq(std::iter::once(*letter)) && (i > 0 || starts)
        };
        let hit = before[from..left].char_indices().rev().map(|(n, c)| (from + n, c)).find(fits);
        left = hit?.0;
    }
    let long = &before[left..];
    // A long form is longer than its short form, does not hold it, and does not run over punctuation.
    let sound =
        long.chars().count() > short.chars().count() && !long.contains(short) && !long.contains([',', ';', ':', '(', ')', '.']);
    sound.then_some(left..before.len())
}

/// The short forms by how they are written.
pub(super) fn short_forms(terms: &[Defined]) -> BTreeMap<String, Node> {
    terms.iter().map(|t| (t.short.name.clone(), t.short.clone())).collect()
}

/// Finds long forms where they are explained, and short forms wherever they stand.
pub(super) fn find(words: &[Word<'_>], terms: &[Defined], short: &BTreeMap<String, Node>, taken: &mut Taken) {
    let Some(first) = words.first() else { return };
    let (from, to) = (first.span.start, words.last().map_or(first.span.end, |w| w.span.end));
    let begin = terms.partition_point(|t| t.sentence.end <= from);
    for term in terms[begin..].iter().take_while(|t| t.sentence.start < to) {
        let start = words.iter().position(|w| w.span.start >= term.long_span.start);
        let count = words.iter().filter(|w| w.span.start >= term.long_span.start && w.span.end <= term.long_span.end).count();
        if let Some(start) = start.filter(|_| count > 0) {
            taken.take(words, start..start + count, term.long.clone(), "acronym", 90);
        }
    }
    if short.is_empty() {
        return;
    }
    for (i, word) in words.iter().enumerate() {
        if let Some(node) = short.get(word.text) {
            taken.take(words, i..i + 1, node.clone(), "acronym", 90);
        }
    }
}

/// That the one stands for the other.
pub(super) fn relations(terms: &[Defined]) -> impl Iterator<Item = Relation> {
    terms.iter().map(|t| Relation {
        subject: t.short.clone(),
        relation: "short-for".into(),
        object: t.long.clone(),
        evidence: t.sentence.clone(),
        method: "acronym".into(),
        confidence: 90,
    })
}

//! Where a section is cut into chunks.
//!
//! A section that fits is one chunk. A longer one is cut where its meaning turns: for every place between two atoms the
//! cosine distance of the three atoms before and the three after it; the 95th percentile of these distances in the section
//! counts as a full turn. One dynamic program weighs turns, block ends and sizes near the target over all cuts, so that the
//! limit is a limit (percentile splitters of other programs have none). It takes O(atoms × atoms in a chunk); sections of
//! more than 4,096 atoms are packed plainly. The distances and the percentile are LangChain's and LlamaIndex's semantic
//! splitters'; that they gain too little to pay a model for every sentence is Qu, Tu and Bao (arXiv 2410.13070), so the
//! vectors here come from a table.

use super::Settings;
use super::atoms::{Atom, Kind};
use crate::seams::embedder::SentenceVectors;
use std::ops::Range;

/// Atoms of a section up to which turns of meaning are looked for.
const SEMANTIC_MAX: usize = 4_096;
/// Tokens below which a chunk of a longer section is too small to stand alone.
const SMALL: u32 = 128;
/// Atoms on either side of a place that are compared.
const WINDOW: usize = 3;
/// The share of places that are no full turn.
const TURN_PERCENTILE: f64 = 0.95;

/// Prices in units of "a cut at a full turn instead of none": what a cut costs that stands before something that belongs to
/// what is before it, and a chunk that is too small.
const PRICE_IN_BLOCK: f64 = 0.5;
const PRICE_IN_LIST: f64 = 0.25;
const PRICE_AFTER_HEADING: f64 = 50.0;
const PRICE_SMALL: f64 = 4.0;

/// Cuts the atoms of one section: ranges of atoms, in order, that leave out none. Every range but the first leaves room for
/// the overlap, so that limits hold with it.
pub(super) fn pack(atoms: &[Atom], text: &str, settings: &Settings, near: &dyn SentenceVectors) -> Vec<Range<usize>> {
    let total = atoms.iter().fold(0_u32, |sum, atom| sum.saturating_add(atom.cost));
    if atoms.is_empty() {
        Vec::new()
    } else if total <= settings.limit {
        std::iter::once(0..atoms.len()).collect()
    } else if atoms.len() <= SEMANTIC_MAX {
        semantic(atoms, &turns(atoms, text, near), settings)
    } else {
        plain(atoms, settings)
    }
}

/// The most tokens of a chunk that begins with this atom.
fn cap(first: usize, settings: &Settings) -> u32 {
    if first == 0 { settings.limit } else { settings.limit - settings.overlap }
}

/// How far the meaning turns before each atom, 0 to 1; 1 is a full turn.
fn turns(atoms: &[Atom], text: &str, near: &dyn SentenceVectors) -> Vec<f64> {
    let width = near.dimensions();
    let mut vectors = vec![0.0_f32; width * atoms.len()];
    for (atom, vector) in atoms.iter().zip(vectors.chunks_exact_mut(width.max(1))) {
        near.sentence_vector(&text[atom.span()], vector);
    }
    let (mut before, mut after) = (vec![0.0; width], vec![0.0; width]);
    let mut found = vec![0.0; atoms.len()];
    for (at, turn) in found.iter_mut().enumerate().skip(1) {
        sum(&vectors[at.saturating_sub(WINDOW) * width..at * width], &mut before);
        sum(&vectors[at * width..(at + WINDOW).min(atoms.len()) * width], &mut after);
        *turn = distance(&before, &after);
    }
    let mut sorted = found[1..].to_vec();
    sorted.sort_by(f64::total_cmp);
    let full = sorted.get((sorted.len() as f64 * TURN_PERCENTILE) as usize).copied().unwrap_or_default();
    if full > 0.0 {
        found.iter_mut().for_each(|turn| *turn = (*turn / full).min(1.0));
    }
    found
}

/// The sum of vectors that stand one after the other.
fn sum(vectors: &[f32], into: &mut [f32]) {
    into.fill(0.0);
    for vector in vectors.chunks_exact(into.len().max(1)) {
        into.iter_mut().zip(vector).for_each(|(sum, v)| *sum += v);
    }
}

/// One minus the cosine, at least 0; 0 when nothing is known of either side.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let norms = f64::from(dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { (1.0 - f64::from(dot(a, b)) / norms).max(0.0) } else { 0.0 }
}

/// The dot product, in eight sums so that the compiler may use wide registers; the order of additions is fixed.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.chunks(lanes.len()).zip(b.chunks(lanes.len())) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    lanes.iter().sum()
}

/// What a cut before atom `at` costs.
fn cut_price(atoms: &[Atom], turns: &[f64], at: usize) -> f64 {
    let (before, after) = (&atoms[at - 1], &atoms[at]);
    let place = match (before.kind, after.kind) {
        (Kind::Heading, _) => PRICE_AFTER_HEADING,
        _ if before.block() == after.block() => PRICE_IN_BLOCK,
        (Kind::Item, Kind::Item) | (Kind::Row, Kind::Row) => PRICE_IN_LIST,
        (_, Kind::Heading) => -PRICE_IN_LIST,
        _ => 0.0,
    };
    place + 1.0 - turns[at]
}

/// The cheapest cuts of a section: the price of a chunk is how far it is from the target, that of a cut where it stands.
fn semantic(atoms: &[Atom], turns: &[f64], settings: &Settings) -> Vec<Range<usize>> {
    let target = f64::from(settings.target.max(1));
    let small = SMALL.min(settings.target / 2);
    // best[i]: the price of everything from atom i on, and where the chunk that begins there ends.
    let mut best = vec![(0.0_f64, atoms.len()); atoms.len() + 1];
    for first in (0..atoms.len()).rev() {
        let (mut size, mut cheapest) = (0_u32, (f64::INFINITY, first + 1));
        for end in first + 1..=atoms.len() {
            size = size.saturating_add(atoms[end - 1].cost);
            if size > cap(first, settings) && end > first + 1 {
                break;
            }
            let off = (f64::from(size) - target) / target;
            let cut = if end < atoms.len() { cut_price(atoms, turns, end) } else { 0.0 };
            let price = off * off + if size < small { PRICE_SMALL } else { 0.0 } + cut + best[end].0;
            if price < cheapest.0 {
                cheapest = (price, end);
            }
        }
        best[first] = cheapest;
    }
    let (mut chunks, mut first) = (Vec::new(), 0);
    while first < atoms.len() {
        let end = best[first].1;
        chunks.push(first..end);
        first = end;
    }
    chunks
}

/// Takes atoms until the target is reached at the end of a block, or the limit anywhere; a heading never stands last.
fn plain(atoms: &[Atom], settings: &Settings) -> Vec<Range<usize>> {
    let (mut chunks, mut first, mut size) = (Vec::new(), 0, 0_u32);
    for (at, atom) in atoms.iter().enumerate() {
        let full = size.saturating_add(atom.cost) > cap(first, settings);
        let enough = size >= settings.target && at > first && atoms[at - 1].block() != atom.block();
        if at > first && (full || enough) {
            let headings = atoms[first..at].iter().rev().take_while(|a| a.kind == Kind::Heading).count();
            let kept: u32 = atoms[at - headings..at].iter().map(|a| a.cost).sum();
            let moves = at - headings > first && kept.saturating_add(atom.cost) <= cap(at - headings, settings);
            let cut = if moves { at - headings } else { at };
            chunks.push(first..cut);
            (first, size) = (cut, atoms[cut..at].iter().map(|a| a.cost).sum());
        }
        size = size.saturating_add(atom.cost);
    }
    chunks.push(first..atoms.len());
    chunks
}

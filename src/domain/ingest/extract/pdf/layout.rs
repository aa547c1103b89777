//! From lines to blocks: paragraphs, headings, items and code.
//!
//! A paragraph ends where the distance to the next line, the size, an indentation or a short last line says so; it goes on
//! over columns and pages when its last line is full and no sentence ends. Headings are lines larger than the body, their
//! levels the ranks of their sizes; or short bold lines that stand alone. A hyphen at a line's end goes when the word goes
//! on in lower case, unless the document writes that word with a hyphen elsewhere.

use super::lines::Line;
use crate::domain::ingest::document::BlockKind;
use std::collections::{BTreeMap, HashSet};

/// Headings are this much larger than the body.
const HEADING_RATIO: f32 = 1.12;
/// Lines further apart than this, in usual distances, are two paragraphs.
const PARAGRAPH_GAP: f32 = 1.3;
/// The longest heading, in characters.
const HEADING_MAX: usize = 200;

/// A stretch of lines that belong together.
pub(super) struct Part {
    pub(super) kind: BlockKind,
    pub(super) text: String,
    pub(super) page: u32,
    /// The page, the height of the first line and that of the last line on it: where links are looked for.
    pub(super) top: f32,
    pub(super) bottom: f32,
    size: f32,
    bold: bool,
    lines: usize,
}

/// The measures of a document.
struct Measures {
    body: f32,
    /// Sizes of headings, the largest first.
    sizes: Vec<i32>,
    /// Usual distance between lines of a size.
    leading: BTreeMap<i32, f32>,
    /// Words that are written with a hyphen inside a line.
    hyphenated: HashSet<String>,
}

/// Half points, to compare sizes.
fn step(size: f32) -> i32 {
    (size * 2.0).round().clamp(0.0, 10_000.0) as i32
}

/// The parts of a document.
pub(super) fn parts(pages: &[Vec<Line>]) -> Vec<Part> {
    let measures = measure(pages);
    let mut parts: Vec<Part> = Vec::new();
    let mut right: f32 = 0.0;
    let mut before: Option<&Line> = None;
    for page in pages {
        let margin = page.iter().filter(|l| l.turn == 0).map(|l| l.end).fold(0.0, f32::max);
        for line in page {
            let goes_on = before.is_some_and(|before| goes_on(before, line, right, &measures));
            match parts.last_mut().filter(|_| goes_on) {
                Some(part) => append(part, before.unwrap_or(line), line, &measures.hyphenated),
                None => {
                    right = line.end;
                    parts.push(begin(line, margin));
                }
            }
            right = right.max(line.end);
            before = Some(line);
        }
    }
    for part in &mut parts {
        part.kind = kind(part, &measures);
    }
    parts
}

fn measure(pages: &[Vec<Line>]) -> Measures {
    let mut letters: BTreeMap<i32, usize> = BTreeMap::new();
    let mut gaps: BTreeMap<i32, BTreeMap<i32, usize>> = BTreeMap::new();
    let mut hyphenated = HashSet::new();
    let mut total = 0;
    for page in pages {
        for line in page {
            *letters.entry(step(line.size)).or_default() += line.text.len();
            total += line.text.len();
            let words = line.text.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric() && c != '-'));
            hyphenated.extend(words.filter(|w| w.contains('-') && !w.ends_with('-')).map(str::to_lowercase));
        }
        for pair in page.windows(2) {
            let gap = pair[0].y - pair[1].y;
            if pair[0].turn == pair[1].turn
                && gap > 0.7 * pair[1].size
                && gap < 3.0 * pair[1].size
                && same_size(&pair[0], &pair[1])
            {
                *gaps.entry(step(pair[1].size)).or_default().entry((gap * 4.0) as i32).or_default() += 1;
            }
        }
    }
    let body = letters.iter().max_by_key(|(_, n)| **n).map_or(10, |(size, _)| *size);
    let heading = |size: i32| size as f32 > body as f32 * HEADING_RATIO;
    // Sizes that differ by less than a reader notices are one level.
    let mut sizes: Vec<i32> = Vec::new();
    for (size, n) in letters.iter().rev() {
        if heading(*size) && *n * 5 < total && sizes.last().is_none_or(|last| (*size as f32) < *last as f32 * 0.94) {
            sizes.push(*size);
        }
    }
    let leading = gaps.into_iter().filter_map(|(size, gaps)| {
        let most = gaps.iter().max_by_key(|(_, n)| **n)?;
        Some((size, *most.0 as f32 / 4.0 + 0.25))
    });
    Measures { body: body as f32 / 2.0, sizes, leading: leading.collect(), hyphenated }
}

fn same_size(a: &Line, b: &Line) -> bool {
    (a.size - b.size).abs() <= 0.08 * a.size.max(b.size)
}

/// True when `line` belongs to the part that ends with `before`.
fn goes_on(before: &Line, line: &Line, right: f32, measures: &Measures) -> bool {
    let size = line.size;
    if before.turn != line.turn || !same_size(before, line) || before.fixed != line.fixed || starts_item(&line.text) {
        return false;
    }
    if before.bold != line.bold && (before.bold || line.end - line.start < 0.5 * (before.end - before.start)) {
        return false;
    }
    let leading = measures.leading.get(&step(size)).copied().unwrap_or(1.2 * size).clamp(0.8 * size, 2.2 * size);
    let gap = before.y - line.y;
    let ended = ends_sentence(&before.text);
    if before.page != line.page || gap < -0.5 * size || gap > 8.0 * leading {
        // Another page or column: only a sentence that is cut goes on.
        let lower = line.text.trim_start().starts_with(char::is_lowercase);
        return !line.fixed && !ended && (lower || before.text.trim_end().ends_with('-'));
    }
    if gap > PARAGRAPH_GAP * leading {
        return false;
    }
    if line.fixed {
        return true;
    }
    let set_in = line.start - before.start;
    let short = before.end < right - 0.12 * (right - before.start).max(4.0 * size);
    // The first line of a paragraph is set in by one em or two; its second line comes back out.
    let indented = set_in > 0.8 * size && set_in < 4.0 * size && (ended || short);
    !(indented || ended && short)
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end().trim_end_matches(['"', '”', '»', '’', ')', ']']).ends_with(['.', '!', '?', ':', '…'])
}

/// A line that begins with the sign or the number of an item.
fn starts_item(text: &str) -> bool {
    item(text.trim_start()).is_some()
}

/// What follows the sign of an item; numbers stay.
fn item(text: &str) -> Option<&str> {
    for sign in ["• ", "◦ ", "▪ ", "■ ", "● ", "‣ ", "– ", "— ", "- ", "* ", "· ", "\u{f0b7} ", "\u{2022}", "\u{f0b7}"]
    {
        if let Some(rest) = text.strip_prefix(sign) {
            return Some(rest);
        }
    }
    let inner = text.strip_prefix('(').unwrap_or(text);
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let letter = usize::from(digits == 0 && inner.starts_with(|c: char| c.is_ascii_lowercase()));
    let rest = inner.get(digits + letter..)?;
    let closed = if inner.len() < text.len() || letter == 1 { rest.starts_with(") ") } else { rest.starts_with([')', '.']) };
    let spaced = rest.get(1..).is_some_and(|r| r.starts_with(' '));
    ((1..=2).contains(&(digits + letter)) && closed && spaced).then_some(text)
}

fn begin(line: &Line, margin: f32) -> Part {
    // Code keeps how far its lines are set in, in letters.
    let text = line.text.trim_end();
    let lead =
        if line.fixed { (line.start / (0.6 * line.size)).clamp(0.0, (margin / line.size.max(0.1)).max(0.0)) as usize } else { 0 };
    Part {
        kind: if line.fixed { BlockKind::Code } else { BlockKind::Paragraph },
        text: if line.fixed { format!("{}{text}", " ".repeat(lead.min(200))) } else { text.to_owned() },
        page: line.page,
        top: line.y,
        bottom: line.y,
        size: line.size,
        bold: line.bold,
        lines: 1,
    }
}

fn append(part: &mut Part, before: &Line, line: &Line, hyphenated: &HashSet<String>) {
    part.lines += 1;
    part.bold &= line.bold;
    if line.page == part.page {
        part.bottom = part.bottom.min(line.y);
    }
    if part.kind == BlockKind::Code {
        let gap = before.y - line.y;
        part.text.push_str(if gap > 1.8 * line.size { "\n\n" } else { "\n" });
        let lead = (line.start / (0.6 * line.size)).clamp(0.0, 200.0) as usize;
        part.text.push_str(&" ".repeat(lead));
        part.text.push_str(line.text.trim_end());
        return;
    }
    let next = line.text.trim_start();
    let kept = part.text.trim_end().len();
    part.text.truncate(kept);
    if let Some(stem) = part.text.strip_suffix(['-', '\u{ad}', '\u{2010}']) {
        let letter = stem.ends_with(char::is_alphabetic);
        if letter && next.starts_with(char::is_lowercase) {
            let soft = !part.text.ends_with('-');
            let head = stem.rsplit(char::is_whitespace).next().unwrap_or_default();
            let tail: String = next.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
            let written = format!("{}-{}", head.trim_start_matches(|c: char| !c.is_alphanumeric()), tail).to_lowercase();
            if soft || !hyphenated.contains(&written) {
                let end = stem.len();
                part.text.truncate(end);
            }
            part.text.push_str(next);
            return;
        }
    }
    part.text.push(' ');
    part.text.push_str(next);
}

/// What a finished part is.
fn kind(part: &mut Part, measures: &Measures) -> BlockKind {
    if part.kind == BlockKind::Code {
        set_out(&mut part.text);
        return BlockKind::Code;
    }
    if part.text.contains(". . . .") || part.text.contains(".....") {
        part.text = without_leaders(&part.text);
    }
    let text = part.text.trim();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let short = text.len() <= HEADING_MAX && part.lines <= 3 && letters >= 2 && letters * 2 >= text.chars().count().min(60);
    if short && part.size > measures.body * HEADING_RATIO {
        let rank = measures.sizes.iter().filter(|s| **s as f32 * 0.94 >= step(part.size) as f32).count();
        if rank < measures.sizes.len() {
            return BlockKind::Heading(u8::try_from(rank + 1).unwrap_or(6).min(6));
        }
    }
    let alone = short && part.bold && part.lines <= 2 && text.len() <= 120 && part.size >= measures.body * 0.95;
    // A bold line that ends in a number is an entry of a table of contents.
    if alone && !text.ends_with(['.', ':', ',', ';']) && !text.ends_with(|c: char| c.is_ascii_digit()) {
        return BlockKind::Heading(u8::try_from(measures.sizes.len() + 1).unwrap_or(6).min(6));
    }
    match item(text) {
        Some(rest) if !rest.trim().is_empty() => {
            part.text = rest.trim().to_owned();
            BlockKind::ListItem
        }
        _ => BlockKind::Paragraph,
    }
}

/// Dots that lead to a page number, as one sign.
fn without_leaders(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('.') {
        let end = rest[at..].find(|c: char| c != '.' && c != ' ').map_or(rest.len(), |e| at + e);
        let leaders = rest[at..end].matches('.').count() >= 4;
        made.push_str(&rest[..at]);
        made.push_str(if leaders { "… " } else { &rest[at..end] });
        rest = &rest[end..];
    }
    made.push_str(rest);
    made
}

/// Takes away the columns that all lines of code are set in by.
fn set_out(text: &mut String) {
    let lead = |l: &str| l.len() - l.trim_start_matches(' ').len();
    let shared = text.lines().filter(|l| !l.trim().is_empty()).map(lead).min().unwrap_or(0);
    *text = text.lines().map(|l| l.get(shared..).unwrap_or_default()).collect::<Vec<_>>().join("\n");
}

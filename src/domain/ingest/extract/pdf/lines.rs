//! From runs of text to lines, and the lines that are no part of the text: running heads, feet and page numbers.

use super::interpret::Run;
use std::collections::HashMap;

/// A gap between runs wider than this, in em, parts words.
const WORD_GAP: f32 = 0.1;
/// Runs whose baselines differ by less than this, in em, share a line (raised figures stay in it).
const SAME_LINE: f32 = 0.45;
/// Lines at each end of a page that may be its head or foot.
const EDGE_LINES: usize = 2;
/// A head or foot stands on this many pages at least.
const REPEATS: usize = 3;

/// A line of text as it stands on a page.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) page: u32,
    pub(super) start: f32,
    pub(super) end: f32,
    pub(super) y: f32,
    /// The size of most of its letters.
    pub(super) size: f32,
    pub(super) turn: u8,
    pub(super) bold: bool,
    pub(super) fixed: bool,
    /// Letters at `size`, to find the size of most.
    weight: usize,
    /// The end of the last run, as it was shown.
    pen: f32,
}

/// The lines of one page, in the order of its content.
pub(super) fn lines(runs: Vec<Run>, page: u32) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut last: Option<(f32, f32)> = None;
    for run in runs {
        // Bold is sometimes made by showing a text twice, a hair apart.
        let near = last.is_some_and(|(x, y)| (x - run.start).abs() < 0.15 * run.size && (y - run.y).abs() < 0.15 * run.size);
        if near && lines.last().is_some_and(|line| line.text.ends_with(&run.text)) {
            continue;
        }
        last = Some((run.start, run.y));
        match lines.last_mut().filter(|line| belongs(line, &run)) {
            Some(line) => join(line, &run),
            None => lines.push(begin(run, page)),
        }
    }
    lines.retain(|l| !l.text.trim().is_empty());
    lines
}

/// The run goes on where the line stands.
fn belongs(line: &Line, run: &Run) -> bool {
    let size = line.size.max(run.size);
    let level = (line.y - run.y).abs() < SAME_LINE * size;
    // A little backwards is kerning or an accent; far backwards is another line or column at the same height.
    line.turn == run.turn && level && run.start > line.pen - size.max(0.5 * (line.pen - line.start).min(2.0 * size))
}

fn begin(run: Run, page: u32) -> Line {
    Line {
        weight: run.text.len(),
        page,
        start: run.start,
        end: run.end,
        y: run.y,
        size: run.size,
        turn: run.turn,
        bold: run.bold,
        fixed: run.fixed,
        pen: run.end,
        text: run.text,
    }
}

fn join(line: &mut Line, run: &Run) {
    let gap = run.start - line.pen;
    if gap > WORD_GAP * run.size.min(line.size) && !line.text.ends_with(' ') && !run.text.starts_with(' ') {
        line.text.push(' ');
    }
    line.text.push_str(&run.text);
    line.pen = run.end;
    line.end = line.end.max(run.end);
    line.bold &= run.bold;
    line.fixed &= run.fixed;
    if run.text.len() > line.weight {
        (line.size, line.weight, line.y) = (run.size, run.text.len(), run.y);
    }
}

/// Drops running heads and feet after their first appearance, and page numbers: lines near an end of their page that stand
/// at the same height on several pages and differ in digits at most.
pub(super) fn drop_running(pages: &mut [Vec<Line>]) {
    let mut seen: HashMap<(String, i32), usize> = HashMap::new();
    for page in pages.iter() {
        for at in edges(page) {
            *seen.entry(key(&page[at])).or_default() += 1;
        }
    }
    let mut kept: std::collections::HashSet<(String, i32)> = std::collections::HashSet::new();
    for page in pages {
        let gone: Vec<usize> = edges(page)
            .into_iter()
            .filter(|at| {
                let key = key(&page[*at]);
                let number = !key.0.chars().any(char::is_alphabetic);
                seen[&key] >= REPEATS && (number || !kept.insert(key))
            })
            .collect();
        let mut at = 0;
        page.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
    }
}

/// The highest and lowest lines of a page.
fn edges(page: &[Line]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..page.len()).filter(|at| page[*at].turn == 0).collect();
    order.sort_by(|a, b| page[*b].y.total_cmp(&page[*a].y));
    let mut found: Vec<usize> = order.iter().take(EDGE_LINES).chain(order.iter().rev().take(EDGE_LINES)).copied().collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A line without its digits, and its height in steps of four units.
fn key(line: &Line) -> (String, i32) {
    let mut made = String::with_capacity(line.text.len());
    for word in line.text.split_whitespace() {
        // Front matter counts its pages in small Roman numerals.
        if word.len() <= 6 && word.bytes().all(|b| b"ivxlc".contains(&b)) {
            continue;
        }
        for c in word.chars() {
            match c {
                c if c.is_ascii_digit() && made.ends_with('#') => {}
                c if c.is_ascii_digit() => made.push('#'),
                c => made.push(c),
            }
        }
    }
    (made, (line.y / 4.0) as i32)
}

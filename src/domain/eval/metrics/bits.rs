//! Edit distance and longest common subsequence, 64 cells of the table at a time.
//!
//! Where the algorithms come from: Myers 1999 (JACM 46) in the block form of Hyyrö 2003 for the Levenshtein distance, with
//! the cells left out that Ukkonen 1985 ("Algorithms for approximate string matching") shows to be of no use; Hyyrö 2004,
//! "Bit-parallel LCS-length computation revisited", for the subsequence. Symbols are dense numbers, so that looking one up
//! is an index.

use std::collections::HashMap;

/// Gives code points dense numbers: those of ASCII are themselves.
#[derive(Default)]
pub(super) struct Alphabet(HashMap<char, u32>);

const ASCII: usize = 128;

impl Alphabet {
    /// The text as numbers below [`Alphabet::size`].
    pub(super) fn encode(&mut self, text: &str) -> Vec<u32> {
        text.chars()
            .map(|c| {
                let next = self.size() as u32;
                if c.is_ascii() { u32::from(c) } else { *self.0.entry(c).or_insert(next) }
            })
            .collect()
    }

    /// One more than the largest number given out.
    pub(super) fn size(&self) -> usize {
        ASCII + self.0.len()
    }
}

/// Where in a sequence each symbol stands, as one row of bits a symbol.
pub(super) struct Pattern {
    length: usize,
    blocks: usize,
    masks: Vec<u64>,
}

impl Pattern {
    /// Prepares a sequence of symbols below `alphabet`.
    pub(super) fn new(symbols: &[u32], alphabet: usize) -> Self {
        let blocks = symbols.len().div_ceil(64);
        let mut masks = vec![0; alphabet * blocks];
        for (i, s) in symbols.iter().enumerate() {
            masks[*s as usize * blocks + i / 64] |= 1 << (i % 64);
        }
        Self { length: symbols.len(), blocks, masks }
    }

    fn row(&self, symbol: u32) -> &[u64] {
        let start = symbol as usize * self.blocks;
        &self.masks[start..start + self.blocks]
    }

    /// The Levenshtein distance to `text`, or `None` as soon as it is sure to be more than `limit`.
    pub(super) fn distance(&self, text: &[u32], limit: usize) -> Option<usize> {
        let longest = self.length.max(text.len());
        if self.length.abs_diff(text.len()) > limit {
            return None;
        }
        if self.length == 0 || text.is_empty() {
            return Some(longest);
        }
        let mut band = Band::new(self.length, text.len(), limit.min(longest));
        for (seen, symbol) in text.iter().enumerate() {
            band.advance(self.row(*symbol), seen + 1);
            if band.first == band.last {
                return None;
            }
        }
        band.distance().filter(|d| *d <= limit)
    }

    /// The length of the longest common subsequence with `text`.
    pub(super) fn common_subsequence(&self, text: &[u32]) -> usize {
        let mut unmatched = vec![u64::MAX; self.blocks];
        for symbol in text {
            let mut carry = false;
            for (v, mask) in unmatched.iter_mut().zip(self.row(*symbol)) {
                let hit = *v & mask;
                let (sum, over) = v.overflowing_add(hit);
                let (sum, more) = sum.overflowing_add(u64::from(carry));
                carry = over || more;
                *v = sum | (*v & !mask);
            }
        }
        // A zero is a matched place; the bits past the end of the pattern are shifted out.
        let zeros = |(i, v): (usize, &u64)| {
            let used = (self.length - i * 64).min(64);
            (!v << (64 - used)).count_ones() as usize
        };
        unmatched.iter().enumerate().map(zeros).sum()
    }
}

/// The blocks of a column in which a way of cost `limit` or less may pass; those above and below are left out.
///
/// Cells are useful when such a way leads through them. What is computed of a cell is the cost of some way to it, and of a
/// useful cell its distance: the ways to it lead through useful cells, and a block with one is never left out.
struct Band {
    /// The lengths of pattern and text, and the limit.
    rows: isize,
    columns: isize,
    limit: isize,
    blocks: Vec<Block>,
    /// The blocks that are kept: this one up to but without `last`; the same when there is none.
    first: usize,
    last: usize,
    /// What the row above the first kept block costs.
    above: isize,
}

impl Band {
    fn new(rows: usize, columns: usize, limit: usize) -> Self {
        let block = |i: usize| {
            let height = (rows - i * 64).min(64);
            Block { up: u64::MAX, down: 0, end: height - 1, cost: signed(i * 64 + height) }
        };
        let blocks = (0..rows.div_ceil(64)).map(block).collect::<Vec<_>>();
        let (rows, columns, limit) = (signed(rows), signed(columns), signed(limit));
        let mut band = Self { rows, columns, limit, last: blocks.len(), blocks, first: 0, above: 0 };
        band.narrow(rows - columns);
        band
    }

    /// Goes on to a column, from 1; `masks` says where its symbol stands in the pattern.
    fn advance(&mut self, masks: &[u64], column: usize) {
        // The row from which only matches lead to the end.
        let aim = signed(column) + self.rows - self.columns;
        // The row above costs one more in each column: so it is of row 0, and never too little of the others.
        let mut step = Step::UP;
        self.above += 1;
        for (block, mask) in self.blocks[self.first..self.last].iter_mut().zip(&masks[self.first..]) {
            step = block.advance(*mask, step);
        }
        while self.last < self.blocks.len() {
            let cost = self.blocks[self.last - 1].cost;
            let before = cost - step.value();
            let enters = (cost + 1).min(before);
            if enters + (bottom(self.last - 1) + 1 - aim).abs() > self.limit {
                break;
            }
            let block = &mut self.blocks[self.last];
            *block = Block { up: u64::MAX, down: 0, end: block.end, cost: before + signed(block.end + 1) };
            step = block.advance(masks[self.last], step);
            self.last += 1;
        }
        self.narrow(aim);
    }

    /// Leaves out what is of no use at either end. `aim` is the row from which only matches lead to the end.
    ///
    /// Neighbours differ by one at most, and a way goes on for at least as long as its row is from `aim`. So the least that
    /// leads through a block follows from what its last row costs, and from what the row above it does.
    fn narrow(&mut self, aim: isize) {
        while self.first < self.last {
            let i = self.last - 1;
            let above = if i == self.first { self.above } else { self.blocks[i - 1].cost };
            if !self.is_useless(i, above, aim) {
                break;
            }
            self.last -= 1;
        }
        while self.first < self.last && self.is_useless(self.first, self.above, aim) {
            self.above = self.blocks[self.first].cost;
            self.first += 1;
        }
    }

    fn is_useless(&self, i: usize, above: isize, aim: isize) -> bool {
        let from_above = above + signed(i * 64) - aim;
        let from_below = self.blocks[i].cost - bottom(i).min(self.rows) + aim;
        from_above.max(from_below) > self.limit
    }

    /// The cost of the last cell, when the last column kept it.
    fn distance(&self) -> Option<usize> {
        let end = self.blocks.last().filter(|_| self.last == self.blocks.len())?;
        usize::try_from(end.cost).ok()
    }
}

/// The last row of a block that is full.
fn bottom(block: usize) -> isize {
    signed(block * 64 + 64)
}

fn signed(n: usize) -> isize {
    isize::try_from(n).unwrap_or(isize::MAX)
}

/// The difference between two horizontal neighbours of the table, as one bit each.
#[derive(Clone, Copy)]
struct Step {
    up: u64,
    down: u64,
}

impl Step {
    const UP: Self = Self { up: 1, down: 0 };

    fn value(self) -> isize {
        self.up as isize - self.down as isize
    }
}

/// Up to 64 rows of one column.
#[derive(Clone, Copy)]
struct Block {
    /// Rows that cost one more than the row above.
    up: u64,
    /// Rows that cost one less.
    down: u64,
    /// The bit of the last row.
    end: usize,
    /// What the last row costs.
    cost: isize,
}

impl Block {
    /// Goes one column on. Takes the step of the row above, gives that of the last row.
    fn advance(&mut self, mask: u64, above: Step) -> Step {
        let x = mask | self.down;
        let mask = mask | above.down;
        let h = ((mask & self.up).wrapping_add(self.up) ^ self.up) | mask;
        let right = self.down | !(h | self.up);
        let left = self.up & h;
        let step = Step { up: right >> self.end & 1, down: left >> self.end & 1 };
        let right = right << 1 | above.up;
        let left = left << 1 | above.down;
        self.up = left | !(x | right);
        self.down = right & x;
        self.cost += step.value();
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The table of the textbook (Wagner and Fischer 1974).
    fn plain_distance(a: &[u32], b: &[u32]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.iter().enumerate() {
                let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], next);
            }
        }
        row[b.len()]
    }

    fn plain_common(a: &[u32], b: &[u32]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (j, y) in b.iter().enumerate() {
                let next = if x == y { diagonal + 1 } else { row[j].max(row[j + 1]) };
                diagonal = std::mem::replace(&mut row[j + 1], next);
            }
        }
        row[b.len()]
    }

    fn check(a: &str, b: &str, distance: usize) {
        let mut alphabet = Alphabet::default();
        let (a, b) = (alphabet.encode(a), alphabet.encode(b));
        assert_eq!(Pattern::new(&a, alphabet.size()).distance(&b, usize::MAX), Some(distance));
    }

    /// rapidfuzz 3.14.6: `distance.Levenshtein.distance(a, b)`.
    #[test]
    fn distances_agree_with_rapidfuzz() {
        check("kitten", "sitting", 3);
        check("", "abc", 3);
        check("abc", "", 3);
        check("東京都", "京都", 1);
        check("e\u{301}", "é", 2);
        check(&"ab".repeat(100), &"ba".repeat(100), 2);
    }

    fn sequence() -> impl Strategy<Value = Vec<u32>> {
        proptest::collection::vec(0u32..3, 0..200)
    }

    proptest! {
        #[test]
        fn both_agree_with_the_textbook(a in sequence(), b in sequence()) {
            let pattern = Pattern::new(&a, 3);
            let distance = plain_distance(&a, &b);
            prop_assert_eq!(pattern.distance(&b, usize::MAX), Some(distance));
            prop_assert_eq!(pattern.distance(&b, distance), Some(distance));
            prop_assert_eq!(pattern.distance(&b, distance.wrapping_sub(1)), if distance == 0 { Some(0) } else { None });
            prop_assert_eq!(pattern.common_subsequence(&b), plain_common(&a, &b));
        }

        #[test]
        fn any_limit_decides_like_the_textbook(a in sequence(), b in sequence(), limit in 0usize..220) {
            let distance = plain_distance(&a, &b);
            let found = Pattern::new(&a, 3).distance(&b, limit);
            prop_assert_eq!(found, (distance <= limit).then_some(distance));
        }

        /// Copies with a few changes lie within the band by a little or not at all.
        #[test]
        fn limits_around_the_distance_decide_like_the_textbook(
            a in proptest::collection::vec(0u32..20, 0..400),
            changes in proptest::collection::vec((0usize..400, 0u8..3, 0u32..20), 0..120),
            moved in 0usize..100,
        ) {
            let mut b = a.clone();
            b.rotate_left(moved.min(a.len()));
            for (at, kind, symbol) in changes {
                let at = at.min(b.len());
                match kind {
                    0 => b.insert(at, symbol),
                    1 if at < b.len() => b[at] = symbol,
                    _ if at < b.len() => drop(b.remove(at)),
                    _ => {}
                }
            }
            let distance = plain_distance(&a, &b);
            let pattern = Pattern::new(&a, 20);
            for limit in distance.saturating_sub(2)..distance + 3 {
                prop_assert_eq!(pattern.distance(&b, limit), (distance <= limit).then_some(distance), "limit {}", limit);
            }
        }
    }
}

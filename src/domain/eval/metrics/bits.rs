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
        if text.is_ascii() {
            return text.bytes().map(u32::from).collect();
        }
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

/// Symbols from which a text counts as long.
const LONG: usize = 4096;

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
    ///
    /// Of long texts it is looked for below ever larger bounds first (Ukkonen 1985, "Algorithms for approximate string matching"): what
    /// is walked grows with the bound, and long texts that come so far are mostly alike. All bounds together cost less than twice the last.
    pub(super) fn distance(&self, text: &[u32], limit: usize) -> Option<usize> {
        let longest = self.length.max(text.len());
        let first = if longest < LONG { limit } else { longest / 64 };
        let bounds = std::iter::successors(Some(first), |bound| bound.checked_mul(4)).take_while(|bound| *bound < limit / 2);
        bounds.chain([limit]).find_map(|bound| self.within(text, bound))
    }

    /// The same, by one walk.
    fn within(&self, text: &[u32], limit: usize) -> Option<usize> {
        let longest = self.length.max(text.len());
        if self.length.abs_diff(text.len()) > limit {
            return None;
        }
        if self.length == 0 || text.is_empty() {
            return Some(longest);
        }
        let mut band = Band::new(self.length, text.len(), limit.min(longest));
        let (pairs, last) = text.as_chunks::<2>();
        let of_pairs = pairs.iter().all(|[a, b]| band.advance_two([self.row(*a), self.row(*b)]));
        let kept = of_pairs && last.iter().all(|symbol| band.advance(self.row(*symbol)));
        band.distance().filter(|d| kept && *d <= limit)
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
///
/// The pattern is filled up to whole blocks with rows that match nothing; what is below a row does not change it.
struct Band {
    /// The length of the pattern, and the limit.
    rows: isize,
    limit: isize,
    blocks: Vec<Block>,
    /// The blocks that are kept: this one up to but without `last`; the same when there is none.
    first: usize,
    last: usize,
    /// What the row above the first kept block costs, and the last row of the last.
    above: isize,
    below: isize,
    /// The row from which only matches lead to the end.
    aim: isize,
}

impl Band {
    fn new(rows: usize, columns: usize, limit: usize) -> Self {
        let blocks = vec![Block::FRESH; rows.div_ceil(64)];
        let (last, below) = (blocks.len(), top(blocks.len()));
        let (rows, limit, aim) = (signed(rows), signed(limit), signed(rows) - signed(columns));
        let mut band = Self { rows, limit, blocks, first: 0, last, above: 0, below, aim };
        band.narrow();
        band
    }

    /// Goes on by a column; `masks` says where its symbol stands in the pattern. False when no block is left.
    fn advance(&mut self, masks: &[u64]) -> bool {
        self.widen(1);
        let mut step = Step::UP;
        let kept = self.first..self.last;
        for (block, mask) in self.blocks[kept.clone()].iter_mut().zip(&masks[kept]) {
            *block = block.advance(*mask, &mut step);
        }
        self.end(1, step.value())
    }

    /// The same by two columns.
    fn advance_two(&mut self, masks: [&[u64]; 2]) -> bool {
        self.widen(2);
        let kept = self.first..self.last;
        let rise = two_columns(&mut self.blocks[kept.clone()], masks.map(|m| &m[kept.clone()]));
        self.end(2, rise)
    }

    /// Takes the blocks below in that a way may enter within the next `columns`. One enters from the row above them, which
    /// costs one less in each column at best, and so may do what is left to go.
    fn widen(&mut self, columns: isize) {
        while self.last < self.blocks.len() {
            let to_go = (top(self.last) - self.aim).abs();
            if self.below + to_go - 2 * columns > self.limit {
                break;
            }
            self.blocks[self.last] = Block::FRESH;
            self.below += 64;
            self.last += 1;
        }
    }

    /// Ends a run of columns, in which the last row rose by `rise`.
    fn end(&mut self, columns: isize, rise: isize) -> bool {
        // The row above costs one more in each column: so it is of row 0, and never too little of the others.
        self.above += columns;
        self.below += rise;
        self.aim += columns;
        self.narrow();
        self.first < self.last
    }

    /// Leaves out what is of no use at either end.
    fn narrow(&mut self) {
        while self.first < self.last {
            let above = self.below - self.blocks[self.last - 1].rise();
            if !self.is_useless(self.last - 1, above, self.below) {
                break;
            }
            self.below = above;
            self.last -= 1;
        }
        while self.first < self.last {
            let below = self.above + self.blocks[self.first].rise();
            if !self.is_useless(self.first, self.above, below) {
                break;
            }
            self.above = below;
            self.first += 1;
        }
    }

    /// Whether all that leads through a block costs too much, told by what the row above it and its last row cost.
    ///
    /// Neighbours differ by one at most, and a way goes on for at least as long as its row is from `aim`. So the least that
    /// leads through a block follows from the rows at its ends.
    fn is_useless(&self, block: usize, above: isize, below: isize) -> bool {
        let from_above = above + top(block) - self.aim;
        let from_below = below - top(block + 1) + self.aim;
        from_above.max(from_below) > self.limit
    }

    /// The cost of the pattern's last row, when the last column kept it.
    fn distance(&self) -> Option<usize> {
        let end = self.blocks.last().filter(|_| self.first < self.last && self.last == self.blocks.len())?;
        let used = 64 - (top(self.last) - self.rows);
        let filler = u32::try_from(used).ok().and_then(|used| u64::MAX.checked_shl(used)).unwrap_or(0);
        let beyond = Block { up: end.up & filler, down: end.down & filler };
        usize::try_from(self.below - beyond.rise()).ok()
    }
}

/// Takes blocks two columns on and gives by how much their last row rose. The second column follows the first one block behind,
/// so that the processor works on both at once.
fn two_columns(blocks: &mut [Block], masks: [&[u64]; 2]) -> isize {
    let n = blocks.len();
    if n == 0 {
        return 0;
    }
    // What the compiler has to know to leave out the checks of each index.
    let [first, second] = masks.map(|m| &m[..n]);
    let (mut step, mut next) = (Step::UP, Step::UP);
    let mut held = blocks[0].advance(first[0], &mut step);
    for i in 1..n {
        let entered = blocks[i].advance(first[i], &mut step);
        blocks[i - 1] = held.advance(second[i - 1], &mut next);
        held = entered;
    }
    blocks[n - 1] = held.advance(second[n - 1], &mut next);
    step.value() + next.value()
}

/// The row above a block.
fn top(block: usize) -> isize {
    signed(block * 64)
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

/// 64 rows of one column.
#[derive(Clone, Copy)]
struct Block {
    /// Rows that cost one more than the row above.
    up: u64,
    /// Rows that cost one less.
    down: u64,
}

impl Block {
    /// Each row costs one more than the row above it.
    const FRESH: Self = Self { up: u64::MAX, down: 0 };

    /// By how much the last row costs more than the row above the block.
    fn rise(self) -> isize {
        self.up.count_ones() as isize - self.down.count_ones() as isize
    }

    /// The block one column on. Takes the step of the row above, gives that of the last row.
    #[inline]
    fn advance(self, mask: u64, step: &mut Step) -> Self {
        let x = mask | self.down;
        let mask = mask | step.down;
        let h = ((mask & self.up).wrapping_add(self.up) ^ self.up) | mask;
        let right = self.down | !(h | self.up);
        let left = self.up & h;
        let below = Step { up: right >> 63, down: left >> 63 };
        let right = right << 1 | step.up;
        let left = left << 1 | step.down;
        *step = below;
        Self { up: left | !(x | right), down: right & x }
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

    /// Long texts with more and more changes, below and above every bound that is tried.
    #[test]
    fn growing_bounds_give_the_distance() {
        let text: Vec<u32> = (0..2 * LONG as u32).map(|i| i.wrapping_mul(2_654_435_761) >> 27).collect();
        for every in [2, 3, 5, 9, 17, 40, 200, 5000, 10_000] {
            let other: Vec<u32> = text.iter().enumerate().map(|(i, s)| if i % every == 1 { 32 } else { *s }).collect();
            let pattern = Pattern::new(&text, 33);
            let distance = pattern.within(&other, usize::MAX).expect("no limit");
            assert_eq!(pattern.distance(&other, usize::MAX), Some(distance), "{every}");
            assert_eq!(pattern.distance(&other, distance), Some(distance), "{every}");
            assert_eq!(distance.checked_sub(1).and_then(|less| pattern.distance(&other, less)), None, "{every}");
        }
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

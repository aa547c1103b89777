//! Edit distance and longest common subsequence, 64 cells of the table at a time.
//!
//! Where the algorithms come from: Myers 1999 (JACM 46) in the block form of Hyyrö 2003 for the Levenshtein distance; Hyyrö
//! 2004, "Bit-parallel LCS-length computation revisited", for the subsequence. Symbols are dense numbers, so that looking one
//! up is an index.

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
        if self.length.abs_diff(text.len()) > limit {
            return None;
        }
        if self.length == 0 {
            return Some(text.len());
        }
        let top = (self.length - 1) % 64;
        let mut distance = self.length;
        let mut column = vec![Vertical { up: u64::MAX, down: 0 }; self.blocks];
        for (seen, symbol) in text.iter().enumerate() {
            let mut carry = Step::Up;
            let mut ends = Step::Level;
            for (block, mask) in column.iter_mut().zip(self.row(*symbol)) {
                (carry, ends) = block.advance(*mask, carry, top);
            }
            match ends {
                Step::Up => distance += 1,
                Step::Down => distance -= 1,
                Step::Level => {}
            }
            // Each symbol still to come lowers the distance by one at most.
            if distance > limit.saturating_add(text.len() - seen - 1) {
                return None;
            }
        }
        (distance <= limit).then_some(distance)
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

/// The difference between two neighbours of the table.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Up,
    Level,
    Down,
}

/// 64 vertical differences of one column: +1, −1, or neither.
#[derive(Clone, Copy)]
struct Vertical {
    up: u64,
    down: u64,
}

impl Vertical {
    /// Goes one column on: the horizontal difference that leaves at the bottom of the block, and the one in row `top`.
    fn advance(&mut self, mask: u64, carry: Step, top: usize) -> (Step, Step) {
        let Self { up, down } = *self;
        let x = mask | down;
        let mask = mask | u64::from(carry == Step::Down);
        let h = ((mask & up).wrapping_add(up) ^ up) | mask;
        let right = down | !(h | up);
        let left = up & h;
        let step = |bit: usize| match (right >> bit & 1, left >> bit & 1) {
            (1, _) => Step::Up,
            (_, 1) => Step::Down,
            _ => Step::Level,
        };
        let leaves = (step(63), step(top));
        let right = right << 1 | u64::from(carry == Step::Up);
        let left = left << 1 | u64::from(carry == Step::Down);
        *self = Self { up: left | !(x | right), down: right & x };
        leaves
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
    }
}

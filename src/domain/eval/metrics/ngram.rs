//! Counting n-grams of every order at once, exactly and without a string per n-gram.
//!
//! The window of symbols that starts at each place is packed into one `u128`, first symbol highest, and the windows are sorted
//! once: equal n-grams of every order are then neighbours. Symbols are stored plus one, so that the zeros past the end of the
//! text are no symbol.

/// Bits that hold any code point plus one.
pub(super) const CHAR_BITS: u32 = 21;
/// Bits that hold any word number plus one.
pub(super) const WORD_BITS: u32 = 32;

/// All windows of one text, sorted.
pub(super) struct Windows {
    keys: Vec<u128>,
    bits: u32,
    width: u32,
}

impl Windows {
    /// The windows of up to `width` symbols of fewer than 2^`bits` − 1 each; `bits · width` is at most 128.
    pub(super) fn new(symbols: &[u32], bits: u32, width: u32) -> Self {
        let mut key = 0u128;
        let mut keys: Vec<u128> = symbols
            .iter()
            .rev()
            .map(|s| {
                key = (key >> bits) | ((u128::from(*s) + 1) << (bits * (width - 1)));
                key
            })
            .collect();
        keys.sort_unstable();
        Self { keys, bits, width }
    }

    /// How many n-grams of order `n` there are, counting repeats.
    pub(super) fn total(&self, n: u32) -> usize {
        (self.keys.len() + 1).saturating_sub(n as usize)
    }

    /// The distinct n-grams of order `n` in ascending order with their counts.
    fn runs(&self, n: u32) -> impl Iterator<Item = (u128, usize)> {
        let shift = self.bits * (self.width - n);
        let last = (1u128 << self.bits) - 1;
        self.keys
            .chunk_by(move |a, b| a >> shift == b >> shift)
            .map(move |same| (same[0] >> shift, same.len()))
            .filter(move |(key, _)| key & last != 0)
    }

    /// How many of these n-grams of order `n` the references hold too, each at most as often as the reference that has it
    /// most often.
    pub(super) fn matched(&self, references: &[Self], n: u32) -> usize {
        let mut best: Vec<usize> = Vec::new();
        for reference in references {
            let mut theirs = reference.runs(n).peekable();
            for (i, (key, count)) in self.runs(n).enumerate() {
                while theirs.next_if(|t| t.0 < key).is_some() {}
                let common = theirs.next_if(|t| t.0 == key).map_or(0, |t| t.1.min(count));
                match best.get_mut(i) {
                    Some(b) => *b = common.max(*b),
                    None => best.push(common),
                }
            }
        }
        best.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn counts(symbols: &[u32], n: usize) -> HashMap<&[u32], usize> {
        let mut counts = HashMap::new();
        for gram in symbols.windows(n) {
            *counts.entry(gram).or_insert(0) += 1;
        }
        counts
    }

    fn check(a: &[u32], b: &[u32], c: &[u32], bits: u32, width: u32) {
        let [wa, wb, wc] = [a, b, c].map(|s| Windows::new(s, bits, width));
        let references = [wb, wc];
        for n in 1..=width {
            let (ca, cb, cc) = (counts(a, n as usize), counts(b, n as usize), counts(c, n as usize));
            let of = |m: &HashMap<&[u32], usize>, g: &[u32]| m.get(g).copied().unwrap_or(0);
            let plain: usize = ca.iter().map(|(g, count)| of(&cb, g).max(of(&cc, g)).min(*count)).sum();
            assert_eq!(wa.matched(&references, n), plain, "order {n} of {a:?} in {b:?} and {c:?}");
            assert_eq!(wa.total(n), ca.values().sum::<usize>(), "order {n} of {a:?}");
        }
    }

    #[test]
    fn the_largest_symbols_fit() {
        let top = u32::from(char::MAX);
        check(&[top, 0, top, top, 0, 0, 0], &[top, top, 0], &[0], CHAR_BITS, 6);
        check(&[u32::MAX - 1, 0, 1], &[0, 1], &[u32::MAX - 1, 0], WORD_BITS, 4);
        check(&[], &[], &[0], WORD_BITS, 4);
    }

    proptest! {
        #[test]
        fn counts_are_those_of_a_hash_map(a in symbols(), b in symbols(), c in symbols()) {
            check(&a, &b, &c, CHAR_BITS, 6);
            check(&a, &b, &c, WORD_BITS, 4);
        }
    }

    fn symbols() -> impl Strategy<Value = Vec<u32>> {
        proptest::collection::vec(0u32..4, 0..24)
    }
}

//! Whether two texts are surely further apart than a limit, for a fifth of what their edit distance costs.
//!
//! A way through the table of the edit distance costs no more than a limit only if its first or its second half costs no more
//! than half of it. So it is enough to go from either corner of the table as far as half the limit leads: unlike texts use
//! that up long before the middle. Both corners are walked at once, as the two lanes of a vector.
//!
//! What a way costs is bounded by the rows that it leaves without a match, so by the longest common subsequence of what lies
//! behind it: 63 rows of a column at a time, in six operations. This is the recurrence of Hyyrö 2004 ("Bit-parallel LCS-length
//! computation revisited") on complements, with the top bit of each word kept free for the borrow, so that it needs no flag.
//! Columns without a match cost as well, as far as the way leaves the diagonals between the two corners; those that every way
//! has to pass, since one text is longer, count by halves at either corner.

/// Words of a column that are walked together: fewer are loaded too often, more reach further than of use.
const WORDS: usize = 4;

/// Rows of a word.
const BITS: usize = 63;

/// Rows that are walked together.
const BAND: usize = WORDS * BITS;

/// Columns after which it is asked whether more of them are of use.
const STRIDE: usize = 64;

/// The corner at the beginnings of the texts, and that at their ends, where all is read backwards.
const LANES: usize = 2;

/// What is known of each corner.
type Lanes<T> = [T; LANES];

/// Rows with one match more than the row above, as set bits, of a column of each lane.
type Column = [Lanes<u64>; WORDS];

/// What stays allocated from one pair of texts to the next: little beside the texts.
pub(super) struct Apart {
    /// Where each symbol stands in the rows that are walked.
    masks: Vec<Lanes<[u64; WORDS]>>,
    /// 1 for each column with one match more than the column before, as of the row above those that are walked.
    steps: Vec<Lanes<u64>>,
}

impl Apart {
    /// For texts of symbols below `alphabet`.
    pub(super) fn new(alphabet: usize) -> Self {
        Self { masks: vec![[[0; WORDS]; LANES]; alphabet], steps: Vec::new() }
    }

    /// True only when the Levenshtein distance is more than `limit`; false says nothing.
    pub(super) fn is_sure(&mut self, one: &[u32], other: &[u32], limit: usize) -> bool {
        let (rows, text) = if one.len() <= other.len() { (one, other) } else { (other, one) };
        if text.len() - rows.len() > limit {
            return true;
        }
        // Halves that would tell nothing.
        if limit < 2 || rows.len() < 2 {
            return false;
        }
        self.steps.clear();
        self.steps.resize(text.len() + 1, [0; LANES]);
        let mut walk = Walk::new(Costs::new(rows.len(), text.len(), limit), text.len());
        let (first, second) = rows.split_at(rows.len() / 2);
        // The second half is the longer one, if one is.
        for from in (0..second.len()).step_by(BAND) {
            let forth = &first[from.min(first.len())..first.len().min(from + BAND)];
            let back = &second[second.len().saturating_sub(from + BAND)..second.len() - from];
            self.set(forth, back);
            self.walk(&mut walk, text, [forth.len(), back.len()]);
            self.unset([forth, back]);
            if !walk.narrow(&mut self.steps) {
                return true;
            }
        }
        false
    }

    fn set(&mut self, forth: &[u32], back: &[u32]) {
        for (word, symbols) in forth.chunks(BITS).enumerate() {
            for (bit, symbol) in symbols.iter().enumerate() {
                self.masks[*symbol as usize][0][word] |= 1 << bit;
            }
        }
        for (word, symbols) in back.rchunks(BITS).enumerate() {
            for (bit, symbol) in symbols.iter().rev().enumerate() {
                self.masks[*symbol as usize][1][word] |= 1 << bit;
            }
        }
    }

    fn unset(&mut self, rows: Lanes<&[u32]>) {
        if self.masks.len() < LANES * BAND {
            return self.masks.fill([[0; WORDS]; LANES]);
        }
        for symbol in rows.into_iter().flatten() {
            self.masks[*symbol as usize] = [[0; WORDS]; LANES];
        }
    }

    /// Goes on by so many rows, through all columns that may be of use.
    fn walk(&mut self, walk: &mut Walk, text: &[u32], rows: Lanes<usize>) {
        let mut column = Column::default();
        let (mut at, mut to) = (walk.left, walk.right);
        loop {
            let symbols = [&text[at..to], &text[text.len() - to..text.len() - at]];
            advance(&mut column, &self.masks, symbols, &mut self.steps[at + 1..=to]);
            at = to;
            if at == text.len() || !walk.goes_on(&column, at, rows) {
                break;
            }
            to = (at + STRIDE).min(text.len());
        }
        walk.end(&column, at, rows);
    }
}

/// Takes rows through columns, whose symbols stand backwards for the second lane.
fn advance(column: &mut Column, masks: &[Lanes<[u64; WORDS]>], symbols: Lanes<&[u32]>, steps: &mut [Lanes<u64>]) {
    // What the compiler has to know to leave out the checks of each index, and to keep the column in registers.
    let n = steps.len();
    let (forth, back) = (&symbols[0][..n], &symbols[1][..n]);
    let mut matched = *column;
    for (i, step) in steps.iter_mut().enumerate() {
        let (a, b) = (&masks[forth[i] as usize][0], &masks[back[n - 1 - i] as usize][1]);
        let mut borrow = *step;
        for word in 0..WORDS {
            let mask = [a[word], b[word]];
            for lane in 0..LANES {
                let old = matched[word][lane];
                let union = old | mask[lane];
                // What was matched, less what could be, less the borrow: old − (union − old) − borrow.
                let rest = old.wrapping_add(old).wrapping_sub(union.wrapping_add(borrow[lane]));
                borrow[lane] = rest >> BITS;
                matched[word][lane] = rest & union;
            }
        }
        *step = borrow;
    }
    *column = matched;
}

/// What ways from either corner may cost.
#[derive(Clone, Copy)]
struct Costs {
    /// By how many columns there are more than rows.
    gap: isize,
    /// What counts of them at each corner.
    share: Lanes<isize>,
    /// The most that each half may cost: who exceeds both exceeds the limit.
    half: Lanes<isize>,
    /// The most that all of a way may cost.
    limit: isize,
}

impl Costs {
    fn new(rows: usize, columns: usize, limit: usize) -> Self {
        let (gap, limit) = (signed(columns) - signed(rows), signed(limit));
        let half = limit / 2;
        Self { gap, share: [gap / 2, gap - gap / 2], half: [half, limit - half - 1], limit }
    }

    /// By how much half of a way, and all of it, cost more than they may, at least, when the way leads through a row from
    /// `first` to `last` of a column and has no more than `matches` behind it.
    fn excess(&self, lane: usize, [first, last]: [usize; 2], column: usize, matches: usize) -> [isize; 2] {
        let unmatched = signed(first) - signed(matches);
        let beyond = (signed(column) - signed(last) - self.gap).max(0);
        // Columns beyond the gap were passed without a match, and as many rows have to be before the other corner.
        [unmatched + self.share[lane] + beyond - self.half[lane], unmatched + self.gap + 2 * beyond - self.limit]
    }

    /// The last column that a way may lead through above the first row; before the first when there is none.
    fn widest(&self) -> isize {
        let beyond = |lane: usize| (self.half[lane] - self.share[lane]).min((self.limit - self.gap) / 2);
        self.gap + beyond(0).max(beyond(1))
    }
}

/// How far both corners were walked: of the last row that was, the columns that may be of use to either.
struct Walk {
    costs: Costs,
    rows: Lanes<usize>,
    left: usize,
    /// The matches at the first of the columns.
    before: Lanes<usize>,
    right: usize,
    /// The matches at the last of them.
    behind: Lanes<usize>,
}

impl Walk {
    fn new(costs: Costs, columns: usize) -> Self {
        let right = usize::try_from(costs.widest()).unwrap_or(0).min(columns);
        Self { costs, rows: [0; LANES], left: 0, before: [0; LANES], right, behind: [0; LANES] }
    }

    /// Whether a way leads on to the right of a column within the rows that are walked; from above, none comes in there.
    fn goes_on(&self, column: &Column, at: usize, rows: Lanes<usize>) -> bool {
        let in_lane = |lane: usize| {
            let mut matches = self.behind[lane];
            column.iter().enumerate().any(|(word, matched)| {
                matches += matched[lane].count_ones() as usize;
                let ends = [word, word + 1].map(|word| self.rows[lane] + rows[lane].min(word * BITS));
                self.costs.excess(lane, ends, at, matches).iter().all(|excess| *excess <= 0)
            })
        };
        (0..LANES).any(in_lane)
    }

    /// Ends a run of rows, of which this is the last column.
    fn end(&mut self, column: &Column, at: usize, rows: Lanes<usize>) {
        self.right = at;
        for lane in 0..LANES {
            self.rows[lane] += rows[lane];
            self.behind[lane] += column.iter().map(|matched| matched[lane].count_ones() as usize).sum::<usize>();
        }
    }

    /// Leaves out columns at either end that are of no use to both corners; false when none is left.
    fn narrow(&mut self, steps: &mut [Lanes<u64>]) -> bool {
        // A column further on has one match more at most, so that an excess takes as many columns.
        while let Some(skipped) = self.least(self.left, self.before, |half, all| half.max(all)) {
            if skipped > self.right - self.left {
                return false;
            }
            let more = sum(&steps[self.left + 1..=self.left + skipped]);
            self.left += skipped;
            self.before = [self.before[0] + more[0], self.before[1] + more[1]];
        }
        // A column further back is nearer by one, which counts once in half of a way and twice in all of it.
        while let Some(skipped) = self.least(self.right, self.behind, |half, all| half.max((all + 1) / 2)) {
            // One at the left is of use.
            let left_out = &mut steps[self.right + 1 - skipped.min(self.right - self.left)..=self.right];
            let less = sum(left_out);
            // To the rows below, these columns are without a match.
            left_out.fill([0; LANES]);
            self.right -= left_out.len();
            self.behind = [self.behind[0] - less[0], self.behind[1] - less[1]];
        }
        true
    }

    /// How many columns have to be skipped until one is of use to a lane; none when this one is.
    fn least(&self, column: usize, matches: Lanes<usize>, columns: fn(isize, isize) -> isize) -> Option<usize> {
        let of = |lane: usize| {
            let [half, all] = self.costs.excess(lane, [self.rows[lane]; 2], column, matches[lane]);
            columns(half, all)
        };
        usize::try_from(of(0).min(of(1))).ok().filter(|n| *n > 0)
    }
}

fn sum(steps: &[Lanes<u64>]) -> Lanes<usize> {
    let sum = steps.iter().fold([0; LANES], |sum, step| [sum[0] + step[0], sum[1] + step[1]]);
    sum.map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

fn signed(n: usize) -> isize {
    isize::try_from(n).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::bits::Pattern;
    use super::*;
    use proptest::prelude::*;

    const SYMBOLS: u32 = 40;

    fn distance(one: &[u32], other: &[u32]) -> usize {
        Pattern::new(one, SYMBOLS as usize).distance(other, usize::MAX).expect("no limit")
    }

    /// So many numbers below `symbols`, without a pattern.
    fn noise(seed: u32, length: usize, symbols: u32) -> Vec<u32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state % symbols
        };
        std::iter::repeat_with(&mut next).take(length).collect()
    }

    /// A copy that begins elsewhere and has other symbols in places.
    fn changed(text: &[u32], moved: usize, changes: &[(usize, u8, u32)]) -> Vec<u32> {
        let moved = moved.min(text.len());
        let mut text = [&text[moved..], &text[..moved]].concat();
        for (at, kind, symbol) in changes {
            let at = at % (text.len() + 1);
            match kind {
                0 => text.insert(at, *symbol),
                1 if at < text.len() => text[at] = *symbol,
                _ if at < text.len() => drop(text.drain(at..text.len().min(at + 20))),
                _ => {}
            }
        }
        text
    }

    #[test]
    fn unlike_texts_are_surely_apart() {
        let mut apart = Apart::new(SYMBOLS as usize);
        for (one, other) in [(100, 100), (1000, 1000), (1000, 1400), (1700, 1000), (3, 1)] {
            let limit = one.max(other) / 2;
            assert!(apart.is_sure(&noise(1, one, SYMBOLS), &noise(2, other, SYMBOLS), limit), "{one} {other}");
        }
        let text = noise(1, 1000, SYMBOLS);
        assert!(!apart.is_sure(&text, &text, 500) && !apart.is_sure(&[], &[], 0) && !apart.is_sure(&text[..1], &[], 1));
    }

    proptest! {
        /// The cheapest way runs along the edge of what may be of use.
        #[test]
        fn sure_is_not_wrong_of_what_was_moved(
            seed: u32,
            length in 2usize..1500,
            moved in 0usize..900,
            ends in (0usize..300, 0usize..300),
            changes in proptest::collection::vec((0usize..2000, 0u8..3, 0..SYMBOLS), 0..4),
        ) {
            let one = noise(seed, length, SYMBOLS);
            let mut other = changed(&one, moved, &changes);
            other.splice(0..0, noise(!seed, ends.0, SYMBOLS));
            other.extend(noise(seed ^ 0xffff, ends.1, SYMBOLS));
            let distance = distance(&one, &other);
            let mut apart = Apart::new(SYMBOLS as usize);
            prop_assert!(!apart.is_sure(&one, &other, distance), "{distance}");
            prop_assert!(!apart.is_sure(&other, &one, distance), "{distance}, turned round");
        }

        /// The distance that is known to be right is the judge of any limit around it.
        #[test]
        fn sure_is_never_wrong(
            seed: u32,
            symbols in 2..SYMBOLS,
            lengths in (0usize..1500, 0usize..1500),
            copied: bool,
            moved in 0usize..400,
            changes in proptest::collection::vec((0usize..2000, 0u8..3, 0..SYMBOLS), 0..200),
            beside in 0usize..400,
        ) {
            let one = noise(seed, lengths.0, symbols);
            let other = if copied { changed(&one, moved, &changes) } else { noise(!seed, lengths.1, symbols) };
            let distance = distance(&one, &other);
            // Tables that are cleared as a whole, and by their symbols; and what one pair leaves behind for the next.
            for alphabet in [SYMBOLS as usize, 2 * LANES * BAND] {
                let mut apart = Apart::new(alphabet);
                for limit in [distance, distance + 1, distance + beside] {
                    prop_assert!(!apart.is_sure(&one, &other, limit), "{distance} is within {limit}");
                    prop_assert!(!apart.is_sure(&other, &one, limit), "{distance} is within {limit}, turned round");
                }
                let far = distance.saturating_sub(beside);
                prop_assert_eq!(apart.is_sure(&one, &other, far), Apart::new(alphabet).is_sure(&one, &other, far));
            }
        }
    }
}

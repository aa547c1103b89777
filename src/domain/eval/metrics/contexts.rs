//! Context precision and recall without a model: ragas' `NonLLMContextPrecisionWithReference` and `NonLLMContextRecall` as in
//! its release 0.4.3, on the Levenshtein similarity 1 − d / max length over code points.
//!
//! A retrieved context is relevant when its best similarity to a reference is **at least** one half; a reference counts as
//! found when its best similarity to a retrieved one is **more than** one half. Both conditions are decided on integers. Where
//! ragas raises (nothing retrieved, no reference), nothing retrieved is 0 and no reference is unscored.
//!
//! Most pairs are decided without their distance, by bounds that are never wrong, the cheapest first: equal texts, their
//! lengths, their letters, a piece of one that stands in the other, and how far either end leads (`apart.rs`). What is left is
//! computed.

use super::Score;
use super::apart::Apart;
use super::bits::{Alphabet, Pattern};

const NO_REFERENCE_CONTEXT: &str = "the row has no reference context";

/// Which contexts are similar enough: what both metrics read, and all that takes time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    /// Of each retrieved context, whether it is at least half like a reference.
    relevant: Vec<bool>,
    /// Of each reference, whether a retrieved context is more than half like it.
    found: Vec<bool>,
}

impl Alike {
    /// Compares every retrieved context with every reference, as far as it can still decide something.
    pub fn of<'a>(retrieved: &'a [String], references: &'a [String]) -> Self {
        let mut alike = Self { relevant: vec![false; retrieved.len()], found: vec![false; references.len()] };
        // Copies are found first: what they decide needs no distance.
        for (i, j) in pairs(retrieved, references).filter(|(i, j)| retrieved[*i] == references[*j]) {
            (alike.relevant[i], alike.found[j]) = (true, true);
        }
        if alike.is_decided() {
            return alike;
        }
        let mut alphabet = Alphabet::default();
        let rows: Vec<Vec<u32>> = retrieved.iter().map(|t| alphabet.encode(t)).collect();
        let columns: Vec<Vec<u32>> = references.iter().map(|t| alphabet.encode(t)).collect();
        let size = alphabet.size();
        let mut pairs = Pairs { alphabet: size, apart: Apart::new(size) };
        let text = |(text, symbols): (&'a String, Vec<u32>)| Text::new(text, symbols, size);
        let rows: Vec<Text> = retrieved.iter().zip(rows).map(text).collect();
        for (j, reference) in references.iter().zip(columns).map(text).enumerate() {
            let mut pattern = None;
            for (i, row) in rows.iter().enumerate() {
                let longest = row.symbols.len().max(reference.symbols.len());
                let limit = match (alike.relevant[i], alike.found[j]) {
                    (true, true) => continue,
                    (true, false) => more_than_half(longest),
                    (false, _) => at_least_half(longest),
                };
                if let Some(distance) = pairs.within(limit, row, &reference, &mut pattern) {
                    alike.relevant[i] = true;
                    alike.found[j] |= distance <= more_than_half(longest);
                }
            }
        }
        alike
    }

    /// Of each retrieved context, whether it is at least half like a reference.
    pub fn relevant(&self) -> &[bool] {
        &self.relevant
    }

    fn is_decided(&self) -> bool {
        self.relevant.iter().chain(&self.found).all(|known| *known)
    }
}

/// The Levenshtein distance over code points, in time that texts of hundreds of kilobytes can wait for.
pub fn edits(one: &str, other: &str) -> usize {
    let mut alphabet = Alphabet::default();
    let (one, other) = (alphabet.encode(one), alphabet.encode(other));
    let longest = one.len().max(other.len());
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    // No distance is above the length of the longer text.
    Pattern::new(&short, alphabet.size()).distance(&long, longest).unwrap_or(longest)
}

fn pairs<'a>(these: &'a [String], those: &'a [String]) -> impl Iterator<Item = (usize, usize)> + 'a {
    (0..these.len()).flat_map(|i| (0..those.len()).map(move |j| (i, j)))
}

/// The largest distance of similarity ½ or more: d / max ≤ ½ is 2d ≤ max.
fn at_least_half(longest: usize) -> usize {
    longest / 2
}

/// The largest distance of a similarity above ½: d / max < ½ is 2d < max; two empty texts are alike.
fn more_than_half(longest: usize) -> usize {
    longest.saturating_sub(1) / 2
}

/// What stays from one pair of texts to the next.
struct Pairs {
    alphabet: usize,
    apart: Apart,
}

impl Pairs {
    /// A number that is within `limit`, and below half the length of the longer text, exactly when the distance of both texts
    /// is. The pattern is that of the reference, once one was needed.
    fn within(&mut self, limit: usize, row: &Text, reference: &Text, pattern: &mut Option<Pattern>) -> Option<usize> {
        let longest = row.symbols.len().max(reference.symbols.len());
        if row.symbols.len().abs_diff(reference.symbols.len()) > limit || row.least_distance(reference) > limit {
            return None;
        }
        if let Some(most) = row.most_distance(reference).filter(|most| *most <= limit.min(more_than_half(longest))) {
            return Some(most);
        }
        if self.apart.is_sure(&row.symbols, &reference.symbols, limit) {
            return None;
        }
        pattern.get_or_insert_with(|| Pattern::new(&reference.symbols, self.alphabet)).distance(&row.symbols, limit)
    }
}

/// Bytes of a piece by which one text is looked for in another: too long to stand there by chance.
const PIECE: usize = 32;

/// A text, the same as numbers, and how often each of them stands in it.
struct Text<'a> {
    text: &'a str,
    symbols: Vec<u32>,
    counts: Vec<u32>,
}

impl<'a> Text<'a> {
    fn new(text: &'a str, symbols: Vec<u32>, alphabet: usize) -> Self {
        let mut counts = vec![0; alphabet];
        for s in &symbols {
            counts[*s as usize] += 1;
        }
        Self { text, symbols, counts }
    }

    /// A distance that is never too large, from the symbols without their order: every one that has no partner in the other
    /// text costs a step, and a step mends one of either text.
    fn least_distance(&self, other: &Self) -> usize {
        let without = |a: &[u32], b: &[u32]| a.iter().zip(b).map(|(a, b)| a.saturating_sub(*b) as usize).sum::<usize>();
        without(&self.counts, &other.counts).max(without(&other.counts, &self.counts))
    }

    /// A distance that is never too small, when a piece of this text stands in the other: what it takes to go on from there
    /// to both sides without anything taken out or put in. The same passage cut elsewhere is told by it.
    fn most_distance(&self, other: &Self) -> Option<usize> {
        let quarters = (1..4).map(|quarter| self.text.floor_char_boundary(self.text.len() / 4 * quarter));
        quarters.filter_map(|at| self.beside(other, at)).min()
    }

    /// The same, of the piece that begins at a byte.
    fn beside(&self, other: &Self, at: usize) -> Option<usize> {
        let (before, rest) = self.text.split_at(at);
        let piece = &rest[..rest.ceil_char_boundary(PIECE.min(rest.len()))];
        let found = memchr::memmem::find(other.text.as_bytes(), piece.as_bytes())?;
        let (mine, theirs) = (before.chars().count(), other.text[..found].chars().count());
        let both = mine.min(theirs);
        let (one, two) = (&self.symbols[mine - both..], &other.symbols[theirs - both..]);
        let same = one.iter().zip(two).filter(|(a, b)| a == b).count();
        Some(mine.abs_diff(theirs) + one.len().max(two.len()) - same)
    }
}

/// Average precision over the ranks of the retrieved contexts, relevant or not each. 0 when none is; unscored without
/// reference.
pub fn context_precision(alike: &Alike) -> Score {
    if alike.found.is_empty() {
        return Score::Unscored(NO_REFERENCE_CONTEXT.into());
    }
    let (mut found, mut sum) = (0.0, 0.0);
    for (rank, _) in alike.relevant.iter().enumerate().filter(|(_, relevant)| **relevant) {
        found += 1.0;
        sum += found / (rank + 1) as f64;
    }
    Score::Scored(if found > 0.0 { sum / found } else { 0.0 })
}

/// The share of reference contexts that are among those retrieved; unscored without reference.
pub fn context_recall(alike: &Alike) -> Score {
    if alike.found.is_empty() {
        return Score::Unscored(NO_REFERENCE_CONTEXT.into());
    }
    Score::Scored(alike.found.iter().filter(|f| **f).count() as f64 / alike.found.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    /// Two of four characters differ: similarity exactly ½, which precision takes and recall does not.
    #[test]
    fn one_half_is_enough_for_precision_only() {
        let (a, b) = (texts(&["abcd"]), texts(&["abxy"]));
        assert_eq!(context_precision(&Alike::of(&a, &b)), Score::Scored(1.0));
        assert_eq!(context_recall(&Alike::of(&a, &b)), Score::Scored(0.0));
    }

    #[test]
    fn nothing_retrieved_is_zero_and_no_reference_is_unscored() {
        let some = texts(&["abc"]);
        for of in [context_precision, context_recall] {
            let metric = |retrieved: &[String], references: &[String]| of(&Alike::of(retrieved, references));
            assert_eq!(metric(&[], &some), Score::Scored(0.0));
            assert_eq!(metric(&some, &[]), Score::Unscored(NO_REFERENCE_CONTEXT.into()));
            assert_eq!(metric(&texts(&[""]), &texts(&[""])), Score::Scored(1.0));
            assert_eq!(metric(&texts(&[""]), &some), Score::Scored(0.0));
        }
    }

    /// The definition word for word: all similarities, then the best of each.
    fn plain(retrieved: &[String], references: &[String]) -> Alike {
        let far = |a: &str, b: &str| 2 * strsim::levenshtein(a, b);
        let longest = |a: &str, b: &str| a.chars().count().max(b.chars().count());
        let relevant = |a: &String| references.iter().any(|b| far(a, b) <= longest(a, b));
        let found = |b: &String| retrieved.iter().any(|a| far(a, b) < longest(a, b) || longest(a, b) == 0);
        Alike { relevant: retrieved.iter().map(relevant).collect(), found: references.iter().map(found).collect() }
    }

    fn contexts() -> impl Strategy<Value = Vec<String>> {
        let short = "[ab é京]{0,12}".boxed();
        let long =
            proptest::collection::vec("(the|refund|within|days|of|京都|a)", 0..60).prop_map(|words| words.join(" ")).boxed();
        proptest::collection::vec(prop_oneof![short, long], 0..4)
    }

    /// So many letters as English has them, in an order of their own.
    fn letters(seed: u64, length: usize) -> String {
        const LETTERS: &[u8] = b"     eeetttaaaooiinnsshhrrddllcumwfgypbvk.,";
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(LETTERS[(state >> 33) as usize % LETTERS.len()])
        };
        std::iter::repeat_with(&mut next).take(length).collect()
    }

    /// The table of two texts of a megabyte has a million million cells: it is not filled in for the same passage cut
    /// elsewhere, with other letters in places, nor for what is too short.
    #[test]
    fn a_megabyte_cut_elsewhere_takes_no_table() {
        let text = letters(1, 1_000_000);
        let moved = format!("Période: {}", text[..900_000].replace("the", "京都府"));
        let found = Alike::of(&[moved, letters(2, 400_000)], &[text]);
        assert_eq!(found, Alike { relevant: vec![true, false], found: vec![true] });
    }

    /// Texts of pages, unlike, alike, and about half alike: what the definition says.
    #[test]
    fn long_texts_are_decided_like_the_definition() {
        let pages = [letters(1, 1800), letters(2, 1500)];
        let half = |page: &str, other: u64| format!("{}{}", &page[..700], letters(other, 800));
        let retrieved = [letters(3, 1700), pages[0][300..].into(), half(&pages[0], 4), half(&pages[1], 5), letters(6, 900)];
        let found = Alike::of(&retrieved, &pages);
        assert_eq!(found, plain(&retrieved, &pages));
        assert!(found.relevant[1] && !found.relevant[0], "{found:?}");
    }

    proptest! {
        #[test]
        fn short_cuts_decide_like_the_definition(retrieved in contexts(), references in contexts(), copied: bool, cut in 0usize..200) {
            let mut retrieved = retrieved;
            if let (true, Some(text)) = (copied, references.first()) {
                retrieved.push(text.clone());
                retrieved.push(text.chars().skip(cut % (text.chars().count() + 1)).collect());
            }
            prop_assert_eq!(Alike::of(&retrieved, &references), plain(&retrieved, &references));
        }

        #[test]
        fn edits_are_those_of_the_table(a in "[abcé京]{0,200}", b in "[abcé京]{0,200}") {
            prop_assert_eq!(edits(&a, &b), strsim::levenshtein(&a, &b));
        }

        #[test]
        fn the_distance_is_between_the_bounds(a in "[abcé]{0,40}", b in "[abcé]{0,40}") {
            let mut alphabet = Alphabet::default();
            let (x, y) = (alphabet.encode(&a), alphabet.encode(&b));
            let (x, y) = (Text::new(&a, x, alphabet.size()), Text::new(&b, y, alphabet.size()));
            prop_assert!(x.least_distance(&y) <= strsim::levenshtein(&a, &b));
            prop_assert!(x.most_distance(&y).is_none_or(|most| strsim::levenshtein(&a, &b) <= most));
        }
    }
}

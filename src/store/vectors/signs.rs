//! The cheap look at many vectors: one bit a dimension, its sign. Vectors that point alike have most signs in common, so those
//! with the fewest different signs are looked at more closely, and the rest not at all.
//!
//! How many: on 60,000 sentences of real text, 2 % of them hold 0.99 of the ten nearest (`docs/benchmarks.md`); of fewer than
//! [`ABOVE`] vectors all codes are read, which is exact and quick enough.

/// With more vectors than this their signs are looked at first.
pub(super) const ABOVE: u64 = 200_000;
/// How many are looked at more closely: at least so many, so many for each one that is wanted, and one in so many of all.
const CLOSER: (usize, usize, usize) = (1_000, 8, 50);

/// 64-bit words that the signs of a vector take.
pub(super) fn words(dimensions: usize) -> usize {
    dimensions.div_ceil(64)
}

/// The signs of a vector: a bit is set where its code is below zero.
pub(super) fn of(codes: &[i8]) -> Vec<u64> {
    let word = |some: &[i8]| some.iter().rev().fold(0, |word, code| word << 1 | u64::from(*code < 0));
    codes.chunks(64).map(word).collect()
}

/// In how many dimensions two vectors have different signs; `kept` is little-endian.
pub(super) fn different(query: &[u64], kept: &[u8]) -> u32 {
    query.iter().zip(kept.as_chunks::<8>().0).map(|(q, k)| (q ^ u64::from_le_bytes(*k)).count_ones()).sum()
}

/// What is known of a vector that may not be found.
pub(super) const NEVER: u32 = u32::MAX;

/// The places of those with the fewest differences, in order; of equal ones the first. `wanted` is how many are wanted in the
/// end.
pub(super) fn closest(differences: &[u32], wanted: usize) -> Vec<usize> {
    let (least, each, share) = CLOSER;
    let most = least.max(wanted.saturating_mul(each)).max(differences.len() / share);
    let highest = differences.iter().copied().filter(|d| *d != NEVER).max().unwrap_or(0) as usize;
    let mut how_many = vec![0_usize; highest + 1];
    for d in differences.iter().filter(|d| **d != NEVER) {
        how_many[*d as usize] += 1;
    }
    // All below the limit are taken, and as many at the limit as there is room for.
    let (mut limit, mut taken) = (0, 0);
    while limit <= highest && taken + how_many[limit] <= most {
        taken += how_many[limit];
        limit += 1;
    }
    let mut room = most - taken;
    let take = |(place, d): (usize, &u32)| {
        let at_limit = *d as usize == limit && *d != NEVER;
        let taken = (*d as usize) < limit || at_limit && room > 0;
        room -= usize::from(at_limit && taken);
        taken.then_some(place)
    };
    differences.iter().enumerate().filter_map(take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_counted_where_they_differ() {
        let a: Vec<i8> = (0..130).map(|i| if i % 3 == 0 { -1 } else { 1 }).collect();
        let b: Vec<i8> = a.iter().enumerate().map(|(i, c)| if [0, 63, 64, 129].contains(&i) { -c } else { *c }).collect();
        let kept: Vec<u8> = of(&b).iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!((of(&a).len(), words(130), different(&of(&a), &kept)), (3, 3, 4));
    }

    #[test]
    fn the_closest_are_those_with_the_fewest_differences() {
        let differences: Vec<u32> = (0..5_000).map(|i| if i % 10 == 9 { NEVER } else { i * 7_919 % 97 }).collect();
        let found = closest(&differences, 1);
        assert_eq!(found.len(), 1_000);
        let mut sorted: Vec<(u32, usize)> = differences.iter().enumerate().map(|(i, d)| (*d, i)).collect();
        sorted.sort_unstable();
        let mut right: Vec<usize> = sorted[..1_000].iter().map(|s| s.1).collect();
        right.sort_unstable();
        assert_eq!(found, right);
        assert_eq!(closest(&differences, 1_000).len(), 4_500, "no more than there are");
        assert_eq!(closest(&differences, 200).len(), 1_600, "more when more are wanted");
        assert!(closest(&[], 1).is_empty() && closest(&[NEVER; 3], 1).is_empty());
    }
}

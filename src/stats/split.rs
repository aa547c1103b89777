//! Units split between two variants as planned, looked at as often as one likes.
//!
//! A chi-squared test is right for who looks once: looked at after every unit it calls some sound splits uneven, and the more the longer
//! one looks. Here E is the chance of the units as they came when the part of the treatment is Beta around the planned one, over their
//! chance when it is the planned one (Lindon and Malek 2022, "Anytime-valid inference for multinomial count data"): a martingale that
//! starts at 1 while the split is sound, so the chance that it *ever* reaches 1/α is at most α (Ville 1939), exactly. It is mixed over how
//! narrow that Beta is, so that a gross loss is seen after a few units and a small one after many.

use libm::lgamma;

/// How many units the belief in the planned part is worth.
const WORTHS: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];

/// ln E against "each unit goes to the second variant with the chance `share`". 0 without units, or for a share that is not strictly
/// between 0 and 1.
pub fn of_split(first: u64, second: u64, share: f64) -> f64 {
    if first == 0 && second == 0 || !(share > 0.0 && share < 1.0) {
        return 0.0;
    }
    let (one, two) = (first as f64, second as f64);
    let sound = two * share.ln() + one * (-share).ln_1p();
    let logs = WORTHS.map(|worth| {
        let (a, b) = (worth * share, worth * (1.0 - share));
        log_beta(a + two, b + one) - log_beta(a, b) - sound
    });
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + (logs.iter().map(|l| (l - most).exp()).sum::<f64>() / logs.len() as f64).ln()
}

fn log_beta(a: f64, b: f64) -> f64 {
    lgamma(a) + lgamma(b) - lgamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::contingency::fits;

    const BAR: f64 = 6.907_755_278_982_137; // ln 1000

    /// The chance that a sound split looked at after each of so many units is ever called uneven: exactly, by following the chance of
    /// every count that was never called so.
    fn ever(share: f64, units: usize, uneven: impl Fn(u64, u64) -> bool) -> f64 {
        let (mut low, mut chances) = (0_u64, vec![1.0]);
        for n in 1..=units as u64 {
            let mut next = vec![0.0; chances.len() + 1];
            for (i, chance) in chances.iter().enumerate() {
                next[i] += chance * (1.0 - share);
                next[i + 1] += chance * share;
            }
            let inside = |i: usize| !uneven(n - low - i as u64, low + i as u64);
            // What is called uneven lies at both ends.
            let from = (0..next.len()).find(|i| inside(*i)).expect("a sound count");
            let to = (0..next.len()).rev().find(|i| inside(*i)).expect("a sound count");
            (low, chances) = (low + from as u64, next[from..=to].to_vec());
        }
        1.0 - chances.iter().sum::<f64>()
    }

    /// Looked at after every unit, as long as one likes, at most one sound split in a thousand is called uneven. Pearson's test at 0.001,
    /// which is right for one look, errs far more often.
    #[test]
    fn looking_often_calls_no_sound_split_uneven() {
        for (share, units) in [(0.5, 5_000), (0.2, 3_000), (0.01, 3_000)] {
            let chance = ever(share, units, |one, two| of_split(one, two, share) >= BAR);
            assert!(chance > 0.0 && chance <= 0.001, "{chance} for {share}");
        }
        let pearson = ever(0.5, 3_000, |one, two| fits(&[one, two], &[0.5, 0.5]).is_some_and(|p| p < 0.001));
        assert!(pearson > 0.01, "{pearson}");
    }

    /// The expectation of E after n units is 1 while the split is sound.
    #[test]
    fn the_expectation_is_one_while_the_split_is_sound() {
        for (n, share) in [(1_u64, 0.5), (40, 0.5), (40, 0.1), (300, 0.37)] {
            let chance = |k: u64| crate::stats::beta::binomial_density(k as f64, n as f64, share, 1.0 - share);
            let expected: f64 = (0..=n).map(|k| chance(k) * of_split(n - k, k, share).exp()).sum();
            assert!((expected - 1.0).abs() < 1e-9, "{expected} of {n} units for {share}");
        }
    }

    #[test]
    fn losses_are_found_be_they_gross_or_small() {
        for (one, two, share) in [(700, 400, 0.5), (20, 0, 0.5), (0, 20, 0.5), (5_300, 4_700, 0.5), (99_000, 1_300, 0.01)] {
            assert!(of_split(one, two, share) >= BAR, "{one} and {two} for {share}: {}", of_split(one, two, share));
        }
        for (one, two, share) in [(10, 0, 0.5), (520, 480, 0.5), (0, 0, 0.5), (99_010, 990, 0.01), (5, 0, 0.0), (5, 0, 1.0)] {
            assert!(of_split(one, two, share) < BAR, "{one} and {two} for {share}: {}", of_split(one, two, share));
        }
        assert!(of_split(1 << 40, 1 << 40, 0.5).is_finite() && of_split(1 << 40, 0, 0.5) > 1e9);
    }
}

//! Two arms compared as often as one likes: evidence that the second is better, valid at every look.
//!
//! Each function gives ln E of an e-process for "the second arm's mean is at most the first's": while that is so E's expectation never
//! exceeds 1 at any time at which somebody stops to look, so the chance that it *ever* reaches 1/α is at most α (Ville 1939). E rests on
//! sums alone: it does not matter in which order, or in how many parts, the rows came.
//!
//! * Of rates, exactly: a mixture of sequential likelihood ratios (Robbins 1970, Annals of Mathematical Statistics 41; Johari et al. 2022,
//!   Operations Research 70), whose alternatives lie apart by a factor on the odds, laid around a common rate so that each arm moves by the
//!   other's share. The common rate is unknown, so E is the least over all it may be (as Turner, Ly and Grünwald 2024 do for tables of two
//!   by two). A tenth of the stake is on the first arm's rate being another one (the mixture of Krichevsky and Trofimov 1981), which rules
//!   out common rates that the rows do not have. The logarithm of all that is convex in the common rate, so the least is found by golden
//!   section. If the second rate is lower than the first, the expectation is lower still.
//! * Of means, as rows grow: the one-sided normal mixture (Robbins 1970; Howard et al. 2021, Annals of Statistics 49) of the difference over its
//!   standard error (Waudby-Smith et al. 2024, "Time-uniform central limit theory"), with the small-sample spread of Student's t taken out
//!   first. It is right in the limit and not before, so below [`LEAST`] rows in an arm nothing is said; the tests count how often it errs.
//!
//! * Of pairs within −1 to 1, exactly: bets on each difference. Of pairs and means without any spread: bets on their signs.
//!
//! Two means within 0 to 1 have [`super::evidence::of_drop`], which is exact too.

use super::beta::binomial_density;
use super::describe::Moments;
use super::posterior::welch;
use super::tail::t_two_sided;
use statrs::distribution::{ContinuousCDF, Normal};

/// Distances of the alternatives in log odds, from 0.2 % of the odds to a factor of 20.
const DISTANCES: [f64; 15] = [0.002, 0.005, 0.01, 0.02, 0.032, 0.05, 0.08, 0.125, 0.2, 0.32, 0.5, 0.8, 1.25, 2.0, 3.0];
/// The stake on the first arm's rate being another one than is supposed.
const OTHER_RATE: f64 = 0.1;
/// Stakes of bets on a mean, as a share of what may be lost in one value.
const STAKES: [f64; 8] = [0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.7, 0.9];
/// Steps of the golden section: 0.618^80 of the range is below what `f64` tells apart.
const STEPS: usize = 80;
/// (√5 − 1)/2.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// The fewest rows of an arm from which the limit law is believed.
pub const LEAST: u64 = 30;

/// ln E against "the second rate is at most the first"; each as (successes, rows). `share` is the second arm's planned part of the rows,
/// strictly between 0 and 1: of another part than came, E is valid but grows more slowly. 0 without rows in both arms, or for counts or
/// shares that are none.
pub fn of_rates(first: (u64, u64), second: (u64, u64), share: f64) -> f64 {
    let sound = |(of, all): (u64, u64)| of <= all && all > 0;
    if !(sound(first) && sound(second) && share > 0.0 && share < 1.0) {
        return 0.0;
    }
    let arms = [(first, -share), (second, 1.0 - share)].map(|((of, all), part)| (of as f64, all as f64, part));
    let other = Other::of(arms[0].0, arms[0].1);
    let at = |rate: f64| {
        let ratio = |distance: f64| -> f64 {
            let one = |(of, all, part): (f64, f64, f64)| {
                let shift = part * distance;
                of * shift - all * (rate * shift.exp_m1()).ln_1p()
            };
            arms.map(one).iter().sum()
        };
        add_logs((1.0 - OTHER_RATE).ln() + log_mean(&DISTANCES.map(ratio)), OTHER_RATE.ln() + other.against(rate))
    };
    least(at)
}

/// What the rows of one arm say against rates.
struct Other {
    hits: f64,
    rows: f64,
    /// ln of the mixture of all rates over the likelihood of the one seen.
    regret: f64,
}

impl Other {
    fn of(hits: f64, rows: f64) -> Self {
        let misses = rows - hits;
        // The mixture is C(2s, s)·C(2f, f)/4ⁿ over C(n, s): three binomial chances that keep their digits.
        let even = |k: f64| binomial_density(k, 2.0 * k, 0.5, 0.5).ln();
        let seen = binomial_density(hits, rows, hits / rows, misses / rows).ln();
        Self { hits, rows, regret: even(hits) + even(misses) - seen }
    }

    /// ln of the mixture over the likelihood of this rate.
    fn against(&self, rate: f64) -> f64 {
        let part = |k: f64, p: f64| if k > 0.0 { k * (k / self.rows / p).ln() } else { 0.0 };
        self.regret + part(self.hits, rate) + part(self.rows - self.hits, 1.0 - rate)
    }
}

/// ln(eᵃ + eᵇ), of which the first is finite.
fn add_logs(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high.is_finite() { high + (low - high).exp().ln_1p() } else { high }
}

/// ln E against "the second mean is at most the first". `reach` is about how large a difference is looked for, in the unit of the values
/// and chosen before they came: E grows fastest for such. 0 below [`LEAST`] rows in an arm, or where nothing differs within them.
pub fn of_means(first: &Moments, second: &Moments, reach: f64) -> f64 {
    if first.n.min(second.n) < LEAST {
        return 0.0;
    }
    let found = welch(first, second);
    found.map_or(0.0, |(error, degrees)| of_difference(second.mean - first.mean, error, degrees, reach))
}

/// The same of pairs, each second minus first.
pub fn of_pairs(differences: &Moments, reach: f64) -> f64 {
    let n = differences.n as f64;
    if differences.n < LEAST || differences.sd <= 0.0 {
        return 0.0;
    }
    of_difference(differences.mean, differences.sd / n.sqrt(), n - 1.0, reach)
}

/// ln E against "the mean of values within −1 to 1 is at most `limit`": bets on each value in turn (Waudby-Smith and Ramdas 2024, JRSS B
/// 86), mixed over their stakes; exact at every number of values. 0 for values beyond that range, or a limit that is not strictly within it.
pub fn of_bounded(values: &[f64], limit: f64) -> f64 {
    if !(limit > -1.0 && limit < 1.0 && values.iter().all(|v| (-1.0..=1.0).contains(v))) {
        return 0.0;
    }
    // At most 1 is lost in a value: 1 + stake·gain is never below 0.
    let bet = |stake: f64| values.iter().map(|v| (stake * (v - limit) / (1.0 + limit)).ln_1p()).sum::<f64>();
    log_mean(&STAKES.map(bet))
}

/// ln E of pairs that all differ by the same, of which no spread can be seen: bets on their signs, against "a pair is not more often above 0
/// than below". 0 below [`LEAST`] pairs or without a difference.
pub fn of_alike_pairs(n: u64, difference: f64) -> f64 {
    if n < LEAST || difference == 0.0 || difference.is_nan() {
        return 0.0;
    }
    let sign = 1.0_f64.copysign(difference);
    log_mean(&STAKES.map(|stake| n as f64 * (stake * sign).ln_1p()))
}

/// ln E of two arms that each have one value only, against "values of the second are not more often beyond a cut between the two than
/// those of the first". The first value of each arm lays the cut, and counts no further. 0 below [`LEAST`] rows in an arm or without a difference.
pub fn of_alike_arms(first: u64, second: u64, difference: f64, share: f64) -> f64 {
    if first.min(second) < LEAST || difference == 0.0 || difference.is_nan() {
        return 0.0;
    }
    let (one, two) = (first - 1, second - 1);
    if difference > 0.0 { of_rates((0, one), (two, two), share) } else { of_rates((one, one), (0, two), share) }
}

/// 2·√(ρ/(V + ρ))·exp(S²/2(V + ρ))·Φ(S/√(V + ρ)) with V = 1/error², S = z/error, ρ = 1/reach².
fn of_difference(difference: f64, error: f64, degrees: f64, reach: f64) -> f64 {
    let z = normal_of(difference / error, degrees);
    let part = reach * reach / (reach * reach + error * error);
    if !(reach > 0.0 && part < 1.0 && z.is_finite()) {
        return 0.0;
    }
    // Φ far below 0 by its tail, of which the logarithm stays finite.
    let side = z * part.sqrt();
    let log_side = (libm::erfc(-side / std::f64::consts::SQRT_2) / 2.0).max(f64::MIN_POSITIVE).ln();
    std::f64::consts::LN_2 + (1.0 - part).ln() / 2.0 + side * side / 2.0 + log_side
}

/// The normal value with the same tail as Student's.
fn normal_of(t: f64, degrees: f64) -> f64 {
    let tail = t_two_sided(t, degrees).unwrap_or(1.0) / 2.0;
    // Beyond what a tail can tell the two laws are as good as one, and E is past every bar.
    if tail < 1e-300 { t.clamp(-37.0, 37.0) } else { Normal::standard().inverse_cdf(tail).abs().copysign(t) }
}

/// The least value of a convex function over 0 to 1.
fn least(f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    let (mut left, mut right) = (1.0 - GOLDEN, GOLDEN);
    let (mut at_left, mut at_right) = (f(left), f(right));
    for _ in 0..STEPS {
        if at_left <= at_right {
            high = right;
            (right, at_right) = (left, at_left);
            left = high - GOLDEN * (high - low);
            at_left = f(left);
        } else {
            low = left;
            (left, at_left) = (right, at_right);
            right = low + GOLDEN * (high - low);
            at_right = f(right);
        }
    }
    [f(0.0), f(1.0), at_left].into_iter().fold(at_right, f64::min)
}

/// ln of the mean of eᵃ¹ … eᵃᵏ.
fn log_mean(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + (logs.iter().map(|l| (l - most).exp()).sum::<f64>() / logs.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::evidence::of_drop;
    use crate::stats::rng::Rng;
    use crate::stats::vectors::{ab_rows, near};
    use proptest::prelude::*;

    const BAR: f64 = 2.995_732_273_553_991; // ln 20: α = 0.05

    /// mpmath 1.4.1 with 40 digits: the formulas above, the least over a grid and Newton's method.
    #[test]
    fn evidence_agrees_with_mpmath() {
        for row in ab_rows("sequential") {
            let arm = |k: &str, n: &str| (row.u64(k), row.u64(n));
            let found = of_rates(arm("s1", "n1"), arm("s2", "n2"), row.f64("share"));
            assert!((found - row.f64("log")).abs() < 1e-9 * (1.0 + row.f64("log").abs()), "{found} is not {}", row.f64("log"));
        }
        for row in ab_rows("sequential_means") {
            let [m1, s1, m2, s2, reach, want] = row.f64s(["m1", "s1", "m2", "s2", "reach", "log"]);
            let (first, second) =
                (Moments { n: row.u64("n1"), mean: m1, sd: s1 }, Moments { n: row.u64("n2"), mean: m2, sd: s2 });
            near(Some(of_means(&first, &second, reach)), want, 1e-8, "means");
        }
    }

    /// The expectation of E after n rows in each arm, summed over every outcome, for rates that are equal and for a second one that is lower.
    #[test]
    fn the_expectation_is_at_most_one_while_the_second_is_not_better() {
        let chance = |n: u64, k: u64, p: f64| crate::stats::beta::binomial_density(k as f64, n as f64, p, 1.0 - p);
        for (n1, n2, share, p1, p2) in [
            (12, 12, 0.5, 0.3, 0.3),
            (18, 6, 0.25, 0.1, 0.1),
            (10, 14, 0.5, 0.9, 0.9),
            (12, 12, 0.5, 0.4, 0.2),
            (9, 9, 0.5, 0.02, 0.02),
        ] {
            let mut expected = 0.0;
            for (a, b) in (0..=n1).flat_map(|a| (0..=n2).map(move |b| (a, b))) {
                expected += chance(n1, a, p1) * chance(n2, b, p2) * of_rates((a, n1), (b, n2), share).exp();
            }
            assert!(expected <= 1.0 && expected > 0.3, "{expected} with {n1}, {n2} rows of {p1}, {p2}");
        }
    }

    /// How many of 300 tests in which both arms are the same one would ever call the second better, looking after every 20 rows of an arm, 50
    /// times: Bayes' rule at 0.95 in far more than 5 %, the evidence in at most 5 %. `cargo bench -- ab` does the same with 20,000 tests.
    #[test]
    fn looking_often_misleads_bayes_and_not_the_evidence() {
        let (mut bayes, mut sequential, mut scores, mut means) = (0, 0, 0, 0);
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let (mut one, mut two) = (Arm::default(), Arm::default());
            let mut called = [false; 4];
            for _ in 0..50 {
                one.take(&mut rng, 20);
                two.take(&mut rng, 20);
                let posterior = crate::stats::posterior::of_rates(one.hits(), two.hits()).expect("one");
                called[0] |= posterior.higher >= 0.95;
                called[1] |= of_rates(one.hits(), two.hits(), 0.5) >= BAR;
                called[2] |= of_drop(&two.values(), &one.values(), 0.0) >= BAR;
                called[3] |= of_means(&one.costs(), &two.costs(), 0.3) >= BAR;
            }
            for (count, called) in [&mut bayes, &mut sequential, &mut scores, &mut means].into_iter().zip(called) {
                *count += u32::from(called);
            }
        }
        assert!(bayes > 60, "{bayes} of 300");
        assert!(sequential <= 15 && scores <= 15 && means <= 15, "{sequential}, {scores} and {means} of 300");
    }

    /// Rows of an arm: whether they pass, a score and a cost with a long tail.
    #[derive(Default)]
    struct Arm {
        passed: u64,
        scores: Vec<f64>,
        costs: Vec<f64>,
    }

    impl Arm {
        fn take(&mut self, rng: &mut Rng, n: usize) {
            for _ in 0..n {
                self.passed += u64::from(rng.unit() < 0.2);
                self.scores.push(rng.unit().powi(2));
                self.costs.push(-rng.unit().ln());
            }
        }

        fn hits(&self) -> (u64, u64) {
            (self.passed, self.scores.len() as u64)
        }

        fn values(&self) -> Moments {
            Moments::of(&self.scores).expect("finite")
        }

        fn costs(&self) -> Moments {
            Moments::of(&self.costs).expect("finite")
        }
    }

    /// Bets are fair: their expectation over all outcomes of eight values of −1, 0 and 1 is 1 where the mean is the limit, and less below.
    #[test]
    fn bets_on_pairs_are_fair() {
        for (chances, limit, fair) in [([0.3, 0.4, 0.3], 0.0, true), ([0.1, 0.5, 0.4], 0.3, true), ([0.4, 0.3, 0.3], 0.0, false)]
        {
            let mut expected = 0.0;
            for code in 0..3_usize.pow(8) {
                let digits = (0..8).map(|i| code / 3_usize.pow(i) % 3);
                let values: Vec<f64> = digits.clone().map(|d| d as f64 - 1.0).collect();
                expected += digits.map(|d| chances[d]).product::<f64>() * of_bounded(&values, limit).exp();
            }
            assert!(if fair { (expected - 1.0).abs() < 1e-9 } else { expected < 0.9 }, "{expected} of {chances:?}");
        }
        assert!(of_bounded(&[0.2; 44], 0.0) > BAR && of_bounded(&[-0.2; 44], 0.0) < 0.0);
        assert_eq!((of_bounded(&[1.5], 0.0), of_bounded(&[0.5], 1.0), of_bounded(&[], 0.0)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_clear_difference_is_found_and_too_few_rows_say_nothing() {
        assert!(of_rates((1_000, 10_000), (1_200, 10_000), 0.5) > BAR && of_rates((1_200, 10_000), (1_000, 10_000), 0.5) < 0.0);
        assert!(of_rates((10_000, 1_000_000_000), (10_000, 1_000_000_000), 0.5) < BAR, "many rows without a difference");
        assert_eq!(
            (of_rates((0, 0), (1, 1), 0.5), of_rates((2, 1), (1, 1), 0.5), of_rates((1, 2), (1, 2), 1.0)),
            (0.0, 0.0, 0.0)
        );
        let of = |n, mean| Moments { n, mean, sd: 1.0 };
        assert!(of_means(&of(500, 0.0), &of(500, 0.5), 0.3) > BAR && of_means(&of(500, 0.5), &of(500, 0.0), 0.3) < 0.0);
        assert_eq!((of_means(&of(29, 0.0), &of(500, 9.0), 0.3), of_pairs(&of(29, 9.0), 0.3)), (0.0, 0.0));
        assert_eq!(
            (of_pairs(&Moments { n: 90, mean: 1.0, sd: 0.0 }, 0.3), of_means(&of(90, 0.0), &of(90, 1.0), 0.0)),
            (0.0, 0.0)
        );
        assert!(of_pairs(&of(10_000, 100.0), 0.3).is_finite() && of_pairs(&of(10_000, -100.0), 0.3).is_finite());
    }

    /// Values without a spread: signs alone.
    #[test]
    fn what_is_all_alike_is_told_by_its_signs() {
        assert!(of_alike_pairs(30, 5.0) > BAR && of_alike_pairs(30, -5.0) < 0.0 && of_alike_pairs(1 << 40, -5.0) < 0.0);
        assert!((of_alike_pairs(44, 0.2) - of_bounded(&[1.0; 44], 0.0)).abs() < 1e-12);
        assert!(of_alike_arms(30, 30, 1.0, 0.5) > BAR && of_alike_arms(30, 30, -1.0, 0.5) < 0.0);
        assert_eq!((of_alike_pairs(29, 1.0), of_alike_pairs(90, 0.0), of_alike_pairs(90, f64::NAN)), (0.0, 0.0, 0.0));
        assert_eq!((of_alike_arms(29, 90, 1.0, 0.5), of_alike_arms(90, 90, 0.0, 0.5)), (0.0, 0.0));
    }

    proptest! {
        #[test]
        fn evidence_is_always_a_number(a in 0u64..2_000, b in 0u64..2_000, n in 1u64..2_000, m in 1u64..2_000, share in 0.01f64..0.99) {
            let found = of_rates((a.min(n), n), (b.min(m), m), share);
            prop_assert!(found.is_finite());
            // One success more of the second arm never speaks against it.
            prop_assert!(b >= m || of_rates((a.min(n), n), (b + 1, m), share) > found - 1e-9);
        }
    }
}

//! Two systems compared on the same rows: row by row, so that what makes a row hard for both drops out.
//!
//! Where the numbers come from: Gaffke's interval of the differences ([`super::bounded`]) of scores whose range is known, which
//! keeps its width when all rows agree, else Student's; the sign-flip permutation test (Fisher 1935), exact
//! when few rows differ and by seeded draws above; for rows that pass or fail McNemar's exact test and the interval of
//! Agresti and Min 2005 (Statistics in Medicine 24), which keeps its width when no row changed.

use super::bounded::of_bounded_mean;
use super::describe::{mean, sd};
use super::interval::{Interval, finite, of_mean, z_quantile};
use super::rng::Rng;
use statrs::distribution::{Binomial, DiscreteCDF};

/// Up to this many rows that differ, all 2ⁿ sign patterns are tried.
const EXACT_ROWS: usize = 12;
/// Sign patterns drawn when there are too many to try; with the observed one this makes steps of 1/10,000.
const DRAWS: u64 = 9_999;

/// How a p-value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// All sign patterns of the differences.
    SignFlipExact,
    /// Randomly drawn sign patterns of the differences.
    SignFlipDrawn,
    /// McNemar's exact test on rows that pass or fail.
    McNemarExact,
}

/// Candidate minus baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// How many rows both have.
    pub n: usize,
    /// The mean difference, in the unit of the scores; positive when the candidate's are higher.
    pub difference: f64,
    /// The standard deviation of the differences, in the unit of the scores; `None` for a single row.
    pub sd: Option<f64>,
    /// Where the true mean difference lies; `None` for a single row that is not pass or fail and has no known range.
    pub interval: Option<Interval>,
    /// The two-sided chance of a difference this large when there is none.
    pub p_value: f64,
    /// How `p_value` was found.
    pub test: Test,
}

/// Compares pairs `(baseline, candidate)` of scores of the same row; `span` is the largest difference that two scores can have.
/// The seed matters only when more than twelve rows differ. `None` for no pairs, scores that are not finite, or a confidence
/// that is not strictly between 0 and 1.
///
/// Without a span, or with scores beyond it, scores other than 0 and 1 that differ by the same amount everywhere have an
/// interval without width; `n` says what it is worth.
pub fn compare(pairs: &[(f64, f64)], span: Option<f64>, confidence: f64, seed: u64) -> Option<Comparison> {
    z_quantile(confidence)?;
    let differences: Vec<f64> = pairs.iter().map(|(baseline, candidate)| candidate - baseline).collect();
    let difference = mean(&differences)?;
    let binary = pairs.iter().all(|(b, c)| [b, c].into_iter().all(|v| *v == 0.0 || *v == 1.0));
    let (p_value, test, interval) = if binary {
        let gained = differences.iter().filter(|d| **d > 0.0).count() as u64;
        let lost = differences.iter().filter(|d| **d < 0.0).count() as u64;
        (mcnemar(lost, gained)?, Test::McNemarExact, agresti_min(lost, gained, pairs.len(), confidence))
    } else {
        let (p, test) = sign_flip(&differences, seed);
        let bounded = span.and_then(|span| of_bounded_mean(&differences, (-span, span), confidence));
        (p, test, bounded.or_else(|| of_mean(&differences, confidence)))
    };
    Some(Comparison { n: pairs.len(), difference, sd: sd(&differences), interval, p_value, test })
}

/// The sign test (Arbuthnot 1710; Conover 1999, §3.4): the two-sided chance of as uneven a count of rows that rose and rows that fell,
/// whatever by how much; rows that did not change have no sign. `None` for differences that are not finite.
pub fn sign_test(differences: &[f64]) -> Option<f64> {
    if !differences.iter().all(|d| d.is_finite()) {
        return None;
    }
    let count = |of: fn(&&f64) -> bool| differences.iter().filter(of).count() as u64;
    mcnemar(count(|d| **d < 0.0), count(|d| **d > 0.0))
}

/// The sign-flip test of differences that are independent, such as the sums of clusters: the two-sided chance of a sum this far from 0.
/// `None` for none, and for those that are not finite.
pub fn sign_flips(differences: &[f64], seed: u64) -> Option<f64> {
    mean(differences).map(|_| sign_flip(differences, seed).0)
}

/// McNemar's exact two-sided p-value from the rows only the baseline passes and the rows only the candidate passes: twice
/// the binomial tail, at most 1. `None` when both together are more than can be counted.
pub fn mcnemar(lost: u64, gained: u64) -> Option<f64> {
    let coin = Binomial::new(0.5, lost.checked_add(gained)?).ok()?;
    Some((2.0 * coin.cdf(lost.min(gained))).min(1.0))
}

/// Agresti and Min: Wald's interval of a difference of paired proportions after adding half a row to each of the four cells.
fn agresti_min(lost: u64, gained: u64, n: usize, confidence: f64) -> Option<Interval> {
    let (lost, gained, n) = (lost as f64 + 0.5, gained as f64 + 0.5, n as f64 + 2.0);
    let centre = (gained - lost) / n;
    let half = z_quantile(confidence)? * (lost + gained - (gained - lost).powi(2) / n).sqrt() / n;
    finite((centre - half).max(-1.0), (centre + half).min(1.0))
}

/// The share of sign patterns whose sum is at least as far from 0 as the observed one. Rows without a difference have no
/// sign to flip and drop out.
fn sign_flip(differences: &[f64], seed: u64) -> (f64, Test) {
    // Scaled by the largest: the sums cannot overflow, and a tolerance of their rounding means the same for every unit.
    let largest = differences.iter().fold(0.0f64, |m, d| m.max(d.abs()));
    let moved: Vec<f64> = differences.iter().filter(|d| **d != 0.0).map(|d| d / largest).collect();
    let bar = moved.iter().sum::<f64>().abs() - 1e-12 * moved.len() as f64;
    let flipped = |signs: &mut dyn FnMut() -> u64| {
        let mut sum = 0.0;
        for chunk in moved.chunks(64) {
            let bits = signs();
            sum += chunk.iter().enumerate().map(|(i, d)| if bits >> i & 1 == 0 { *d } else { -*d }).sum::<f64>();
        }
        sum.abs() >= bar
    };
    if moved.len() <= EXACT_ROWS {
        let patterns = 1u64 << moved.len();
        let hits = (0..patterns).filter(|bits| flipped(&mut || *bits)).count();
        return (hits as f64 / patterns as f64, Test::SignFlipExact);
    }
    let mut rng = Rng::new(seed);
    let hits = (0..DRAWS).filter(|_| flipped(&mut || rng.bits())).count();
    // The observed pattern is one of those possible, so it counts: p is never 0 (Phipson and Smyth 2010).
    ((hits + 1) as f64 / (DRAWS + 1) as f64, Test::SignFlipDrawn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::interval::CONFIDENCE;
    use crate::stats::rng::Rng;
    use proptest::prelude::*;

    const BASELINE: [f64; 8] = [0.61, 0.72, 0.55, 0.80, 0.91, 0.43, 0.77, 0.68];
    const CANDIDATE: [f64; 8] = [0.70, 0.71, 0.66, 0.88, 0.93, 0.52, 0.75, 0.81];

    fn pairs(baseline: &[f64], candidate: &[f64]) -> Vec<(f64, f64)> {
        baseline.iter().copied().zip(candidate.iter().copied()).collect()
    }

    fn binary(both: usize, lost: usize, gained: usize, neither: usize) -> Vec<(f64, f64)> {
        let cells = [(both, (1.0, 1.0)), (lost, (1.0, 0.0)), (gained, (0.0, 1.0)), (neither, (0.0, 0.0))];
        cells.into_iter().flat_map(|(n, pair)| std::iter::repeat_n(pair, n)).collect()
    }

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-9, "{got} is not {want}");
    }

    /// scipy 1.17.1: `ttest_rel(candidate, baseline).confidence_interval()` and `permutation_test((c, b), lambda x, y:
    /// np.mean(x - y), permutation_type="samples", n_resamples=np.inf)`.
    #[test]
    fn few_rows_agree_with_scipy() {
        for (n, difference, sd, low, high, p) in [
            (
                8,
                0.061_249_999_999_999_99,
                0.056_678_920_243_773_17,
                0.013_865_236_860_823_853,
                0.108_634_763_139_176_14,
                0.046875,
            ),
            (5, 0.057_999_999_999_999_98, 0.050_695_167_422_546_29, -0.004_946_364_271_488_049, 0.120_946_364_271_488_01, 0.125),
            (2, 0.039_999_999_999_999_98, 0.070_710_678_118_654_74, -0.595_310_236_808_734_6, 0.675_310_236_808_734_5, 1.0),
        ] {
            let c = compare(&pairs(&BASELINE[..n], &CANDIDATE[..n]), None, CONFIDENCE, 0).expect("a comparison");
            let interval = c.interval.expect("an interval");
            assert_eq!((c.n, c.test), (n, Test::SignFlipExact));
            for (got, want) in [
                (c.difference, difference),
                (c.sd.expect("an sd"), sd),
                (interval.low, low),
                (interval.high, high),
                (c.p_value, p),
            ] {
                near(got, want);
            }
        }
    }

    /// With many rows the drawn p-value is near Student's: scipy 1.17.1, `ttest_rel(...).pvalue`.
    #[test]
    fn many_rows_are_drawn_and_agree_with_the_t_test() {
        let baseline: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 60) / 60.0).collect();
        let candidate: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 60) / 60.0 + f64::from(i * 23 % 41 - 18) / 100.0).collect();
        let c = compare(&pairs(&baseline, &candidate), None, CONFIDENCE, 1).expect("a comparison");
        assert_eq!(c.test, Test::SignFlipDrawn);
        assert!((c.p_value - 0.26239226).abs() < 0.015, "{}", c.p_value);
        assert_eq!(compare(&pairs(&baseline, &candidate), None, CONFIDENCE, 1), Some(c), "the same seed gives the same answer");
    }

    /// statsmodels 0.15.0: `mcnemar([[both, lost], [gained, neither]], exact=True).pvalue`; the interval from the formula of
    /// Agresti and Min with `scipy.stats.norm.ppf(.975)`.
    #[test]
    fn pass_and_fail_agree_with_statsmodels() {
        for ((both, lost, gained, neither), p, low, high) in [
            ((10, 2, 9, 4), 0.065_429_687_5, 0.027_589_796_416_694_79, 0.490_928_722_101_823_7),
            ((5, 0, 0, 0), 1.0, -0.279_994_854_934_293_44, 0.279_994_854_934_293_44),
            ((30, 5, 5, 2), 1.0, -0.147_737_844_075_665_7, 0.147_737_844_075_665_7),
            ((3, 1, 0, 0), 1.0, -0.608_967_296_725_186_7, 0.275_633_963_391_853_3),
            ((500, 40, 71, 89), 0.004_195_534_185_394_861, 0.014_793_225_698_992_846, 0.073_525_862_620_095_47),
            ((1000, 900, 700, 3), 6.319484959450105e-07, -0.106_735_536_978_065, -0.046_815_326_745_543_44),
        ] {
            let c = compare(&binary(both, lost, gained, neither), None, CONFIDENCE, 0).expect("a comparison");
            assert_eq!(c.test, Test::McNemarExact);
            near(c.p_value, p);
            let interval = c.interval.expect("an interval");
            near(interval.low, low);
            near(interval.high, high);
        }
    }

    /// scipy 1.17.1: `binomtest(rose, rose + fell).pvalue`.
    #[test]
    fn signs_agree_with_scipy() {
        use crate::stats::vectors::{ab_rows, near as to};
        for row in ab_rows("sign") {
            to(sign_test(&row.list("d")), row.f64("p"), 1e-9, "sign test");
        }
        assert_eq!((sign_test(&[]), sign_test(&[0.0, 0.0]), sign_test(&[1.0, f64::NAN])), (Some(1.0), Some(1.0), None));
    }

    #[test]
    fn no_change_on_few_rows_proves_little() {
        let c = compare(&binary(5, 0, 0, 0), None, CONFIDENCE, 0).expect("a comparison");
        assert_eq!((c.difference, c.p_value), (0.0, 1.0));
        assert!(c.interval.is_some_and(|i| i.low < -0.2 && i.high > 0.2), "{c:?}");
    }

    /// With a known range rows that agree leave open what a row not seen would do: 0.025^(1/n) of the way from the worst, as
    /// Clopper and Pearson say of a share (scipy 1.17.1: `beta.ppf(.025, n, 1)`: 0.478176, 0.919580).
    #[test]
    fn scores_that_do_not_change_keep_an_interval() {
        for (n, seen) in [(5, 0.478_176), (44, 0.919_580)] {
            let rows = vec![(0.7, 0.7); n];
            let c = compare(&rows, Some(1.0), CONFIDENCE, 0).expect("a comparison");
            let i = c.interval.expect("an interval");
            assert!((i.low - (seen - 1.0)).abs() < 1e-6 && (i.high - (1.0 - seen)).abs() < 1e-6, "{n} rows: {i:?}");
            assert_eq!((c.difference, c.p_value), (0.0, 1.0));
        }
        // Another scale, and a difference that is the same everywhere: 4 + 100 is 104 of 200 steps up from the worst.
        let c = compare(&[(40.0, 44.0); 44], Some(100.0), CONFIDENCE, 0).expect("a comparison");
        assert!(c.interval.is_some_and(|i| (i.low - (104.0 * 0.919_580 - 100.0)).abs() < 1e-3), "{c:?}");
    }

    /// Most rows hardly change and now and then one is lost: Student's interval of ten rows
    /// misses that most of the time, this one at most as often as it says.
    #[test]
    fn rare_losses_are_inside_as_often_as_promised() {
        let mut rng = Rng::new(7);
        let mut share = || (rng.bits() >> 11) as f64 / (1u64 << 53) as f64;
        // One row in twenty loses 0.9, the others gain up to 0.02: −0.0355 in truth.
        let truth = 0.95 * 0.01 - 0.05 * 0.9;
        let (mut held, mut student) = (0, 0);
        for _ in 0..1000 {
            let rows: Vec<(f64, f64)> = (0..10).map(|_| (0.9, if share() < 0.05 { 0.0 } else { 0.9 + 0.02 * share() })).collect();
            let inside = |span| {
                let i = compare(&rows, span, CONFIDENCE, 1).and_then(|c| c.interval).expect("an interval");
                i.low <= truth && truth <= i.high
            };
            held += u32::from(inside(Some(1.0)));
            student += u32::from(inside(None));
        }
        assert!(held >= 929 && student < 600, "{held} and {student} of 1000");
    }

    #[test]
    fn what_cannot_be_had_is_none() {
        assert_eq!(compare(&[], None, CONFIDENCE, 0), None);
        assert_eq!(compare(&[(1.0, f64::NAN)], None, CONFIDENCE, 0), None);
        assert_eq!(compare(&[(1.0, 0.5)], None, 1.0, 0), None);
        assert_eq!(compare(&[(f64::MAX, -f64::MAX)], None, CONFIDENCE, 0), None);
        let one = compare(&[(0.5, 0.75)], None, CONFIDENCE, 0).expect("a comparison");
        assert_eq!((one.sd, one.interval, one.p_value), (None, None, 1.0));
    }

    proptest! {
        #[test]
        fn changing_sides_changes_the_sign_only(v in proptest::collection::vec((0.0f64..1.0, 0.0f64..1.0), 2..12)) {
            let there = compare(&v, None, CONFIDENCE, 3).expect("one");
            let swapped: Vec<_> = v.iter().map(|(a, b)| (*b, *a)).collect();
            let back = compare(&swapped, None, CONFIDENCE, 3).expect("one");
            prop_assert_eq!(there.difference, -back.difference);
            prop_assert_eq!(there.p_value, back.p_value);
            prop_assert!(there.p_value > 0.0 && there.p_value <= 1.0);
        }

        /// A row that passes or fails can only flip by ±1, so McNemar's test and the sign flip are one test.
        #[test]
        fn mcnemar_is_the_sign_flip_of_ones(lost in 0usize..6, gained in 0usize..7) {
            let rows = binary(2, lost, gained, 1);
            let differences: Vec<f64> = rows.iter().map(|(b, c)| c - b).collect();
            prop_assert!((compare(&rows, None, CONFIDENCE, 0).expect("one").p_value - sign_flip(&differences, 0).0).abs() < 1e-12);
        }
    }
}

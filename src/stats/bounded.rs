//! The interval of the mean of scores that cannot leave a known range.
//!
//! Student's interval of such scores reaches beyond the range, has no width when all rows agree, and is too narrow when most
//! rows have the best score and a few are far below, which is what scores of answers look like. This one is Gaffke's bound
//! (Gaffke 2004, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable"; studied
//! by Learned-Miller and Thomas 2019, arXiv:1905.06208, and Phan, Thomas and Learned-Miller 2021, ICML): the α-quantile of
//! Σ Dᵢ·xᵢ, where D is uniform on the simplex and one more row with the worst score of the range is added to those that were
//! seen. It assumes no shape. For rows of 0 and 1 it is Clopper and Pearson's interval, for n equal rows the exact "rule of
//! three", and for many rows it approaches Student's.
//!
//! Σ Dᵢ·xᵢ ≤ m exactly when Σ Eᵢ·(xᵢ − m) ≤ 0 with Eᵢ exponential. The chance of that is found by Barndorff-Nielsen's r*
//! (saddlepoint). Rows of one cluster are drawn as one: aᵢ = wᵢ·(xᵢ − m) with the mean of the cluster and its number of rows, which is the
//! same bound for the ratio of sums, and the same interval where all clusters have as many rows; a simulation in
//! [`super::clustered`] holds it to its confidence. With few rows the ends are outside the exact ones, by less than 4 % of their distance from the end of the
//! range; with many they agree to 0.1 %.

use super::interval::{Interval, finite, tail_quantile};

/// How far rounding may carry a score out of its range, as a share of it.
const ROUNDING: f64 = 1e-9;
/// Steps of the search for an end; about ten are taken, and where it stops early the end is on the safe side.
const STEPS: u32 = 100;

/// What is drawn as a whole: a row, or a cluster of rows that are not independent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// Its mean.
    pub mean: f64,
    /// How much it counts beside the others: its rows.
    pub weight: f64,
}

/// The interval of the mean of values within `range` (lowest, highest), which it never leaves; it always has a width. `None`
/// for no values, values outside the range, a range that is empty or not finite, or a confidence that is not strictly
/// between 0 and 1.
pub fn of_bounded_mean(values: &[f64], range: (f64, f64), confidence: f64) -> Option<Interval> {
    of_bounded_units(values.iter().map(|v| Unit { mean: *v, weight: 1.0 }).collect(), range, confidence)
}

/// The same of units that count more or less: Σ Eᵢ·wᵢ·(xᵢ − m) ≤ 0, where the added one is as heavy as the heaviest. `None` also for
/// weights that are not positive.
pub fn of_bounded_units(mut units: Vec<Unit>, (lowest, highest): (f64, f64), confidence: f64) -> Option<Interval> {
    let span = highest - lowest;
    if units.is_empty() || !span.is_finite() || span <= 0.0 {
        return None;
    }
    let heaviest = units.iter().map(|u| u.weight).fold(0.0, f64::max);
    for unit in &mut units {
        *unit = Unit { mean: (unit.mean - lowest) / span, weight: unit.weight / heaviest };
        let is_sound = unit.weight > 0.0 && unit.weight.is_finite();
        if !(-ROUNDING..=1.0 + ROUNDING).contains(&unit.mean) || !is_sound {
            return None;
        }
        unit.mean = unit.mean.clamp(0.0, 1.0);
    }
    let z = tail_quantile(confidence)?;
    let low = lower(&units, z)?;
    units.iter_mut().for_each(|unit| unit.mean = 1.0 - unit.mean);
    let high = 1.0 - lower(&units, z)?;
    finite((lowest + low * span).max(lowest), (lowest + high * span).min(highest))
}

/// The lower end for means within 0..=1 and weights up to 1, given the chance of lying below it and its normal quantile.
fn lower(units: &[Unit], (chance, z): (f64, f64)) -> Option<f64> {
    let (first, most) = (units.first()?.mean, units.iter().map(|u| u.mean).fold(0.0, f64::max));
    if units.iter().all(|u| u.mean == first) {
        return Some(first / (1.0 + odds(units, chance)));
    }
    // Regula falsi, Illinois: the end that stays put twice counts half. r* rises with m and is nearly straight.
    let (mut low, mut high, mut t) = ((0.0, None), (most, None), 0.0);
    for _ in 0..STEPS {
        let m = match (low, high) {
            ((a, Some(fa)), (b, Some(fb))) => a + (b - a) * fa / (fa - fb),
            ((a, _), (b, _)) => f64::midpoint(a, b),
        };
        t = saddlepoint(units, m, t);
        let f: f64 = r_star(units, m, t) - z;
        if f.abs() < 1e-9 {
            return Some(m);
        }
        let halved = |(at, f): (f64, Option<f64>)| (at, f.map(|f| f / 2.0));
        (low, high) = if f < 0.0 { ((m, Some(f)), halved(high)) } else { (halved(low), (m, Some(f))) };
    }
    Some(low.0)
}

/// (x − m) / m of units that all have the mean x: E₀ exceeds q·Σ Eᵢ·wᵢ with the chance Π 1/(1 + q·wᵢ), which for n of the same weight is
/// (1 + q)⁻ⁿ: what was seen n times has a share of at least chanceᐟⁿ, and the rest may be worth nothing.
fn odds(units: &[Unit], chance: f64) -> f64 {
    if units.iter().all(|u| u.weight == 1.0) {
        return chance.powf(-1.0 / units.len() as f64) - 1.0;
    }
    // Newton's steps from 0 on a concave rise stay below the root until they are there.
    let (mut q, wanted) = (0.0f64, -chance.ln());
    for _ in 0..STEPS {
        let log: f64 = units.iter().map(|u| (q * u.weight).ln_1p()).sum();
        let slope: f64 = units.iter().map(|u| u.weight / (1.0 + q * u.weight)).sum();
        let step = (wanted - log) / slope;
        q += step;
        if step.abs() <= 1e-12 * q {
            break;
        }
    }
    q
}

/// The root of K′(t) = Σ aᵢ / (1 − t·aᵢ), aᵢ = wᵢ·(xᵢ − m), the added row of 0 among them; `near` is where to start. K′ rises, so
/// Newton's steps are kept within a bracket that shrinks.
fn saddlepoint(units: &[Unit], m: f64, near: f64) -> f64 {
    let most = units.iter().map(|u| u.weight * (u.mean - m)).fold(0.0, f64::max);
    let (mut low, mut high) = (-1.0 / m, 1.0 / most);
    let mut t = if low < near && near < high { near } else { 0.0 };
    for _ in 0..100 {
        let (mut slope, mut first) = curve(-m, t);
        for unit in units {
            let (d2, d1) = curve(unit.weight * (unit.mean - m), t);
            slope += d2;
            first += d1;
        }
        if first > 0.0 {
            high = t;
        } else {
            low = t;
        }
        let step = t - first / slope;
        let next = if low < step && step < high { step } else { f64::midpoint(low, high) };
        if (next - t).abs() <= 1e-12 * t.abs().max(1.0) {
            return next;
        }
        t = next;
    }
    t
}

/// What one term adds to K″ and to K′.
fn curve(a: f64, t: f64) -> (f64, f64) {
    let d = a / (1.0 - t * a);
    (d * d, d)
}

/// The normal quantile of the chance that Σ Eᵢ·aᵢ ≤ 0, from the saddlepoint `t`.
fn r_star(units: &[Unit], m: f64, t: f64) -> f64 {
    let terms = || std::iter::once(-m).chain(units.iter().map(|u| u.weight * (u.mean - m)));
    let log: f64 = terms().map(|a| (-t * a).ln_1p()).sum();
    let spread: f64 = terms().map(|a| curve(a, t).0).sum();
    let w = (2.0 * log).max(0.0).sqrt().copysign(t);
    let u = t * spread.sqrt();
    // At the middle both vanish and the correction with them.
    if w.abs() < 1e-5 { w } else { w + (u / w).ln() / w }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::describe::mean;
    use crate::stats::interval::{CONFIDENCE, of_mean, wilson};
    use crate::stats::rng::Rng;
    use proptest::prelude::*;

    const UNIT: (f64, f64) = (0.0, 1.0);

    fn unit(values: &[f64], confidence: f64) -> Interval {
        of_bounded_mean(values, UNIT, confidence).expect("an interval")
    }

    /// Gaffke's ends computed exactly with mpmath 1.3 at 60 digits: the root in m of
    /// 1 − Σ_{aᵢ > 0} Π_{j ≠ i} aᵢ / (aᵢ − aⱼ) = (1 − confidence) / 2, aᵢ = xᵢ − m, x₀ = 0; the high end from 1 − x.
    #[test]
    fn ends_are_the_exact_ones_or_just_outside() {
        let twenty: Vec<f64> = (0..20).map(|i| f64::from(i * 37 % 60) / 60.0 + 1.0 / 200.0).collect();
        for (values, confidence, low, high) in [
            (&[0.3, 0.9][..], 0.95, 0.082_158_383_625_8, 0.958_166_998_673),
            (&[0.3, 0.9], 0.9, 0.116_189_500_386, 0.940_839_202_169),
            (&[0.91, 0.84, 0.77], 0.95, 0.245_047_609_795, 0.956_414_358_177),
            (&[0.91, 0.84, 0.77, 0.99, 0.66, 0.93, 0.81], 0.95, 0.494_619_479_034, 0.930_116_613_716),
            (&[0.91, 0.84, 0.77, 0.99, 0.66, 0.93, 0.81], 0.9, 0.546_104_180_06, 0.920_726_675_138),
            (&[0.05, 0.1, 0.02, 0.4, 0.07], 0.95, 0.037_603_867_929_8, 0.589_272_974_885),
            (&twenty, 0.95, 0.315_430_420_469, 0.616_844_410_571),
            (&twenty, 0.9, 0.335_125_640_293, 0.596_710_263_376),
        ] {
            let got = unit(values, confidence);
            let (below, above) = ((low - got.low) / low, (got.high - high) / (1.0 - high));
            assert!((-0.001..0.04).contains(&below), "{values:?}: {got:?} is not {low}");
            assert!((-0.001..0.04).contains(&above), "{values:?}: {got:?} is not {high}");
        }
    }

    /// The same ends of weighted units, computed exactly with mpmath 1.3 at 60 digits: aᵢ = wᵢ·(xᵢ − m), a₀ = −m·max w.
    #[test]
    fn ends_of_weighted_units_are_the_exact_ones_or_just_outside() {
        let units =
            |of: &[(f64, f64)]| -> Vec<Unit> { of.iter().map(|(mean, weight)| Unit { mean: *mean, weight: *weight }).collect() };
        let seven = [(0.91, 1.5), (0.84, 4.0), (0.77, 2.0), (0.99, 7.0), (0.66, 3.0), (0.93, 1.0), (0.81, 2.5)];
        for (of, confidence, low, high) in [
            (&[(0.3, 1.0), (0.9, 2.0)][..], 0.95, 0.063_991_434_061, 0.969_787_999_054),
            (&[(0.91, 3.0), (0.84, 1.0), (0.77, 5.0)], 0.95, 0.149_725_299_884, 0.972_837_863_461),
            (&seven, 0.95, 0.306_759_407_115, 0.962_112_437_972),
            (&seven, 0.9, 0.362_276_563_507, 0.954_537_694_127),
            (&[(0.05, 4.0), (0.1, 1.0), (0.02, 2.0), (0.4, 3.0), (0.07, 9.0)], 0.95, 0.022_977_853_538_5, 0.781_452_453_858),
            (&[(0.8, 1.0), (0.8, 2.0), (0.8, 4.0)], 0.95, 0.142_473_532_668, 0.964_381_616_833),
        ] {
            let got = of_bounded_units(units(of), UNIT, confidence).expect("an interval");
            let (below, above) = ((low - got.low) / low, (got.high - high) / (1.0 - high));
            assert!((-0.001..0.04).contains(&below), "{of:?}: {got:?} is not {low}");
            assert!((-0.001..0.04).contains(&above), "{of:?}: {got:?} is not {high}");
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(of_bounded_units(units(&[(0.3, 1.0), (0.5, bad)]), UNIT, CONFIDENCE), None, "{bad}");
        }
    }

    /// scipy 1.17.1: `beta.ppf(.025, s, n - s + 1)`, Clopper and Pearson's lower end.
    #[test]
    fn rows_of_zero_and_one_give_clopper_and_pearson() {
        for (s, n, low) in [(2, 3, 0.094_299), (5, 10, 0.187_086), (40, 44, 0.783_313), (3, 3, 0.292_402), (44, 44, 0.919_580)] {
            let values: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i < s))).collect();
            let got = unit(&values, CONFIDENCE).low;
            assert!(got < low + 1e-6 && got > low * 0.99, "{s} of {n}: {got} is not {low}");
        }
    }

    /// Three equal rows leave 0.025^(1/3) = 0.2924 to what was seen, whatever it was; so does one row.
    #[test]
    fn rows_that_agree_prove_little() {
        for (values, low, high) in [
            (&[1.0; 3][..], 0.292_402, 1.0),
            (&[0.5; 3], 0.146_201, 0.853_799),
            (&[0.0; 3], 0.0, 0.707_598),
            (&[0.8], 0.02, 0.995),
        ] {
            let got = unit(values, CONFIDENCE);
            assert!((got.low - low).abs() < 1e-6 && (got.high - high).abs() < 1e-6, "{values:?}: {got:?}");
        }
    }

    #[test]
    fn many_rows_give_what_student_gives() {
        let values: Vec<f64> = (0..4000).map(|i| f64::from(i % 7) / 7.0).collect();
        let (got, student) = (unit(&values, CONFIDENCE), of_mean(&values, CONFIDENCE).expect("one"));
        assert!((got.low - student.low).abs() < 1e-3 && (got.high - student.high).abs() < 1e-3, "{got:?} {student:?}");
    }

    #[test]
    fn what_cannot_be_had_is_none() {
        for (values, range, confidence) in [
            (&[][..], UNIT, 0.95),
            (&[0.5, 1.1], UNIT, 0.95),
            (&[0.5, f64::NAN], UNIT, 0.95),
            (&[0.5], (1.0, 0.0), 0.95),
            (&[0.5], (0.5, 0.5), 0.95),
            (&[0.5], (0.0, f64::INFINITY), 0.95),
            (&[0.5, 0.6], UNIT, 1.0),
            (&[0.5, 0.6], UNIT, f64::NAN),
        ] {
            assert_eq!(of_bounded_mean(values, range, confidence), None, "{values:?} {range:?} {confidence}");
        }
    }

    /// What rows may look like: the true mean, and the next score.
    type Source = (&'static str, f64, fn(&mut Rng) -> f64);

    fn share(rng: &mut Rng) -> f64 {
        (rng.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    const SOURCES: [Source; 6] = [
        ("mostly right, else half", 0.95, |r| if share(r) < 0.9 { 1.0 } else { 0.5 }),
        ("mostly right, else a little", 0.959, |r| if share(r) < 0.95 { 1.0 } else { 0.18 }),
        ("any", 0.5, share),
        ("near the top", 0.9, |r| share(r).powf(1.0 / 9.0)),
        ("near the bottom", 0.1, |r| share(r).powi(9)),
        ("within a tenth", 0.75, |r| 0.7 + share(r) / 10.0),
    ];

    /// How often an interval of `n` scores holds the true mean, in 1,000 samples.
    fn coverage((_, truth, draw): Source, n: usize, seed: u64, interval: impl Fn(&[f64]) -> Option<Interval>) -> f64 {
        const SAMPLES: u32 = 1000;
        let mut rng = Rng::new(seed);
        let held = (0..SAMPLES).filter(|_| {
            let values: Vec<f64> = (0..n).map(|_| draw(&mut rng)).collect();
            interval(&values).is_some_and(|i| i.low <= truth && truth <= i.high)
        });
        held.count() as f64 / f64::from(SAMPLES)
    }

    /// At the nominal 95 % less three standard errors of 1,000 samples (2.1 %) or above, for every shape and number of rows.
    #[test]
    fn the_truth_is_inside_as_often_as_promised() {
        for (i, source) in SOURCES.into_iter().enumerate() {
            for n in [1, 3, 10, 44] {
                let held = coverage(source, n, i as u64, |v| of_bounded_mean(v, UNIT, CONFIDENCE));
                assert!(held >= 0.929, "{}, {n} rows: {held}", source.0);
            }
        }
        // The check can fail: Student's interval does.
        let held = coverage(SOURCES[1], 10, 1, |v| of_mean(v, CONFIDENCE));
        assert!(held < 0.6, "{held}");
    }

    /// Wilson's interval holds the truth as often as promised on average over all truths (Brown, Cai and DasGupta 2001),
    /// though not for each: then never below 83 %.
    #[test]
    fn shares_are_inside_as_often_as_promised_on_average() {
        for n in [3u64, 10, 44] {
            let held = |p: f64| -> f64 {
                let inside = |s: &u64| wilson(*s, n, CONFIDENCE).is_some_and(|i| i.low <= p && p <= i.high);
                (0..=n).filter(inside).map(|s| chance(n, s, p)).sum()
            };
            let all: Vec<f64> = (1..500).map(|i| held(f64::from(i) / 500.0)).collect();
            let (average, least) = (mean(&all).expect("values"), all.iter().copied().fold(1.0, f64::min));
            assert!((0.945..0.97).contains(&average) && least > 0.82, "{n} rows: {average} on average, {least} at least");
        }
    }

    /// The binomial chance of `s` out of `n`.
    fn chance(n: u64, s: u64, p: f64) -> f64 {
        let ways: f64 = (0..s).map(|i| (n - i) as f64 / (i + 1) as f64).product();
        ways * p.powi(i32::try_from(s).expect("few")) * (1.0 - p).powi(i32::try_from(n - s).expect("few"))
    }

    proptest! {
        #[test]
        fn an_interval_stays_inside_and_holds_its_estimate(v in proptest::collection::vec(0.0f64..=1.0, 1..60)) {
            let (mean, i) = (mean(&v).expect("values"), unit(&v, CONFIDENCE));
            prop_assert!(0.0 <= i.low && i.low <= mean && mean <= i.high && i.high <= 1.0 && i.low < i.high, "{i:?} {mean}");
        }

        #[test]
        fn another_scale_moves_the_ends_along(v in proptest::collection::vec(0.0f64..=1.0, 1..20)) {
            let scaled: Vec<f64> = v.iter().map(|v| v * 4.0 - 1.0).collect();
            let (a, b) = (unit(&v, CONFIDENCE), of_bounded_mean(&scaled, (-1.0, 3.0), CONFIDENCE).expect("an interval"));
            prop_assert!((a.low * 4.0 - 1.0 - b.low).abs() < 1e-6 && (a.high * 4.0 - 1.0 - b.high).abs() < 1e-6);
        }

        #[test]
        fn a_better_row_raises_both_ends(v in proptest::collection::vec(0.0f64..=0.9, 2..20), more in 0.01f64..0.1) {
            let mut better = v.clone();
            better[0] += more;
            let (a, b) = (unit(&v, CONFIDENCE), unit(&better, CONFIDENCE));
            prop_assert!(a.low <= b.low + 1e-3 && a.high <= b.high + 1e-3, "{a:?} {b:?}");
        }
    }
}

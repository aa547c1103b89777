use super::*;
use crate::stats::{cluster, rng::Rng};
use proptest::prelude::*;
use serde_json::Value;

/// Made by `tests/fixtures/judge/make.py` with scipy 1.17.1.
pub(in crate::stats) fn reference(what: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../tests/fixtures/judge/values.json")).expect("JSON");
    all[what].as_array().expect("rows").clone()
}

fn pairs(row: &Value) -> Vec<(u64, u64)> {
    let whole = |v: &Value| v.as_u64().expect("a count");
    row["windows"].as_array().expect("windows").iter().map(|w| (whole(&w[0]), whole(&w[1]))).collect()
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().expect("a number")
}

fn log_of(windows: impl Iterator<Item = Factors>) -> f64 {
    let mut evidence = Evidence::default();
    windows.for_each(|w| evidence.add(&w, 1.0));
    evidence.log()
}

#[test]
fn rates_and_ratios_agree_with_their_definition() {
    for row in reference("rates") {
        let got = log_of(pairs(&row).into_iter().map(|(k, n)| of_rate(k, n, number(&row, "limit"))));
        assert!((got - number(&row, "log")).abs() < 1e-9, "{got} is not {row}");
    }
    for row in reference("ratios") {
        let factors = |(a, b)| of_ratio(a, b, number(&row, "share"), number(&row, "ratio"));
        let got = log_of(pairs(&row).into_iter().map(factors));
        assert!((got - number(&row, "log")).abs() < 1e-9, "{got} is not {row}");
    }
}

#[test]
fn clumps_agree_with_the_analysis_of_variance() {
    for row in reference("clusters") {
        let got = cluster::correlation(&pairs(&row)).expect("one");
        assert!((got - number(&row, "correlation").max(0.0)).abs() < 1e-9, "{got} is not {row}");
    }
}

/// A bound: never above the product of the bets over the single draws. Scores far below the rest cost it most: at the worst
/// three quarters of the evidence, which is the price of keeping three numbers of a window.
#[test]
fn means_are_bounded_by_the_product_of_bets() {
    for row in reference("means") {
        let values: Vec<f64> = row["values"].as_array().expect("values").iter().filter_map(Value::as_f64).collect();
        let got = log_mean(&of_low_mean(&Moments::of(&values).expect("moments"), number(&row, "limit")));
        let want = number(&row, "log");
        assert!(got <= want + 1e-9 && got > want - 1.0 - 0.75 * want.abs(), "{got} is not just below {want}");
    }
}

#[test]
fn what_says_nothing_changes_nothing() {
    let zeros = [0.0; ALTERNATIVES];
    assert_eq!([of_rate(0, 0, 0.05), of_ratio(0, 0, 0.1, 2.0), of_low_mean(&Moments::default(), 0.9)], [zeros; 3]);
    for limit in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!([of_rate(3, 5, limit), of_low_mean(&Moments { n: 3, mean: 0.1, sd: 0.0 }, limit)], [zeros; 2], "{limit}");
    }
    for (share, ratio) in [(0.0, 2.0), (1.0, 2.0), (0.1, 0.0), (0.1, f64::NAN), (f64::NAN, 2.0), (0.1, 1e300), (1e-300, 1e-300)] {
        assert_eq!(of_ratio(3, 5, share, ratio), zeros, "{share} {ratio}");
    }
    let few = Moments { n: 5, mean: 0.5, sd: 0.1 };
    assert_eq!([of_drop(&Moments::default(), &few, 0.05), of_drop(&few, &few, f64::NAN), Evidence::default().log()], [0.0; 3]);
    assert!(log_of((0..50).map(|_| zeros)).abs() < 1e-9);
}

/// A uniform draw within 0..1.
fn share(rng: &mut Rng) -> f64 {
    (rng.bits() >> 11) as f64 / (1u64 << 53) as f64
}

fn hits(rng: &mut Rng, n: u64, rate: f64) -> u64 {
    (0..n).filter(|_| share(rng) < rate).count() as u64
}

/// How many of `runs` rows of windows ever reach a chance of 1 in 20.
fn alarms(runs: u64, windows: usize, mut window: impl FnMut(&mut Rng) -> Factors) -> usize {
    let ever = |run: &u64| {
        let (mut rng, mut evidence) = (Rng::new(*run), Evidence::default());
        (0..windows).any(|_| {
            let factors = window(&mut rng);
            evidence.add(&factors, 1.0);
            evidence.log() >= 20f64.ln()
        })
    };
    (0..runs).filter(ever).count()
}

/// At the edge of the null hypothesis, where false alarms are most: at most 5 % of 400 runs, with three standard errors.
#[test]
fn false_alarms_stay_below_their_chance_at_every_look() {
    assert!(alarms(400, 60, |r| of_rate(hits(r, 30, 0.05), 30, 0.05)) <= 33);
    assert!(alarms(400, 60, |r| of_ratio(hits(r, 90, 0.04), hits(r, 10, 0.08), 0.1, 2.0)) <= 33);
    assert!(alarms(400, 60, |r| of_ratio(hits(r, 90, 0.4), hits(r, 10, 0.8), 0.1, 2.0)) <= 33);
    assert!(alarms(400, 60, |r| of_low_mean(&moments(r, 3, 9.0), 0.9)) <= 33);
    // The check can fail: a rate just above its limit is found sooner or later, one far above nearly always.
    assert!(alarms(400, 60, |r| of_rate(hits(r, 30, 0.08), 30, 0.05)) > 300);
}

/// Values whose mean is `power / (power + 1)`, most of them near 1.
fn moments(rng: &mut Rng, n: usize, power: f64) -> Moments {
    let values: Vec<f64> = (0..n).map(|_| share(rng).powf(1.0 / power)).collect();
    Moments::of(&values).expect("finite")
}

/// Looked at after every five values of each arm, at the very edge: the second is lower by just what is allowed.
#[test]
fn a_drop_that_is_allowed_is_rarely_called() {
    let called = |gap: f64| {
        let ever = |run: &u64| {
            let (mut rng, mut arms) = (Rng::new(*run), [Moments::default(); 2]);
            (0..30).any(|_| {
                for (arm, rate) in arms.iter_mut().zip([0.9, 0.9 - gap]) {
                    let values: Vec<f64> = (0..5).map(|_| f64::from(u8::from(share(&mut rng) < rate))).collect();
                    *arm = arm.and(&Moments::of(&values).expect("finite"));
                }
                of_drop(&arms[0], &arms[1], 0.05) >= 20f64.ln()
            })
        };
        (0..60u64).filter(ever).count()
    };
    assert!(called(0.05) <= 8);
    assert!(called(0.5) > 50);
}

#[test]
fn a_late_fault_is_found_in_spite_of_good_days() {
    let mut evidence = Evidence::default();
    (0..500).for_each(|_| evidence.add(&of_rate(0, 30, 0.05), 1.0));
    assert!(evidence.log() < 0.0);
    (0..4).for_each(|_| evidence.add(&of_rate(15, 30, 0.05), 1.0));
    assert!(evidence.log() > 100f64.ln(), "{}", evidence.log());
}

proptest! {
    #[test]
    fn more_hits_are_never_less_evidence(k in 0u64..100, n in 100u64..200, limit in 0.001f64..0.9) {
        let (fewer, more) = (of_rate(k, n, limit), of_rate(k + 1, n, limit));
        prop_assert!(fewer.iter().zip(more).all(|(a, b)| *a < b));
    }

    #[test]
    fn evidence_is_finite(k in 0u64..u64::MAX / 2, n in 0u64..u64::MAX / 2, p in any::<f64>(), w in any::<f64>(), m in 0.0f64..=1.0) {
        let values = Moments { n: n % 1_000_000, mean: m, sd: 0.3 };
        let (a, b, c) = (of_rate(k, n, p), of_ratio(k, n, w, p), of_low_mean(&values, p));
        prop_assert!(a.iter().chain(&b).chain(&c).all(|v| v.is_finite()), "{a:?} {b:?} {c:?}");
        let other = Moments { mean: 1.0 - m, ..values };
        prop_assert!(of_drop(&values, &other, p.clamp(0.0, 1.0)).is_finite());
    }

    /// Fan, Grama and Liu's inequality as it is used: the sums of a window never overstate the product over its values.
    #[test]
    fn sums_never_overstate_the_product(v in proptest::collection::vec(0.0f64..=1.0, 1..30), limit in 0.05f64..0.95) {
        let factors = of_low_mean(&Moments::of(&v).expect("moments"), limit);
        for (stake, got) in STAKES.iter().zip(factors) {
            let product: f64 = v.iter().map(|x| (stake * (limit - x) / (1.0 - limit)).ln_1p()).sum();
            prop_assert!(got <= product + 1e-9, "{got} {product}");
        }
    }

    /// The smallest over the cells is not above the value at any mean that the first arm may have.
    #[test]
    fn the_cells_leave_no_mean_out(a in proptest::collection::vec(0.0f64..=1.0, 1..40), b in proptest::collection::vec(0.0f64..=1.0, 1..40), truth in 0.0f64..=1.0, drop in -0.5f64..0.3) {
        let (first, second) = (Moments::of(&a).expect("one"), Moments::of(&b).expect("one"));
        let turned = Moments { mean: 1.0 - first.mean, ..first };
        let there = two(&second, truth - drop) + two(&turned, 1.0 - truth);
        prop_assert!(of_drop(&first, &second, drop) <= there + 1e-9);
    }
}

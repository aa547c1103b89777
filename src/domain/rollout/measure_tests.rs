use super::*;
use crate::domain::rollout::policy::{Check, beside, cost};
use crate::seams::metrics::Bucket;
use proptest::prelude::*;

const ENDLESS: f64 = f64::INFINITY;

fn arm(requests: u64, errors: u64, latency: &[(f64, u64)]) -> Counted {
    let latency = Some(Buckets::dense(latency.iter().copied()));
    Counted { requests: Some(requests), errors: Some(errors), latency, ..Counted::default() }
}

fn reading(stable: Counted, canary: Counted) -> Reading {
    Reading { stable, canary, ..Reading::default() }
}

fn measured(reading: &Reading, frozen: &Frozen) -> Measured {
    window(reading, &frozen.marks(&Policy::default(), &[]), &Policy::default(), 3, 0.1).expect("figures that can be")
}

fn counted(window: &Window, metric: &str) -> [(u64, u64); 2] {
    let Some(Figure::Counts { stable, canary }) = window.figures.get(metric) else { panic!("no counts of {metric}") };
    [(stable.hits, stable.n), (canary.hits, canary.n)]
}

/// 1.5 × p95 and 1.2 × median of 1,000 durations: 950 up to 0.4 s, of which 600 up to 0.2 s.
#[test]
fn limits_are_frozen_from_the_stable_version() {
    let stable = arm(1000, 0, &[(0.1, 100), (0.2, 500), (0.4, 350), (0.8, 50)]);
    let frozen = Frozen::of(&stable).expect("figures that can be");
    let want = [("slow", 1.0), ("slower", 0.4 * 1.5), ("degraded", 0.2 * 1.2)];
    assert_eq!(frozen.seconds, want.map(|(m, v)| (m.to_owned(), v)).into());
    // Few durations, and a quantile without an end, give no limit.
    let only_slow = BTreeMap::from([("slow".to_owned(), SLOW)]);
    for few in [arm(199, 0, &[(0.1, 199)]), arm(300, 0, &[(ENDLESS, 300)]), Counted::default()] {
        assert_eq!(Frozen::of(&few).expect("figures that can be").seconds, only_slow);
    }
    let tail = Frozen::of(&arm(1000, 0, &[(0.1, 940), (ENDLESS, 60)])).expect("figures that can be").seconds;
    assert_eq!(tail.keys().collect::<Vec<_>>(), ["degraded", "slow"]);
}

/// Without durations from before, what is in the windows before this one says where the mark lies.
#[test]
fn without_a_baseline_the_mark_follows_from_the_windows_before() {
    let frozen = Frozen::of(&Counted::default()).expect("figures that can be");
    assert_eq!(frozen.beside.keys().collect::<Vec<_>>(), ["degraded", "slower"]);
    let of = |earlier: &[&[(f64, u64)]]| frozen.marks(&Policy::default(), earlier);
    let minute: &[(f64, u64)] = &[(0.1, 60), (0.2, 34), (0.4, 6)];
    for too_few in [&[][..], &[minute], &[&[], minute, &[]]] {
        assert_eq!(of(too_few).keys().collect::<Vec<_>>(), ["slow"], "{too_few:?}");
    }
    let marks = of(&[minute, minute]);
    assert_eq!(marks["slower"], Marks { stable: 0.4, canary: 0.4 * 1.5 });
    assert_eq!(marks["degraded"], Marks { stable: 0.1, canary: 0.1 * 1.2 });
    // The last ten windows decide, and older ones only where those are too few.
    let night: &[(f64, u64)] = &[(2.0, 100)];
    let mut day = vec![night];
    day.extend([minute; 10]);
    assert_eq!(of(&day)["slower"].stable, 0.4);
    let quiet: &[(f64, u64)] = &[(0.1, 1)];
    let mut few = vec![night, night];
    few.extend([quiet; 10]);
    assert_eq!(of(&few)["slower"].stable, 2.0);
    // Of a millisecond half of one more is no harm, and what has no end is no mark.
    assert_eq!(of(&[&[(0.001, 300)]])["slower"].canary, 0.001 + MARGIN);
    assert!(!of(&[&[(f64::INFINITY, 300)]]).contains_key("slower"));
}

#[test]
fn each_version_is_counted_over_its_own_mark() {
    let frozen = Frozen::of(&Counted::default()).expect("figures that can be");
    let mut policy = Policy::default();
    policy.checks = policy.checks.into_iter().map(|c| if c.metric == "slower" { beside(c) } else { c }).collect();
    let marks = frozen.marks(&policy, &[&[(0.1, 950), (0.2, 50)]]);
    let seen = reading(arm(100, 0, &[(0.1, 90), (0.2, 10)]), arm(10, 0, &[(0.1, 3), (0.16, 4), (0.3, 3)]));
    let found = window(&seen, &marks, &policy, 0, 0.1).expect("figures that can be").window;
    // Over 0.1 s of stable, over 0.15 s of the canary.
    assert_eq!(counted(&found, "slower"), [(10, 100), (3, 10)]);
}

#[test]
fn answers_over_a_limit_are_counted_by_their_buckets() {
    let frozen = Frozen { seconds: [("slow", 1.0), ("slower", 0.6)].map(|(m, v)| (m.to_owned(), v)).into(), ..Frozen::default() };
    let edges = |counts: [u64; 4]| [0.5, 1.0, 2.0, ENDLESS].into_iter().zip(counts).collect::<Vec<_>>();
    let seen = reading(arm(100, 2, &edges([80, 15, 4, 1])), arm(10, 1, &edges([5, 3, 2, 0])));
    let Measured { window, left_out } = measured(&seen, &frozen);
    assert_eq!((window.id, window.share, window.stable, window.canary), (3, 0.1, 100, 10));
    assert_eq!(counted(&window, "errors"), [(2, 100), (1, 10)]);
    // The limit is an end: exact. 0.6 lies inside (0.5, 1]: that bucket accuses nobody.
    assert_eq!((counted(&window, "slow"), counted(&window, "slower")), ([(5, 100), (2, 10)], [(5, 100), (2, 10)]));
    assert!(!window.figures.contains_key("degraded") && !window.figures.contains_key("faithfulness"));
    assert_eq!(left_out, Vec::<String>::new());
}

#[test]
fn what_an_endless_bucket_hides_is_left_out_and_told() {
    let frozen = Frozen::of(&Counted::default()).expect("figures that can be");
    let seen = reading(arm(100, 0, &[(0.5, 98), (ENDLESS, 2)]), arm(10, 0, &[(0.5, 10), (ENDLESS, 0)]));
    let found = measured(&seen, &frozen);
    assert!(!found.window.figures.contains_key("slow"));
    assert_eq!(
        found.left_out,
        ["`slow`: 2 durations of stable lie in a bucket without an end, in which the limit of 1 s lies too"]
    );
    // With nothing in it nothing is hidden.
    let found = measured(&reading(arm(9, 0, &[(0.5, 9), (ENDLESS, 0)]), arm(1, 0, &[(0.5, 1)])), &frozen);
    assert_eq!((counted(&found.window, "slow"), found.left_out.len()), ([(0, 9), (0, 1)], 0));
}

#[test]
fn failures_without_a_duration_are_slow() {
    let frozen = Frozen::of(&Counted::default()).expect("figures that can be");
    let found = measured(&reading(arm(100, 3, &[(0.5, 95)]), arm(20, 9, &[(0.5, 15)])), &frozen);
    // Five of each have no duration; of stable only three failed.
    assert_eq!(counted(&found.window, "slow"), [(3, 98), (5, 20)]);
}

#[test]
fn an_arm_that_is_not_there_has_no_draws() {
    let frozen = Frozen::of(&Counted::default()).expect("figures that can be");
    let found = measured(&reading(Counted::default(), arm(20, 1, &[(0.5, 20)])), &frozen).window;
    assert_eq!((found.stable, found.canary, counted(&found, "errors")), (0, 20, [(0, 0), (1, 20)]));
    assert_eq!(measured(&Reading::default(), &frozen).window.figures, BTreeMap::new());
    // A source that counts no requests: those that it saw.
    let scored =
        Counted { values: [("faithfulness".to_owned(), Moments { n: 7, mean: 0.9, sd: 0.1 })].into(), ..Counted::default() };
    assert_eq!(measured(&reading(Counted::default(), scored), &frozen).window.canary, 7);
}

#[test]
fn scores_pairs_and_costs_come_through() {
    let m = |mean| Moments { n: 40, mean, sd: 0.1 };
    let with = |mean| Counted {
        values: BTreeMap::from([("accuracy".to_owned(), m(mean)), ("unread".to_owned(), m(mean))]),
        costs: BTreeMap::from([("tokens".to_owned(), m(mean))]),
        ..Counted::default()
    };
    let pairs = BTreeMap::from([("accuracy".to_owned(), m(0.02)), ("relevance".to_owned(), m(0.01))]);
    let reading = Reading { pairs, ..reading(with(0.9), with(0.8)) };
    let paired = |metric: &str| Check {
        name: format!("{metric}-paired"),
        metric: metric.to_owned(),
        rule: Rule::Paired { most: 0.05, span: 1.0 },
        min: 30,
    };
    let mut policy = Policy::default();
    policy.checks.extend([paired("relevance"), paired("accuracy"), cost("tokens", 1.0)]);
    let found = window(&reading, &BTreeMap::new(), &policy, 0, 0.5).expect("figures that can be");
    let figures = found.window.figures;
    assert_eq!(figures.keys().collect::<Vec<_>>(), ["accuracy", "relevance", "tokens"]);
    assert_eq!(figures["relevance"], Figure::Pairs { differences: m(0.01) });
    assert_eq!((figures["accuracy"], figures["tokens"]), (values_of(0.9, 0.8), values_of(0.9, 0.8)));
    assert_eq!(found.left_out, ["`accuracy` as `accuracy-paired` reads it: another check reads it otherwise"]);
    assert_eq!(ranges(&policy), BTreeMap::from([("tokens".to_owned(), (0.1, 10.0))]));
    assert_eq!(Frozen::of(&with(2.0)).expect("figures that can be").costs["tokens"], 2f64.exp());
}

fn values_of(stable: f64, canary: f64) -> Figure {
    let m = |mean| Moments { n: 40, mean, sd: 0.1 };
    Figure::Values { stable: m(stable), canary: m(canary) }
}

#[test]
fn what_cannot_be_is_an_error_with_its_numbers() {
    let bucket = |above, most| Bucket { above, most, n: 1 };
    let latency = |counts: Vec<Bucket>| Counted { latency: Some(Buckets { counts }), ..Counted::default() };
    let value = |m: Moments| Counted { values: [("faithfulness".to_owned(), m)].into(), ..Counted::default() };
    let share = Counted { counts: [("refused".to_owned(), Counts { hits: 3, n: 2 })].into(), ..Counted::default() };
    for (bad, why) in [
        (arm(5, 7, &[]), "7 errors of 5 requests were counted of canary"),
        (share, "3 hits of 2 draws were counted of `refused` of canary"),
        (latency(vec![bucket(-1.0, 1.0)]), "a bucket from -1 to 1 seconds"),
        (latency(vec![bucket(1.0, 1.0)]), "a bucket from 1 to 1 seconds"),
        (latency(vec![bucket(f64::NAN, 1.0)]), "a bucket from NaN to 1 seconds"),
        (latency(vec![bucket(0.0, f64::NAN)]), "a bucket from 0 to NaN seconds"),
        (latency(vec![bucket(ENDLESS, ENDLESS)]), "a bucket from inf to inf seconds"),
        (latency(vec![bucket(0.0, 2.0), bucket(1.0, 3.0)]), "a bucket to 2 s and one from 1 s"),
        (value(Moments { n: 2, mean: f64::NAN, sd: 0.0 }), "`faithfulness` of canary has a mean of NaN"),
        (value(Moments { n: 2, mean: 1.0, sd: -1.0 }), "a standard deviation of -1 over 2 values"),
    ] {
        let refused = window(&reading(Counted::default(), bad), &BTreeMap::new(), &Policy::default(), 0, 0.1);
        let said = refused.expect_err(why);
        assert!(said.to_string().contains(why) && !said.hints().is_empty(), "{said}");
    }
    let pairs = BTreeMap::from([("accuracy".to_owned(), Moments { n: 2, mean: ENDLESS, sd: 0.0 })]);
    let said = window(&Reading { pairs, ..Reading::default() }, &BTreeMap::new(), &Policy::default(), 0, 0.1);
    assert!(said.expect_err("no mean").to_string().starts_with("`accuracy` of pairs has a mean of inf"));
}

fn durations() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.0001..30.0_f64, 0..200)
}

proptest! {
    /// However durations fall into buckets, no answer counts as over a limit that is not, and with narrow buckets none is missed
    /// that is over it by more than their width.
    #[test]
    fn buckets_never_accuse(seconds in durations(), limit in 0.001..20.0_f64, ends in prop::collection::vec(0.01..25.0_f64, 0..9)) {
        let exact = seconds.iter().filter(|s| **s > limit).count() as u64;
        let clear = seconds.iter().filter(|s| **s > limit * 1.021).count() as u64;
        let narrow = Buckets::of(seconds.iter().copied()).expect("durations");
        let found = over(&Counted::default(), &narrow, limit).expect("every bucket ends");
        prop_assert!(found.hits <= exact && found.hits >= clear && found.n == seconds.len() as u64);
        let mut ends = ends;
        ends.push(ENDLESS);
        ends.sort_by(f64::total_cmp);
        ends.dedup();
        let place = |s: &f64| ends.iter().position(|end| s <= end);
        let dense = Buckets::dense(ends.iter().enumerate().map(|(i, end)| {
            (*end, seconds.iter().filter(|s| place(s) == Some(i)).count() as u64)
        }));
        match over(&Counted::default(), &dense, limit) {
            Ok(found) => prop_assert!(found.hits <= exact && found.n == seconds.len() as u64),
            Err(hidden) => prop_assert!(hidden > 0 && hidden <= seconds.len() as u64),
        }
    }

    /// Two sources of one window add up: counting together is counting each, and no figure has more hits than draws.
    #[test]
    fn windows_add_up(a in durations(), b in durations(), errors in 0..50_u64, limit in 0.01..10.0_f64) {
        let of = |seconds: &[f64]| Counted {
            requests: Some(seconds.len() as u64 + errors),
            errors: Some(errors),
            latency: Buckets::of(seconds.iter().copied()),
            ..Counted::default()
        };
        let frozen = Frozen { seconds: [("slow".to_owned(), limit)].into(), ..Frozen::default() };
        let slow = |arm: Counted| counted(&measured(&reading(Counted::default(), arm), &frozen).window, "slow")[1];
        let both: Vec<f64> = a.iter().chain(&b).copied().collect();
        let (first, second) = (slow(of(&a)), slow(of(&b)));
        let together = slow(Counted { requests: Some(both.len() as u64 + 2 * errors), errors: Some(2 * errors), ..of(&both) });
        prop_assert_eq!((first.0 + second.0, first.1 + second.1), together);
        prop_assert!(together.0 <= together.1);
    }

    /// A slower version never has fewer answers over a limit.
    #[test]
    fn slower_is_never_better(seconds in durations(), factor in 1.0..10.0_f64, limit in 0.01..10.0_f64) {
        let hits = |factor: f64| {
            let buckets = Buckets::of(seconds.iter().map(|s| s * factor)).expect("durations");
            over(&Counted::default(), &buckets, limit).expect("every bucket ends").hits
        };
        prop_assert!(hits(factor) >= hits(1.0));
    }
}

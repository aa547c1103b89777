use super::*;
use crate::domain::rollout::policy::{FLOOR, Rule, cost, limits};
use crate::domain::rollout::window::logs;
use crate::stats::describe::{Counts, Moments};
use crate::stats::rng::Rng;
use proptest::prelude::*;

fn check(name: &str, rule: Rule, min: u64) -> Check {
    Check { name: name.to_owned(), metric: name.to_owned(), rule, min }
}

fn policy(checks: Vec<Check>) -> Policy {
    Policy { checks, ..Policy::default() }
}

/// The two checks of errors, as the table of false alarms has them.
fn errors() -> Policy {
    policy(limits().into_iter().filter(|c| c.metric == "errors").collect())
}

/// `(hits, n)` of both arms as one window.
fn window(id: u64, metric: &str, stable: (u64, u64), canary: (u64, u64)) -> Window {
    let counts = |(hits, n)| Counts { hits, n };
    let figure = Figure::Counts { stable: counts(stable), canary: counts(canary) };
    filled(id, metric, (stable.1, canary.1), figure)
}

fn filled(id: u64, metric: &str, (stable, canary): (u64, u64), figure: Figure) -> Window {
    Window { id, share: 0.1, stable, canary, figures: [(metric.to_owned(), figure)].into() }
}

fn row(n: u64, stable: (u64, u64), canary: (u64, u64)) -> Vec<Window> {
    (0..n).map(|id| window(id, "errors", stable, canary)).collect()
}

fn of(values: &[f64]) -> Moments {
    Moments::of(values).expect("finite")
}

#[test]
fn a_broken_version_is_taken_back_and_a_good_one_goes_on() {
    let bad = judge(&errors(), &row(5, (3, 270), (9, 30)));
    assert_eq!((bad.decision, bad.findings[0].standing), (Decision::RollBack, Standing::Broken));
    assert_eq!(bad.reason, "error-rate: 0.3000 of 150 draws, stable 0.0111, limit 0.0500: the limit is broken");
    let good = judge(&errors(), &row(7, (3, 270), (0, 30)));
    assert_eq!((good.decision, good.findings[0].n, good.findings[1].against), (Decision::Ready, 210, Some(1890)));
}

#[test]
fn what_is_missing_is_told() {
    let few = judge(&errors(), &row(2, (3, 270), (0, 30)));
    assert_eq!((few.decision, few.findings[0].standing, few.findings[0].needs), (Decision::Collect, Standing::TooFew, Some(140)));
    let open = judge(&errors(), &row(4, (3, 270), (2, 30)));
    assert_eq!((open.decision, open.findings[0].standing), (Decision::Collect, Standing::Beyond));
    assert!(open.findings[0].needs.is_some_and(|n| n >= 80), "{open:?}");
    let none = judge(&policy(limits()), &row(7, (3, 270), (0, 30)));
    assert_eq!((none.decision, none.reason.as_str()), (Decision::Collect, "latency-p95: no durations yet"));
    assert_eq!(judge(&errors(), &[]).decision, Decision::Collect);
    let all = judge(&Policy { share_tolerance: None, ..errors() }, &row(7, (0, 0), (0, 30)));
    let only = "what can be judged keeps to its limits; nothing to compare with: error-ratio";
    assert_eq!((all.decision, all.reason.as_str()), (Decision::Collect, only));
    let alone = all.findings[1].clone();
    assert_eq!((alone.standing, alone.n, alone.against), (Standing::TooFew, 210, Some(0)));
    let why = "the stable version has had no requests yet in this step: not judged, there is nothing to compare with";
    assert_eq!(alone.reason, format!("0.0000 of 210 draws; {why}"));
    let calm = judge(&errors(), &row(7, (0, 270), (0, 30))).findings[1].clone();
    assert!(calm.reason.contains("; the stable version has had no errors in 1890, so the limit is 0.0050: inside"), "{calm:?}");
}

#[test]
fn no_data_holds() {
    let mut windows = row(7, (3, 270), (0, 30));
    windows.push(window(7, "errors", (3, 270), (0, 0)));
    assert_eq!(judge(&errors(), &windows).decision, Decision::Ready);
    windows.push(window(8, "errors", (3, 270), (0, 0)));
    assert_eq!(judge(&errors(), &windows).decision, Decision::Hold(Hold::NoData));
}

#[test]
fn both_broken_holds_and_stable_alone_does_not() {
    let both = judge(&errors(), &row(5, (100, 270), (12, 30)));
    assert_eq!(both.decision, Decision::Hold(Hold::BothBroken));
    // Good for a day, then both fail at once: only the windows of the trouble are compared.
    let mut windows = row(300, (3, 270), (0, 30));
    windows.extend((300..306).map(|id| window(id, "errors", (100, 270), (12, 30))));
    assert_eq!(judge(&errors(), &windows).decision, Decision::Hold(Hold::BothBroken));
    assert_eq!(judge(&errors(), &row(7, (100, 270), (0, 30))).decision, Decision::Ready);
    // 90 % against 30 %: worse by a ratio, but stable is no place to go back to by a comparison.
    let worse = judge(&errors(), &row(7, (80, 270), (27, 30)));
    assert_eq!((worse.findings[1].standing, worse.decision), (Standing::Broken, Decision::Hold(Hold::BothBroken)));
}

/// An outage of both is over some windows after its last one: the version goes on by what was apart from it, and is taken back for
/// what only it does then.
#[test]
fn what_broke_both_is_left_out_once_it_is_over() {
    let outage = row(5, (200, 270), (22, 30));
    let then = |n: u64, canary| {
        let mut windows = outage.clone();
        windows.extend((5..5 + n).map(|id| window(id, "errors", (3, 270), canary)));
        assert_eq!(judge(&errors(), &windows).decision, Decision::Hold(Hold::BothBroken));
        judge_on(&errors(), &windows).decision
    };
    let held = Decision::Hold(Hold::BothBroken);
    assert_eq!([then(0, (0, 30)), then(2, (0, 30))], [held, held], "it may come again");
    assert_eq!([then(3, (0, 30)), then(7, (0, 30))], [Decision::Collect, Decision::Ready]);
    assert_eq!(then(7, (0, 0)), held, "without requests nobody knows");
    assert_eq!(then(5, (9, 30)), Decision::RollBack, "it is no shield");
    assert_eq!(judge_on(&errors(), &row(7, (3, 270), (9, 30))).decision, Decision::RollBack, "there was none");
}

/// Errors that came all at once make each later one less of a proof, also where both are not proven broken: a long good time before
/// it, then an outage, and after it a canary that is bad alone.
#[test]
fn an_outage_in_a_good_time_hides_nothing_that_comes_after() {
    let mut windows = row(30, (3, 270), (0, 30));
    windows.extend((30..35).map(|id| window(id, "errors", (81, 270), (9, 30))));
    let with = |n: u64, canary| {
        let after = (35..35 + n).map(|id| window(id, "errors", (3, 270), canary));
        let windows: Vec<Window> = windows.iter().cloned().chain(after).collect();
        [judge, judge_on].map(|judged| judged(&errors(), &windows).decision)
    };
    assert_eq!(with(6, (4, 30))[1], Decision::RollBack);
    assert_ne!(with(6, (4, 30))[0], Decision::RollBack, "the windows of both are in the way");
    assert_eq!(with(6, (0, 30))[1], Decision::Ready);
}

#[test]
fn a_limit_that_both_break_does_not_shield_a_broken_canary() {
    let counts = |hits, n| Counts { hits, n };
    let slow = Figure::Counts { stable: counts(100, 270), canary: counts(12, 30) };
    let mut windows = row(5, (3, 270), (30, 30));
    windows.iter_mut().for_each(|w| w.figures.extend([("slow".to_owned(), slow)]));
    let judged = judge(&policy(limits()), &windows);
    assert_eq!((judged.findings[2].standing, judged.decision), (Standing::BothBroken, Decision::RollBack));
}

#[test]
fn a_wrong_share_holds() {
    let double: Vec<Window> = row(9, (3, 240), (0, 60)).into_iter().collect();
    let judged = judge(&errors(), &double);
    assert_eq!(judged.decision, Decision::Hold(Hold::WrongShare));
    assert_eq!(judged.reason, "the canary got 20.0 % of 2700 requests, 10.0 % was set");
    let half: Vec<Window> = row(9, (3, 1000), (0, 50));
    assert_eq!(judge(&errors(), &half).decision, Decision::Hold(Hold::WrongShare));
    // A change of the share is none: only the windows of the last one are looked at.
    let mut moved = row(9, (3, 270), (0, 30));
    moved.extend((9..18).map(|id| Window { share: 0.5, ..window(id, "errors", (2, 150), (0, 150)) }));
    assert_eq!(judge(&errors(), &moved).decision, Decision::Ready);
}

#[test]
fn rare_errors_are_no_harm_however_many_times_rarer_the_others() {
    let judged = judge(&errors(), &row(60, (0, 27_000), (6, 3000)));
    assert!(judged.findings[1].evidence > judged.findings[1].needed && 6.0 / 3000.0 < FLOOR);
    assert_eq!(judged.decision, Decision::Ready);
    let judged = judge(&errors(), &row(60, (0, 27_000), (30, 3000)));
    assert_eq!(judged.decision, Decision::RollBack);
}

#[test]
fn one_bad_minute_is_not_a_version() {
    let mut windows = row(9, (3, 270), (0, 30));
    windows.push(window(9, "errors", (3, 270), (30, 30)));
    let judged = judge(&errors(), &windows);
    assert_eq!((judged.decision, judged.findings[0].standing), (Decision::Doubt, Standing::Beyond));
    assert!(judged.reason.ends_with("over it in 1 of at least 3 windows"), "{}", judged.reason);
}

/// Where stable's errors come in clumps, a few bad minutes of the canary prove less.
#[test]
fn clumps_of_errors_are_less_evidence() {
    let with = |stable: fn(u64) -> u64| {
        let windows: Vec<Window> = (0..8).map(|id| window(id, "errors", (stable(id), 270), (4, 30))).collect();
        judge(&errors(), &windows).findings[0].evidence
    };
    let (steady, clumped) = (with(|_| 8), with(|id| if id % 4 == 0 { 32 } else { 0 }));
    assert!(clumped > 0.0 && clumped < 0.7 * steady, "{clumped} {steady}");
}

#[test]
fn scores_are_judged_by_their_mean() {
    let checks = || policy(vec![check("faithfulness", Rule::Mean { least: 0.9, range: (0.0, 1.0) }, 30)]);
    let scored = |stable: &[f64], canary: &[f64]| {
        let figure = Figure::Values { stable: of(stable), canary: of(canary) };
        judge(&checks(), &[filled(0, "faithfulness", (900, 100), figure)])
    };
    let (good, poor): (Vec<f64>, Vec<f64>) =
        (0..60).map(|i| (1.0 - f64::from(i % 10) / 100.0, 0.5 + f64::from(i % 10) / 50.0)).unzip();
    assert_eq!(scored(&good, &good).decision, Decision::Ready);
    assert_eq!(scored(&good, &poor).decision, Decision::RollBack);
    assert_eq!(scored(&poor, &poor).decision, Decision::Hold(Hold::BothBroken));
    assert_eq!(scored(&good, &good[..9]).findings[0].needs, Some(21));
}

#[test]
fn accuracy_is_judged_against_stable_and_pair_by_pair() {
    let right = |n: u32, of_hundred: u32| -> Vec<f64> { (0..n).map(|i| f64::from(u8::from(i % 100 < of_hundred))).collect() };
    let unpaired = |canary| {
        let figure = Figure::Values { stable: of(&right(1000, 95)), canary: of(&right(1000, canary)) };
        let checks = vec![check("accuracy", Rule::Drop { most: 0.05, range: (0.0, 1.0) }, 100)];
        judge(&policy(checks), &[filled(0, "accuracy", (900, 100), figure)]).decision
    };
    assert_eq!([95, 92, 87, 60].map(unpaired), [Decision::Ready, Decision::Ready, Decision::Doubt, Decision::RollBack]);
    let paired = |lost: usize| {
        let differences: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i < lost))).collect();
        let figure = Figure::Pairs { differences: of(&differences) };
        let checks = vec![check("accuracy", Rule::Paired { most: 0.05, span: 1.0 }, 30)];
        judge(&policy(checks), &[filled(0, "accuracy", (900, 100), figure)]).decision
    };
    // The same questions show with 100 what takes 1,000 of different ones.
    assert_eq!([3, 8, 30].map(paired), [Decision::Ready, Decision::Doubt, Decision::RollBack]);
}

#[test]
fn costs_are_judged_by_the_typical_answer() {
    let gate = cost("tokens", 500.0);
    let Rule::Cost { range, .. } = gate.rule else { unreachable!() };
    let tokens = |times: f64, odd: f64| -> Moments {
        let mut costs: Vec<f64> = (0..600).map(|i| 500.0 * times * (0.5 + f64::from(i * 7 % 600) / 600.0)).collect();
        costs[0] = odd;
        logs(&costs, range).expect("logarithms")
    };
    let judged = |times, odd| {
        let figure = Figure::Values { stable: tokens(1.0, 500.0), canary: tokens(times, odd) };
        judge(&policy(vec![gate.clone()]), &[filled(0, "tokens", (900, 100), figure)])
    };
    // One answer of a million tokens does not decide.
    assert_eq!(judged(1.0, 1e6).decision, Decision::Ready);
    let dear = judged(2.0, 1000.0);
    assert_eq!(dear.decision, Decision::RollBack);
    assert!(dear.findings[0].estimate.is_some_and(|r| (r - 2.0).abs() < 0.02), "{dear:?}");
}

#[test]
fn figures_that_cannot_be_are_left_out_and_told() {
    let mut windows = row(7, (3, 270), (0, 30));
    windows[0] = window(0, "errors", (3, 270), (31, 30));
    windows[1].figures = [("errors".to_owned(), Figure::Pairs { differences: Moments::default() })].into();
    let judged = judge(&errors(), &windows);
    assert_eq!((judged.decision, judged.findings[0].refused, judged.findings[0].n), (Decision::Collect, 2, 150));
    let wild = Figure::Values { stable: of(&[0.9]), canary: Moments { n: 50, mean: 7.0, sd: f64::NAN } };
    let checks = vec![check("faithfulness", Rule::Mean { least: 0.9, range: (0.0, 1.0) }, 30)];
    let judged = judge(&policy(checks), &[filled(0, "faithfulness", (900, 100), wild)]);
    assert_eq!((judged.decision, judged.findings[0].standing), (Decision::Collect, Standing::TooFew));
}

#[test]
fn threshold_mode_takes_windows_by_their_word_and_says_what_that_costs() {
    let literal = |consecutive| Policy { mode: Mode::Threshold, consecutive, ..errors() };
    let mut windows = row(57, (3, 270), (0, 30));
    windows.push(window(57, "errors", (3, 270), (2, 30)));
    assert_eq!(judge(&literal(1), &windows).decision, Decision::RollBack);
    assert_eq!(judge(&literal(3), &windows).decision, Decision::Ready);
    windows.push(window(58, "errors", (0, 9), (1, 1)));
    windows.extend((59..61).map(|id| window(id, "errors", (3, 270), (2, 30))));
    let judged = judge(&literal(3), &windows);
    assert_eq!((judged.decision, judged.findings[0].evidence), (Decision::RollBack, 3.0));
    assert!(judge(&literal(1), &windows).findings[0].false_alarm.is_some_and(|p| p > 0.85));
    assert!(judged.findings[0].false_alarm.is_some_and(|p| p < 0.01) && judged.findings[1].false_alarm.is_none());
}

#[test]
fn faults_of_a_policy_are_told_and_do_nothing() {
    assert_eq!(Policy::default().faults(), []);
    let nonsense = Rule::Rate { limit: 1.5 };
    let broken = Policy { alpha: 0.0, blind_windows: 0, ..policy(vec![check("a", nonsense, 0), check("a", nonsense, 0)]) };
    let names: Vec<String> = broken.faults().into_iter().map(|f| f.0).collect();
    assert_eq!(names, ["a", "a", "a", "alpha", "blind-windows"]);
    assert_eq!(judge(&policy(vec![check("a", nonsense, 1)]), &row(9, (0, 9), (9, 9))).findings[0].standing, Standing::TooFew);
    for range in [(1.0, 0.0), (0.0, f64::NAN), (0.5, 0.5)] {
        for rule in [Rule::Mean { least: 0.5, range }, Rule::Drop { most: 0.1, range }, Rule::Cost { factor: 1.25, range }] {
            assert!(rule.fault().is_some(), "{rule:?}");
        }
    }
    assert!(cost("tokens", 0.0).rule.fault().is_some() && cost("tokens", 3.0).rule.fault().is_none());
}

/// Traffic like that of deploy simulations: a share of 10 %, 60 windows of a minute; errors may come in clumps.
struct Traffic {
    requests: u64,
    stable: f64,
    canary: f64,
    clumps: bool,
}

impl Traffic {
    fn windows(&self, seed: u64) -> Vec<Window> {
        let mut rng = Rng::new(seed);
        let share = |rng: &mut Rng| (rng.bits() >> 11) as f64 / (1u64 << 53) as f64;
        let arm = |rng: &mut Rng, n: u64, rate: f64| {
            // A bad minute fails eleven times as often, one in twenty is one: the mean stays what it was.
            let rate = match (self.clumps, share(rng) < 0.05) {
                (false, _) => rate,
                (true, bad) => rate * if bad { 11.0 } else { 1.0 } / 1.5,
            };
            ((0..n).filter(|_| share(rng) < rate).count() as u64, n)
        };
        let canary = self.requests / 10;
        (0..60)
            .map(|id| {
                window(id, "errors", arm(&mut rng, self.requests - canary, self.stable), arm(&mut rng, canary, self.canary))
            })
            .collect()
    }

    /// In which window each run is rolled back, if ever, judged after every one.
    fn rolled_back(&self, policy: &Policy, runs: u64) -> Vec<usize> {
        let first = |seed: u64| {
            let windows = self.windows(seed);
            (1..=windows.len()).find(|n| judge(policy, &windows[..*n]).decision == Decision::RollBack)
        };
        (0..runs).filter_map(first).collect()
    }
}

/// The table of the design: good versions stay, bad ones go within minutes, and the literal rule throws most good ones out.
#[test]
fn false_alarms_and_detection() {
    let traffic = |stable, canary, clumps| Traffic { requests: 300, stable, canary, clumps };
    let rolled = |t: Traffic, policy: &Policy| t.rolled_back(policy, 60);
    assert_eq!(rolled(traffic(0.01, 0.01, false), &errors()).len(), 0);
    assert_eq!(rolled(traffic(0.03, 0.03, false), &errors()).len(), 0);
    assert!(rolled(traffic(0.01, 0.01, true), &errors()).len() <= 2);
    let mut found = rolled(traffic(0.01, 0.1, false), &errors());
    found.sort_unstable();
    assert!(found.len() == 60 && found[30] <= 12, "{found:?}");
    let literal = Policy { mode: Mode::Threshold, consecutive: 1, ..errors() };
    assert!(rolled(traffic(0.01, 0.01, false), &literal).len() > 45);
}

proptest! {
    /// Whatever a source reports, there is an answer, and a version without a single hit is never rolled back.
    #[test]
    fn any_windows_can_be_judged(w in proptest::collection::vec((any::<u64>(), any::<u64>(), 0u64..9, any::<u64>(), any::<f64>()), 0..9), literal: bool) {
        let mode = if literal { Mode::Threshold } else { Mode::Evidence };
        let windows: Vec<Window> = w.iter().zip(0..).map(|((a, b, c, d, share), id)| {
            let figure = Figure::Counts { stable: Counts { hits: *a, n: *b }, canary: Counts { hits: *c, n: *d } };
            Window { share: *share, ..filled(id, "errors", (*b / 16, *d / 16), figure) }
        }).collect();
        let judged = judge(&Policy { mode, ..errors() }, &windows);
        prop_assert!(judged.findings.iter().all(|f| f.evidence.is_finite() && f.estimate.is_none_or(f64::is_finite)));
        if w.iter().all(|w| w.2 == 0) {
            prop_assert_ne!(judged.decision, Decision::RollBack);
        }
    }

    /// Windows cut elsewhere hold the same draws: estimates and verdicts of scores do not depend on it.
    #[test]
    fn what_is_said_of_a_window_is_told_of_its_sum(v in proptest::collection::vec(0.0f64..=1.0, 2..60), at in 1usize..59) {
        let rule = Rule::Mean { least: 0.6, range: (0.0, 1.0) };
        let (a, b) = v.split_at(at.min(v.len() - 1));
        let figure = |v: &[f64]| Figure::Values { stable: Moments::default(), canary: of(v) };
        let judged = |parts: &[&[f64]]| {
            let windows: Vec<Window> = parts.iter().zip(0..).map(|(p, id)| filled(id, "s", (0, 1), figure(p))).collect();
            judge(&policy(vec![check("s", rule, 5)]), &windows).findings[0].clone()
        };
        let (whole, cut) = (judged(&[&v]), judged(&[a, b]));
        prop_assert_eq!(whole.n, cut.n);
        prop_assert!((whole.estimate.expect("one") - cut.estimate.expect("one")).abs() < 1e-9);
    }
}

//! What is compared with the stable version in the same windows, and what is told while there is nothing to compare.

use super::*;
use crate::domain::rollout::judge::Standing;

/// A plan whose first step lasts for a while.
const LONG: &str = "[rollout.bot]\nsteps = [{ weight = 30, hold = \"10m\" }, { weight = 100 }]\nmonitor = \"5m\"\n\
    [rollout.bot.limits]\nlatency-ratio = 1.5\n";

/// A rollout whose source knows nothing of before, with a canary that takes so many tenths of the time.
fn judged(slow: u64) -> (Scene, Rollout) {
    let s = planned(0, LONG);
    s.source.new.store(true, Ordering::Relaxed);
    s.source.slow.store(slow, Ordering::Relaxed);
    let rollout = s.start();
    let ended = s.run(&rollout.uid, false);
    (s, ended)
}

#[test]
fn a_slow_version_is_taken_back_by_the_stable_one_in_the_same_windows() {
    let (s, back) = judged(20);
    assert_eq!(back.state.phase, Phase::RolledBack, "{}", back.reason);
    let moves = s.bench.store.read(|view| table::moves(view, &back.uid)).expect("moves");
    let judgement = moves.into_iter().filter_map(|m| m.judgement).next_back().expect("a judgement");
    let found = judgement.findings.iter().find(|f| f.standing == Standing::Broken).expect("broken");
    assert!(found.check.starts_with("latency-") && found.evidence >= found.needed && found.against > Some(0), "{found:?}");
    assert!(found.reason.contains("in the same windows") || found.reason.contains("none over its mark"), "{found:?}");
    let compared = back.setup.compared();
    assert_eq!(compared.len(), 2);
    assert!(
        compared[0].starts_with("latency-ratio: with 1.5 times the stable version's p95 in the same windows"),
        "{compared:?}"
    );
    assert!(back.setup.unjudged.iter().all(|l| !l.starts_with("latency-")), "{:?}", back.setup.unjudged);
}

#[test]
fn a_version_as_slow_as_the_stable_one_is_promoted() {
    let (s, done) = judged(10);
    assert_eq!((done.state.phase, s.in_production()), (Phase::Finished, v("1.1.0")), "{}", done.reason);
    let windows = s.bench.store.read(|view| table::windows(view, &done.uid, 1)).expect("windows");
    let of_step = windows.iter().rfind(|t| t.seen.as_ref().is_some_and(|s| s.step == 0)).expect("a window");
    let findings = &of_step.judgement.as_ref().expect("judged").findings;
    for name in ["latency-ratio", "latency-degradation"] {
        let found = findings.iter().find(|f| f.check == name).expect("a finding");
        assert!(found.standing == Standing::Good && found.n >= 200 && found.against > Some(200), "{found:?}");
    }
}

/// With figures from before the start those are what durations are held against, as the specification says.
#[test]
fn durations_from_before_the_start_come_first() {
    let s = planned(0, LONG);
    s.source.slow.store(20, Ordering::Relaxed);
    let back = s.run(&s.start().uid, false);
    assert_eq!(back.state.phase, Phase::RolledBack, "{}", back.reason);
    assert_eq!(back.setup.compared()[0], "latency-ratio: with 0.3000 s, from the stable version's p95 before the start");
}

/// A switch leaves no stable version to compare with.
#[test]
fn beside_nobody_nothing_is_compared() {
    let s = planned(0, LONG);
    s.source.new.store(true, Ordering::Relaxed);
    let Outcome::Started(of) = s.begin(Strategy::AllAtOnce).expect("started") else { panic!("refused") };
    assert_eq!(of.setup.compared(), Vec::<String>::new());
    assert!(of.setup.unjudged.iter().any(|l| l.starts_with("latency-ratio: too few durations")), "{:?}", of.setup.unjudged);
}

/// Nobody asks anything once it has all of the traffic: that is told when it begins, and when it ends.
#[test]
fn a_monitor_without_requests_is_told_once() {
    let s = planned(0, LONG);
    let rollout = s.start();
    let mut told = Vec::new();
    for _ in 0..400 {
        let (now, silent) = (s.now(&rollout.uid), s.source.silent.load(Ordering::Relaxed));
        if now.state.phase == Phase::Monitoring && !silent {
            s.source.silent.store(true, Ordering::Relaxed);
            told.clear();
        }
        let ticked = s.with(|parts| {
            let mut controller = Controller::new(parts, &rollout.uid, 1, &|_, _| false)?;
            let ticked = controller.tick()?;
            controller.end()?;
            Ok::<_, Error>(ticked)
        });
        let ticked = ticked.expect("driven");
        told.extend(ticked.told);
        s.later(ticked.wait);
    }
    assert_eq!(told, ["the canary got no request in the last 2 windows"]);
}

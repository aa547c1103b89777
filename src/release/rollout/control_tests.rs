//! The controller against a target and a source that are made up here: what it does with both, dies at, and writes down.

use super::*;
use crate::base::time::Clock;
use crate::base::version::Version;
use crate::config::{Env, Loaded, Vocabulary, parse};
use crate::domain::rollout::check::Replay;
use crate::domain::rollout::lease::TTL;
use crate::domain::rollout::machine::Held;
use crate::domain::rollout::setup::Strategy;
use crate::release::intact::Reader;
use crate::release::rollout::order::order;
use crate::release::rollout::start::{Outcome, Wanted, place, start};
use crate::release::testing::Bench;
use crate::seams::metrics::{Ask, Buckets, Counted, MetricSource, Reading};
use crate::seams::traffic::{Arms, Asked, Fault, Seen, Target};
use crate::store::check::{Entry, read_log};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// A place where traffic is split, in memory, with the guard and the readiness that the seam asks for.
#[derive(Default)]
struct FakeTarget {
    at: Mutex<Shape>,
}

#[derive(Default)]
struct Shape {
    weight: Weight,
    /// The part of the requests that is copied, everything that was asked for of it, and whether it can be had at all.
    copies: Weight,
    copied: Vec<f64>,
    copies_nothing: bool,
    generation: u64,
    running: bool,
    /// Why it took the canary out by itself.
    taken: Option<String>,
    /// Every weight that was set, in order.
    weights: Vec<f64>,
    kept: Option<Keep>,
    /// The version that has the weight, and every version that was to be stopped, in order.
    of: Option<Version>,
    stopped: Vec<Version>,
    /// Why a version never gets ready, and how stopping one ends.
    never: Option<&'static str>,
    stuck: Option<fn(Error) -> Fault>,
    /// How often it was called, and the call that kills the controller.
    calls: usize,
    deadly: Option<(usize, bool)>,
    /// Refuses everything as if nobody were there.
    away: bool,
}

impl FakeTarget {
    /// Counts a call, which dies before or after it took effect when it is to.
    fn call<T>(&self, act: impl FnOnce(&mut Shape) -> Asked<T>) -> Asked<T> {
        let mut at = self.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        at.calls += 1;
        let deadly = at.deadly.filter(|(call, _)| *call == at.calls);
        assert!(deadly != Some((at.calls, false)), "killed");
        if at.away {
            return Err(Fault::Unclear(Error::new("nobody answers")));
        }
        let done = act(&mut at);
        assert!(deadly.is_none(), "killed");
        done
    }
}

impl Target for FakeTarget {
    fn describe(&self) -> String {
        "a target of a test".to_owned()
    }

    fn preflight(&self, _: &Arms) -> Asked<()> {
        self.call(|_| Ok(()))
    }

    fn scale(&self, _: &Arms, _: Weight) -> Asked<()> {
        self.call(|at| {
            at.running = true;
            Ok(())
        })
    }

    fn ready(&self, _: &Arms, _: Weight) -> Asked<Ready> {
        self.call(|at| {
            Ok(match at.never {
                Some(why) => Ready::Never(why.to_owned()),
                None if at.running => Ready::Yes,
                None => Ready::NotYet("it starts".to_owned()),
            })
        })
    }

    fn preview(&self, _: &Arms) -> Asked<Option<String>> {
        self.call(|_| Ok(Some("http://127.0.0.1:1".to_owned())))
    }

    fn read(&self, arms: &Arms) -> Asked<Seen> {
        self.call(|at| {
            let (stable, canary) = (arms.stable.as_ref().map(|s| s.version), Some(arms.canary.version));
            let other = at.of.is_some() && at.of != canary;
            let weight = if at.taken.is_some() || other { Weight::NONE } else { at.weight };
            let (taken, guard) = (at.taken.clone(), at.generation.to_string());
            Ok(Seen { weight, share: weight.share(), stable, canary, taken, guard })
        })
    }

    fn write(&self, arms: &Arms, weight: Weight, guard: &str) -> Asked<()> {
        self.call(|at| {
            at.of = Some(arms.canary.version);
            if guard != at.generation.to_string() {
                return Err(Fault::Conflict(Error::new("somebody else was quicker")));
            }
            assert!(at.running || weight == Weight::NONE, "a version that is not ready gets traffic");
            (at.weight, at.generation, at.taken) = (weight, at.generation + 1, None);
            at.weights.push(weight.percent());
            Ok(())
        })
    }

    fn can_copy(&self) -> Asked<()> {
        let no = || Fault::Refused(Error::new("it cannot copy requests"));
        self.call(|at| if at.copies_nothing { Err(no()) } else { Ok(()) })
    }

    fn shadow(&self, _: &Arms, part: Weight) -> Asked<()> {
        self.call(|at| {
            assert!(at.running || part == Weight::NONE, "a version that is not ready gets copies");
            assert!(at.weight == Weight::NONE, "users are sent to a shadow");
            at.copies = part;
            at.copied.push(part.percent());
            Ok(())
        })
    }

    fn copies(&self, _: &Arms, part: Weight) -> Asked<bool> {
        self.call(|at| Ok(at.copies == part))
    }

    fn settle(&self, arms: &Arms, keep: Keep) -> Asked<()> {
        self.call(|at| {
            if let Some(fault) = at.stuck {
                return Err(fault(Error::new("it does not stop")));
            }
            at.kept = Some(keep);
            let loser = if keep == Keep::Canary { arms.stable.as_ref() } else { Some(&arms.canary) };
            at.stopped.extend(loser.map(|arm| arm.version));
            Ok(())
        })
    }
}

/// Who counts ten requests a second, of which every so-manieth of the canary fails.
struct FakeSource {
    fails: u64,
    target: std::sync::Arc<FakeTarget>,
    silent: std::sync::atomic::AtomicBool,
    missing: std::sync::atomic::AtomicBool,
    /// It knows nothing of before, as a gateway; how many times as long the canary takes, in tenths.
    new: std::sync::atomic::AtomicBool,
    slow: std::sync::atomic::AtomicU64,
}

impl MetricSource for FakeSource {
    fn describe(&self) -> String {
        "a source of a test".to_owned()
    }

    fn read(&self, ask: &Ask<'_>) -> Result<Reading> {
        if self.missing.load(Ordering::Relaxed) {
            return Ok(Reading { missing: Some("the log is not there yet".to_owned()), ..Reading::default() });
        }
        let at = self.target.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if at.weights.is_empty() && self.new.load(Ordering::Relaxed) {
            return Ok(Reading::default());
        }
        let all = (ask.to.micros() - ask.from.micros()) as u64 / 100_000;
        let silent = self.silent.load(Ordering::Relaxed);
        let part = |of: Weight| if silent { 0 } else { (all as f64 * of.share()).round() as u64 };
        let (users, canary) = (part(at.weight), part(at.weight) + part(at.copies));
        let arm = |n: u64, fails: u64, times: f64| Counted {
            requests: Some(n),
            errors: Some(n.checked_div(fails).unwrap_or(0)),
            // Never more than half of them over the median of even a window with an odd number: that is the limit of degradation.
            latency: Some(Buckets::dense(
                [(0.098, 0), (0.1, n - n / 2), (0.196, 0), (0.2, n / 2)].map(|(end, n)| (end * times, n)),
            )),
            ..Counted::default()
        };
        let stable = arm(if silent { 0 } else { all.saturating_sub(users) }, 0, 1.0);
        let canary = arm(canary, self.fails, self.slow.load(Ordering::Relaxed) as f64 / 10.0);
        Ok(Reading { stable, canary, ..Reading::default() })
    }
}

/// A state with a version in production and one that waits, a target and a source.
struct Scene {
    bench: Bench,
    loaded: Loaded,
    target: std::sync::Arc<FakeTarget>,
    source: FakeSource,
}

const STEPS: &str = "[rollout.bot]\nsteps = [{ weight = 10, hold = \"3m\" }, { weight = 50, hold = \"2m\", approval = true }, { weight = 100 }]\n\
    monitor = \"2m\"\nalerts = [\"team\"]\n[alerts.team]\nurl = \"env:HOOK\"\n";

/// The shortest way that has everything in it but a second step.
const SHORT: &str =
    "[rollout.bot]\nsteps = [{ weight = 10, hold = \"1m\", approval = true }, { weight = 100 }]\nmonitor = \"1m\"\n";

fn scene(fails: u64) -> Scene {
    planned(fails, STEPS)
}

fn planned(fails: u64, plan: &str) -> Scene {
    let text = format!(
        "[project]\nname = \"shop\"\n[model.bot]\ntype = \"other\"\npath = \"bot\"\n[policy]\nskip-staging = true\n\
         [target.local]\nurl = \"http://bot-{{version}}.internal:8000\"\n{plan}"
    );
    let loaded = parse(&text, Path::new("mlops.toml"), &Env::default(), None, &Vocabulary::default());
    let bench = Bench::new();
    bench.register("bot@1.0.0", &[]);
    bench.stage("bot@1.0.0", Stage::Production);
    bench.register("bot@1.1.0", &[]);
    let target = std::sync::Arc::new(FakeTarget::default());
    let source = FakeSource {
        fails,
        target: std::sync::Arc::clone(&target),
        silent: false.into(),
        missing: false.into(),
        new: false.into(),
        slow: 10.into(),
    };
    Scene { bench, loaded: loaded.unwrap_or_else(|e| panic!("{e}")), target, source }
}

impl Scene {
    fn with<T>(&self, act: impl FnOnce(Parts<'_>) -> T) -> T {
        let reader = Reader::new(&self.bench.objects, 1, &|_, _| {});
        act(Parts {
            store: &self.bench.store,
            project: &self.loaded.project,
            root: self.bench.dir.path(),
            target: &*self.target,
            source: &self.source,
            reader: &reader,
        })
    }

    fn start(&self) -> Rollout {
        match self.begin(Strategy::Canary).expect("started") {
            Outcome::Started(rollout) => *rollout,
            Outcome::Refused(refused) => panic!("{}", super::super::start::why(&refused)),
        }
    }

    fn begin(&self, strategy: Strategy) -> Result<Outcome> {
        self.begin_with("bot@1.1.0", strategy)
    }

    fn begin_with(&self, reference: &str, strategy: Strategy) -> Result<Outcome> {
        let reference = reference.parse().expect("a reference");
        let place = place(&self.loaded.project, &"bot".parse().expect("a name"), None).expect("a target");
        let because = Because::default();
        let wanted = Wanted { reference: &reference, place, plan: None, strategy, first_release: false, because };
        self.with(|parts| start(&parts, &self.loaded, &wanted))
    }

    fn later(&self, wait: Duration) {
        let Clock::Stepping(next) = &*self.bench.clock() else { panic!("time does not stand still") };
        next.fetch_add(i64::try_from(wait.as_micros()).expect("short"), Ordering::Relaxed);
    }

    fn now(&self, uid: &str) -> Rollout {
        self.bench.store.read(|view| table::find(view, uid)).expect("read").expect("a rollout")
    }

    /// Drives until it ends or waits for a person; each tick may die.
    fn run(&self, uid: &str, gone: bool) -> Rollout {
        for _ in 0..200 {
            let ticked = self.with(|parts| {
                let mut controller = Controller::new(parts, uid, 1, &|_, _| gone)?;
                let ticked = controller.tick()?;
                controller.end()?;
                Ok::<_, Error>(ticked)
            });
            let ticked = ticked.unwrap_or_else(|e| panic!("{e}"));
            if ticked.rollout.state.phase.ended() || ticked.rollout.state.wants_a_person() {
                return ticked.rollout;
            }
            self.later(ticked.wait);
        }
        panic!("it never ends: {:?}", self.now(uid).state);
    }

    fn approve(&self, uid: &str) {
        order(&self.bench.store, uid, &Event::Approve, Because::default()).expect("approved");
    }

    fn in_production(&self) -> Version {
        self.bench.version("bot@production").version
    }

    /// What does not agree between rows and log.
    fn wrong(&self) -> Vec<crate::store::check::Finding> {
        self.bench
            .store
            .read(|view| {
                let mut replay = Replay::default();
                read_log(view, &mut |stored| replay.take(&Entry::read(stored).expect("an entry")))?;
                replay.compare(view)
            })
            .expect("compared")
    }
}

#[path = "compared_tests.rs"]
mod compared_tests;
#[path = "shadow_tests.rs"]
mod shadow_tests;
#[path = "stopping_tests.rs"]
mod stopping_tests;

fn v(text: &str) -> Version {
    text.parse().expect("a version")
}

#[test]
fn a_good_version_takes_every_step_and_the_stage_at_the_end() {
    let s = scene(0);
    let rollout = s.start();
    let waits = s.run(&rollout.uid, false);
    assert_eq!((waits.state.phase, waits.state.observed.percent()), (Phase::AwaitingApproval, 50.0));
    assert_eq!(s.in_production(), v("1.0.0"), "the stage follows the traffic");
    s.approve(&rollout.uid);
    let done = s.run(&rollout.uid, false);
    assert_eq!((done.state.phase, s.in_production()), (Phase::Finished, v("1.1.0")));
    let at = s.target.at.lock().expect("the target");
    assert_eq!((at.weights.as_slice(), at.kept), ([10.0, 50.0, 100.0].as_slice(), Some(Keep::Canary)));
    drop(at);
    assert_eq!(s.wrong(), []);
    let windows = s.bench.store.read(|view| table::windows(view, &rollout.uid, 1)).expect("windows");
    assert!(windows.len() >= 7 && windows.iter().all(|w| w.judgement.is_some()), "{}", windows.len());
    assert!(s.bench.actions(3).contains(&"rollout.ended".to_owned()), "{:?}", s.bench.actions(3));
}

#[test]
fn a_bad_version_is_taken_back_with_its_numbers() {
    let s = scene(5);
    let rollout = s.start();
    let back = s.run(&rollout.uid, false);
    assert_eq!((back.state.phase, s.in_production()), (Phase::RolledBack, v("1.0.0")), "{}", back.reason);
    let at = s.target.at.lock().expect("the target");
    assert_eq!((at.weights.as_slice(), at.kept), ([10.0, 0.0].as_slice(), Some(Keep::Stable)));
    drop(at);
    let moves = s.bench.store.read(|view| table::moves(view, &rollout.uid)).expect("moves");
    let judged = moves.iter().find_map(|m| m.judgement.as_ref()).expect("a judgement");
    assert!(judged.findings.iter().any(|f| f.check == "error-rate" && f.evidence >= f.needed), "{judged:?}");
    let told = s.bench.store.read(|view| crate::domain::alert::table::unsent(view, false)).expect("alerts");
    assert!(told.iter().any(|d| d.of.alert.title.contains("is being taken back")), "{told:?}");
    let last = told.iter().find(|d| d.of.alert.title.ends_with("was taken back")).expect("told of its end");
    assert!(last.of.alert.facts.contains(&("weight".into(), "0".into())), "the weight of then: {last:?}");
    assert_eq!(s.wrong(), []);
}

/// Whatever call to the target a controller dies at, before or after it took effect: who comes next ends where it would have.
#[test]
fn a_controller_that_dies_at_any_call_is_taken_over() {
    let whole = |deadly: Option<(usize, bool)>| {
        let s = planned(0, SHORT);
        let rollout = s.start();
        s.target.at.lock().expect("the target").deadly = deadly;
        let run = || {
            let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| s.run(&rollout.uid, true)));
            died.unwrap_or_else(|_| s.run(&rollout.uid, true))
        };
        assert_eq!(run().state.phase, Phase::AwaitingApproval, "{deadly:?}");
        s.approve(&rollout.uid);
        assert_eq!((run().state.phase, s.in_production()), (Phase::Finished, v("1.1.0")), "{deadly:?}");
        assert_eq!(s.wrong(), [], "{deadly:?}");
        let at = s.target.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        assert_eq!((at.weights.as_slice(), at.kept), ([10.0, 100.0].as_slice(), Some(Keep::Canary)), "{deadly:?}");
        at.calls
    };
    let calls = whole(None);
    assert!(calls > 10, "{calls}");
    // Before it took effect at one call, after it at the next.
    for call in 1..=calls {
        whole(Some((call, call % 2 == 0)));
    }
}

#[test]
fn of_two_controllers_one_acts() {
    let s = scene(0);
    let rollout = s.start();
    s.with(|parts| {
        let mut first = Controller::new(parts, &rollout.uid, 1, &|_, _| false).expect("a lease");
        first.tick().expect("a tick");
        let locked = Controller::new(parts, &rollout.uid, 2, &|_, _| false).err().expect("only one");
        assert_eq!(locked.kind(), Kind::Locked, "{locked}");
        // The first one is stuck for longer than its lease lasts.
        s.later(TTL + Duration::from_secs(1));
        let mut second = Controller::new(parts, &rollout.uid, 2, &|_, _| false).expect("an expired lease");
        second.tick().expect("a tick");
        let before = s.now(&rollout.uid);
        let late = first.tick().expect_err("the lease is gone");
        assert_eq!(late.kind(), Kind::Locked, "{late}");
        assert_eq!(s.now(&rollout.uid), before, "who lost the lease changes nothing");
    });
}

#[test]
fn orders_of_people_are_taken_whoever_drives() {
    let s = scene(0);
    let rollout = s.start();
    let give = |event: &Event| order(&s.bench.store, &rollout.uid, event, Because::default());
    s.with(|parts| {
        let mut controller = Controller::new(parts, &rollout.uid, 1, &|_, _| false).expect("a lease");
        controller.tick().expect("a tick");
        assert!(give(&Event::Approve).is_err(), "nothing is to be approved");
        assert!(give(&Event::Pause).expect("paused").1 && !give(&Event::Pause).expect("paused").1);
        for _ in 0..10 {
            s.later(Duration::from_secs(61));
            controller.tick().expect("a tick");
        }
        let paused = s.now(&rollout.uid);
        assert_eq!((paused.state.held, paused.state.observed.percent()), (Some(Held::Paused), 10.0));
        give(&Event::Resume).expect("resumed");
        give(&Event::Abort("by order".to_owned())).expect("aborted");
        assert_eq!(controller.tick().expect("a tick").rollout.state.phase, Phase::RolledBack);
        give(&Event::Retry).expect("again");
        controller.tick().expect("a tick");
        assert_eq!((s.now(&rollout.uid).state.attempt, s.now(&rollout.uid).state.observed.percent()), (2, 10.0));
    });
    assert_eq!(s.wrong(), []);
}

#[test]
fn nobody_is_moved_on_missing_data() {
    let s = scene(0);
    let rollout = s.start();
    s.with(|parts| {
        let mut controller = Controller::new(parts, &rollout.uid, 1, &|_, _| false).expect("a lease");
        controller.tick().expect("a tick");
        // Nobody looks for an hour: the clock of the step has not moved.
        s.later(Duration::from_secs(3600));
        controller.tick().expect("a tick");
        assert_eq!(s.now(&rollout.uid).state.clock, 0);
        s.source.silent.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            s.later(Duration::from_secs(61));
            controller.tick().expect("a tick");
        }
        let still = s.now(&rollout.uid).state;
        assert!(matches!(still.held, Some(Held::Judge(_))) && (still.clock, still.spent) == (0, 0), "{still:?}");
        s.source.silent.store(false, Ordering::Relaxed);
        // What cannot be asked is waited out, and then asked no more of anybody.
        s.target.at.lock().expect("the target").away = true;
        for _ in 0..6 {
            s.later(Duration::from_secs(20));
            controller.tick().expect("a tick");
        }
        s.target.at.lock().expect("the target").away = false;
        assert_eq!(s.target.at.lock().expect("the target").weights, [10.0]);
    });
}

/// Unknown is not zero: it holds, goes on by itself, and does not say that nobody came.
#[test]
fn what_nobody_counted_is_told_as_such() {
    let s = scene(0);
    let rollout = s.start();
    s.with(|parts| {
        let mut controller = Controller::new(parts, &rollout.uid, 1, &|_, _| false).expect("a lease");
        s.source.missing.store(true, Ordering::Relaxed);
        controller.tick().expect("a tick");
        for missing in [true, false] {
            s.source.missing.store(missing, Ordering::Relaxed);
            let told: Vec<String> = (0..2)
                .flat_map(|_| {
                    s.later(Duration::from_secs(61));
                    controller.tick().expect("a tick").told
                })
                .collect();
            assert_eq!(s.now(&rollout.uid).state.held.is_some(), missing, "{told:?}");
            let said = told.contains(&"nothing was counted: the log is not there yet".to_owned());
            assert_eq!(said, missing, "{told:?}");
        }
    });
}

/// Whoever looked once with a clock that was ahead keeps nobody from judging, nor from driving.
#[test]
fn a_clock_that_was_ahead_stops_nothing() {
    let s = scene(0);
    let rollout = s.start();
    let hour = 3_600_000_000;
    let Clock::Stepping(clock) = &*s.bench.clock() else { panic!("time does not stand still") };
    s.with(|parts| {
        let mut ahead = Controller::new(parts, &rollout.uid, 1, &|_, _| false).expect("a lease");
        clock.fetch_add(hour, Ordering::Relaxed);
        ahead.tick().expect("a tick");
        clock.fetch_sub(hour, Ordering::Relaxed);
        let mut controller = Controller::new(parts, &rollout.uid, 2, &|_, _| false).expect("nobody has a lease for an hour");
        let told = controller.tick().expect("a tick").told;
        assert!(told.iter().any(|why| why.contains("a clock was ahead")), "{told:?}");
        assert!(s.now(&rollout.uid).reason.contains("a clock was ahead"), "{}", s.now(&rollout.uid).reason);
        s.later(Duration::from_secs(61));
        controller.tick().expect("a tick");
        assert!(s.now(&rollout.uid).state.clock >= 60, "{:?}", s.now(&rollout.uid).state);
        let gaps = s.bench.store.read(|view| table::gaps(view, &rollout.uid)).expect("gaps");
        assert!(gaps.len() == 1 && gaps[0].1.contains("a clock was ahead"), "{gaps:?}");
        // What is waited for since a time that is still to come is not waited for until then and ten minutes more.
        let late = Rollout { changed: parts.store.now().plus_micros(hour), ..s.now(&rollout.uid) };
        assert!(!controller.late(&late));
        s.later(PATIENCE);
        assert!(controller.late(&late));
    });
}

/// No weight is raised after a test that lasted, before a window was judged that went by meanwhile.
#[test]
fn windows_are_judged_while_a_test_lasts() {
    let steps = "steps = [{ weight = 10, hold = \"1m\" }, { weight = 50, load = true, hold = \"1m\" }, { weight = 100 }]";
    let s = planned(0, &format!("[rollout.bot]\n{steps}\nload = [\"sleep\", \"4\"]\nload-requests = 0\n"));
    let rollout = s.start();
    let over = std::sync::atomic::AtomicBool::new(false);
    let clock = s.bench.clock();
    std::thread::scope(|scope| {
        // Time goes on while the test lasts: a window in a second or two, so that a slow machine looks in time, too.
        scope.spawn(|| {
            let Clock::Stepping(next) = &*clock else { panic!("time does not stand still") };
            while !over.load(Ordering::Relaxed) {
                next.fetch_add(100_000, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        s.with(|parts| {
            let mut controller = Controller::new(parts, &rollout.uid, 1, &|_, _| false).expect("a lease");
            for _ in 0..3000 {
                if controller.tick().expect("a tick").rollout.state.observed.percent() >= 50.0 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(s.target.at.lock().expect("the target").weights, [10.0, 50.0]);
    let windows = s.bench.store.read(|view| table::windows(view, &rollout.uid, 1)).expect("windows");
    let during = |w: &&table::Tick| w.state.phase == Phase::Testing && w.state.observed.percent() == 10.0;
    assert!(
        windows.iter().filter(during).count() >= 1,
        "{:?}",
        windows.iter().map(|w| (&w.state, &w.reason)).collect::<Vec<_>>()
    );
}

#[test]
fn a_weight_that_somebody_changed_is_told_and_left() {
    let s = scene(0);
    let rollout = s.start();
    s.with(|parts| {
        let mut controller = Controller::new(parts, &rollout.uid, 1, &|_, _| false).expect("a lease");
        controller.tick().expect("a tick");
        s.target.at.lock().expect("the target").weight = Weight::FULL;
        s.later(Duration::from_secs(61));
        controller.tick().expect("a tick");
        let now = s.now(&rollout.uid);
        assert_eq!((now.state.held, now.state.observed), (Some(Held::Drift), Weight::FULL));
    });
}

#[test]
fn what_the_target_took_back_by_itself_is_taken_back() {
    let s = scene(0);
    let rollout = s.start();
    s.with(|parts| {
        let mut controller = Controller::new(parts, &rollout.uid, 1, &|_, _| false).expect("a lease");
        controller.tick().expect("a tick");
        assert_eq!(s.now(&rollout.uid).state.phase, Phase::Observing);
        s.target.at.lock().expect("the target").taken = Some("20 of 20 failed".to_owned());
        s.later(Duration::from_secs(61));
        controller.tick().expect("a tick");
        assert_eq!(s.now(&rollout.uid).state.phase, Phase::RolledBack);
        let at = s.target.at.lock().expect("the target");
        assert_eq!(
            (at.taken.as_deref(), at.weights.last(), at.kept),
            (None, Some(&0.0), Some(Keep::Stable)),
            "an order of zero clears it"
        );
    });
}

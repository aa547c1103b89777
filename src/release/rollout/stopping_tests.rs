//! What is stopped when a rollout ends, what is not, and a way back that its target refuses.

use super::*;
use crate::release::rollback::Request as Asking;
use crate::release::rollout::back::{Back, plan_back};
use crate::release::rollout::start::why;
use crate::seams::traffic::Arm;

impl Scene {
    /// A rollout of a version that was registered for it.
    fn next(&self, version: &str) -> Rollout {
        let reference = format!("bot@{version}");
        if self.bench.store.read(|view| registry::resolve(view, &reference.parse().expect("a reference"))).is_err() {
            self.bench.register(&reference, &[]);
        }
        match self.begin_with(&reference, Strategy::AllAtOnce).expect("started") {
            Outcome::Started(rollout) => *rollout,
            Outcome::Refused(refused) => panic!("{}", why(&refused)),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Shape)) {
        change(&mut self.target.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    fn stopped(&self) -> Vec<Version> {
        self.target.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner).stopped.clone()
    }
}

fn left(of: &Rollout) -> Vec<Version> {
    of.state.left.iter().map(|arm: &Arm| arm.version).collect()
}

/// It never had traffic; whoever dies at any call while it is stopped is followed.
#[test]
fn a_version_that_cannot_be_released_is_stopped() {
    let whole = |deadly: Option<(usize, bool)>| {
        let s = planned(0, SHORT);
        let rollout = s.start();
        s.change(|at| (at.never, at.deadly) = (Some("it crashed"), deadly));
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| s.run(&rollout.uid, true)));
        let failed = died.unwrap_or_else(|_| s.run(&rollout.uid, true));
        assert_eq!((failed.state.phase, failed.reason.as_str()), (Phase::Failed, "refused: it crashed"), "{deadly:?}");
        assert_eq!((s.stopped().last(), left(&failed)), (Some(&v("1.1.0")), vec![]), "{deadly:?}");
        assert_eq!(s.wrong(), [], "{deadly:?}");
        let at = s.target.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        assert_eq!(at.weights, [0.0_f64; 0], "{deadly:?}");
        at.calls
    };
    let calls = whole(None);
    for call in 1..=calls {
        whole(Some((call, call % 2 == 0)));
    }
}

#[test]
fn what_serves_already_is_not_stopped() {
    let s = planned(0, SHORT);
    let rollout = s.start();
    s.change(|at| (at.never, at.weight) = (Some("it crashed"), Weight::FULL));
    let failed = s.run(&rollout.uid, false);
    assert_eq!((failed.state.phase, s.stopped(), left(&failed)), (Phase::Failed, vec![], vec![]));
    assert_eq!(s.target.at.lock().expect("the target").weight, Weight::FULL, "users stay where they are");
}

/// It keeps nothing from ending, and the next rollout of the same target stops it, but nothing that serves.
#[test]
fn what_does_not_stop_is_stopped_by_the_next_rollout() {
    for stuck in [Fault::Refused as fn(Error) -> Fault, Fault::Unclear, Fault::Conflict] {
        let s = planned(0, SHORT);
        let first = s.start();
        s.change(|at| (at.never, at.stuck) = (Some("it crashed"), Some(stuck)));
        let failed = s.run(&first.uid, false);
        assert_eq!((failed.state.phase, failed.reason.as_str()), (Phase::Failed, "refused: it crashed"));
        assert_eq!(left(&failed), [v("1.1.0")]);
        // One that is taken back does not get further than that: two are left.
        s.change(|at| at.never = None);
        let second = s.next("1.2.0");
        assert_eq!(left(&second), [v("1.1.0")]);
        order(&s.bench.store, &second.uid, &Event::Abort("enough".to_owned()), Because::default()).expect("aborted");
        let back = s.run(&second.uid, false);
        assert_eq!((back.state.phase, left(&back)), (Phase::RolledBack, vec![v("1.2.0"), v("1.1.0")]));
        s.change(|at| at.stuck = None);
        let third = s.next("1.2.0");
        let done = s.run(&third.uid, false);
        assert_eq!((done.state.phase, left(&done), s.in_production()), (Phase::Finished, vec![], v("1.2.0")));
        assert_eq!(s.stopped(), [v("1.0.0"), v("1.1.0")], "the version in production is not one of them");
        assert_eq!(s.wrong(), []);
    }
}

/// What nobody could stop at the end of a release is untidy, and not forgotten either.
#[test]
fn an_old_version_that_does_not_stop_keeps_no_release_from_ending() {
    for stuck in [Fault::Refused as fn(Error) -> Fault, Fault::Unclear] {
        let s = planned(0, SHORT);
        s.change(|at| at.stuck = Some(stuck));
        let first = s.next("1.1.0");
        let done = s.run(&first.uid, false);
        assert_eq!((done.state.phase, done.state.held, left(&done)), (Phase::Finished, None, vec![v("1.0.0")]));
        s.change(|at| at.stuck = None);
        let second = s.next("1.2.0");
        let done = s.run(&second.uid, false);
        assert_eq!((left(&done), s.stopped()), (vec![], vec![v("1.1.0"), v("1.0.0")]));
        assert_eq!(s.wrong(), []);
    }
}

/// Users are on the version that is left: what the target refuses is tried again until it does it.
#[test]
fn a_way_back_that_is_refused_is_tried_again() {
    let s = planned(0, SHORT);
    let released = s.next("1.1.0");
    assert_eq!(s.run(&released.uid, false).state.phase, Phase::Finished);
    s.change(|at| at.never = Some("nginx does not take its configuration"));
    let name = "bot".parse().expect("a name");
    let request = Asking { name: &name, to: None, expect: None, files: &|_| Ok(()), ticket: None, reason: None };
    let place = place(&s.loaded.project, &name, None).expect("a target");
    let planned = s.with(|parts| plan_back(&parts, (place, None), &request, Because::default())).expect("planned");
    let Back::Planned(back) = planned else { panic!("users are elsewhere") };
    s.with(|parts| {
        let mut controller = Controller::new(parts, &back.uid, 1, &|_, _| false).expect("a lease");
        let calls = || s.target.at.lock().expect("the target").calls;
        for tick in 1..20 {
            let before = calls();
            let ticked = controller.tick().expect("a tick");
            assert!(calls() - before < 10 && ticked.wait <= Duration::from_secs(5), "it waits in between: {:?}", ticked.wait);
            let state = &ticked.rollout.state;
            assert_eq!((state.phase, state.held, state.errors), (Phase::WaitingReady, None, tick));
            s.later(ticked.wait);
        }
        s.change(|at| at.never = None);
        assert_eq!(controller.tick().expect("a tick").rollout.state.phase, Phase::Finished);
    });
    assert_eq!((s.in_production(), s.stopped().last()), (v("1.0.0"), Some(&v("1.1.0"))));
    assert_eq!(s.wrong(), []);
}

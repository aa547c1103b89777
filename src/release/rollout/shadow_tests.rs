//! Shadows, on the target and with the source of the canaries' tests.

use super::*;
use crate::release::rollout::start::{require_finished, why};

const SHADOW: &str = "[rollout.bot]\nshadow = 20\nshadow-hold = \"4m\"\n";

impl Scene {
    fn shadow(&self) -> Rollout {
        match self.begin(Strategy::Shadow).expect("started") {
            Outcome::Started(rollout) => *rollout,
            Outcome::Refused(refused) => panic!("{}", why(&refused)),
        }
    }

    /// Everything that the target was asked for: parts of the users, parts of the copies, what was kept.
    fn asked(&self) -> (Vec<f64>, Vec<f64>, Option<Keep>) {
        let at = self.target.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (at.weights.clone(), at.copied.clone(), at.kept)
    }
}

#[test]
fn a_good_shadow_lasts_its_time_and_nothing_is_promoted() {
    let s = planned(0, SHADOW);
    let rollout = s.shadow();
    let told = rollout.setup.unjudged.join("; ");
    assert!(told.contains("faithfulness: no user gets") && told.contains("accuracy: no user gets"), "{told}");
    let done = s.run(&rollout.uid, false);
    assert_eq!((done.state.phase, s.in_production()), (Phase::Finished, v("1.0.0")), "{}", done.reason);
    assert_eq!(s.asked(), (vec![], vec![20.0, 0.0], Some(Keep::Stable)), "no user was sent to it");
    let windows = s.bench.store.read(|view| table::windows(view, &rollout.uid, 1)).expect("windows");
    let last = windows.last().and_then(|w| w.seen.as_ref()).expect("a window");
    assert_eq!((windows.len(), last.window.stable, last.window.canary), (4, 600, 120), "copies are judged beside all requests");
    // It answered nobody, so it is no release.
    let reference = "bot@1.1.0".parse().expect("a reference");
    let promoted = s.bench.store.read(|view| require_finished(view, &s.loaded.project, &reference, Stage::Production));
    assert!(promoted.expect_err("no rollout").to_string().contains("has not finished a rollout"));
    assert_eq!(s.wrong(), []);
}

#[test]
fn a_bad_shadow_is_ended_with_its_numbers() {
    let s = planned(5, &format!("{SHADOW}alerts = [\"team\"]\n[alerts.team]\nurl = \"env:HOOK\"\n"));
    let rollout = s.shadow();
    let back = s.run(&rollout.uid, false);
    assert_eq!((back.state.phase, s.in_production()), (Phase::RolledBack, v("1.0.0")), "{}", back.reason);
    assert_eq!(s.asked(), (vec![], vec![20.0, 0.0], Some(Keep::Stable)));
    let moves = s.bench.store.read(|view| table::moves(view, &rollout.uid)).expect("moves");
    let judged = moves.iter().find_map(|m| m.judgement.as_ref()).expect("a judgement");
    assert!(judged.findings.iter().any(|f| f.check == "error-rate" && f.evidence >= f.needed), "{judged:?}");
    let told = s.bench.store.read(|view| crate::domain::alert::table::unsent(view, false)).expect("alerts");
    assert!(told.iter().any(|d| d.of.alert.title == "the shadow of bot@1.1.0 was ended"), "{told:?}");
    assert_eq!(s.wrong(), []);
}

/// Whatever call to the target a controller dies at: copies end, no user is sent anywhere, and nothing is promoted.
#[test]
fn a_controller_of_a_shadow_that_dies_at_any_call_is_taken_over() {
    let whole = |deadly: Option<(usize, bool)>| {
        let s = planned(0, &SHADOW.replace("4m", "2m"));
        let rollout = s.shadow();
        s.target.at.lock().expect("the target").deadly = deadly;
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| s.run(&rollout.uid, true)));
        let done = died.unwrap_or_else(|_| s.run(&rollout.uid, true));
        assert_eq!((done.state.phase, s.in_production()), (Phase::Finished, v("1.0.0")), "{deadly:?}");
        assert_eq!(s.asked(), (vec![], vec![20.0, 0.0], Some(Keep::Stable)), "{deadly:?}");
        assert_eq!(s.wrong(), [], "{deadly:?}");
        let at = s.target.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        at.calls
    };
    let calls = whole(None);
    assert!(calls > 10, "{calls}");
    for call in 1..=calls {
        whole(Some((call, call % 2 == 0)));
    }
}

#[test]
fn a_target_that_cannot_copy_says_so_before_anything_is_started() {
    let s = planned(0, SHADOW);
    s.target.at.lock().expect("the target").copies_nothing = true;
    let rollout = s.shadow();
    let failed = s.run(&rollout.uid, false);
    assert_eq!((failed.state.phase, failed.reason.as_str()), (Phase::Failed, "refused: it cannot copy requests"));
    assert!(!s.target.at.lock().expect("the target").running);
}

#[test]
fn users_that_somebody_sends_to_a_shadow_are_told_of_and_taken_away() {
    for (on_drift, held, phase) in
        [("hold", true, Phase::Observing), ("reassert", false, Phase::Observing), ("abort", false, Phase::RolledBack)]
    {
        let s = planned(0, &format!("{SHADOW}on-drift = \"{on_drift}\"\n"));
        let rollout = s.shadow();
        s.with(|parts| {
            let mut controller = Controller::new(parts, &rollout.uid, 1, &|_, _| false).expect("a lease");
            controller.tick().expect("a tick");
            s.target.at.lock().expect("the target").weight = Weight::from_percent(50.0).expect("a weight");
            s.later(Duration::from_secs(5));
            let told = controller.tick().expect("a tick").told;
            assert!(told.iter().any(|why| why.contains("sends 50 % of the users")), "{told:?}");
        });
        let now = s.now(&rollout.uid);
        assert_eq!((now.state.held == Some(Held::Drift), now.state.phase), (held, phase), "{on_drift}");
        assert_eq!(s.asked().0, if held { vec![] } else { vec![0.0] }, "{on_drift}");
    }
}

#[test]
fn a_shadow_needs_somebody_whose_requests_it_gets() {
    let s = planned(0, SHADOW);
    s.bench.stage("bot@1.0.0", Stage::Archived);
    let Err(e) = s.begin(Strategy::Shadow) else { panic!("nothing serves") };
    assert!(e.to_string().contains("nothing of bot is in production whose requests could be copied"), "{e}");
    assert_eq!(s.asked(), (vec![], vec![], None));
}

/// A person who promotes the version past the traffic meanwhile is not overruled when its shadow ends.
#[test]
fn what_a_person_promoted_stays_when_the_shadow_ends() {
    let s = planned(0, SHADOW);
    let rollout = s.shadow();
    s.bench.stage("bot@1.1.0", Stage::Production);
    order(&s.bench.store, &rollout.uid, &Event::Abort("enough".to_owned()), Because::default()).expect("aborted");
    assert_eq!((s.run(&rollout.uid, false).state.phase, s.in_production()), (Phase::RolledBack, v("1.1.0")));
}

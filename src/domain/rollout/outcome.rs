//! What became of a version that was given traffic, by the rollouts of its model.

use super::machine::Phase;
use super::setup::Strategy;
use super::table::Rollout;
use crate::base::version::Version;

/// The rollout that took a version back, or could not release it; `None` when its newest one has not ended, or released it. `rollouts`
/// are those of its model, the newest first.
pub fn taken_back(rollouts: &[Rollout], version: Version) -> Option<&Rollout> {
    rollouts.iter().find(|r| about(r) == Some(version)).filter(|r| r.state.phase.ended() && !released(r))
}

/// The version whose fate a rollout decided: of a way back the one that it took the traffic from.
fn about(r: &Rollout) -> Option<Version> {
    match r.setup.strategy {
        Strategy::Rollback => r.setup.stable.as_ref().map(|arm| arm.version),
        _ => Some(r.setup.canary.version),
    }
}

/// True when the version that it is about was left where it was wanted.
fn released(r: &Rollout) -> bool {
    (r.state.phase == Phase::Finished) != (r.setup.strategy == Strategy::Rollback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::base::time::Timestamp;
    use crate::domain::rollout::machine::State;
    use crate::domain::rollout::measure::Frozen;
    use crate::domain::rollout::plan::Plan;
    use crate::domain::rollout::policy::Policy;
    use crate::domain::rollout::setup::{Setup, Tests};
    use crate::seams::traffic::Arm;

    const OLD: Version = Version::new(1, 0, 0);
    const NEW: Version = Version::new(1, 0, 1);

    fn rollout(uid: &str, strategy: Strategy, (canary, stable): (Version, Version), phase: Phase) -> Rollout {
        let arm = |version: Version| Arm { version, digest: Digest::of(version.to_string().as_bytes()) };
        let setup = Setup {
            staged: false,
            model: "bot".parse().expect("a name"),
            canary: arm(canary),
            stable: Some(arm(stable)),
            target: "edge".parse().expect("a name"),
            named: "ramp".into(),
            strategy,
            plan: Plan::at_once(),
            policy: Policy::default(),
            frozen: Frozen::default(),
            unjudged: Vec::new(),
            evaluations: false,
            tests: Tests::default(),
            alerts: Vec::new(),
            first_release: false,
            ticket: None,
        };
        let (at, state) = (Timestamp::from_micros(0), State { phase, ..State::planned() });
        let (open, reason) = (!phase.ended(), String::new());
        Rollout { uid: uid.into(), setup, state, open, moves: 1, created: at, changed: at, event: 1, reason }
    }

    #[test]
    fn the_newest_rollout_of_a_version_decides() {
        let of = |phase| rollout("b", Strategy::Canary, (NEW, OLD), phase);
        let before = rollout("a", Strategy::Canary, (NEW, OLD), Phase::RolledBack);
        let found = |all: &[Rollout], version| taken_back(all, version).map(|r| r.uid.clone());
        for (phase, back) in [
            (Phase::RolledBack, Some("b")),
            (Phase::Failed, Some("b")),
            (Phase::Finished, None),
            (Phase::Observing, None),
            (Phase::RollingBack, None),
        ] {
            let all = [of(phase), before.clone()];
            assert_eq!(found(&all, NEW).as_deref(), back, "{phase:?}");
            assert_eq!(found(&all, OLD), None);
        }
        assert_eq!(found(&[], NEW), None);
    }

    #[test]
    fn a_way_back_is_about_the_version_that_it_leaves() {
        let released = rollout("a", Strategy::Canary, (NEW, OLD), Phase::Finished);
        for (phase, back) in [(Phase::Finished, true), (Phase::Failed, false), (Phase::Shifting, false)] {
            let all = [rollout("b", Strategy::Rollback, (OLD, NEW), phase), released.clone()];
            assert_eq!((taken_back(&all, NEW).is_some(), taken_back(&all, OLD)), (back, None), "{phase:?}");
        }
    }
}

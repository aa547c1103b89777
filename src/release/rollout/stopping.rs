//! What is stopped at the end of a rollout: the version that is not kept, and what those before it on the same target left running.
//!
//! Invariants: users are served by then, so what does not stop keeps no rollout from ending, and is not forgotten: it is in the
//! state until the end of the next rollout there, which tries again. A version that users of the target get is never stopped.

use super::traffic::{self, Did};
use crate::base::error::Error;
use crate::base::name::Name;
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::domain::rollout::machine::Event;
use crate::domain::rollout::table::Rollout;
use crate::release::alert::worded;
use crate::seams::traffic::{Arm, Arms, Asked, Fault, Keep, Target};

/// How often a target is asked to stop what cannot be released, before that is left to the next rollout.
const TRIES: u64 = 3;

/// What came of stopping.
pub(super) struct Stopped {
    /// That of the rollout's own version.
    pub(super) own: Asked<()>,
    /// What runs on, as far as is known.
    pub(super) left: Vec<Arm>,
}

/// Stops the version of a rollout that is not kept, and then what was left by those before it.
pub(super) fn stop(target: &dyn Target, of: &Rollout, keep: Keep) -> Stopped {
    let arms = of.setup.arms();
    let (winner, loser) = match keep {
        Keep::Canary => (Some(&arms.canary), arms.stable.as_ref()),
        Keep::Stable => (arms.stable.as_ref(), Some(&arms.canary)),
    };
    let is = |arm: &Arm, other: Option<&Arm>| other.is_some_and(|other| other.version == arm.version);
    let earlier = of.state.left.iter().filter(|arm| !is(arm, winner) && !is(arm, loser));
    match again(|| target.settle(&arms, keep)) {
        Ok(()) => {
            let beside =
                |arm: &Arm| Arms { model: arms.model.clone(), stable: winner.cloned(), canary: arm.clone(), back: false };
            Stopped { own: Ok(()), left: earlier.filter(|arm| !is_over(target, &beside(arm))).cloned().collect() }
        }
        fault => Stopped { own: fault, left: loser.filter(|arm| !is(arm, winner)).into_iter().chain(earlier).cloned().collect() },
    }
}

/// Takes back and stops what was started of a version that cannot be released. One that serves here anyway is left as it is.
pub(super) fn clear(target: &dyn Target, of: &Rollout) -> Stopped {
    match serves(target, &of.setup.arms()) {
        Ok(true) => return Stopped { own: Ok(()), left: of.state.left.clone() },
        Ok(false) => {}
        Err(fault) => return unstopped(of, fault),
    }
    // Where replicas are the split, starting it gave it users.
    match traffic::set(target, of, Weight::NONE) {
        Did::Happened(Event::Observed(Weight::NONE)) => stop(target, of, Keep::Stable),
        Did::Happened(Event::Refused(why)) => unstopped(of, Fault::Refused(Error::new(why))),
        Did::Happened(Event::Error(why) | Event::Taken(why)) | Did::NotYet(why) => unstopped(of, Fault::Unclear(Error::new(why))),
        Did::Happened(_) => unstopped(of, Fault::Unclear(Error::new("the target shows another weight"))),
    }
}

fn unstopped(of: &Rollout, fault: Fault) -> Stopped {
    let mut left = of.state.left.clone();
    if !left.contains(&of.setup.canary) {
        left.push(of.setup.canary.clone());
    }
    Stopped { own: Err(fault), left }
}

/// Whether stopping what cannot be released is tried again after this.
pub(super) fn goes_on(of: &Rollout, fault: &Fault) -> bool {
    !matches!(fault, Fault::Refused(_)) && of.state.errors + 1 < TRIES
}

/// What is told when other versions are left than before.
pub(super) fn told(of: &Rollout, stopped: &Stopped) -> Event {
    let names = |arms: &[Arm]| arms.iter().map(|arm| named(&of.setup.model, arm.version)).collect::<Vec<_>>().join(", ");
    let (before, after) = (&of.state.left, &stopped.left);
    let words = match (&stopped.own, after.is_empty()) {
        (_, true) => format!("{} of earlier rollouts is stopped, or serves", names(before)),
        (Err(Fault::Refused(e) | Fault::Conflict(e) | Fault::Unclear(e)), _) => {
            format!("{} is not stopped, the next rollout on {} tries again: {}", names(after), of.setup.target, worded(e))
        }
        (Ok(()), _) => format!("{} of earlier rollouts is not stopped, the next one tries again", names(after)),
    };
    Event::Left(after.clone(), words)
}

fn named(model: &Name, version: Version) -> String {
    format!("{model}@{version}")
}

/// Whether nothing more is to be done about a version that was left: it is stopped, or users get it by now.
fn is_over(target: &dyn Target, arms: &Arms) -> bool {
    match serves(target, arms) {
        Ok(false) => again(|| target.settle(arms, Keep::Stable)).is_ok(),
        Ok(true) => true,
        Err(_) => false,
    }
}

/// Whether a version has all that the other one does not, whoever gave it that.
fn serves(target: &dyn Target, arms: &Arms) -> Asked<bool> {
    let seen = target.read(arms)?;
    Ok(seen.weight == Weight::FULL || seen.stable == Some(arms.canary.version))
}

/// Tries again what somebody else got in the way of.
fn again(mut ask: impl FnMut() -> Asked<()>) -> Asked<()> {
    match ask() {
        Err(Fault::Conflict(_)) => ask(),
        done => done,
    }
}

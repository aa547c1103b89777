//! A rollout's version at its target: a part of the users' requests, or of a shadow copies of a part of them.
//!
//! Invariants: users are taken away from a shadow before copies of their requests are sent to it; what counts is what the target
//! shows, never what was told it.

use crate::base::weight::Weight;
use crate::domain::rollout::machine::Event;
use crate::domain::rollout::table::Rollout;
use crate::release::alert::worded;
use crate::seams::traffic::{Arms, Asked, Fault, Seen, Target};

/// How often a change is tried again that somebody else got in the way of.
const CONFLICTS: usize = 3;

/// What came of doing what is pending.
pub(super) enum Did {
    /// This happened.
    Happened(Event),
    /// It is not done yet; on what it waits.
    NotYet(String),
}

pub(super) fn done(asked: Asked<()>) -> Did {
    asked.map_or_else(failed, |()| Did::Happened(Event::Done))
}

pub(super) fn failed(fault: Fault) -> Did {
    Did::Happened(match fault {
        Fault::Refused(e) => Event::Refused(worded(&e)),
        Fault::Conflict(e) | Fault::Unclear(e) => Event::Error(worded(&e)),
    })
}

/// Whether the target can have what the plan asks for.
pub(super) fn can_be_had(target: &dyn Target, of: &Rollout) -> Asked<()> {
    if of.setup.plan.shadow {
        return target.can_copy();
    }
    of.setup.plan.steps.iter().try_for_each(|step| target.allows(step.weight))
}

/// For which weight both versions must have their scale in this step: who serves all users beside a shadow is never scaled as if it
/// had none.
pub(super) fn needed(of: &Rollout) -> Weight {
    let weight = of.setup.plan.steps.get(of.state.step).map_or(Weight::NONE, |step| step.weight);
    let nearly = Weight::from_hundredths(Weight::FULL.hundredths() - 1);
    nearly.filter(|nearly| of.setup.plan.shadow && weight > *nearly).unwrap_or(weight)
}

/// What the target shows, as the machine is told of it, and the canary's part of the requests.
pub(super) fn look(target: &dyn Target, of: &Rollout) -> Asked<(Event, f64)> {
    let arms = of.setup.arms();
    let seen = target.read(&arms)?;
    match seen.taken {
        Some(why) => Ok((Event::Taken(why), seen.share)),
        None if of.setup.plan.shadow => Ok((copied(target, of, &arms, seen.weight)?, of.state.observed.share())),
        None => Ok((Event::Observed(seen.weight), seen.share)),
    }
}

/// What the target shows of a shadow, when this part of the users is sent to it.
fn copied(target: &dyn Target, of: &Rollout, arms: &Arms, users: Weight) -> Asked<Event> {
    if users > Weight::NONE {
        return Ok(Event::Astray(format!("the target sends {users} of the users to a version that is to get copies only")));
    }
    let step = of.setup.plan.steps.get(of.state.step).map(|step| step.weight);
    let expected = [Some(of.state.observed), step, Some(Weight::NONE)].into_iter().flatten();
    for part in expected {
        if target.copies(arms, part)? {
            return Ok(Event::Observed(part));
        }
    }
    Ok(Event::Astray(format!("the target copies another part of the requests than {}", of.state.observed)))
}

/// Sets a weight, and reads what the target shows then.
pub(super) fn set(target: &dyn Target, of: &Rollout, weight: Weight) -> Did {
    let arms = of.setup.arms();
    if !of.setup.plan.shadow {
        return users(target, &arms, weight);
    }
    match users(target, &arms, Weight::NONE) {
        Did::Happened(Event::Observed(Weight::NONE)) => copy(target, &arms, weight).unwrap_or_else(failed),
        other => other,
    }
}

/// Sends copies of a part of the requests.
fn copy(target: &dyn Target, arms: &Arms, part: Weight) -> Asked<Did> {
    if !target.copies(arms, part)? {
        target.shadow(arms, part)?;
        if !target.copies(arms, part)? {
            return Ok(Did::NotYet(format!("the target does not show copies of {part} of the requests yet")));
        }
    }
    Ok(Did::Happened(Event::Observed(part)))
}

/// Sends a part of the users.
fn users(target: &dyn Target, arms: &Arms, weight: Weight) -> Did {
    let mut last = None;
    for _ in 0..CONFLICTS {
        match target.shift(arms, weight) {
            Ok(Seen { taken: Some(why), .. }) if weight > Weight::NONE => return Did::Happened(Event::Taken(why)),
            Ok(seen) if seen.weight == weight => return Did::Happened(Event::Observed(weight)),
            Ok(Seen { taken: Some(why), .. }) => return Did::Happened(Event::Taken(why)),
            Ok(seen) => return Did::NotYet(format!("the target shows {} and not yet {weight}", seen.weight)),
            Err(Fault::Conflict(e)) => last = Some(Fault::Conflict(e)),
            Err(fault) => return failed(fault),
        }
    }
    last.map_or_else(|| Did::NotYet("the target is busy".to_owned()), failed)
}

//! The states of a rollout: what happened goes in, the next state and why come out. No I/O and no clock: seconds come with
//! the events.
//!
//! How a controller uses it. The state is all there is: [`pending`] says what it asks for, [`advance`] what an event makes of
//! it. So a controller writes the state to its journal, does what is pending, and reports how it went. One that died reads
//! the state, looks at the target, reports the weight that it sees ([`Event::Observed`]) and does what is pending: every
//! pending action may be done twice. While something else is pending and the canary has traffic, windows are judged all the
//! same, and the controller reports at least those that roll back.
//!
//! Invariants, held by the properties in `machine_tests.rs`, of a plan without [`Plan::faults`]:
//! * traffic goes to the canary only after it was scaled and ready in this attempt, and rises only as the plan says or as a
//!   person orders;
//! * [`Event::Abort`] works in every state that has not ended, and a broken limit takes the canary back in every state in
//!   which it has traffic, also while a person has paused it;
//! * what nobody could tell (an error, no data, a wrong split) never moves traffic;
//! * a window is judged once: one with an id that is not new changes nothing;
//! * a way back (`Plan::back`) is tried again for as long as it takes: what its target refuses neither ends nor holds it;
//! * what could not be stopped (`State::left`) keeps no rollout from ending, and is not forgotten;
//! * a shadow (`Plan::shadow`), whose weights are parts of the requests that are copied, is never promoted: after its last step the
//!   copies end, and with them the rollout.
//!
//! Left to the controller: the journal, the lease, alerts (a [`Move`] says when), the stage in the registry.

use super::judge::Decision;
use super::plan::{ERRORS, OnDrift, OnInconclusive, Plan, Step};
pub use super::state::{Held, Phase, State};
use crate::base::weight::Weight;
use crate::seams::traffic::Arm;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A person starts it.
    Start,
    /// What was pending is done (for weights: see [`Event::Observed`]).
    Done,
    /// What was pending is refused for good: no right, a failed test, never ready, a policy.
    Refused(String),
    /// Nobody knows whether what was pending is done: a time-out, a broken connection, a source without answer.
    Error(String),
    /// The target shows this weight.
    Observed(Weight),
    /// The target shows something else than was set, which is no weight.
    Astray(String),
    /// The target took the canary's requests away by itself: a fuse that blew for its errors.
    Taken(String),
    /// These versions could not be stopped, as far as is known; and in words what came of it.
    Left(Vec<Arm>, String),
    /// What was started of a version that cannot be released is stopped, or left; why that cannot be released.
    Cleared(String),
    /// A window was judged.
    Judged {
        /// The window's id.
        id: u64,
        /// How long it was, in seconds.
        seconds: u64,
        /// The judge's decision.
        decision: Decision,
        /// The judge's reason.
        reason: String,
    },
    /// A person stops the clock.
    Pause,
    /// A person lets it go on.
    Resume,
    /// A person approves the step.
    Approve,
    /// A person goes on to the next step, or with `full` to all of the traffic, without waiting for the judge.
    Promote {
        /// True for all of the traffic.
        full: bool,
    },
    /// A person or an alarm takes it back.
    Abort(String),
    /// A person starts it again from the first step.
    Retry,
}

/// What a state asks the controller to do; doing it twice does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Check rights, target and versions.
    Preflight,
    /// Start the canary at the scale that the step needs.
    Scale,
    /// Wait until it is ready.
    AwaitReady,
    /// Test it directly.
    Test {
        /// Run the smoke tests.
        smoke: bool,
        /// Run the load test.
        load: bool,
    },
    /// Set the canary's weight and report what the target shows.
    SetWeight(Weight),
    /// Collect a window, judge it and report the decision and the weight that the target shows.
    Observe,
    /// Make it the version in production.
    SetStage,
    /// Scale the old version down.
    Retire,
    /// Stable at full scale, weight 0, the stage as before; report the weight that the target shows.
    Restore,
    /// Stop what was started of the canary, and report [`Event::Cleared`], also when that could not be done.
    Clear,
}

/// What people should be told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A person must approve.
    Approval,
    /// It stands still.
    Held,
    /// It is taken back.
    RollingBack,
    /// It ended.
    Ended,
}

/// What an event made of a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// The state now.
    pub state: State,
    /// Why, in words, for the journal and `explain`.
    pub reason: String,
    /// What people should be told; `None` for everyday progress.
    pub notice: Option<Notice>,
}

/// An order that the state does not take, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

/// What the state asks for; `None` when it has ended or waits for a person.
pub fn pending(plan: &Plan, state: &State) -> Option<Action> {
    let step = plan.steps.get(state.step)?;
    // What is on its way back goes on whatever holds it; who stands still goes on looking.
    match state.phase {
        phase if phase.leaves() => return Some(Action::Restore),
        Phase::Clearing => return Some(Action::Clear),
        phase if phase.watches() && state.observed > Weight::NONE => return Some(Action::Observe),
        _ if state.held.is_some() => return None,
        _ => {}
    }
    match state.phase {
        Phase::Preflight => Some(Action::Preflight),
        Phase::Scaling => Some(Action::Scale),
        Phase::WaitingReady => Some(Action::AwaitReady),
        Phase::Testing => Some(Action::Test { smoke: step.smoke, load: step.load }),
        Phase::Shifting => Some(Action::SetWeight(step.weight)),
        Phase::Observing | Phase::Monitoring => Some(Action::Observe),
        Phase::Promoting => Some(Action::SetStage),
        Phase::Retiring => Some(Action::Retire),
        _ => None,
    }
}

/// What the event makes of the state. `Err` for an order that does not fit; then nothing changes.
pub fn advance(plan: &Plan, state: &State, event: &Event) -> Result<Move, Refusal> {
    let Some(step) = plan.steps.get(state.step) else {
        return Err(Refusal(format!("the plan has no step {}", state.step + 1)));
    };
    if state.phase.ended() && *event != Event::Retry {
        return Err(Refusal("the rollout has ended: `retry` starts it again".to_owned()));
    }
    let (next, reason) = match event {
        Event::Start | Event::Approve | Event::Promote { .. } | Event::Pause | Event::Resume | Event::Retry => {
            order(plan, step, state, event)?
        }
        Event::Abort(why) => (back(state), format!("aborted: {why}")),
        Event::Done => done(plan, step, state),
        Event::Refused(why) => refused(plan, state, why),
        Event::Error(why) => error(plan, state, why),
        Event::Observed(weight) => observed(plan, step, state, *weight),
        Event::Astray(why) if state.phase.watches() => drifted(plan, state, why.clone()),
        Event::Astray(why) => (state.clone(), why.clone()),
        // Whoever holds it, nobody is served by it any more: there is nothing to wait for.
        Event::Taken(_) if state.phase.leaves() => (state.clone(), "it is being taken back".to_owned()),
        Event::Taken(why) => (back(state), format!("the target took it back: {why}")),
        Event::Left(arms, why) => (State { left: arms.clone(), ..state.clone() }, why.clone()),
        Event::Cleared(why) if state.phase == Phase::Clearing => (in_phase(state, Phase::Failed), why.clone()),
        Event::Cleared(_) => (state.clone(), "nothing was pending".to_owned()),
        Event::Judged { id, .. } if state.window.is_some_and(|last| *id <= last) => {
            (state.clone(), format!("window {id} was judged before"))
        }
        Event::Judged { id, seconds, decision, reason } => {
            // Who counts answers, which says nothing of what does not stop.
            let errors = if state.phase == Phase::Retiring { state.errors } else { 0 };
            let state = State { window: Some(*id), errors, ..state.clone() };
            judged(plan, step, &state, *seconds, (*decision, reason))
        }
    };
    Ok(Move { notice: notice(state, &next), state: next, reason })
}

fn notice(before: &State, after: &State) -> Option<Notice> {
    let new_phase = before.phase != after.phase;
    match after.phase {
        Phase::RollingBack if new_phase => Some(Notice::RollingBack),
        Phase::AwaitingApproval if new_phase => Some(Notice::Approval),
        phase if phase.ended() => Some(Notice::Ended),
        _ if after.held.is_some() && after.held != before.held => Some(Notice::Held),
        _ => None,
    }
}

/// Orders of people.
fn order(plan: &Plan, step: &Step, state: &State, event: &Event) -> Result<(State, String), Refusal> {
    let phase = state.phase;
    let refuse = |why: &str| Err(Refusal(why.to_owned()));
    match event {
        Event::Start if phase == Phase::Planned => Ok((in_phase(state, Phase::Preflight), "started".to_owned())),
        Event::Start => refuse("the rollout was started before"),
        Event::Retry if matches!(phase, Phase::RolledBack | Phase::Failed) => {
            let (attempt, window, left) = (state.attempt + 1, state.window, state.left.clone());
            let state = State { phase: Phase::Preflight, attempt, window, left, ..State::planned() };
            Ok((state, "started again".to_owned()))
        }
        Event::Retry => refuse("only a rollout that was rolled back or failed can be tried again"),
        Event::Pause if phase.leaves() || phase == Phase::Clearing => refuse("it is on its way out, which cannot be paused"),
        Event::Pause => Ok((hold(state, Held::Paused), "paused".to_owned())),
        Event::Resume if state.held.is_none() => refuse("the rollout is not paused or held"),
        // What was set is set again: else it would stand still at the next look, as nothing else changes the weight back.
        Event::Resume if state.held == Some(Held::Drift) => {
            let state = State { held: None, spent: 0, ..in_phase(state, Phase::Shifting) };
            Ok((state, format!("resumed: {} is set again", step.weight)))
        }
        // It is watched for as long as it was to be, once more.
        Event::Resume if state.held == Some(Held::Inconclusive) && phase == Phase::Monitoring => {
            Ok((free(&in_phase(state, Phase::Monitoring)), "resumed".to_owned()))
        }
        // Whoever lets it go on has looked: errors and time count anew.
        Event::Resume => Ok((State { held: None, errors: 0, spent: 0, ..state.clone() }, "resumed".to_owned())),
        Event::Approve if phase == Phase::AwaitingApproval => Ok((next(plan, &free(state)), format!("{} approved", step.weight))),
        Event::Approve => refuse("no approval is asked for now"),
        Event::Promote { .. } if plan.shadow => {
            refuse("a shadow answers nobody and is not promoted: release the version by a canary")
        }
        Event::Promote { .. } if state.held == Some(Held::Inconclusive) && phase == Phase::Monitoring => {
            Ok((free(&in_phase(state, Phase::Retiring)), "kept by order".to_owned()))
        }
        Event::Promote { .. } if !matches!(phase, Phase::Observing | Phase::AwaitingApproval) => {
            refuse("only a canary that is up and being watched can be promoted")
        }
        Event::Promote { full: true } => {
            let last = State { step: plan.steps.len() - 1, ..free(state) };
            Ok((in_phase(&last, Phase::Scaling), "promoted to all of the traffic by order".to_owned()))
        }
        _ => Ok((next(plan, &free(state)), format!("promoted from {} by order", step.weight))),
    }
}

fn in_phase(state: &State, phase: Phase) -> State {
    State { phase, clock: 0, errors: 0, ..state.clone() }
}

fn hold(state: &State, why: Held) -> State {
    State { held: Some(why), ..state.clone() }
}

fn back(state: &State) -> State {
    State { held: None, ..in_phase(state, Phase::RollingBack) }
}

/// Let go by an order.
fn free(state: &State) -> State {
    State { held: None, ..state.clone() }
}

/// The next step: first of all the canary is scaled for it, and no one is moved before it is ready. After the last one a shadow ends.
fn next(plan: &Plan, state: &State) -> State {
    if plan.shadow && state.step + 1 >= plan.steps.len() {
        return in_phase(state, Phase::Ending);
    }
    let step = (state.step + 1).min(plan.steps.len() - 1);
    in_phase(&State { step, ..state.clone() }, Phase::Scaling)
}

fn done(plan: &Plan, step: &Step, state: &State) -> (State, String) {
    let (phase, told) = match state.phase {
        Phase::Preflight => (Phase::Scaling, "preflight passed"),
        Phase::Scaling => (Phase::WaitingReady, "the canary was started"),
        Phase::WaitingReady if step.smoke || step.load => (Phase::Testing, "the canary is ready"),
        Phase::WaitingReady => (Phase::Shifting, "the canary is ready"),
        Phase::Testing => (Phase::Shifting, "tests passed"),
        Phase::Promoting if plan.monitor == 0 => (Phase::Retiring, "in production"),
        Phase::Promoting => (Phase::Monitoring, "in production"),
        Phase::Retiring => (Phase::Finished, "finished"),
        _ => return (state.clone(), "nothing was pending".to_owned()),
    };
    (in_phase(state, phase), told.to_owned())
}

fn refused(plan: &Plan, state: &State, why: &str) -> (State, String) {
    let counted = || State { errors: state.errors.saturating_add(1), ..state.clone() };
    let next = match state.phase {
        // The old version was not scaled down: untidy, but what users see is decided.
        Phase::Retiring => in_phase(state, Phase::Finished),
        phase if phase.leaves() || phase == Phase::Clearing => counted(),
        // Users are on the version that it leaves: nobody gives up while that is so.
        Phase::Preflight | Phase::Scaling | Phase::WaitingReady | Phase::Shifting if plan.back => counted(),
        Phase::Shifting | Phase::Promoting => hold(state, Held::Refused),
        // Nothing was started yet.
        Phase::Preflight if state.observed == Weight::NONE => in_phase(state, Phase::Failed),
        Phase::Scaling | Phase::WaitingReady | Phase::Testing if state.observed == Weight::NONE => {
            State { held: None, ..in_phase(state, Phase::Clearing) }
        }
        Phase::Preflight | Phase::Scaling | Phase::WaitingReady | Phase::Testing => back(state),
        _ => state.clone(),
    };
    (next, format!("refused: {why}"))
}

fn error(plan: &Plan, state: &State, why: &str) -> (State, String) {
    let errors = state.errors.saturating_add(1);
    let counted = State { errors, ..state.clone() };
    // The way out is never given up, nor a way back; how long a version is tried to be stopped is the controller's.
    let goes_on = state.phase.leaves() || state.phase == Phase::Clearing || plan.back;
    let waits = errors <= plan.errors || goes_on || state.held.is_some_and(|h| h != Held::Errors);
    let next = match state.phase {
        // Users are served: what does not stop keeps nobody waiting.
        Phase::Retiring if state.held.is_none() && errors > plan.errors.min(ERRORS) => in_phase(&counted, Phase::Finished),
        _ if waits => counted,
        _ => hold(&counted, Held::Errors),
    };
    (next, format!("error {errors} in a row: {why}"))
}

fn observed(plan: &Plan, step: &Step, state: &State, weight: Weight) -> (State, String) {
    let seen = State { observed: weight, ..state.clone() };
    let told = if plan.shadow { format!("the target copies {weight}") } else { format!("the target shows {weight}") };
    match state.phase {
        Phase::RollingBack if weight == Weight::NONE => (in_phase(&seen, Phase::RolledBack), told),
        Phase::Ending if weight == Weight::NONE => (in_phase(&seen, Phase::Finished), told),
        Phase::Shifting if weight == step.weight && state.held.is_none() => (arrived(plan, step, &seen), told),
        phase if !phase.watches() && phase != Phase::Promoting => (seen, told),
        _ if weight == step.weight && state.held == Some(Held::Drift) => (State { held: None, ..seen }, told),
        _ if weight == step.weight => (seen, told),
        _ => drifted(plan, &seen, format!("{told}, {} was set", step.weight)),
    }
}

/// Somebody else changed what was set.
fn drifted(plan: &Plan, seen: &State, told: String) -> (State, String) {
    let next = match plan.on_drift {
        OnDrift::Abort => back(seen),
        OnDrift::Reassert if seen.held.is_none() => in_phase(seen, Phase::Shifting),
        _ if seen.held.is_some_and(|h| !matches!(h, Held::Judge(_))) => seen.clone(),
        OnDrift::Hold | OnDrift::Reassert => hold(seen, Held::Drift),
    };
    (next, told)
}

/// The step's weight is there.
fn arrived(plan: &Plan, step: &Step, state: &State) -> State {
    if step.weight == Weight::FULL && !plan.shadow {
        return in_phase(state, Phase::Promoting);
    }
    let waits = step.analysis || step.hold > 0;
    match (waits, step.approval) {
        (true, _) => in_phase(state, Phase::Observing),
        (false, true) => in_phase(state, Phase::AwaitingApproval),
        (false, false) => next(plan, state),
    }
}

fn judged(plan: &Plan, step: &Step, state: &State, seconds: u64, (decision, reason): (Decision, &str)) -> (State, String) {
    let reason = reason.to_owned();
    let early = matches!(state.phase, Phase::Planned | Phase::Preflight);
    if !state.phase.watches() && (early || decision != Decision::RollBack) {
        return (state.clone(), reason);
    }
    let by_a_person = state.held.is_some_and(|h| !matches!(h, Held::Judge(_)));
    match decision {
        Decision::RollBack if state.phase.leaves() => (state.clone(), reason),
        Decision::RollBack => (back(state), reason),
        _ if by_a_person => (state.clone(), reason),
        Decision::Hold(why) => (hold(state, Held::Judge(why)), reason),
        Decision::Collect | Decision::Doubt | Decision::Ready => {
            let ready = match state.phase {
                Phase::Monitoring => decision != Decision::Doubt,
                _ => decision == Decision::Ready || !step.analysis,
            };
            passed(plan, step, &State { held: None, ..state.clone() }, seconds, (ready, reason))
        }
    }
}

/// A window with data has passed.
fn passed(plan: &Plan, step: &Step, state: &State, seconds: u64, (ready, reason): (bool, String)) -> (State, String) {
    if state.phase == Phase::AwaitingApproval {
        return (state.clone(), reason);
    }
    let (clock, spent) = (state.clock.saturating_add(seconds), state.spent.saturating_add(seconds));
    let state = State { clock, spent, ..state.clone() };
    match state.phase {
        // What cannot be judged any more, as beside a version without requests, is no reason for it.
        Phase::Monitoring if ready && clock >= plan.monitor => {
            (in_phase(&state, Phase::Retiring), format!("watched for {clock} s with data, and it broke no limit"))
        }
        // What may yet be chance is watched for as long again, and then no longer believed to be.
        Phase::Monitoring if clock >= plan.monitor.saturating_mul(2) => undecided(plan, &state, &reason),
        Phase::Monitoring => (state, reason),
        _ if ready && clock >= step.hold && step.approval => (in_phase(&state, Phase::AwaitingApproval), reason),
        _ if ready && clock >= step.hold => (next(plan, &state), reason),
        _ if spent >= plan.max_duration => undecided(plan, &state, &reason),
        _ => (state, reason),
    }
}

/// Its time is over, and nothing is proven: the plan says what becomes of it.
fn undecided(plan: &Plan, state: &State, reason: &str) -> (State, String) {
    let over = "its time is over without a decision";
    match plan.on_inconclusive {
        OnInconclusive::Hold => (hold(state, Held::Inconclusive), format!("{reason}; {over}")),
        OnInconclusive::RollBack => {
            let said = "and then the plan takes it back (`on-inconclusive = \"rollback\"`)";
            (back(state), format!("{reason}; {over}, {said}"))
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

//! The whole way of a version: the states that the controller drives, with the windows that it gives the judge.

use crate::rules::policy;
use crate::traffic::Traffic;
use kf::domain::rollout::judge::judge_on;
use kf::domain::rollout::machine::{Action, Event, Phase, State, advance, pending};
use kf::domain::rollout::plan::{Plan, preset};
use kf::domain::rollout::policy::Mode;
use kf::domain::rollout::window::Window;
use kf::stats::rng::Rng;

/// Events after which a way that did not end counts as held.
const EVENTS_MAX: usize = 5_000;

/// Where a version ended, and after how many minutes of windows.
pub(crate) struct Ended {
    pub(crate) phase: Phase,
    pub(crate) minutes: u64,
}

/// Takes a version through the schedule `four-hours`.
pub(crate) fn through(traffic: &Traffic, seed: u64) -> Option<Ended> {
    let (plan, policy) = (preset("four-hours")?, policy(Mode::Evidence));
    let mut rng = Rng::new(seed);
    let mut state = advance(&plan, &State::planned(), &Event::Start).ok()?.state;
    let (mut windows, mut step, mut id): (Vec<Window>, usize, u64) = (Vec::new(), 0, 0);
    for _ in 0..EVENTS_MAX {
        if state.phase.ended() || state.wants_a_person() {
            break;
        }
        if state.step != step {
            (step, windows) = (state.step, Vec::new());
        }
        let event = match pending(&plan, &state)? {
            Action::Observe => {
                windows.push(traffic.window(&mut rng, id, plan.window as f64, state.observed.share()));
                id += 1;
                let judged = judge_on(&policy, &windows);
                Event::Judged { id: id - 1, seconds: plan.window, decision: judged.decision, reason: judged.reason }
            }
            Action::SetWeight(weight) => Event::Observed(weight),
            Action::Restore => Event::Observed(kf::base::weight::Weight::NONE),
            _ => Event::Done,
        };
        state = advance(&plan, &state, &event).ok()?.state;
    }
    Some(Ended { phase: state.phase, minutes: minutes(&plan, id) })
}

fn minutes(plan: &Plan, windows: u64) -> u64 {
    windows * plan.window / 60
}

//! Plans: in which steps a version gets traffic, for how long, and what must be asked on the way.
//!
//! A step means: test the canary directly, set the weight, wait until the router is *seen* at it, collect for as long as the
//! step holds, judge, ask for approval. Time counts only while data arrives. A plan ends with all of the traffic, after which
//! the version is watched for a while with the old one still at full scale.
//!
//! Of a shadow the weights are the parts of the requests of which the canary gets a copy. It answers nobody, the plan ends after
//! its last step, whatever the weight there, and nothing is promoted.
//!
//! Invariant: what [`Plan::faults`] finds nothing wrong with has weights that rise, a first step at 0 only to test on a
//! preview, and a last step of 100 %, or of more than nothing for a shadow.
//!
//! Where the numbers come from: the three schedules of the specifications ([`preset`]); ten minutes of watching likewise.

use super::policy::MIN_WINDOWS;
use crate::base::weight::Weight;
use serde::{Deserialize, Serialize};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// How long a version is watched after it has all of the traffic, in seconds.
pub const MONITOR: u64 = 10 * MINUTE;
/// Windows that should fit into the monitor: some may be empty.
pub const LOOKS: u64 = 5;
/// Errors in a row of a target or a source that are waited out; one more holds the rollout.
pub const ERRORS: u64 = 4;
/// The names of the presets.
pub const PRESETS: [&str; 3] = ["four-hours", "two-days", "ramp"];

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The canary's part of the traffic.
    pub weight: Weight,
    /// How long it stays there at least, in seconds with data.
    pub hold: u64,
    /// True when the judge must find it ready before it goes on. Broken limits take it back in every step.
    pub analysis: bool,
    /// True when a person must approve before it goes on.
    pub approval: bool,
    /// True when smoke tests run against the canary before the weight is set.
    pub smoke: bool,
    /// True when a load test runs against the canary before the weight is set.
    pub load: bool,
}

impl Step {
    /// A judged step without tests and approval.
    pub fn new(weight: Weight, hold: u64) -> Self {
        Self { weight, hold, analysis: true, approval: false, smoke: false, load: false }
    }
}

/// What becomes of a rollout that could not be decided in its time. It is never promoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnInconclusive {
    /// Stay where it is and ask a person.
    #[default]
    Hold,
    /// Take it back.
    RollBack,
}

/// What to do when the target shows another weight than was set (somebody's GitOps put it back).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDrift {
    /// Leave it and ask a person.
    #[default]
    Hold,
    /// Set it again.
    Reassert,
    /// Take the canary back.
    Abort,
}

/// The way of a version to its users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// How long a window of the judge is, in seconds.
    pub window: u64,
    /// The most time with data that all steps together may take, in seconds; then `on_inconclusive`.
    pub max_duration: u64,
    /// How long it is watched at 100 %, in seconds with data.
    pub monitor: u64,
    /// What becomes of it when `max_duration` is over.
    pub on_inconclusive: OnInconclusive,
    /// What to do when the weight is another one.
    pub on_drift: OnDrift,
    /// Errors in a row that are waited out.
    pub errors: u64,
    /// True when weights are parts of the requests that are copied, and nobody gets the canary's answers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shadow: bool,
    /// True of the way back to a version that served before, which is never given up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub back: bool,
}

/// Plans that were written down before there were shadows and ways back read, and are written, as they were.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Plan {
    /// Judged steps `(percent, seconds)`, then all of the traffic, in at most twice their time. `None` for a percentage that
    /// is no [`Weight`].
    pub fn of(steps: &[(f64, u64)]) -> Option<Self> {
        let held: u64 = steps.iter().map(|s| s.1).fold(0, u64::saturating_add);
        let weights = steps.iter().map(|(percent, hold)| Some(Step::new(Weight::from_percent(*percent)?, *hold)));
        let mut steps: Vec<Step> = weights.collect::<Option<_>>()?;
        steps.push(Step::new(Weight::FULL, 0));
        let max_duration = held.saturating_mul(2);
        Some(Self { steps, max_duration, ..Self::at_once() })
    }

    /// The short form: from `initial` in steps of `step` to `max` percent, a `window` of seconds each, then all of it; at most
    /// `max_duration` seconds. `None` for percentages that are none, or a step of nothing.
    pub fn ramp(initial: f64, step: f64, max: f64, window: u64, max_duration: u64) -> Option<Self> {
        let hundredths = |percent| Some(Weight::from_percent(percent)?.hundredths());
        let (first, by, last) = (hundredths(initial)?, hundredths(step)?, hundredths(max)?);
        if by == 0 || first > last {
            return None;
        }
        // Where the steps pass the maximum, it is the last one.
        let passed = (first..last).step_by(usize::from(by)).chain([last]).filter_map(Weight::from_hundredths);
        let steps: Vec<(f64, u64)> = passed.filter(|w| *w < Weight::FULL).map(|w| (w.percent(), window)).collect();
        Some(Self { max_duration, ..Self::of(&steps)? })
    }

    /// Blue and green: tests on a preview without traffic, approval when asked for, then all of the traffic at once and ten
    /// minutes in which the old version stands by.
    pub fn blue_green(approval: bool) -> Self {
        let preview = Step { analysis: false, approval, smoke: true, ..Step::new(Weight::NONE, 0) };
        let switch = Step::new(Weight::FULL, 0);
        Self { steps: vec![preview, switch], max_duration: HOUR, ..Self::at_once() }
    }

    /// All of the traffic at once, watched afterwards.
    pub fn at_once() -> Self {
        let (on_inconclusive, on_drift) = Default::default();
        let steps = vec![Step::new(Weight::FULL, 0)];
        let (window, max_duration, monitor, errors) = (MINUTE, HOUR, MONITOR, ERRORS);
        Self { steps, window, max_duration, monitor, on_inconclusive, on_drift, errors, shadow: false, back: false }
    }

    /// Back to a version that served before: all of the traffic at once, and nobody watches.
    pub fn way_back() -> Self {
        Self { monitor: 0, back: true, ..Self::at_once() }
    }

    /// Copies of this part of the requests for so many seconds with data, in at most twice that time.
    pub fn shadow(part: Weight, hold: u64) -> Self {
        Self { steps: vec![Step::new(part, hold)], max_duration: hold.saturating_mul(2), shadow: true, ..Self::at_once() }
    }

    /// How long a window is; in the monitor so much shorter that there is room for the judge.
    pub fn window_in(&self, monitor: bool) -> u64 {
        if monitor { self.window.min((self.monitor / LOOKS).max(1)) } else { self.window }
    }

    /// Everything that is wrong with it: the step (from 1) or the key, and why.
    pub fn faults(&self) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        let mut fault = |at: String, bad: bool, why| {
            if bad {
                found.push((at, why))
            }
        };
        let last = self.steps.len();
        for (i, step) in self.steps.iter().enumerate() {
            let at = format!("step {}", i + 1);
            let down = i > 0 && step.weight <= self.steps[i - 1].weight;
            fault(at.clone(), down, "its weight is not above that of the step before");
            let all = step.weight == Weight::FULL && !self.shadow;
            fault(at.clone(), all && i + 1 < last, "only the last step has all of the traffic");
            fault(at.clone(), all && step.hold > 0, "at 100 % there is nothing to hold: set `monitor`");
            let blind = step.weight == Weight::NONE && (step.analysis || step.hold > 0);
            fault(at, blind, "without traffic there is nothing to judge or to wait for");
        }
        let end = self.steps.last().map_or(Weight::NONE, |s| s.weight);
        fault("steps".to_owned(), self.shadow && end == Weight::NONE, "a shadow gets copies of some of the requests");
        fault("steps".to_owned(), !self.shadow && end != Weight::FULL, "the last step must have a weight of 100");
        fault("window".to_owned(), self.window == 0, "a window has at least one second");
        let blind = self.monitor > 0 && self.monitor < MIN_WINDOWS && !self.shadow;
        let why =
            "three windows of at least a second must be over a limit before a version is taken back: shorter it proves nothing";
        fault("monitor".to_owned(), blind, why);
        let held = self.steps.iter().map(|s| s.hold).fold(0, u64::saturating_add);
        fault("max-duration".to_owned(), self.max_duration < held, "the steps together hold longer than this");
        found
    }
}

/// A schedule of the specifications by its name: `four-hours` (5 % for an hour, 20 % for three), `two-days` (5 % for 6 hours,
/// 20 % for 12, 50 % for 24), `ramp` (5 % and 10 more every 15 minutes up to 50 %, at most 4 hours); all end at 100 %.
pub fn preset(name: &str) -> Option<Plan> {
    match name {
        "four-hours" => Plan::of(&[(5.0, HOUR), (20.0, 3 * HOUR)]),
        "two-days" => Plan::of(&[(5.0, 6 * HOUR), (20.0, 12 * HOUR), (50.0, 24 * HOUR)]),
        "ramp" => Plan::ramp(5.0, 10.0, 50.0, 15 * MINUTE, 4 * HOUR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weight(hundredths: u16) -> Weight {
        Weight::from_hundredths(hundredths).expect("a weight")
    }

    fn shape(plan: &Plan) -> Vec<(f64, u64)> {
        plan.steps.iter().map(|s| (s.weight.percent(), s.hold / MINUTE)).collect()
    }

    #[test]
    fn presets_are_those_of_the_specifications() {
        let plans = PRESETS.map(|name| preset(name).expect("a preset"));
        assert_eq!(shape(&plans[0]), [(5.0, 60), (20.0, 180), (100.0, 0)]);
        assert_eq!(shape(&plans[1]), [(5.0, 360), (20.0, 720), (50.0, 1440), (100.0, 0)]);
        assert_eq!(shape(&plans[2]), [(5.0, 15), (15.0, 15), (25.0, 15), (35.0, 15), (45.0, 15), (50.0, 15), (100.0, 0)]);
        assert_eq!((plans[2].max_duration, preset("fast")), (4 * HOUR, None));
        let shadows = [weight(1), weight(10_000)].map(|part| Plan::shadow(part, HOUR));
        for plan in plans.into_iter().chain([Plan::blue_green(true), Plan::at_once()]).chain(shadows) {
            assert_eq!(plan.faults(), [], "{plan:?}");
        }
    }

    #[test]
    fn faults_name_their_step() {
        let told = |steps: &[(f64, u64)]| -> Vec<String> {
            Plan::of(steps).expect("weights").faults().into_iter().map(|f| f.0).collect()
        };
        assert_eq!(told(&[(20.0, 60), (5.0, 60)]), ["step 2"]);
        assert_eq!(told(&[(20.0, 60), (20.0, 60)]), ["step 2"]);
        assert_eq!(told(&[(0.0, 60)]), ["step 1"]);
        assert_eq!(told(&[(100.0, 60)]), ["step 1", "step 1", "step 2"]);
        let mut plan = preset("ramp").expect("a preset");
        plan.steps.pop();
        let found = Plan { window: 0, max_duration: 1, ..plan }.faults();
        assert_eq!(found.into_iter().map(|f| f.0).collect::<Vec<_>>(), ["steps", "window", "max-duration"]);
    }

    /// What is only seen with all of the traffic needs three windows.
    #[test]
    fn a_monitor_has_room_for_three_windows() {
        let of = |monitor| Plan { monitor, ..Plan::at_once() };
        for (monitor, window, fits) in [(0, 1, true), (1, 1, false), (2, 1, false), (3, 1, true), (60, 12, true), (600, 60, true)]
        {
            let plan = of(monitor);
            assert_eq!((plan.window_in(true), plan.faults().is_empty()), (window, fits), "{monitor} s");
            assert_eq!(plan.window_in(false), MINUTE);
        }
        assert_eq!(of(1).faults()[0].0, "monitor");
        assert_eq!(Plan { shadow: true, ..of(1) }.faults(), [], "it is watched by nobody");
    }

    #[test]
    fn a_shadow_of_nothing_is_none_and_older_plans_are_read() {
        let told: Vec<String> = Plan::shadow(Weight::NONE, HOUR).faults().into_iter().map(|f| f.0).collect();
        assert_eq!(told, ["step 1", "steps"]);
        let old = serde_json::to_string(&Plan::at_once()).expect("JSON");
        assert!(!old.contains("shadow") && !old.contains("back\""), "{old}");
        assert_eq!(serde_json::from_str::<Plan>(&old).expect("a plan"), Plan::at_once());
    }

    #[test]
    fn ramps_need_steps_that_rise_to_a_weight() {
        for (steps, ramp) in [(Plan::of(&[(101.0, 1)]), None), (None, Plan::ramp(5.0, 0.0, 50.0, 1, 1))] {
            assert_eq!((steps, ramp), (None, None));
        }
        assert_eq!(Plan::ramp(60.0, 5.0, 50.0, 1, 1), None);
    }

    proptest! {
        #[test]
        fn every_ramp_is_a_plan(initial in 1u16..=10_000, step in 1u16..=10_000, max in 1u16..=10_000, window in 1u64..9) {
            let percent = |w: u16| Weight::from_hundredths(w).map_or(0.0, Weight::percent);
            let plan = Plan::ramp(percent(initial), percent(step), percent(max), window, u64::MAX);
            prop_assert_eq!(plan.is_some(), initial <= max);
            prop_assert_eq!(plan.map_or_else(Vec::new, |p| p.faults()), []);
        }
    }
}

//! What is decided when a rollout starts and does not change any more: whoever edits `mlops.toml` meanwhile changes nothing of it.

use super::measure::Frozen;
use super::plan::Plan;
use super::policy::{Check, Policy};
use crate::base::name::{Name, words};
use crate::seams::traffic::{Arm, Arms};
use serde::{Deserialize, Serialize};

words! {
    /// How a version takes the place of another.
    Strategy, "strategy" {
        /// In steps that are judged.
        Canary = "canary",
        /// Tested beside the old one, then all of the traffic at once, with the old one standing by.
        BlueGreen = "blue-green",
        /// All of the traffic at once.
        AllAtOnce = "all-at-once",
        /// On copies of requests, whose answers nobody gets; nothing is released.
        Shadow = "shadow",
        /// Back to a version that was in production before, without asking anybody.
        Rollback = "rollback",
    }
}

/// The tests that steps ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    /// The smoke test: a program and its arguments.
    pub smoke: Option<Vec<String>>,
    /// The load test.
    pub load: Option<Vec<String>>,
    /// The fewest requests of a load test; 0 asks for none.
    pub requests: u32,
    /// How long a test may take, in seconds.
    pub timeout: u64,
}

/// All that is frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The model.
    pub model: Name,
    /// The version on trial.
    pub canary: Arm,
    /// The version that serves; `None` when none does.
    pub stable: Option<Arm>,
    /// The target, as `mlops.toml` names it.
    pub target: Name,
    /// The name of the plan, for people.
    pub named: String,
    /// How the version takes its place.
    pub strategy: Strategy,
    /// The steps.
    pub plan: Plan,
    /// What the canary is held to.
    pub policy: Policy,
    /// What its durations and costs are held against.
    pub frozen: Frozen,
    /// The limits that are not judged, each with the reason.
    pub unjudged: Vec<String>,
    /// Whether recorded evaluations of both versions count as judged answers.
    pub evaluations: bool,
    /// The tests.
    pub tests: Tests,
    /// Who is told.
    pub alerts: Vec<Name>,
    /// True when regression gates may stay open because nothing is in production to compare with.
    pub first_release: bool,
    /// The ticket that asked for it.
    pub ticket: Option<String>,
    /// True when the version was in production already when it began, as on a second target: its stage stays, whatever becomes of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub staged: bool,
}

impl Setup {
    /// Both versions, as a target is told of them.
    pub fn arms(&self) -> Arms {
        let back = self.strategy == Strategy::Rollback;
        Arms { model: self.model.clone(), stable: self.stable.clone(), canary: self.canary.clone(), back }
    }

    /// With what of the stable version durations are compared, a line for each limit that follows from it.
    pub fn compared(&self) -> Vec<String> {
        let of = |check: &Check| {
            let name = &check.name;
            let what = if name == "latency-degradation" { "median" } else { "p95" };
            if let Some(beside) = self.frozen.beside.get(&check.metric) {
                let times = beside.factor;
                let why = "from before the start there are too few of its durations";
                return Some(format!("{name}: with {times} times the stable version's {what} in the same windows; {why}"));
            }
            let seconds = self.frozen.seconds.get(&check.metric)?;
            Some(format!("{name}: with {seconds:.4} s, from the stable version's {what} before the start"))
        };
        self.policy.checks.iter().filter(|c| c.name.starts_with("latency-") && c.name != "latency-p95").filter_map(of).collect()
    }

    /// `bot@1.1.0`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.model, self.canary.version)
    }
}

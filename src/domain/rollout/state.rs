//! Where a rollout is: its phase, why it stands still, and all that its journal keeps of it.

use super::judge::Hold;
use crate::base::weight::Weight;
use crate::seams::traffic::Arm;
use serde::{Deserialize, Serialize};

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing has been done.
    Planned,
    /// Rights, target and versions are checked.
    Preflight,
    /// The canary is started, or brought to the scale of the step.
    Scaling,
    /// Its endpoints are waited for.
    WaitingReady,
    /// Smoke and load tests of the step run against it.
    Testing,
    /// The step's weight is set, and waited for until the target shows it.
    Shifting,
    /// Windows are collected and judged.
    Observing,
    /// A person is asked.
    AwaitingApproval,
    /// It has all of the traffic; the registry is told.
    Promoting,
    /// It is watched, the old version stands by.
    Monitoring,
    /// The old version is scaled down.
    Retiring,
    /// A shadow kept to its limits: no copies are made any more, and the canary is stopped.
    Ending,
    /// Done.
    Finished,
    /// All traffic goes back to the stable version, and the registry with it.
    RollingBack,
    /// Taken back.
    RolledBack,
    /// It cannot have traffic: what was started of it is stopped.
    Clearing,
    /// It never had traffic and cannot have any.
    Failed,
}

impl Phase {
    /// True when nothing more happens unless it is retried.
    pub fn ended(self) -> bool {
        matches!(self, Self::Finished | Self::RolledBack | Self::Failed)
    }

    /// True while the canary is on its way out, which nothing stops.
    pub fn leaves(self) -> bool {
        matches!(self, Self::RollingBack | Self::Ending)
    }

    /// True when windows are collected.
    pub(super) fn watches(self) -> bool {
        matches!(self, Self::Observing | Self::AwaitingApproval | Self::Monitoring)
    }
}

/// Why a rollout stands still in its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// By the judge; goes on by itself when the reason is gone.
    Judge(Hold),
    /// By a person.
    Paused,
    /// Its time is over without a decision, or with an estimate outside its limit once it has all of the traffic.
    Inconclusive,
    /// Too many errors in a row.
    Errors,
    /// The target shows another weight than was set.
    Drift,
    /// The target or the registry says no.
    Refused,
}

/// All that is known of where a rollout is; what the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it is.
    pub phase: Phase,
    /// The step of the plan, from 0.
    pub step: usize,
    /// Why it stands still; `None` when it does not.
    pub held: Option<Held>,
    /// The weight that the target showed last.
    pub observed: Weight,
    /// Seconds with data in this step.
    pub clock: u64,
    /// Seconds with data in all steps since it started or was last resumed.
    pub spent: u64,
    /// Errors in a row.
    pub errors: u64,
    /// The id of the last window that was judged.
    pub window: Option<u64>,
    /// How many times it was started.
    pub attempt: u64,
    /// Versions that could not be stopped, by it or by those before it on its target: the next rollout there tries again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Arm>,
}

impl State {
    /// A rollout that has not begun.
    pub fn planned() -> Self {
        Self {
            phase: Phase::Planned,
            step: 0,
            held: None,
            observed: Weight::NONE,
            clock: 0,
            spent: 0,
            errors: 0,
            window: None,
            attempt: 1,
            left: Vec::new(),
        }
    }

    /// True when only a person can let it go on.
    pub fn wants_a_person(&self) -> bool {
        self.phase == Phase::AwaitingApproval || self.held.is_some_and(|h| !matches!(h, Held::Judge(_)))
    }
}

//! What was seen in one window of time: requests of both arms and the figures of each metric.
//!
//! A window is written once under its id and never changed, so that a replay counts nothing twice. Every figure is a sum over
//! draws: two sources of one window (two gateways) add up, a missing metric is absent and never zero.

use crate::stats::describe::{Counts, Moments};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One window of time, in both arms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Its place in the rollout; rises.
    pub id: u64,
    /// The part of the traffic that was set for the canary while it lasted, observed at the router: 0 to 1. With few replicas
    /// this is the real share (1 of 4 pods: 0.25), not the wanted one; of a shadow the part of the requests that was copied.
    pub share: f64,
    /// Requests that the stable version answered, failed ones and time-outs too.
    pub stable: u64,
    /// Requests that the canary answered, failed ones and time-outs too.
    pub canary: u64,
    /// What was measured, by metric.
    pub figures: BTreeMap<String, Figure>,
}

/// What a window has of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Figure {
    /// Draws that are a hit or not: errors, answers that took longer than a limit.
    Counts {
        /// The stable version's.
        stable: Counts,
        /// The canary's.
        canary: Counts,
    },
    /// Values of each arm: judged scores; of costs the natural logarithms, see [`logs`].
    Values {
        /// The stable version's.
        stable: Moments,
        /// The canary's.
        canary: Moments,
    },
    /// Stable minus canary on the same questions (a shadow's answers, recorded evaluations).
    Pairs {
        /// The differences, in the unit of the score; positive when the canary is worse.
        differences: Moments,
    },
}

impl Figure {
    /// Both together; `None` when they are of different kinds.
    pub fn and(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Counts { stable, canary }, Self::Counts { stable: s, canary: c }) => {
                Self::Counts { stable: stable.and(s), canary: canary.and(c) }
            }
            (Self::Values { stable, canary }, Self::Values { stable: s, canary: c }) => {
                Self::Values { stable: stable.and(&s), canary: canary.and(&c) }
            }
            (Self::Pairs { differences }, Self::Pairs { differences: d }) => Self::Pairs { differences: differences.and(&d) },
            _ => return None,
        })
    }
}

/// The moments of the logarithms of costs (tokens, money, in one unit) with the values below and above `range` put at its
/// ends (winsorised), so that one answer of a million tokens does not decide. `None` for a range that does not rise from
/// above 0, or a cost that is not finite.
pub fn logs(costs: &[f64], range: (f64, f64)) -> Option<Moments> {
    let usable = range.0 > 0.0 && range.0 < range.1 && range.1.is_finite() && costs.iter().all(|c| c.is_finite());
    let logs: Vec<f64> = usable.then(|| costs.iter().map(|c| c.clamp(range.0, range.1).ln()).collect())?;
    Moments::of(&logs)
}

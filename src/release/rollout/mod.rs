//! Rollouts that survive their process: what starts them, drives them, and takes them back.
//!
//! * [`plan`]: from `mlops.toml` to a plan and a policy.
//! * [`start`]: gates, versions and limits, frozen.
//! * [`back`]: the way back to an earlier version.
//! * [`serving`]: what a target gives users now, whatever the registry says.
//! * [`control`]: a controller's tick: what is pending, done and told; `watch`: its windows; `traffic`: what it sets at the target; `last`: before the
//!   last step; `stopping`: at the end.
//! * [`order`]: what people order; [`again`]: what is started again, and what is to be typed where that cannot be.
//! * `tests`: smoke and load tests; `trial`: one of them beside all else; `tell`: alerts.
//!
//! Invariants: what is to be done outside is in the state, with its event, before it is done; a controller goes on from the weight
//! that the target shows and never from the clock; whoever lost its lease changes nothing any more. Traffic goes back before the
//! registry does, and the registry forward only after the traffic did.

pub mod again;
pub mod back;
pub mod control;
mod last;
pub mod order;
pub mod plan;
pub mod serving;
pub mod start;
mod stopping;
mod tell;
mod tests;
mod traffic;
mod trial;
mod watch;

use crate::config::Project;
use crate::release::intact::Reader;
use crate::seams::metrics::MetricSource;
use crate::seams::traffic::Target;
use crate::store::Store;
use std::path::Path;

/// All that driving a rollout needs.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The state.
    pub store: &'a Store,
    /// The configuration, for gates and policy.
    pub project: &'a Project,
    /// The repository.
    pub root: &'a Path,
    /// Where the traffic is.
    pub target: &'a dyn Target,
    /// Who counts.
    pub source: &'a dyn MetricSource,
    /// Reads versions before they are released.
    pub reader: &'a Reader<'a>,
}

//! What the ways to split have in common: each says what it reads, what the traffic is, and what is the next change. No way
//! does I/O.

use super::object::{World, name};
use super::rights::Right;
use super::track::{Parts, Roles, ready_replicas, refused, replicas};
use crate::base::weight::Weight;
use crate::seams::traffic::{Asked, Fault};
use serde_json::Value;

/// What brings the traffic nearer to what is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing: it is as wanted.
    Done,
    /// This change, and then another look.
    Change(Change),
    /// Nothing yet; on what it waits.
    Wait(String),
}

/// A change of one object, whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// A JSON patch of an object, as kubectl names it: `services/bot`.
    Patch(String, Value),
    /// A new object.
    Create(Value),
    /// An object that is not needed any more.
    Delete(String),
}

/// How far what was set is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is.
    Seen,
    /// Nobody tells; why. It goes by what is written, as nothing else would ever come.
    Untold(String),
    /// Not yet; on what it waits.
    NotYet(String),
    /// It will not be; why.
    Never(String),
}

/// A way to split traffic between two Deployments.
pub(super) trait Way: Send + Sync {
    /// What splits, for people.
    fn describe(&self) -> String;

    /// What it reads besides the Deployments, as kubectl names it.
    fn objects(&self) -> Vec<String>;

    /// What it must be allowed to do besides what every way needs.
    fn rights(&self) -> Vec<Right>;

    /// Whether it can set this part at all.
    fn allows(&self, weight: Weight) -> Asked<()>;

    /// Whether the objects are there and fit together.
    fn check(&self, world: &World) -> Asked<()>;

    /// The parts of the two Deployments as they are set, one pair for each rule; not empty.
    fn parts(&self, world: &World) -> Asked<Vec<Parts>>;

    /// The weight that was asked for, where the parts alone do not tell.
    fn asked(&self, _world: &World, _roles: Roles) -> Option<Weight> {
        None
    }

    /// The Service whose endpoints tell the canary's real part, where what is set does not.
    fn counted_at(&self) -> Option<&str> {
        None
    }

    /// The Service of which only the pods of one Deployment are endpoints.
    fn service_of(&self, _track: usize) -> Option<&str> {
        None
    }

    /// Whether what is set is in force.
    fn effect(&self, _world: &World) -> Effect {
        Effect::Seen
    }

    /// What changes when somebody else changes the split.
    fn guard(&self, world: &World) -> String;

    /// How many pods stable and canary need at full scale `full` for a weight, before it is set.
    fn scale(&self, full: u64, weight: Weight) -> [u64; 2];

    /// The next change towards a weight.
    fn step(&self, world: &World, roles: Roles, weight: Weight) -> Asked<Step>;

    /// Whether it can copy requests.
    fn can_copy(&self) -> Asked<()> {
        let hint = "take a target that splits by `virtualservice` or `httproute`, or the gateway, for a shadow";
        refused(format!("{} cannot copy requests", self.describe()), hint)
    }

    /// The next change towards copies of this part of the requests for the canary.
    fn shadow(&self, _world: &World, _roles: Roles, part: Weight) -> Asked<Step> {
        if part > Weight::NONE {
            self.can_copy()?;
        }
        Ok(Step::Done)
    }

    /// The next change after a rollout, when the other Deployment has no traffic left.
    fn close(&self, _world: &World) -> Asked<Step> {
        Ok(Step::Done)
    }
}

/// The object, or that it is not there.
pub(super) fn needed<'w>(world: &'w World, kind: &str, name: &str) -> Asked<&'w Value> {
    world.other(kind, name).map_or_else(|| missing(kind, name), Ok)
}

/// That an object is not there.
pub(super) fn missing<T>(kind: &str, name: &str) -> Asked<T> {
    let hint = format!("`kubectl get {} {name}`; `context`, `namespace` and names are in `[target.NAME]`", kind.to_lowercase());
    refused(format!("there is no {kind} `{name}`"), hint)
}

/// The weight as two whole parts: percent where they are, hundredths of a percent otherwise.
pub(super) fn parts_of(weight: Weight, roles: Roles) -> Parts {
    let hundredths = u64::from(weight.hundredths());
    let (canary, all) = if hundredths.is_multiple_of(100) { (hundredths / 100, 100) } else { (hundredths, 10_000) };
    let mut parts = [0; 2];
    parts[roles.canary] = canary;
    parts[roles.stable] = all - canary;
    parts
}

/// The canary's part of one pair; `None` when both are 0.
pub(super) fn share(parts: Parts, roles: Roles) -> Option<f64> {
    let all = parts[0].checked_add(parts[1]).filter(|all| *all > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "weights and replicas are far below 2^53")]
    Some(parts[roles.canary] as f64 / all as f64)
}

/// The weight nearest to a share, but never none or all for what is not.
pub(super) fn nearest(share: f64) -> Weight {
    let hundredths = (share * f64::from(Weight::FULL.hundredths())).round().clamp(0.0, 10_000.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10,000")]
    let hundredths = match hundredths as u16 {
        0 if share > 0.0 => 1,
        10_000 if share < 1.0 => 9_999,
        other => other,
    };
    Weight::from_hundredths(hundredths).unwrap_or(Weight::FULL)
}

/// The nearest weight that is another one, for what was set and is not in force yet: nobody may take it for done.
pub(super) fn other_than(weight: Weight) -> Weight {
    let beside = weight.hundredths().checked_sub(1).unwrap_or(1);
    Weight::from_hundredths(beside).unwrap_or(Weight::NONE)
}

/// Refuses to give traffic to a Deployment without ready pods.
pub(super) fn must_be_up(deployment: &Value) -> Asked<()> {
    if ready_replicas(deployment) > 0 {
        return Ok(());
    }
    let message =
        format!("Deployment `{}` has no ready pod of {}, so it gets no traffic", name(deployment), replicas(deployment));
    let hint = format!("`kubectl get pods` and `kubectl describe deployment {}` tell why", name(deployment));
    Err(Fault::Refused(crate::base::error::Error::new(message).hint(hint)))
}

/// The pods of stable and canary where the split is not theirs: the canary as many as its part needs, stable all.
pub(super) fn beside(full: u64, weight: Weight) -> [u64; 2] {
    let canary = (full * u64::from(weight.hundredths())).div_ceil(u64::from(Weight::FULL.hundredths()));
    [if weight == Weight::FULL { 0 } else { full }, canary.max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: Roles = Roles { stable: 1, canary: 0 };

    #[test]
    fn parts_are_whole_numbers_of_the_weight() {
        let weight = |percent| Weight::from_percent(percent).expect("a weight");
        assert_eq!(parts_of(weight(5.0), ROLES), [5, 95]);
        assert_eq!(parts_of(weight(0.25), ROLES), [25, 9_975]);
        assert_eq!(parts_of(Weight::FULL, ROLES), [100, 0]);
        for percent in [0.0, 0.01, 5.0, 33.33, 100.0] {
            let back = share(parts_of(weight(percent), ROLES), ROLES).map(nearest);
            assert_eq!(back, Some(weight(percent)));
        }
    }

    /// KServe #5983, Argo #3420: a little is not nothing.
    #[test]
    fn a_little_traffic_is_never_shown_as_none() {
        assert_eq!(nearest(1e-9).hundredths(), 1);
        assert_eq!(nearest(1.0 - 1e-9).hundredths(), 9_999);
        assert_eq!((nearest(0.0), nearest(1.0)), (Weight::NONE, Weight::FULL));
        // deploy by weights that do not sum to 100: 10 beside 100 is 9.09 %.
        assert_eq!(share([10, 100], ROLES).map(nearest).map(Weight::hundredths), Some(909));
        assert_eq!(share([0, 0], ROLES), None);
        assert_eq!(
            [0, 1, 10_000].map(|n| Weight::from_hundredths(n).map(other_than).map(Weight::hundredths)),
            [Some(1), Some(0), Some(9_999)]
        );
    }

    #[test]
    fn the_canary_has_pods_for_its_part_before_it_gets_it() {
        let weight = |percent| Weight::from_percent(percent).expect("a weight");
        assert_eq!(beside(10, Weight::NONE), [10, 1]);
        assert_eq!(beside(10, weight(5.0)), [10, 1]);
        assert_eq!(beside(10, weight(25.0)), [10, 3]);
        assert_eq!(beside(10, Weight::FULL), [0, 10]);
    }
}

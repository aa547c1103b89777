//! By the replicas of two Deployments behind one Service: of N pods the canary has the nearest whole number.
//!
//! Two objects cannot be changed in one step, so the order keeps users served: who gets more pods gets them first, and only
//! when they are ready the other loses its own. What was asked for is kept beside the numbers, because of four pods 5 % and
//! 25 % are the same one.

use super::object::{World, annotate, generation};
use super::rights::Right;
use super::track::{Parts, Roles, check_selected, ready_replicas, replicas, scaled};
use super::way::{Change, Step, Way, needed};
use crate::base::weight::Weight;
use crate::seams::traffic::Asked;
use serde_json::Value;

/// The annotation with the weight that was asked for, in hundredths of a percent, on the Deployment of the canary.
const ASKED: &str = "kf.dev/weight";

/// Two Deployments whose pods one Service selects.
#[derive(Clone, Debug)]
pub(super) struct Ratio {
    pub(super) service: String,
    pub(super) deployments: [String; 2],
    pub(super) total: u64,
}

impl Ratio {
    /// The canary's pods for a weight: at least one for more than none, and one fewer than all for less than all.
    fn canary_pods(&self, weight: Weight) -> u64 {
        match weight {
            Weight::NONE => 0,
            Weight::FULL => self.total,
            _ => {
                let all = u64::from(Weight::FULL.hundredths());
                let nearest = (self.total * u64::from(weight.hundredths()) + all / 2) / all;
                nearest.clamp(1, self.total - 1)
            }
        }
    }

    fn patch(&self, world: &World, track: usize, to: u64, ops: Vec<Value>) -> Option<Step> {
        let patch = scaled(&world.deployments[track], to, ops)?;
        Some(Step::Change(Change::Patch(format!("deployments.apps/{}", self.deployments[track]), patch)))
    }
}

fn asked(deployment: &Value) -> Option<Weight> {
    Weight::from_hundredths(deployment["metadata"]["annotations"][ASKED].as_str()?.parse().ok()?)
}

impl Way for Ratio {
    fn describe(&self) -> String {
        format!("the replicas of Deployments `{}` and `{}`", self.deployments[0], self.deployments[1])
    }

    fn objects(&self) -> Vec<String> {
        vec![format!("services/{}", self.service)]
    }

    fn rights(&self) -> Vec<Right> {
        vec![Right::named("get", "", "services", &self.service), Right::all("list", "autoscaling", "horizontalpodautoscalers")]
    }

    fn allows(&self, _weight: Weight) -> Asked<()> {
        Ok(())
    }

    fn check(&self, world: &World) -> Asked<()> {
        let service = needed(world, "Service", &self.service)?;
        world.deployments.iter().try_for_each(|d| check_selected(&service["spec"]["selector"], &self.service, d))
    }

    fn parts(&self, world: &World) -> Asked<Vec<Parts>> {
        Ok(vec![world.deployments.each_ref().map(replicas)])
    }

    fn asked(&self, world: &World, roles: Roles) -> Option<Weight> {
        let [stable, canary] = [roles.stable, roles.canary].map(|i| replicas(&world.deployments[i]));
        let weight = asked(&world.deployments[roles.canary])?;
        (canary == self.canary_pods(weight) && stable == self.total - canary).then_some(weight)
    }

    fn counted_at(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn guard(&self, world: &World) -> String {
        // Not the resource versions, which change whenever a pod does.
        format!("{}/{}", generation(&world.deployments[0]), generation(&world.deployments[1]))
    }

    fn scale(&self, _full: u64, weight: Weight) -> [u64; 2] {
        let canary = self.canary_pods(weight);
        [self.total - canary, canary]
    }

    fn step(&self, world: &World, roles: Roles, weight: Weight) -> Asked<Step> {
        let (stable, canary) = (&world.deployments[roles.stable], &world.deployments[roles.canary]);
        let wanted = self.canary_pods(weight);
        let rest = self.total - wanted;
        // Where one of them has all, how many pods that is does not matter to the split, and may be an autoscaler's.
        let all = |one: &Value, other: &Value| replicas(one) > 0 && replicas(other) == 0;
        if (wanted == 0 && all(stable, canary)) || (rest == 0 && all(canary, stable)) {
            return Ok(Step::Done);
        }
        let mark = || annotate("/metadata", &canary["metadata"], &[(ASKED, weight.hundredths().to_string())]);
        let mark = if asked(canary) == Some(weight) { Vec::new() } else { mark() };
        // More pods first: the canary's, then those of stable.
        if replicas(canary) < wanted {
            return Ok(self.patch(world, roles.canary, wanted, mark).unwrap_or(Step::Done));
        }
        if replicas(stable) < rest {
            return Ok(self.patch(world, roles.stable, rest, Vec::new()).unwrap_or(Step::Done));
        }
        if replicas(canary) > wanted {
            // On the way back one good pod is better than a bad canary; with none, nobody would be left.
            if rest > 0 && ready_replicas(stable) == 0 {
                return Ok(Step::Wait(format!("no pod of Deployment `{}` is ready yet", self.deployments[roles.stable])));
            }
            return Ok(self.patch(world, roles.canary, wanted, mark).unwrap_or(Step::Done));
        }
        if replicas(stable) > rest && ready_replicas(canary) < wanted {
            let up = ready_replicas(canary);
            return Ok(Step::Wait(format!("{up} of {wanted} pods of Deployment `{}` are ready", self.deployments[roles.canary])));
        }
        let last = self.patch(world, roles.stable, rest, Vec::new());
        Ok(last.or_else(|| self.patch(world, roles.canary, wanted, mark)).unwrap_or(Step::Done))
    }
}

#[cfg(test)]
mod tests {
    use super::super::way::{nearest, share};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn ratio(total: u64) -> Ratio {
        Ratio { service: "bot".into(), deployments: ["a".into(), "b".into()], total }
    }

    fn world(replicas: [u64; 2], ready: [u64; 2]) -> World {
        let one = |i: usize| {
            json!({"kind": "Deployment", "metadata": {"name": (["a", "b"])[i], "generation": 1},
            "spec": {"replicas": replicas[i]}, "status": {"readyReplicas": ready[i]}})
        };
        World { deployments: [one(0), one(1)], others: Vec::new() }
    }

    const ROLES: Roles = Roles { stable: 0, canary: 1 };

    #[test]
    fn of_four_pods_five_percent_is_one() {
        let pods = |total, percent| ratio(total).canary_pods(Weight::from_percent(percent).expect("a weight"));
        for (total, percent, want) in [
            (4, 0.0, 0),
            (4, 0.01, 1),
            (4, 5.0, 1),
            (4, 25.0, 1),
            (4, 50.0, 2),
            (4, 99.0, 3),
            (4, 100.0, 4),
            (2, 50.0, 1),
            (10, 25.0, 3),
        ] {
            assert_eq!(pods(total, percent), want, "{percent} % of {total}");
        }
    }

    /// The patch, as a server would take it.
    fn apply(world: &mut World, change: &Change) {
        let Change::Patch(object, ops) = change else { panic!("{change:?}") };
        let deployment = world.deployments.iter_mut().find(|d| object.ends_with(d["metadata"]["name"].as_str().expect("a name")));
        let deployment = deployment.expect("known");
        for op in ops.as_array().expect("a list") {
            match (op["op"].as_str(), op["path"].as_str()) {
                (Some("test"), Some(path)) => assert_eq!(deployment.pointer(path), Some(&op["value"])),
                (_, Some("/spec/replicas")) => deployment["spec"]["replicas"] = op["value"].clone(),
                (_, Some("/metadata/annotations")) => deployment["metadata"]["annotations"] = op["value"].clone(),
                (_, Some(path)) => {
                    let key = path.strip_prefix("/metadata/annotations/").expect("an annotation").replace("~1", "/");
                    deployment["metadata"]["annotations"][key] = op["value"].clone();
                }
                other => panic!("{other:?}"),
            }
        }
        deployment["metadata"]["generation"] = json!(generation(deployment) + 1);
    }

    proptest! {
        /// From any split to any weight, with pods that come up one at a time: it arrives, and someone was always ready.
        #[test]
        fn it_arrives_and_users_are_always_served(total in 2_u64..12, from in 0_u64..12, hundredths in 0_u16..=10_000) {
            let (way, weight) = (ratio(total), Weight::from_hundredths(hundredths).expect("a weight"));
            let from = from.min(total);
            let mut world = world([total - from, from], [total - from, from]);
            let mut done = false;
            for _ in 0..100 {
                match way.step(&world, ROLES, weight).expect("allowed") {
                    Step::Done => { done = true; break }
                    Step::Change(change) => apply(&mut world, &change),
                    Step::Wait(_) => {
                        let lagging = world.deployments.iter_mut().find(|d| ready_replicas(d) < replicas(d)).expect("somebody to wait for");
                        lagging["status"]["readyReplicas"] = json!(ready_replicas(lagging) + 1);
                    }
                }
                for d in &mut world.deployments {
                    let ready = ready_replicas(d).min(replicas(d));
                    d["status"]["readyReplicas"] = json!(ready);
                }
                prop_assert!(world.deployments.iter().map(ready_replicas).sum::<u64>() > 0);
            }
            prop_assert!(done);
            prop_assert_eq!(way.parts(&world).expect("parts"), vec![[total - way.canary_pods(weight), way.canary_pods(weight)]]);
            let share = share([total - way.canary_pods(weight), way.canary_pods(weight)], ROLES).map(nearest);
            prop_assert_eq!(way.asked(&world, ROLES).or(share.filter(|w| [Weight::NONE, Weight::FULL].contains(w))), Some(weight));
        }
    }
}

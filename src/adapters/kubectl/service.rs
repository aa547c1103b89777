//! By the selector of a Service: all of the traffic or none, in one patch.
//!
//! Invariant: the selector is only given a value that the labels of the pods of the wanted Deployment have, together with all
//! its other keys: a merge patch with a typo would leave the Service without a single endpoint, and no error.

use super::object::{World, escaped, name, resource_version, selects, set, test};
use super::rights::Right;
use super::track::{Parts, Roles, check_selected, refused};
use super::way::{Change, Step, Way, must_be_up, needed};
use crate::base::weight::Weight;
use crate::seams::traffic::Asked;
use serde_json::{Value, json};

/// A Service whose selector is switched between two Deployments.
#[derive(Clone, Debug)]
pub(super) struct ServiceSwitch {
    pub(super) service: String,
    pub(super) label: String,
}

impl ServiceSwitch {
    /// The selector as it would be for a Deployment, and the value of the label there.
    fn selector_for(&self, service: &Value, deployment: &Value) -> Asked<(Value, Value)> {
        let value = deployment["spec"]["template"]["metadata"]["labels"][&self.label].clone();
        if !value.is_string() {
            let message = format!("the pods of Deployment `{}` have no label `{}`", name(deployment), self.label);
            return refused(message, "set `label` in `[target.NAME]` to the label in which the two Deployments differ");
        }
        let mut selector = service["spec"]["selector"].clone();
        if selector[&self.label].is_null() {
            let message = format!("the selector of Service `{}` has no `{}`", self.service, self.label);
            return refused(message, format!("add it, or set `label` in `[target.NAME]` to one of its keys: {selector}"));
        }
        selector[&self.label] = value.clone();
        Ok((selector, value))
    }
}

impl Way for ServiceSwitch {
    fn describe(&self) -> String {
        format!("Service `{}`", self.service)
    }

    fn objects(&self) -> Vec<String> {
        vec![format!("services/{}", self.service)]
    }

    fn rights(&self) -> Vec<Right> {
        ["get", "patch"].map(|verb| Right::named(verb, "", "services", &self.service)).to_vec()
    }

    fn allows(&self, weight: Weight) -> Asked<()> {
        if weight == Weight::NONE || weight == Weight::FULL {
            return Ok(());
        }
        let hint = "`kf deploy REFERENCE --strategy blue-green` fits it; for parts of the traffic split by `httproute`";
        refused(format!("{} has all of the traffic on one Deployment: {weight} cannot be had", self.describe()), hint)
    }

    fn check(&self, world: &World) -> Asked<()> {
        let service = needed(world, "Service", &self.service)?;
        let [first, second] = world.deployments.each_ref().map(|d| self.selector_for(service, d));
        let selectors = [first?, second?];
        if selectors[0] == selectors[1] {
            let message = format!(
                "the pods of both Deployments have `{}: {}`, so a Service cannot tell them apart",
                self.label, selectors[0].1
            );
            return refused(message, "give the pod templates different values, such as `blue` and `green`");
        }
        for ((selector, _), deployment) in selectors.iter().zip(&world.deployments) {
            check_selected(selector, &self.service, deployment)?;
        }
        self.parts(world).map(|_| ())
    }

    fn parts(&self, world: &World) -> Asked<Vec<Parts>> {
        let service = needed(world, "Service", &self.service)?;
        let selector = &service["spec"]["selector"];
        let on = world.deployments.each_ref().map(|d| selects(selector, &d["spec"]["template"]["metadata"]["labels"]));
        match on {
            [true, false] => Ok(vec![[100, 0]]),
            [false, true] => Ok(vec![[0, 100]]),
            _ => {
                let both = if on[0] { "both Deployments" } else { "neither Deployment" };
                let message = format!("the selector {selector} of Service `{}` selects the pods of {both}", self.service);
                refused(message, "`kubectl set selector` it to one of the two first")
            }
        }
    }

    fn counted_at(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn guard(&self, world: &World) -> String {
        world.other("Service", &self.service).map(resource_version).unwrap_or_default().to_owned()
    }

    fn scale(&self, full: u64, _weight: Weight) -> [u64; 2] {
        // Whoever is switched to takes all at once, and whoever was may have to take it back.
        [full, full]
    }

    fn step(&self, world: &World, roles: Roles, weight: Weight) -> Asked<Step> {
        self.allows(weight)?;
        let to = if weight == Weight::FULL { roles.canary } else { roles.stable };
        if self.parts(world)?[0][to] > 0 {
            return Ok(Step::Done);
        }
        let (service, deployment) = (needed(world, "Service", &self.service)?, &world.deployments[to]);
        let (selector, value) = self.selector_for(service, deployment)?;
        check_selected(&selector, &self.service, deployment)?;
        must_be_up(deployment)?;
        let path = format!("/spec/selector/{}", escaped(&self.label));
        let ops = json!([
            test("/metadata/resourceVersion", &service["metadata"]["resourceVersion"]),
            test(&path, &service["spec"]["selector"][&self.label]),
            set(&path, value),
        ]);
        Ok(Step::Change(Change::Patch(self.objects().remove(0), ops)))
    }
}

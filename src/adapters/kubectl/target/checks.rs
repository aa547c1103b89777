//! What a cluster must not have for its splits to be what they seem; asked before a rollout.

use super::super::object::{World, name};
use super::super::track::refused;
use super::{IN_FORCE, Kubernetes, LOOK};
use crate::config::Splits;
use crate::seams::traffic::Asked;
use serde_json::Value;
use std::time::Instant;

impl Kubernetes {
    /// Replicas that are the split may not be an autoscaler's.
    pub(super) fn no_autoscaler(&self) -> Asked<()> {
        if !matches!(self.target.splits, Splits::Deployment { .. }) {
            return Ok(());
        }
        let all = self.kubectl.get(&["horizontalpodautoscalers.autoscaling".to_owned()])?;
        let aims = |hpa: &&Value| {
            let to = &hpa["spec"]["scaleTargetRef"];
            to["kind"] == "Deployment" && self.target.deployments.iter().any(|d| to["name"] == d.as_str())
        };
        let Some(hpa) = all.iter().find(aims) else { return Ok(()) };
        let message = format!("HorizontalPodAutoscaler `{}` changes the replicas that the traffic is split by", name(hpa));
        refused(message, "delete it for the rollout, or split by `httproute`, `ingress` or `virtualservice`")
    }

    /// Pods of neither Deployment behind the Service would have a part of the traffic that nobody counts.
    pub(super) fn no_strangers(&self, world: &World) -> Asked<()> {
        let Some(service) = self.way.counted_at() else { return Ok(()) };
        let until = Instant::now() + self.kubectl.timeout().min(IN_FORCE);
        loop {
            let [first, second] = world.deployments.each_ref().map(|d| self.endpoints(service, d));
            let (first, second) = (first?.1, second?.1);
            if first.own + second.own >= first.all.min(second.all) {
                return Ok(());
            }
            // Of pods that are just gone the slices tell a moment longer.
            if Instant::now() >= until {
                let message = format!("Service `{service}` has ready endpoints that are pods of neither Deployment");
                let hint = format!("`kubectl describe service {service}` shows them: make its selector or their labels others");
                return refused(message, hint);
            }
            std::thread::sleep(LOOK);
        }
    }
}

//! What a cluster must not have for its splits to be what they seem; asked before a rollout.

use super::super::failure::Kind;
use super::super::object::{World, name, rehearsal};
use super::super::rights::{always, judged, question};
use super::super::track::{check_stable, put, refused};
use super::{IN_FORCE, Kubernetes, LOOK};
use crate::seams::traffic::{Arms, Asked};
use serde_json::Value;
use std::time::Instant;

impl Kubernetes {
    /// Rights, objects and versions, and whether the server takes what is to come.
    pub(super) fn fits(&self, arms: &Arms) -> Asked<()> {
        let rights = [always(&self.target.deployments), self.way.rights()].concat();
        match self.kubectl.create(&question(&rights, &self.target.namespace)) {
            Ok(answers) => judged(&rights, &self.target.namespace, &answers)?,
            // Who may not even ask finds out by the rehearsals below.
            Err(failure) if failure.kind == Kind::Forbidden => {}
            Err(failure) => return Err(failure.into_fault()),
        }
        let world = self.world()?;
        self.way.check(&world)?;
        self.accepted(&world)?;
        self.no_autoscaler()?;
        let (images, roles) = (self.images(&arms.model), self.roles(arms, &world)?);
        check_stable(arms, &world, &images, roles)?;
        let busy = self.busy(&world, roles.canary)?;
        put(&world.deployments[roles.canary], arms, &images, busy)?;
        self.kubectl.patch(&self.deployment(roles.canary), &rehearsal(&world.deployments[roles.canary]), true)?;
        // The first object of a way is the one that it changes; Deployments themselves were just tried.
        if let (Some(object), Some(shown)) = (self.way.objects().first(), world.others.first())
            && !self.by_replicas()
        {
            self.kubectl.patch(object, &rehearsal(shown), true)?;
        }
        Ok(())
    }

    /// Replicas that are the split may not be an autoscaler's.
    fn no_autoscaler(&self) -> Asked<()> {
        let Some((hpa, _)) = self.autoscaler()? else { return Ok(()) };
        let message = format!("HorizontalPodAutoscaler `{hpa}` changes the replicas that the traffic is split by");
        refused(message, "delete it for the rollout, or split by `httproute`, `ingress` or `virtualservice`")
    }

    /// An autoscaler of replicas that are the split, with the Deployment that it is on.
    pub(super) fn autoscaler(&self) -> Asked<Option<(String, String)>> {
        if !self.by_replicas() {
            return Ok(None);
        }
        let all = self.kubectl.get(&["horizontalpodautoscalers.autoscaling".to_owned()])?;
        let on = |hpa: &Value| {
            let to = &hpa["spec"]["scaleTargetRef"];
            let named = self.target.deployments.iter().find(|d| to["kind"] == "Deployment" && to["name"] == d.as_str());
            named.map(|deployment| (name(hpa).to_owned(), deployment.clone()))
        };
        Ok(all.iter().find_map(on))
    }

    /// Pods of neither Deployment behind the Service would have a part of the traffic that nobody counts.
    pub(super) fn no_strangers(&self, world: &World) -> Asked<()> {
        let Some(service) = self.way.counted_at() else { return Ok(()) };
        let until = Instant::now() + self.kubectl.timeout().min(IN_FORCE);
        loop {
            let [first, second] = world.deployments.each_ref().map(|d| self.endpoints(service, d));
            let (first, second) = (first?, second?);
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

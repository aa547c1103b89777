//! The target: what it reads, and the changes that the way to split asks for, one after the other.

use super::deployment::Ratio;
use super::failure::Failure;
use super::ingress::CanaryIngress;
use super::object::{World, is, name, observed, selector_text};
use super::pods::{self, Endpoints};
use super::run::Kubectl;
use super::service::ServiceSwitch;
use super::track::{
    Images, Roles, check_apart, check_stable, known, put, ready_replicas, refused, replicas, roles, runs, scaled,
};
use super::way::{Change, Effect, Step, Way, missing, share};
use super::weights::Weighted;
use crate::base::error::Error;
use crate::base::name::Name;
use crate::base::weight::Weight;
use crate::config::{KubernetesTarget, SplitBy, Splits};
use crate::seams::traffic::{Arms, Asked, Fault, Keep, Known, Ready, Seen, Target};
use serde_json::Value;
use std::marker::PhantomData;
use std::path::Path;
use std::time::{Duration, Instant};

mod checks;
mod shift;

/// Changes of one call, at most: replicas need three, and one may be undone meanwhile.
const CHANGES_MAX: usize = 6;
/// How long it is waited for what was set to be in force before it is shown that it is not.
const IN_FORCE: Duration = Duration::from_secs(1);
/// Between two looks at what takes a moment.
const LOOK: Duration = Duration::from_millis(200);

/// A cluster in which two Deployments take turns.
pub struct Kubernetes {
    target: KubernetesTarget,
    kubectl: Kubectl,
    way: Box<dyn Way>,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kubernetes").field(&self.target).finish()
    }
}

impl Kubernetes {
    /// The cluster of a target. One request may take `timeout`; relative paths are under `root`; `kubectl` may keep what it learns of
    /// the cluster in `cache`. Asks nobody yet.
    pub fn new(target: &KubernetesTarget, timeout: Duration, root: &Path, cache: Option<&Path>) -> Self {
        let (namespace, deployments) = (target.namespace.clone(), target.deployments.clone());
        let way: Box<dyn Way> = match &target.splits {
            Splits::Service { service, label } => Box::new(ServiceSwitch { service: service.clone(), label: label.clone() }),
            Splits::Deployment { service } => {
                let total = target.replicas.map_or(2, |n| u64::from(n.get()).max(2));
                Box::new(Ratio { service: service.clone(), deployments, total })
            }
            Splits::Route { by: SplitBy::Ingress, route, services } => {
                Box::new(CanaryIngress { route: route.clone(), services: services.clone() })
            }
            Splits::Route { by: SplitBy::VirtualService, route, services } => {
                let (route, services) = (route.clone(), services.clone());
                Box::new(Weighted::<super::virtualservice::VirtualService> { kind: PhantomData, route, namespace, services })
            }
            Splits::Route { route, services, .. } => {
                let (route, services) = (route.clone(), services.clone());
                Box::new(Weighted::<super::httproute::HttpRoute> { kind: PhantomData, route, namespace, services })
            }
        };
        Self { target: target.clone(), kubectl: Kubectl::new(target, timeout, root, cache), way }
    }

    fn images(&self, model: &Name) -> Images {
        Images::new(&self.target, model)
    }

    fn deployment(&self, track: usize) -> String {
        format!("deployments.apps/{}", self.target.deployments[track])
    }

    /// All objects that the target works with, as they are now.
    fn world(&self) -> Asked<World> {
        let mut objects = vec![self.deployment(0), self.deployment(1)];
        objects.extend(self.way.objects());
        let mut found = self.kubectl.get(&objects)?;
        let mut take = |wanted: &String| {
            let at = found.iter().position(|o| is(o, "Deployment", wanted));
            at.map_or_else(|| missing("Deployment", wanted), |at| Ok(found.remove(at)))
        };
        let deployments = [take(&self.target.deployments[0])?, take(&self.target.deployments[1])?];
        Ok(World { deployments, others: found })
    }

    fn roles(&self, arms: &Arms, world: &World) -> Asked<Roles> {
        roles(arms, world, &self.images(&arms.model), &self.way.parts(world)?)
    }

    /// The pods of a Deployment.
    fn pods(&self, deployment: &Value) -> Asked<Vec<Value>> {
        let selector = selector_text(&deployment["spec"]["selector"]);
        self.kubectl.get(&["pods".to_owned(), format!("--selector={selector}")])
    }

    /// The ready endpoints of a Service, and how many of them are pods of a Deployment.
    fn endpoints(&self, service: &str, deployment: &Value) -> Asked<Endpoints> {
        let selector = format!("--selector=kubernetes.io/service-name={service}");
        let slices = || self.kubectl.get(&["endpointslices.discovery.k8s.io".to_owned(), selector]);
        // Both at once: on the way back each call counts.
        let (slices, pods) = std::thread::scope(|scope| {
            let slices = scope.spawn(slices);
            let pods = self.pods(deployment);
            (slices.join(), pods)
        });
        let (slices, pods) = (slices.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?, pods?);
        Ok(pods::endpoints(&slices, &pods))
    }

    /// True when replicas are the split.
    fn by_replicas(&self) -> bool {
        matches!(self.target.splits, Splits::Deployment { .. })
    }

    /// How many pods a version has at full scale.
    fn full(&self, world: &World) -> u64 {
        let now = || world.deployments.iter().map(replicas).max().unwrap_or(1).max(1);
        self.target.replicas.map_or_else(now, |n| u64::from(n.get()))
    }

    /// The rule in which the canary has the most, as it is set.
    fn set(&self, world: &World, roles: Roles) -> Asked<f64> {
        let shares = self.way.parts(world)?.into_iter().filter_map(|p| share(p, roles));
        Ok(shares.fold(0.0, f64::max))
    }

    /// Tells the server one change; gives the object that came of it.
    fn change(&self, change: &Change) -> Result<Vec<Value>, Failure> {
        match change {
            Change::Patch(object, ops) => self.kubectl.patch(object, ops, false),
            Change::Create(object) => self.kubectl.create(object),
            Change::Delete(object) => self.kubectl.delete(object).map(|()| Vec::new()),
        }
    }

    /// Makes one change; `world` is as it is then. After an error it is read again: what was asked for may be done, by this call
    /// or by another, as `done` tells.
    fn make(&self, world: &mut World, change: &Change, done: impl Fn(&World) -> Asked<bool>) -> Asked<()> {
        match self.change(change) {
            // What is gone must be looked for: it may have to be waited for.
            Ok(objects) if objects.is_empty() => *world = self.world()?,
            Ok(objects) => objects.into_iter().for_each(|object| world.update(object)),
            Err(failure) => {
                *world = self.world().map_err(|_| failure.again())?;
                if !done(world)? {
                    return Err(failure.into_fault());
                }
            }
        }
        Ok(())
    }

    /// Makes the changes that `next` asks for until it asks for none.
    fn carry_out(&self, mut world: World, next: impl Fn(&World) -> Asked<Step>) -> Asked<World> {
        let until = Instant::now() + self.kubectl.timeout();
        let mut changes = 0;
        while changes < CHANGES_MAX {
            match next(&world)? {
                Step::Done => return Ok(world),
                Step::Change(change) => self.make(&mut world, &change, |world| Ok(next(world)? == Step::Done))?,
                Step::Wait(why) if Instant::now() >= until => {
                    return Err(Fault::Unclear(Error::new(why).hint("it goes on by itself when they are; ask again")));
                }
                Step::Wait(_) => {
                    std::thread::sleep(LOOK);
                    world = self.world()?;
                    continue;
                }
            }
            changes += 1;
        }
        Err(Fault::Unclear(Error::new(format!(
            "{} does not come to rest: each change is undone by somebody else",
            self.way.describe()
        ))))
    }

    /// A patch of one Deployment, whatever the way.
    fn scale_one(&self, world: &mut World, track: usize, to: u64, ops: Vec<Value>) -> Asked<()> {
        let Some(patch) = scaled(&world.deployments[track], to, ops) else { return Ok(()) };
        for object in self.kubectl.patch(&self.deployment(track), &patch, false)? {
            world.update(object);
        }
        Ok(())
    }

    /// Refuses to give traffic by what does not take effect.
    fn accepted(&self, world: &World) -> Asked<()> {
        match self.way.effect(world) {
            Effect::Never(why) => refused(why, "`kubectl describe` it: what is written there does not take effect"),
            _ => Ok(()),
        }
    }

    /// Starts the Deployment that all of the traffic is to come back to, when somebody stopped it, and waits a moment for it.
    fn wake(&self, arms: &Arms, world: &mut World, roles: Roles) -> Asked<()> {
        // Replicas that are the split are no more than its next change.
        if self.by_replicas() || arms.stable.is_none() || replicas(&world.deployments[roles.stable]) > 0 {
            return Ok(());
        }
        check_stable(arms, world, &self.images(&arms.model), roles)?;
        self.scale_one(world, roles.stable, self.full(world), Vec::new())?;
        let until = Instant::now() + self.kubectl.timeout();
        while ready_replicas(&world.deployments[roles.stable]) == 0 && Instant::now() < until {
            std::thread::sleep(LOOK);
            *world = self.world()?;
        }
        Ok(())
    }

    /// Whether the canary can take its part.
    fn up(&self, world: &World, track: usize, arms: &Arms) -> Asked<Ready> {
        let (deployment, version) = (&world.deployments[track], arms.canary.version);
        let by_numbers = pods::ready(deployment, 1, version, &[]);
        let service = match (&by_numbers, self.way.service_of(track)) {
            // Of numbers that say yes pods tell no more, nor of those of the template before.
            (Ready::Yes, None) => return Ok(by_numbers),
            (Ready::Yes, Some(service)) => service,
            _ if !observed(deployment) => return Ok(by_numbers),
            _ => return Ok(pods::ready(deployment, 1, version, &self.pods(deployment)?)),
        };
        let found = self.endpoints(service, deployment)?;
        let name = name(deployment);
        Ok(match found {
            Endpoints { own: 0, .. } => {
                Ready::NotYet(format!("Service `{service}` has no ready endpoint of Deployment `{name}`"))
            }
            // Of pods that are just gone the slices tell a moment longer.
            Endpoints { own, all } if own < all && !arms.back => Ready::NotYet(format!(
                "Service `{service}` has other endpoints than the pods of Deployment `{name}`, too: {own} of {all} are its own"
            )),
            _ => Ready::Yes,
        })
    }

    /// Waits a moment for what was set to be in force; what is there then, and whether it is. What a gateway refuses is as much in
    /// force as it will be: nobody who wants to take traffic away may have to wait for it.
    fn in_force(&self, mut world: World) -> Asked<(World, bool)> {
        let until = Instant::now() + self.kubectl.timeout().min(IN_FORCE);
        while let Effect::NotYet(_) = self.way.effect(&world) {
            if Instant::now() >= until {
                return Ok((world, false));
            }
            std::thread::sleep(LOOK);
            world = self.world()?;
        }
        Ok((world, true))
    }
}

impl Target for Kubernetes {
    fn describe(&self) -> String {
        format!("{} in namespace `{}` of context `{}`", self.way.describe(), self.target.namespace, self.target.context)
    }

    fn allows(&self, weight: Weight) -> Asked<()> {
        self.way.allows(weight)
    }

    fn can_copy(&self) -> Asked<()> {
        self.way.can_copy()
    }

    fn preflight(&self, arms: &Arms) -> Asked<()> {
        if arms.back { Ok(()) } else { self.fits(arms) }
    }

    fn doubt(&self, _arms: &Arms) -> Asked<Option<String>> {
        let world = self.world()?;
        check_apart(&world.deployments)?;
        self.no_strangers(&world)?;
        Ok(match self.way.effect(&world) {
            Effect::Untold(why) => Some(why),
            _ => None,
        })
    }

    fn scale(&self, arms: &Arms, weight: Weight) -> Asked<()> {
        self.way.allows(weight)?;
        let mut world = self.world()?;
        let roles = self.roles(arms, &world)?;
        let images = self.images(&arms.model);
        let [stable, canary] = self.way.scale(self.full(&world), weight);
        // Nobody starts again what users are taken away from.
        let grows = !arms.back && replicas(&world.deployments[roles.stable]) < stable;
        if arms.stable.is_some() && grows {
            check_stable(arms, &world, &images, roles)?;
            self.scale_one(&mut world, roles.stable, stable, Vec::new())?;
        }
        let busy = self.busy(&world, roles.canary)?;
        let deployment = &world.deployments[roles.canary];
        let ops = put(deployment, arms, &images, busy)?;
        let to = replicas(deployment).max(canary);
        self.scale_one(&mut world, roles.canary, to, ops)
    }

    fn ready(&self, arms: &Arms, weight: Weight) -> Asked<Ready> {
        let world = self.world()?;
        if let Effect::Never(why) = self.way.effect(&world)
            && !arms.back
        {
            return Ok(Ready::Never(why));
        }
        let roles = self.roles(arms, &world)?;
        if !runs(&world.deployments[roles.canary], &arms.canary, &self.images(&arms.model)) {
            let name = name(&world.deployments[roles.canary]);
            return Ok(Ready::Never(format!(
                "Deployment `{name}` does not run {} any more: somebody changed it",
                arms.canary.version
            )));
        }
        let [_, canary] = self.way.scale(self.full(&world), weight);
        if canary > 0 {
            let ready = self.up(&world, roles.canary, arms)?;
            if ready != Ready::Yes {
                return Ok(ready);
            }
        }
        let stable = &world.deployments[roles.stable];
        if arms.stable.is_some() && weight < Weight::FULL && ready_replicas(stable) == 0 {
            return Ok(Ready::NotYet(format!(
                "no pod of Deployment `{}`, which has the rest of the traffic, is ready",
                name(stable)
            )));
        }
        Ok(Ready::Yes)
    }

    fn preview(&self, arms: &Arms) -> Asked<Option<String>> {
        let Some(url) = &self.target.url else { return Ok(None) };
        let world = self.world()?;
        let roles = self.roles(arms, &world)?;
        let url = url.replace("{model}", arms.model.as_str()).replace("{version}", &arms.canary.version.to_string());
        Ok(Some(url.replace("{deployment}", name(&world.deployments[roles.canary]))))
    }

    fn read(&self, arms: &Arms) -> Asked<Seen> {
        self.shown(arms, self.world()?, None)
    }

    fn write(&self, arms: &Arms, weight: Weight, guard: &str) -> Asked<()> {
        self.moved(arms, weight, Some(guard)).map(drop)
    }

    fn shift(&self, arms: &Arms, weight: Weight) -> Asked<Seen> {
        let (world, counted) = self.moved(arms, weight, None)?;
        self.shown(arms, world, counted)
    }

    fn undone_by(&self, _arms: &Arms) -> Asked<Option<String>> {
        let may = |(hpa, deployment)| {
            format!(
                "HorizontalPodAutoscaler `{hpa}` may give Deployment `{deployment}` another number of pods again, unless that is 0"
            )
        };
        Ok(self.autoscaler()?.map(may))
    }

    fn shadow(&self, arms: &Arms, part: Weight) -> Asked<()> {
        let mut world = self.world()?;
        let roles = self.roles(arms, &world)?;
        let next = |world: &World, part: Weight| self.way.shadow(world, roles, part);
        let Step::Change(change) = next(&world, part)? else { return Ok(()) };
        self.make(&mut world, &change, |world| Ok(next(world, part)? == Step::Done))?;
        if next(&world, part)? == Step::Done {
            return Ok(());
        }
        // A cluster whose definition of the route is older drops what it does not know, and would copy everything.
        self.carry_out(world, |world| next(world, Weight::NONE))?;
        let message = format!("this cluster does not take copies of {part} of the requests of {}", self.way.describe());
        refused(message, "100 % may be possible, or a newer Gateway API (1.3 has fractions)")
    }

    fn copies(&self, arms: &Arms, part: Weight) -> Asked<bool> {
        let (world, in_force) = self.in_force(self.world()?)?;
        let roles = self.roles(arms, &world)?;
        // What stands in the way of copies is told by who sets them.
        Ok(in_force && self.way.shadow(&world, roles, part).is_ok_and(|step| step == Step::Done))
    }

    fn knows(&self, model: &Name) -> Asked<Known> {
        Ok(known(&self.world()?, &self.images(model)))
    }

    fn settle(&self, arms: &Arms, keep: Keep) -> Asked<()> {
        let world = self.world()?;
        let roles = self.roles(arms, &world)?;
        let (goes, stays) = if keep == Keep::Canary { (roles.stable, roles.canary) } else { (roles.canary, roles.stable) };
        if self.busy(&world, goes)? && replicas(&world.deployments[goes]) > 0 {
            let message = format!("Deployment `{}` still has traffic, so it is not stopped", name(&world.deployments[goes]));
            return refused(message, format!("move all of it to `{}` first", name(&world.deployments[stays])));
        }
        let mut world = self.carry_out(world, |world| self.way.close(world))?;
        self.scale_one(&mut world, goes, 0, Vec::new())
    }
}

impl Kubernetes {
    /// True when a Deployment has a part of the traffic in any rule.
    fn busy(&self, world: &World, track: usize) -> Asked<bool> {
        Ok(self.way.parts(world)?.iter().any(|p| p[track] > 0))
    }
}

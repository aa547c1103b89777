//! One change of the split: looked at, made, and looked at again.

use super::super::object::{World, name};
use super::super::track::{Roles, refused, replicas, runs, version};
use super::super::way::{Step, nearest, other_than};
use super::{IN_FORCE, Kubernetes, LOOK};
use crate::base::error::Error;
use crate::base::weight::Weight;
use crate::config::Splits;
use crate::seams::traffic::{Arms, Asked, Fault, Seen, Target as _};
use std::time::Instant;

impl Kubernetes {
    /// What objects show; `counted` is the canary's real part when that was just looked at.
    pub(super) fn shown(&self, arms: &Arms, world: World, counted: Option<f64>) -> Asked<Seen> {
        let (world, in_force) = self.in_force(world)?;
        let roles = self.roles(arms, &world)?;
        let set = self.set(&world, roles)?;
        let share = counted.map_or_else(|| self.share(&world, roles, set), Ok)?;
        let asked = self.way.asked(&world, roles).unwrap_or_else(|| nearest(set));
        // None and all are only shown when nobody, or everybody, is really sent there.
        let arrived = (asked != Weight::NONE || share == 0.0) && (asked != Weight::FULL || share >= 1.0);
        let weight = if arrived { asked } else { nearest(share) };
        let images = self.images(&arms.model);
        let runs = |track: usize| Some(&world.deployments[track]).filter(|d| replicas(d) > 0).and_then(|d| version(d, &images));
        Ok(Seen {
            weight: if in_force { weight } else { other_than(weight) },
            share,
            stable: runs(roles.stable),
            canary: runs(roles.canary),
            taken: None,
            guard: self.way.guard(&world),
        })
    }

    /// The canary's real part: that of the endpoints where these tell, otherwise what is set.
    fn share(&self, world: &World, roles: Roles, set: f64) -> Asked<f64> {
        let Some(service) = self.way.counted_at() else { return Ok(set) };
        let found = self.endpoints(service, &world.deployments[roles.canary])?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 pods")]
        let counted = found.own as f64 / found.all.max(1) as f64;
        Ok(if found.all > 0 { counted } else { set })
    }

    /// Sets a weight, while the target is as `guard` saw it if there is one; what is there then, and the canary's real part where
    /// that had to be looked at. Each change is guarded by what was read here, whoever looked before.
    pub(super) fn moved(&self, arms: &Arms, weight: Weight, guard: Option<&str>) -> Asked<(World, Option<f64>)> {
        self.way.allows(weight)?;
        let mut world = self.world()?;
        let roles = self.roles(arms, &world)?;
        if weight == Weight::NONE {
            self.wake(arms, &mut world, roles)?;
        }
        if self.step(arms, &world, roles, weight)? == Step::Done {
            return Ok((world, None));
        }
        let now = nearest(self.set(&world, roles)?);
        if guard.is_some_and(|guard| guard != self.way.guard(&world)) {
            let who = arms.canary.version;
            let message = format!("{} was changed by somebody else: it has {now} on {who} now", self.describe());
            return Err(Fault::Conflict(Error::new(message)));
        }
        if weight > now && !arms.back {
            self.accepted(&world)?;
        }
        if weight > Weight::NONE && !runs(&world.deployments[roles.canary], &arms.canary, &self.images(&arms.model)) {
            let name = name(&world.deployments[roles.canary]);
            return refused(
                format!("Deployment `{name}` does not run {}", arms.canary.version),
                format!("take it back and start it again: `kf canary abort {0}`, then `kf canary retry {0}`", arms.model),
            );
        }
        let after = self.carry_out(world.clone(), |world| self.step(arms, world, roles, weight))?;
        let counted = self.verify(arms, &after, &world, roles, weight)?;
        Ok((after, counted))
    }

    /// The next change towards a weight. By replicas the version that comes back is treated as the good one that it is, whichever
    /// role it has: one ready pod of it is enough for the other to go.
    fn step(&self, arms: &Arms, world: &World, roles: Roles, weight: Weight) -> Asked<Step> {
        if arms.back && weight == Weight::FULL && self.by_replicas() {
            return self.way.step(world, Roles { stable: roles.canary, canary: roles.stable }, Weight::NONE);
        }
        self.way.step(world, roles, weight)
    }

    /// What was switched must have endpoints, otherwise it is put back; the canary's real part when it has come to rest.
    fn verify(&self, arms: &Arms, world: &World, before: &World, roles: Roles, weight: Weight) -> Asked<Option<f64>> {
        let Splits::Service { service, .. } = &self.target.splits else { return Ok(None) };
        let gets = if weight == Weight::NONE { roles.stable } else { roles.canary };
        let began = Instant::now();
        loop {
            let found = self.endpoints(service, &world.deployments[gets])?;
            if found.own > 0 && found.own == found.all {
                return Ok(Some(if gets == roles.canary { 1.0 } else { 0.0 }));
            }
            // Of pods that are not selected any more the slices tell a moment longer.
            if found.own > 0 && began.elapsed() >= self.kubectl.timeout().min(IN_FORCE) {
                return Ok(None);
            }
            if began.elapsed() >= self.kubectl.timeout() {
                break;
            }
            std::thread::sleep(LOOK);
        }
        let was = nearest(self.set(before, roles)?);
        let message = format!("Service `{service}` has no ready endpoint of Deployment `{}`", name(&world.deployments[gets]));
        if was != weight {
            self.carry_out(self.world()?, |world| self.way.step(world, self.roles(arms, world)?, was))?;
        }
        refused(format!("{message}, so it was put back"), format!("`kubectl describe service {service}` shows its endpoints"))
    }
}

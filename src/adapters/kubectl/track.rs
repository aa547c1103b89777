//! The two Deployments that take turns: which version each runs, which of them is whose, how a version is put on one.
//!
//! Pure. Invariants: what runs is told by the annotations of the pod template, which go to the pods, and by the image where
//! the configuration has one, never by the Deployment's own annotations against them; the pods of a Deployment that has
//! traffic never get another version.

use super::object::{NUMBER_MAX, World, annotate, generation, list, name, number, selects, set, test};
use crate::base::digest::Digest;
use crate::base::error::Error;
use crate::base::name::Name;
use crate::base::version::Version;
use crate::config::KubernetesTarget;
use crate::seams::traffic::{Arm, Arms, Asked, Before, Fault, Known};
use serde_json::{Value, json};

/// The annotation with the version that pods run.
pub(super) const VERSION: &str = "kf.dev/version";
/// The annotation with the digest of its manifest.
pub(super) const DIGEST: &str = "kf.dev/digest";

/// The annotation of a Deployment with the version that served when its own was put there.
const REPLACES: &str = "kf.dev/replaces";
/// The annotation with the digest of that one's manifest.
const REPLACES_DIGEST: &str = "kf.dev/replaces-digest";

/// The parts of the traffic of the two Deployments, relative to each other, where one rule sets them.
pub(super) type Parts = [u64; 2];

/// Which of the two Deployments is whose: places in [`World::deployments`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) stable: usize,
    pub(super) canary: usize,
}

impl Roles {
    fn with_canary(canary: usize) -> Self {
        Self { stable: 1 - canary, canary }
    }
}

/// No, for a reason that waiting does not change.
pub(super) fn refused<T>(message: String, hint: impl Into<String>) -> Asked<T> {
    Err(Fault::Refused(Error::new(message).hint(hint)))
}

/// What images of versions look like, and where they go.
#[derive(Clone, Debug)]
pub(super) struct Images {
    pub(super) model: Name,
    pub(super) template: Option<String>,
    pub(super) container: Option<String>,
}

impl Images {
    pub(super) fn new(target: &KubernetesTarget, model: &Name) -> Self {
        Self { model: model.clone(), template: target.image.clone(), container: target.container.clone() }
    }

    /// The image of a version.
    fn of(&self, version: Version) -> Option<String> {
        let template = self.template.as_ref()?.replace("{model}", self.model.as_str());
        Some(template.replace("{version}", &version.to_string()))
    }

    /// The version whose image this is; with or without the digest that people, or the cluster's policies, pin it by.
    fn version(&self, image: &str) -> Option<Version> {
        self.tagged(image).or_else(|| image.split_once('@').and_then(|(tag, _)| self.tagged(tag)))
    }

    fn tagged(&self, image: &str) -> Option<Version> {
        let template = self.template.as_ref()?.replace("{model}", self.model.as_str());
        let (before, after) = template.split_once("{version}")?;
        let rest = image.strip_prefix(before)?;
        // A template may have the version twice: the first one tells, the whole is compared.
        let ends = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let longest = if after.is_empty() { rest } else { &rest[..ends] };
        let version = longest.trim_end_matches('.').parse().ok()?;
        (self.of(version).as_deref() == Some(image)).then_some(version)
    }

    /// The place of the container that gets the image, and its image now.
    fn place<'v>(&self, deployment: &'v Value) -> Option<(usize, &'v str)> {
        let containers = list(&deployment["spec"]["template"]["spec"]["containers"]);
        let place = match &self.container {
            Some(wanted) => containers.iter().position(|c| c["name"] == wanted.as_str())?,
            None if containers.len() == 1 => 0,
            None => return None,
        };
        Some((place, containers[place]["image"].as_str().unwrap_or_default()))
    }

    /// The same, or why there is none.
    fn container<'v>(&self, deployment: &'v Value) -> Asked<(usize, &'v str)> {
        if let Some(found) = self.place(deployment) {
            return Ok(found);
        }
        let containers = list(&deployment["spec"]["template"]["spec"]["containers"]);
        let names: Vec<&str> = containers.iter().filter_map(|c| c["name"].as_str()).collect();
        let message = match &self.container {
            Some(wanted) => format!("Deployment `{}` has no container `{wanted}`", name(deployment)),
            None => format!("Deployment `{}` has several containers, and which gets the image is not told", name(deployment)),
        };
        refused(message, format!("set `container` in `[target.NAME]` to one of: {}", names.join(", ")))
    }
}

/// How many pods there are to be.
pub(super) fn replicas(deployment: &Value) -> u64 {
    // The API sets it to 1 when it is not given.
    deployment["spec"]["replicas"].as_u64().unwrap_or(1).min(NUMBER_MAX)
}

/// How many pods are ready.
pub(super) fn ready_replicas(deployment: &Value) -> u64 {
    number(&deployment["status"]["readyReplicas"])
}

/// The version that the pods of a Deployment run; `None` when nothing tells.
pub(super) fn version(deployment: &Value, images: &Images) -> Option<Version> {
    let written = [&deployment["spec"]["template"]["metadata"], &deployment["metadata"]];
    let written = written.into_iter().find_map(|m| m["annotations"][VERSION].as_str()).and_then(|v| v.parse().ok());
    if images.template.is_none() {
        return written;
    }
    let (_, image) = images.place(deployment)?;
    let runs = images.version(image);
    // Another image than the annotation says: somebody set it past kf.
    runs.or_else(|| written.filter(|v| images.of(*v).as_deref() == Some(image)))
}

/// True when the pods of a Deployment are to run just this; of what is not told the version has to do.
pub(super) fn runs(deployment: &Value, arm: &Arm, images: &Images) -> bool {
    let written = &deployment["spec"]["template"]["metadata"]["annotations"];
    let told = !arm.is_told() || (digest(&written[DIGEST]) == Some(arm.digest) && written[VERSION].is_string());
    version(deployment, images) == Some(arm.version) && told
}

fn digest(annotation: &Value) -> Option<Digest> {
    annotation.as_str().and_then(|d| d.parse().ok())
}

/// The version that a Deployment runs, with its digest where kf put it there.
fn runs_now(deployment: &Value, images: &Images) -> Option<Arm> {
    let version = version(deployment, images)?;
    let written = &deployment["spec"]["template"]["metadata"]["annotations"];
    // Of an image that somebody set past kf the digest is not told.
    let told = digest(&written[DIGEST]).filter(|_| written[VERSION] == version.to_string().as_str());
    Some(told.map_or_else(|| Arm::untold(version), |digest| Arm { version, digest }))
}

/// What served when the version of a Deployment was put there.
fn replaced(deployment: &Value) -> Option<Arm> {
    let written = &deployment["metadata"]["annotations"];
    let version = written[REPLACES].as_str()?.parse().ok()?;
    Some(Arm { version, digest: digest(&written[REPLACES_DIGEST])? })
}

/// The versions that the Deployments tell of: those they run, also on no pod, and what each of these replaced.
pub(super) fn known(world: &World, images: &Images) -> Known {
    let before = |deployment: &Value| Some(Before { arm: replaced(deployment)?, then: Some(version(deployment, images)?) });
    Known {
        arms: world.deployments.iter().filter_map(|deployment| runs_now(deployment, images)).collect(),
        before: world.deployments.iter().filter_map(before).collect(),
        all: true,
    }
}

/// The Deployment with the version that is newer here, by what kf wrote when it put it there; `None` when that tells nothing, or of both.
fn newer(world: &World, images: &Images) -> Option<usize> {
    let [first, second] = &world.deployments;
    let came = |one: &Value, other: &Value| replaced(one).is_some_and(|before| version(other, images) == Some(before.version));
    match [came(first, second), came(second, first)] {
        [true, false] => Some(0),
        [false, true] => Some(1),
        _ => None,
    }
}

/// Which Deployment is whose: by the versions that they run; where those do not tell, by what kf wrote, and then by the traffic.
pub(super) fn roles(arms: &Arms, world: &World, images: &Images, parts: &[Parts]) -> Asked<Roles> {
    let runs = [0, 1].map(|i| version(&world.deployments[i], images));
    let only = |wanted: Version| match runs.map(|v| v == Some(wanted)) {
        [true, false] => Some(0),
        [false, true] => Some(1),
        _ => None,
    };
    if arms.stable.as_ref().is_some_and(|s| s.version == arms.canary.version) {
        return refused(
            format!("{} is both the version that serves and the one on trial", arms.canary.version),
            "name another version",
        );
    }
    let stable = arms.stable.as_ref().and_then(|arm| only(arm.version));
    if let Some(canary) = only(arms.canary.version).or_else(|| stable.map(|s| 1 - s)) {
        return Ok(Roles::with_canary(canary));
    }
    // Whoever can tell nothing of the canary asks what there is.
    if let Some(canary) = newer(world, images).filter(|_| !arms.canary.is_told()) {
        return Ok(Roles::with_canary(canary));
    }
    let sum = |i: usize| parts.iter().map(|p| p[i]).sum::<u64>();
    Ok(Roles::with_canary(usize::from(sum(0) >= sum(1))))
}

/// The version that serves must be what the registry says.
pub(super) fn check_stable(arms: &Arms, world: &World, images: &Images, roles: Roles) -> Asked<()> {
    let Some(arm) = &arms.stable else { return Ok(()) };
    let deployment = &world.deployments[roles.stable];
    match version(deployment, images) {
        Some(runs) if runs == arm.version => Ok(()),
        Some(runs) => refused(
            format!(
                "Deployment `{}` runs {} {runs}, and the rollout began against {}",
                name(deployment),
                images.model,
                arm.version
            ),
            format!(
                "`kf list {0}` shows what is in production: when that is {1}, `kf promote {0}@{runs} --to production --no-traffic` has the \
                 registry say what runs; when it is {runs}, begin anew: `kf canary start {0}@{2}`",
                images.model, arm.version, arms.canary.version
            ),
        ),
        None => refused(
            format!("Deployment `{}` does not tell which version of {} it runs", name(deployment), images.model),
            format!("when it is {}: `kubectl annotate deployment {} {VERSION}={}`", arm.version, name(deployment), arm.version),
        ),
    }
}

/// The parts of a JSON patch that put the canary on the pods of a Deployment; none when it is there.
pub(super) fn put(deployment: &Value, arms: &Arms, images: &Images, busy: bool) -> Asked<Vec<Value>> {
    let arm = &arms.canary;
    if runs(deployment, arm, images) {
        let marks = remembered(deployment, arms, images);
        return Ok(if marks.is_empty() { Vec::new() } else { annotate("/metadata", &deployment["metadata"], &marks) });
    }
    if !arm.is_told() {
        let message = format!("nothing tells the digest of {}, so it is put on no Deployment", arm.version);
        return refused(message, "name a version that one of the Deployments runs");
    }
    if busy {
        let message = format!(
            "Deployment `{}` has traffic and runs {}, not {}",
            name(deployment),
            version(deployment, images).map_or("a version that it does not tell".to_owned(), |v| v.to_string()),
            arm.version
        );
        return refused(message, "take its traffic away first: kf changes no pods that users are on");
    }
    if deployment["spec"]["paused"] == true {
        let message = format!("Deployment `{}` is paused, so its pods would stay as they are", name(deployment));
        return refused(message, format!("`kubectl rollout resume deployment {}`", name(deployment)));
    }
    let marks = [(VERSION, arm.version.to_string()), (DIGEST, arm.digest.to_string())];
    let before = remembered(deployment, arms, images);
    let mut ops = annotate("/metadata", &deployment["metadata"], &[marks.as_slice(), &before].concat());
    let template = &deployment["spec"]["template"];
    if !template["metadata"].is_object() {
        ops.push(set("/spec/template/metadata", json!({})));
    }
    ops.extend(annotate("/spec/template/metadata", &template["metadata"], &marks));
    if let Some(image) = images.of(arm.version) {
        let (place, _) = images.container(deployment)?;
        let path = format!("/spec/template/spec/containers/{place}");
        ops.push(test(&format!("{path}/name"), &template["spec"]["containers"][place]["name"]));
        ops.push(set(&format!("{path}/image"), json!(image)));
    }
    Ok(ops)
}

/// The annotations that say beside the canary what it replaces, for who has to go back and cannot ask the state; none when they are
/// there. On a way back to what runs there already the other version does not replace it: what is written stays.
fn remembered(deployment: &Value, arms: &Arms, images: &Images) -> Vec<(&'static str, String)> {
    let comes = version(deployment, images) != Some(arms.canary.version);
    match &arms.stable {
        Some(before) if before.is_told() && (comes || before.version < arms.canary.version) => {
            let marks = [(REPLACES, before.version.to_string()), (REPLACES_DIGEST, before.digest.to_string())];
            if replaced(deployment).as_ref() == Some(before) { Vec::new() } else { marks.into() }
        }
        // What an older version replaced says nothing of this one.
        _ if comes && replaced(deployment).is_some() => vec![(REPLACES, String::new())],
        _ => Vec::new(),
    }
}

/// A patch that sets the number of pods, and what else `ops` say, unless somebody changed the Deployment meanwhile.
pub(super) fn scaled(deployment: &Value, to: u64, ops: Vec<Value>) -> Option<Value> {
    let now = replicas(deployment);
    if now == to && ops.is_empty() {
        return None;
    }
    // Not the resource version, which changes whenever a pod does.
    let mut all = vec![test("/metadata/generation", &json!(generation(deployment))), test("/spec/replicas", &json!(now))];
    all.extend(ops);
    if now != to {
        all.push(set("/spec/replicas", json!(to)));
    }
    Some(Value::Array(all))
}

/// The pods of one Deployment must not look like those of the other: they are counted by their labels.
pub(super) fn check_apart(deployments: &[Value; 2]) -> Asked<()> {
    for (one, other) in [(0, 1), (1, 0)].map(|(one, other)| (&deployments[one], &deployments[other])) {
        let selector = &one["spec"]["selector"]["matchLabels"];
        let all_told = list(&one["spec"]["selector"]["matchExpressions"]).is_empty();
        if all_told && selects(selector, &other["spec"]["template"]["metadata"]["labels"]) {
            let message = format!(
                "the selector {selector} of Deployment `{}` selects the pods of Deployment `{}`, too",
                name(one),
                name(other)
            );
            return refused(message, "give each a label of its own in `selector` and pod template, such as `track: blue`");
        }
    }
    Ok(())
}

/// A Service must select the pods of a Deployment, or traffic for them would go nowhere.
pub(super) fn check_selected(selector: &Value, service: &str, deployment: &Value) -> Asked<()> {
    if selects(selector, &deployment["spec"]["template"]["metadata"]["labels"]) {
        return Ok(());
    }
    let message =
        format!("the selector {selector} of Service `{service}` would select no pod of Deployment `{}`", name(deployment));
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    refused(message, format!("the labels of its pods are {labels}: make the selector and the labels agree"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(runs: &str, replaces: Option<&str>) -> Value {
        let marks = json!({ VERSION: runs, DIGEST: Digest::of(runs.as_bytes()).to_string() });
        let before = replaces.map(
            |version| json!({ VERSION: runs, REPLACES: version, REPLACES_DIGEST: Digest::of(version.as_bytes()).to_string() }),
        );
        json!({"metadata": {"annotations": before}, "spec": {"template": {"metadata": {"annotations": marks}}}})
    }

    /// On the other Deployment is a version that was refused, which was put there while 1.2.0 served.
    #[test]
    fn what_users_had_before_is_what_the_serving_version_replaced() {
        let images = Images { model: "bot".parse().expect("a name"), template: None, container: None };
        let v = |minor| Version::new(1, minor, 0);
        for other in [Some("1.2.0"), None] {
            let deployments = [deployment("1.2.0", Some("1.0.0")), deployment("1.1.0", other)];
            let known = known(&World { deployments, others: Vec::new() }, &images);
            assert_eq!(known.before(Some(v(2))).map(|arm| arm.version), Some(v(0)));
            assert_eq!(known.before(Some(v(1))).map(|arm| arm.version), other.map(|_| v(2)));
            assert_eq!(known.before(Some(v(3))), None);
            for minor in [0, 1, 2] {
                assert!(known.arm(v(minor)).is_some_and(Arm::is_told), "{minor}");
            }
        }
    }
}

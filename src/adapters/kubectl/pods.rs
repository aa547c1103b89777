//! Whether the pods of a Deployment can take traffic, and when they never will. Pure: objects in, an answer out.

use super::object::{condition, list, name, number, observed, told};
use super::track::{VERSION, ready_replicas, replicas};
use crate::base::version::Version;
use crate::seams::traffic::Ready;
use serde_json::Value;
use std::collections::BTreeSet;

/// Why a container waits, when waiting longer does not help (`pkg/kubelet/images/types.go`, `pkg/kubelet/kuberuntime`).
const HOPELESS: &[&str] = &[
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// Whether a Deployment is where it was told to be, with at least `least` ready pods; `pods` are its own.
pub(super) fn ready(deployment: &Value, least: u64, version: Version, pods: &[Value]) -> Ready {
    let name = name(deployment);
    if !observed(deployment) {
        return Ready::NotYet(format!("Deployment `{name}` was not looked at by its controller yet"));
    }
    let status = &deployment["status"];
    if let Some(why) = hopeless(pods, version) {
        return Ready::Never(format!("Deployment `{name}`: {why}"));
    }
    let progress = condition(&status["conditions"], "Progressing").filter(|c| c["status"] == "False");
    if let Some(stuck) = progress {
        return Ready::Never(format!("Deployment `{name}`: {}", told(stuck)));
    }
    let (wanted, updated, all) = (replicas(deployment), number(&status["updatedReplicas"]), number(&status["replicas"]));
    let ready = ready_replicas(deployment);
    if ready >= least.max(1) && ready >= wanted && updated >= wanted && all == updated {
        return Ready::Yes;
    }
    let wanted = wanted.max(least);
    let failed = condition(&status["conditions"], "ReplicaFailure").filter(|c| c["status"] == "True").map(told);
    let why = failed.or_else(|| waiting(pods)).map(|why| format!(" ({why})")).unwrap_or_default();
    Ready::NotYet(format!("{ready} of {wanted} pods of Deployment `{name}` are ready, {updated} are of the new version{why}"))
}

/// The states of containers of a pod that wait.
fn waits(pod: &Value) -> impl Iterator<Item = &Value> {
    let kinds = ["initContainerStatuses", "containerStatuses"].into_iter();
    kinds.flat_map(|kind| list(&pod["status"][kind])).map(|c| &c["state"]["waiting"]).filter(|w| w.is_object())
}

/// Why pods of this version will not come up. Pods of an older template, on their way out, do not count.
fn hopeless(pods: &[Value], version: Version) -> Option<String> {
    let version = version.to_string();
    let new = pods.iter().filter(|p| p["metadata"]["annotations"][VERSION] == version.as_str());
    let mut found = new.filter(|p| p["metadata"]["deletionTimestamp"].is_null()).flat_map(|pod| {
        waits(pod)
            .filter(|w| HOPELESS.iter().any(|h| w["reason"] == *h))
            .map(move |w| format!("pod `{}`: {}", name(pod), told(w)))
    });
    found.next()
}

/// On what pods wait.
fn waiting(pods: &[Value]) -> Option<String> {
    let unscheduled = |pod: &Value| {
        let scheduled = condition(&pod["status"]["conditions"], "PodScheduled").filter(|c| c["status"] == "False");
        scheduled.map(|c| format!("pod `{}`: {}", name(pod), told(c)))
    };
    pods.iter()
        .find_map(|pod| waits(pod).next().map(|w| format!("pod `{}`: {}", name(pod), told(w))).or_else(|| unscheduled(pod)))
}

/// The ready endpoints of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Endpoints {
    /// Those that are pods of the asked Deployment.
    pub(super) own: usize,
    /// All of them.
    pub(super) all: usize,
}

/// Counts the ready endpoints in the slices of a Service. One without conditions is ready (API of `discovery.k8s.io/v1`).
pub(super) fn endpoints(slices: &[Value], pods: &[Value]) -> Endpoints {
    let own: BTreeSet<&str> = pods.iter().filter_map(|p| p["metadata"]["uid"].as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut found = Endpoints::default();
    let all = slices.iter().flat_map(|s| list(&s["endpoints"])).filter(|e| e["conditions"]["ready"].as_bool().unwrap_or(true));
    for endpoint in all {
        let target = &endpoint["targetRef"];
        // A pod with two addresses (IPv4 and IPv6) is in two slices.
        if let Some(uid) = target["uid"].as_str().filter(|uid| seen.insert(*uid)) {
            found.all += 1;
            found.own += usize::from(target["kind"] == "Pod" && own.contains(uid));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NEW: Version = Version::new(1, 1, 0);

    fn deployment(wanted: u64, updated: u64, ready: u64) -> Value {
        json!({"kind": "Deployment", "metadata": {"name": "bot", "generation": 3}, "spec": {"replicas": wanted}, "status": {
            "observedGeneration": 3, "replicas": updated, "updatedReplicas": updated, "readyReplicas": ready,
            "conditions": [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}]}})
    }

    fn pod(version: &str, reason: &str) -> Value {
        json!({"metadata": {"name": "p", "uid": "u", "annotations": {VERSION: version}},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "it says"}}}]}})
    }

    #[test]
    fn all_pods_of_the_newest_template_make_it_ready() {
        assert_eq!(ready(&deployment(2, 2, 2), 2, NEW, &[]), Ready::Yes);
        assert_eq!(ready(&deployment(3, 3, 3), 2, NEW, &[]), Ready::Yes);
        for (wanted, updated, up, least) in [(2, 2, 1, 1), (2, 1, 2, 1), (0, 0, 0, 0), (1, 1, 1, 2)] {
            let found = ready(&deployment(wanted, updated, up), least, NEW, &[]);
            assert!(matches!(found, Ready::NotYet(_)), "{wanted} {updated} {up}: {found:?}");
        }
        let mut surging = deployment(2, 2, 2);
        surging["status"]["replicas"] = json!(3);
        assert!(matches!(ready(&surging, 1, NEW, &[]), Ready::NotYet(_)), "old pods are still there");
        let mut unseen = deployment(2, 2, 2);
        unseen["metadata"]["generation"] = json!(4);
        assert!(matches!(ready(&unseen, 1, NEW, &[]), Ready::NotYet(_)), "the numbers are those of the generation before");
    }

    #[test]
    fn what_waiting_does_not_help_is_told_with_its_reason() {
        let mut stuck = deployment(2, 2, 1);
        stuck["status"]["conditions"][0] =
            json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "has timed out"});
        let why = "Deployment `bot`: ProgressDeadlineExceeded: has timed out".to_owned();
        assert_eq!(ready(&stuck, 1, NEW, &[]), Ready::Never(why));
        let crashing = [pod("1.1.0", "CrashLoopBackOff")];
        let why = "Deployment `bot`: pod `p`: CrashLoopBackOff: it says".to_owned();
        assert_eq!(ready(&deployment(2, 2, 1), 1, NEW, &crashing), Ready::Never(why));
        let old = ready(&deployment(2, 2, 1), 1, NEW, &[pod("1.0.0", "CrashLoopBackOff")]);
        assert!(matches!(old, Ready::NotYet(_)), "{old:?}");
        let Ready::NotYet(why) = ready(&deployment(2, 2, 1), 1, NEW, &[pod("1.1.0", "ErrImagePull")]) else { panic!("may come") };
        assert!(why.ends_with("(pod `p`: ErrImagePull: it says)"), "{why}");
    }

    #[test]
    fn only_ready_endpoints_count_and_each_pod_once() {
        let endpoint =
            |uid: &str, ready: Value| json!({"conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "uid": uid}});
        let slices = [
            json!({"endpoints": [endpoint("a", json!(true)), endpoint("b", json!(false)), endpoint("c", json!(null))]}),
            json!({"endpoints": [endpoint("a", json!(true)), {"addresses": ["10.0.0.9"]}]}),
            json!({"endpoints": null}),
        ];
        let pods = [json!({"metadata": {"uid": "a"}}), json!({"metadata": {"uid": "b"}})];
        assert_eq!(endpoints(&slices, &pods), Endpoints { own: 1, all: 2 });
    }
}

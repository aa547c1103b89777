//! A cluster in which things go wrong: pods that never come up, rights that are missing, servers that do not answer, changes whose
//! answer is lost, a `kubectl` that is none.

use crate::kubernetes::{AUTOSCALER, BOTH, BY_DEPLOYMENT, BY_SERVICE, HTTP_ROUTE, SERVICE, read, shift, shown, told, with};
use crate::kubernetes_page::from_page;
use crate::support::kube::{Cluster, arms, await_ready, script, weight};
use crate::support::wait_until;
use kf::base::weight::Weight;
use kf::seams::traffic::{Arms, Fault, Ready, Target};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

const BY_HTTPROUTE: &str = "by = \"httproute\"\nroute = \"bot\"\nservices = [\"bot-blue\", \"bot-green\"]\n";

/// What `ready` says in the end, while it is not a yes.
fn verdict(target: &dyn Target, arms: &kf::seams::traffic::Arms) -> Ready {
    let mut last = Ready::Yes;
    wait_until(20, || {
        last = target.ready(arms, weight(5.0)).unwrap_or_else(|fault| panic!("{}", told(fault)));
        matches!(last, Ready::Never(_))
    });
    last
}

#[test]
fn pods_that_never_come_up_get_no_traffic_and_tell_why() {
    for (plan, why) in [
        ("CrashLoopBackOff", "CrashLoopBackOff: planned for registry.example.org/bot:1.1.0"),
        ("ImagePullBackOff", "ImagePullBackOff: planned for registry.example.org/bot:1.1.0"),
        ("never", "ProgressDeadlineExceeded: ReplicaSet"),
    ] {
        with(Cluster::fake(), [2, 0], HTTP_ROUTE, |cluster| {
            cluster.plan("pods", &json!({"registry.example.org/bot:1.1.0": plan}));
            cluster
                .patch("deployment/bot-green", &json!([{"op": "replace", "path": "/spec/progressDeadlineSeconds", "value": 1}]));
            let (target, arms) = (cluster.target(BY_HTTPROUTE), arms("1.0.0", "1.1.0"));
            target.scale(&arms, weight(5.0)).unwrap_or_else(|fault| panic!("{}", told(fault)));
            let Ready::Never(said) = verdict(&target, &arms) else { panic!("it comes up") };
            assert!(said.contains(why), "{said}");
            let guard = read(&target, &arms).guard;
            let refused = target.write(&arms, weight(5.0), &guard).expect_err("nobody would answer");
            assert!(matches!(refused, Fault::Refused(_)));
            assert_eq!(told(refused), "Deployment `bot-green` has no ready pod of 1, so it gets no traffic");
            assert_eq!(read(&target, &arms).weight, Weight::NONE);
        });
    }
}

#[test]
fn slow_pods_are_waited_for() {
    with(Cluster::fake(), [2, 0], HTTP_ROUTE, |cluster| {
        cluster.plan("pods", &json!({"registry.example.org/bot:1.1.0": 1.5}));
        let (target, arms) = (cluster.target(BY_HTTPROUTE), arms("1.0.0", "1.1.0"));
        target.scale(&arms, weight(5.0)).unwrap_or_else(|fault| panic!("{}", told(fault)));
        let first = target.ready(&arms, weight(5.0)).unwrap_or_else(|fault| panic!("{}", told(fault)));
        assert!(matches!(first, Ready::NotYet(_)), "{first:?}");
        await_ready(&target, &arms, 5.0);
    });
}

/// Replicas: the good version keeps its pods until the other has its own.
#[test]
fn a_ratio_with_pods_that_never_come_up_leaves_stable_as_it_is() {
    with(Cluster::fake(), [4, 0], BOTH, |cluster| {
        cluster.plan("pods", &json!({"registry.example.org/bot:1.1.0": "CrashLoopBackOff"}));
        let (target, arms) = (cluster.target(&format!("{BY_DEPLOYMENT}timeout = \"1s\"\n")), arms("1.0.0", "1.1.0"));
        target.scale(&arms, weight(50.0)).unwrap_or_else(|fault| panic!("{}", told(fault)));
        let guard = read(&target, &arms).guard;
        let unclear = target.write(&arms, weight(50.0), &guard).expect_err("not up");
        assert!(matches!(unclear, Fault::Unclear(_)));
        assert_eq!(told(unclear), "0 of 2 pods of Deployment `bot-green` are ready");
        assert_eq!(cluster.part("deployment/bot-blue", "/spec/replicas"), json!(4));
        let seen = read(&target, &arms);
        assert_eq!(seen.share, 0.0, "nobody gets to pods that are not ready");
    });
}

/// The switch is written, but the Service has no endpoints of the new Deployment: it is put back.
#[test]
fn a_switch_to_nobody_is_put_back() {
    with(Cluster::fake(), [2, 2], SERVICE, |cluster| {
        let (target, arms) = (cluster.target(&format!("{BY_SERVICE}timeout = \"1s\"\n")), arms("1.0.0", "1.1.0"));
        target.scale(&arms, Weight::FULL).unwrap_or_else(|fault| panic!("{}", told(fault)));
        await_ready(&target, &arms, 100.0);
        cluster.plan("slices", &json!({"mode": "frozen"}));
        let guard = read(&target, &arms).guard;
        let said = told(target.write(&arms, Weight::FULL, &guard).expect_err("nobody there"));
        assert_eq!(said, "Service `bot` has no ready endpoint of Deployment `bot-green`, so it was put back");
        assert_eq!(cluster.part("service/bot", "/spec/selector"), json!({"app": "bot", "track": "blue"}));
    });
}

/// Somebody stopped the good version while the canary was tried: the way back starts it again.
#[test]
fn the_way_back_starts_what_was_stopped() {
    with(Cluster::new(), [2, 0], HTTP_ROUTE, |cluster| {
        let (target, arms) = (cluster.target(BY_HTTPROUTE), arms("1.0.0", "1.1.0"));
        shift(&target, &arms, 5.0);
        cluster.patch("deployment/bot-blue", &json!([{"op": "replace", "path": "/spec/replicas", "value": 0}]));
        let gone = || cluster.part("deployment/bot-blue", "/status/readyReplicas").is_null();
        assert!(wait_until(20, gone));
        let guard = read(&target, &arms).guard;
        target.write(&arms, Weight::NONE, &guard).unwrap_or_else(|fault| panic!("{}", told(fault)));
        assert_eq!(read(&target, &arms).weight, Weight::NONE);
        assert_ne!(cluster.part("deployment/bot-blue", "/status/readyReplicas"), json!(null));
    });
}

#[test]
fn a_gateway_that_sleeps_or_refuses_is_not_believed() {
    with(Cluster::fake(), [2, 0], HTTP_ROUTE, |cluster| {
        let (target, arms) = (cluster.target(&format!("{BY_HTTPROUTE}timeout = \"1s\"\n")), arms("1.0.0", "1.1.0"));
        shift(&target, &arms, 5.0);
        cluster.plan("gateway", &json!({"mode": "asleep"}));
        let guard = read(&target, &arms).guard;
        target.write(&arms, weight(10.0), &guard).unwrap_or_else(|fault| panic!("{}", told(fault)));
        assert_eq!(read(&target, &arms).weight, weight(9.99), "written, and not in force");
        // Whoever takes traffic away does not wait for a gateway.
        let guard = read(&target, &arms).guard;
        target.write(&arms, Weight::NONE, &guard).unwrap_or_else(|fault| panic!("{}", told(fault)));
        assert_eq!(read(&target, &arms).weight, weight(0.01), "not none before it is in force");
        cluster.plan("gateway", &json!({"mode": "refuse"}));
        assert!(wait_until(20, || target.preflight(&arms).is_err()));
        let why = "gateway `front` does not take HTTPRoute `bot`: BackendNotFound: planned";
        assert_eq!(told(target.preflight(&arms).expect_err("it refuses")), why);
        assert_eq!(
            target.ready(&arms, weight(10.0)).unwrap_or_else(|fault| panic!("{}", told(fault))),
            Ready::Never(why.to_owned())
        );
        let seen = read(&target, &arms);
        assert_eq!(seen.weight, Weight::NONE, "a refusal is an answer");
        let fault = target.write(&arms, weight(10.0), &seen.guard).expect_err("it refuses");
        assert_eq!(told(fault), why);
        cluster.plan("gateway", &json!({"mode": "accept"}));
        assert!(wait_until(20, || target.write(&arms, weight(10.0), &seen.guard).is_ok()), "reports of a gateway are no change");
        assert!(wait_until(20, || read(&target, &arms).weight == weight(10.0)));
    });
}

#[test]
fn after_every_fault_the_truth_is_read_again() {
    with(Cluster::fake(), [2, 0], HTTP_ROUTE, |cluster| {
        let (target, arms) = (cluster.target(&format!("{BY_HTTPROUTE}timeout = \"1s\"\n")), arms("1.0.0", "1.1.0"));
        shift(&target, &arms, 5.0);
        let patch = |more: serde_json::Value| {
            let mut fault = json!({"method": "PATCH", "path": "httproutes", "times": 1});
            fault.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            json!([fault])
        };
        let guard = || read(&target, &arms).guard;
        // Done, but the answer is lost: the objects tell that it is done.
        let before = guard();
        cluster.plan("plan", &patch(json!({"lose": true})));
        target.write(&arms, weight(10.0), &before).unwrap_or_else(|fault| panic!("{}", told(fault)));
        assert_eq!(read(&target, &arms).weight, weight(10.0));
        // Not done.
        for (plan, text) in [(json!({"status": 500}), "InternalError"), (json!({"hang": 8}), "kubectl patch")] {
            let before = guard();
            cluster.plan("plan", &patch(plan));
            let started = Instant::now();
            let fault = target.write(&arms, weight(20.0), &before).expect_err("an error");
            assert!(matches!(fault, Fault::Unclear(_)));
            assert!(told(fault).contains(text));
            assert!(started.elapsed() < Duration::from_secs(30), "it has a deadline");
            cluster.plan("plan", &json!([]));
            let after = read(&target, &arms).weight;
            assert!(after == weight(10.0) || text == "kubectl patch", "{after}");
        }
    });
}

/// Between kf's look and its patch somebody else is faster: the `test` of the patch fails, which is all the server tells.
#[test]
fn who_comes_between_the_look_and_the_patch_wins() {
    with(Cluster::fake(), [2, 0], HTTP_ROUTE, |cluster| {
        let (target, arms) = (cluster.target(BY_HTTPROUTE), arms("1.0.0", "1.1.0"));
        let guard = shift(&target, &arms, 5.0).guard;
        let path = "/apis/gateway.networking.k8s.io/v1/namespaces/rag/httproutes/bot";
        let other = json!([{"op": "replace", "path": "/spec/rules/1/backendRefs/1/weight", "value": 7}]);
        cluster.plan(
            "plan",
            &json!([{"method": "PATCH", "path": "httproutes", "times": 1, "first": {"path": path, "patch": other}}]),
        );
        let fault = target.write(&arms, weight(50.0), &guard).expect_err("somebody was faster");
        assert!(matches!(fault, Fault::Conflict(_)), "{}", told(fault));
        assert_eq!(cluster.part("httproute/bot", "/spec/rules/1/backendRefs/1/weight"), json!(7));
    });
}

/// A server that was just started has not read its roles: that is no reason to end a rollout.
#[test]
fn a_server_that_has_just_started_is_asked_again() {
    with(Cluster::fake(), [1, 0], SERVICE, |cluster| {
        let (target, arms) = (cluster.target(BY_SERVICE), arms("1.0.0", "1.1.0"));
        let denied = json!({"method": "GET", "path": "deployments/bot-blue", "times": 1, "status": 403, "reason": "Forbidden"});
        let starting = json!({"method": "GET", "path": "^/readyz", "times": 1, "status": 500});
        cluster.plan("plan", &json!([denied, starting]));
        let fault = target.read(&arms).expect_err("denied");
        assert!(matches!(fault, Fault::Unclear(_)));
        let hints = fault.into_error().hints().join(" ");
        assert!(hints.contains("the API server is not ready yet"), "{hints}");
        cluster.plan("plan", &json!([denied]));
        let fault = target.read(&arms).expect_err("denied by a server that knows");
        assert!(matches!(fault, Fault::Refused(_)), "{}", told(fault));
        assert_eq!(read(&target, &arms).weight, Weight::NONE);
    });
}

/// What nobody would count, or nothing would come of, is said before a rollout begins.
#[test]
fn a_cluster_that_does_not_fit_is_refused_first() {
    let other = BOTH.to_owned()
        + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: old}\nspec:\n  replicas: 1\n  \
           selector: {matchLabels: {app: bot, track: old}}\n  template:\n    metadata: {labels: {app: bot, track: old}}\n    \
           spec: {containers: [{name: bot, image: 'registry.example.org/bot:0.1.0'}]}\n";
    with(Cluster::new(), [1, 0], &other, |cluster| {
        let up = || cluster.part("deployment/old", "/status/readyReplicas") == json!(1);
        assert!(wait_until(60, up), "the third Deployment comes up");
        let (target, arms) = (cluster.target(BY_DEPLOYMENT), arms("1.0.0", "1.1.0"));
        let refused = |why: &str| {
            let mut said = String::new();
            let same = || {
                let asked = target.preflight(&arms).and_then(|()| target.doubt(&arms));
                said = asked.map_or_else(told, |doubt| doubt.unwrap_or_default());
                said == why
            };
            assert!(wait_until(30, same), "{said}");
        };
        refused("Service `bot` has ready endpoints that are pods of neither Deployment");
        cluster.kubectl(&["delete", "deployment", "old"]);
        cluster.kubectl(&["delete", "pods", "--selector=track=old", "--wait=false"]);
        refused("");
        cluster.patch("deployment/bot-green", &json!([{"op": "add", "path": "/spec/paused", "value": true}]));
        refused("Deployment `bot-green` is paused, so its pods would stay as they are");
    });
}

/// The role of the documents is enough for a whole rollout; what is missing without it is told at once.
#[test]
fn the_role_of_the_documents_is_enough() {
    let role = from_page("role", "yaml");
    for (keys, manifest, resource) in [
        (BY_HTTPROUTE, HTTP_ROUTE, "patch httproutes.gateway.networking.k8s.io/bot"),
        (BY_SERVICE, SERVICE, "patch services/bot"),
    ] {
        with(Cluster::new(), [2, 0], manifest, |mut cluster| {
            let arms = arms("1.0.0", "1.1.0");
            cluster.seen_by_kf();
            let target = cluster.target(keys);
            let said = told(target.preflight(&arms).expect_err("no role yet"));
            let lacking = format!("no right in namespace `{}` to: get deployments.apps/bot-blue, ", cluster.namespace);
            assert!(said.starts_with(&lacking) && said.contains(resource), "{said}");
            let fault = target.read(&arms).expect_err("no role yet");
            assert!(matches!(fault, Fault::Refused(_)), "{}", told(fault));
            cluster.apply(&role.replace("namespace: rag", &format!("namespace: {}", cluster.namespace)));
            target.preflight(&arms).unwrap_or_else(|fault| panic!("{}", told(fault)));
            let percent = if keys == BY_SERVICE { 100.0 } else { 5.0 };
            assert_eq!(shift(&target, &arms, percent).weight, weight(percent));
            assert_eq!(shift(&target, &arms, 0.0).weight, Weight::NONE);
            target.settle(&arms, kf::seams::traffic::Keep::Stable).unwrap_or_else(|fault| panic!("{}", told(fault)));
        });
    }
}

#[test]
fn a_kubectl_that_is_none_is_told_with_what_to_do() {
    with(Cluster::fake(), [1, 0], SERVICE, |cluster| {
        let arms = arms("1.0.0", "1.1.0");
        let dir = tempfile::tempdir().expect("a folder");
        let missing = cluster.target_by(&dir.path().join("nothing"), BY_SERVICE).read(&arms).expect_err("missing");
        assert!(matches!(missing, Fault::Refused(_)));
        let hints = missing.into_error().hints().join(" ");
        assert!(hints.contains("https://kubernetes.io/docs/tasks/tools/"), "{hints}");
        let old = dir.path().join("old");
        script(&old, "#!/bin/sh\necho 'Error: unknown flag: --field-manager' >&2\nexit 1\n");
        let old = cluster.target_by(&old, BY_SERVICE).read(&arms).expect_err("too old").into_error();
        assert_eq!(old.hints(), ["this kubectl is too old: kf needs 1.20 or newer"]);
        let stuck = dir.path().join("stuck");
        script(&stuck, "#!/bin/sh\nsleep 60 &\nwait\n");
        let fault = cluster.target_by(&stuck, &format!("{BY_SERVICE}timeout = \"500ms\"\n")).read(&arms).expect_err("it hangs");
        assert!(matches!(fault, Fault::Unclear(_)));
        let talks = dir.path().join("talks");
        script(&talks, "#!/bin/sh\necho Hello\n");
        let fault = cluster.target_by(&talks, BY_SERVICE).read(&arms).expect_err("garbage");
        assert!(told(fault).starts_with("`kubectl get` printed what is no JSON"));
    });
}

#[test]
fn what_is_not_there_is_told_by_name() {
    with(Cluster::new(), [1, 0], SERVICE, |mut cluster| {
        let arms = arms("1.0.0", "1.1.0");
        let said = told(cluster.target("by = \"service\"\nservice = \"bott\"\n").preflight(&arms).expect_err("no such Service"));
        assert_eq!(said, "there is no Service `bott`");
        cluster.kubectl(&["delete", "deployment", "bot-green", "--wait=false"]);
        let said = told(cluster.target(BY_SERVICE).read(&arms).expect_err("no such Deployment"));
        assert_eq!(said, "there is no Deployment `bot-green`");
        cluster.seen_by("nowhere");
        let fault = cluster.target(BY_SERVICE).read(&arms).expect_err("no such context");
        assert!(matches!(fault, Fault::Refused(_)));
        let error = fault.into_error();
        assert_eq!(error.hints(), ["`kubectl config get-contexts` shows the contexts"], "{error}");
    });
}

fn refusal<T>(fault: Fault) -> T {
    panic!("{}", told(fault))
}

/// What a release must not begin with is no reason to stay with a version that is to go: an autoscaler, a Deployment that somebody
/// changed, a gateway that refuses.
#[test]
fn a_way_back_is_not_stopped_by_what_is_only_a_risk() {
    with(Cluster::fake(), [4, 0], BOTH, |cluster| {
        let target = cluster.target(BY_DEPLOYMENT);
        shift(&target, &arms("1.0.0", "1.1.0"), 100.0);
        cluster.create(AUTOSCALER);
        let way_back = Arms { back: true, ..arms("1.1.0", "1.0.0") };
        assert!(target.preflight(&arms("1.1.0", "1.0.0")).is_err(), "no release begins so");
        target.preflight(&way_back).unwrap_or_else(refusal);
        target.scale(&way_back, Weight::FULL).unwrap_or_else(refusal);
        await_ready(&target, &way_back, 100.0);
        // The autoscaler finds that two pods are enough, and goes on finding it.
        cluster.patch("deployment/bot-blue", &json!([{"op": "replace", "path": "/spec/replicas", "value": 2}]));
        let arrived = || target.shift(&way_back, Weight::FULL).unwrap_or_else(refusal).weight == Weight::FULL;
        assert!(wait_until(30, arrived));
        assert_eq!(cluster.part("deployment/bot-green", "/spec/replicas"), json!(0));
        let named = target.undone_by(&way_back).unwrap_or_else(refusal);
        assert!(named.is_some_and(|what| what.contains("`bot` may give Deployment `bot-blue`")));
    });
    with(Cluster::fake(), [2, 0], HTTP_ROUTE, |cluster| {
        let target = cluster.target(BY_HTTPROUTE);
        shift(&target, &arms("1.0.0", "1.1.0"), 100.0);
        let image = "/spec/template/spec/containers/0/image";
        let other = json!([{"op": "replace", "path": image, "value": "elsewhere.example.org/bot:mine"}]);
        cluster.patch("deployment/bot-green", &other);
        cluster.plan("gateway", &json!({"mode": "refuse"}));
        let way_back = Arms { back: true, ..arms("1.1.0", "1.0.0") };
        assert!(wait_until(20, || target.preflight(&arms("1.1.0", "1.0.0")).is_err()));
        target.preflight(&way_back).unwrap_or_else(refusal);
        target.scale(&way_back, Weight::FULL).unwrap_or_else(refusal);
        await_ready(&target, &way_back, 100.0);
        assert!(wait_until(20, || target.shift(&way_back, Weight::FULL).unwrap_or_else(refusal).weight == Weight::FULL));
    });
}

/// What `kubectl` learns of a cluster is kept where kf says, or nowhere.
#[test]
fn nothing_is_kept_in_the_home() {
    with(Cluster::fake(), [1, 0], SERVICE, |cluster| {
        let dir = tempfile::tempdir().expect("a folder");
        let (home, cache, program) = (dir.path().join("home"), dir.path().join("cache"), dir.path().join("kubectl"));
        std::fs::create_dir(&home).expect("made");
        script(&program, &format!("#!/bin/sh\nHOME='{}' exec '{}' \"$@\"\n", home.display(), cluster.counting().0.display()));
        let kept = |dir: &Path| std::fs::read_dir(dir).map_or(0, Iterator::count);
        let arms = arms("1.0.0", "1.1.0");
        assert_eq!(read(&cluster.target_by(&program, BY_SERVICE), &arms).weight, Weight::NONE);
        assert_eq!((kept(&home), kept(&cache)), (0, 0));
        let target = cluster.target_keeping(&program, BY_SERVICE, Some(&cache));
        assert_eq!(read(&target, &arms).weight, Weight::NONE);
        assert!(kept(&home) == 0 && kept(&cache) > 0, "{} and {}", kept(&home), kept(&cache));
    });
}

/// A way back has few calls: a call of `kubectl` costs 0.1 to 0.2 s, and users wait for it.
#[test]
fn the_way_back_takes_few_calls() {
    for (keys, manifest, percent, most) in
        [(BY_HTTPROUTE, HTTP_ROUTE, 5.0, 3), (BY_SERVICE, SERVICE, 100.0, 4), (BY_DEPLOYMENT, BOTH, 50.0, 5)]
    {
        with(Cluster::fake(), [4, 0], manifest, |cluster| {
            let arms = arms("1.0.0", "1.1.0");
            shift(&cluster.target(keys), &arms, percent);
            let (program, log) = cluster.counting();
            let target = cluster.target_by(&program, keys);
            let seen = target.shift(&arms, Weight::NONE).unwrap_or_else(|fault| panic!("{}", told(fault)));
            assert!(shown(&seen).1 < percent / 100.0, "{seen:?}");
            let calls = std::fs::read_to_string(log).expect("the calls");
            assert!(calls.lines().count() <= most, "{keys}: {calls}");
        });
    }
}

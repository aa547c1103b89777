//! Traffic in a cluster, way by way, by the real `kubectl`: what a rollout does from the first look to the next rollout, in which the two
//! Deployments have changed their places.

use crate::support::kube::{Cluster, arms, await_ready, weight};
use crate::support::skip;
use kf::base::weight::Weight;
use kf::seams::traffic::{Arms, Fault, Keep, Seen, Target};
use serde_json::{Value, json};

/// The keys of a split by a route of this kind.
pub(crate) fn by_route(kind: &str) -> String {
    format!("by = \"{kind}\"\nroute = \"bot\"\nservices = [\"bot-blue\", \"bot-green\"]\n")
}

pub(crate) const BY_SERVICE: &str = "by = \"service\"\nservice = \"bot\"\n";
pub(crate) const BY_DEPLOYMENT: &str = "by = \"deployment\"\nservice = \"bot\"\nreplicas = 4\n";

/// Two Deployments, of which `bot-blue` serves, and the Service of each.
fn deployments(replicas: [u32; 2]) -> String {
    let one = |track: &str, replicas: u32, version: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: bot-{track}}}\nspec:\n  replicas: {replicas}\n  \
             selector: {{matchLabels: {{app: bot, track: {track}}}}}\n  template:\n    metadata: {{labels: {{app: bot, track: {track}}}}}\n    \
             spec: {{containers: [{{name: bot, image: 'registry.example.org/bot:{version}'}}]}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: bot-{track}}}\n\
             spec: {{selector: {{app: bot, track: {track}}}, ports: [{{port: 8000}}]}}\n---\n"
        )
    };
    one("blue", replicas[0], "1.0.0") + &one("green", replicas[1], "0.9.0")
}

/// A cluster with the two Deployments and what splits between them, when the first of them is up.
pub(crate) fn with(cluster: Result<Cluster, String>, replicas: [u32; 2], more: &str, test: impl FnOnce(Cluster)) {
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(why) => return skip(&why),
    };
    match cluster.try_create(&format!("{}{more}", deployments(replicas))) {
        Err(why) if cluster.is_live() && why.contains("no matches for kind") => {
            return skip(&format!("this cluster has not all kinds: {why}"));
        }
        made => made.unwrap_or_else(|e| panic!("{e}")),
    };
    let up = || cluster.part("deployment/bot-blue", "/status/readyReplicas") == json!(replicas[0]);
    assert!(crate::support::wait_until(60, up), "the pods of the cluster come up");
    test(cluster);
}

pub(crate) const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: bot}\n\
    spec: {selector: {app: bot, track: blue}, ports: [{port: 80, targetPort: 8000}]}\n";
pub(crate) const BOTH: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: bot}\nspec: {selector: {app: bot}, ports: [{port: 80, targetPort: 8000}]}\n";
pub(crate) const HTTP_ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: bot}\nspec:\n  \
    parentRefs: [{name: front}]\n  rules:\n  - matches: [{headers: [{name: x-kf-version, value: canary}]}]\n    \
    backendRefs: [{name: bot-green, port: 8000}]\n  \
    - backendRefs: [{name: bot-blue, port: 8000, weight: 100}, {name: bot-green, port: 8000, weight: 0}]\n";
pub(crate) const AUTOSCALER: &str = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: bot}\n\
    spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: bot-blue}, minReplicas: 2, maxReplicas: 9}\n";
const INGRESS: &str = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: bot}\nspec:\n  ingressClassName: nginx\n  \
    rules:\n  - host: bot.example.org\n    http: {paths: [\
    {path: /, pathType: Prefix, backend: {service: {name: bot-blue, port: {number: 8000}}}}, \
    {path: /docs, pathType: Prefix, backend: {service: {name: docs, port: {number: 80}}}}]}\n";
const VIRTUAL_SERVICE: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: bot}\nspec:\n  hosts: [bot]\n  \
    http:\n  - name: main\n    route: [{destination: {host: bot-blue}, weight: 100}, {destination: {host: bot-green}, weight: 0}]\n";

/// Whatever a target said no with, as people read it.
pub(crate) fn told(fault: Fault) -> String {
    fault.into_error().to_string()
}

#[track_caller]
pub(crate) fn read(target: &dyn Target, arms: &Arms) -> Seen {
    target.read(arms).unwrap_or_else(|fault| panic!("{}", told(fault)))
}

/// One step of a plan, as a controller takes it.
#[track_caller]
pub(crate) fn shift(target: &dyn Target, arms: &Arms, percent: f64) -> Seen {
    let weight = weight(percent);
    target.scale(arms, weight).unwrap_or_else(|fault| panic!("{}", told(fault)));
    await_ready(target, arms, percent);
    let guard = read(target, arms).guard;
    target.write(arms, weight, &guard).unwrap_or_else(|fault| panic!("{}", told(fault)));
    // What was told twice is done once.
    target.write(arms, weight, &guard).unwrap_or_else(|fault| panic!("again: {}", told(fault)));
    // Endpoints follow pods a moment later: the share is looked at when it has come to rest.
    let mut seen = read(target, arms);
    crate::support::wait_until(30, || {
        let before = std::mem::replace(&mut seen, read(target, arms));
        seen.weight == weight && seen.share == before.share
    });
    seen
}

/// What is seen: weight in percent, share, stable, canary.
pub(crate) fn shown(seen: &Seen) -> (f64, f64, Option<String>, Option<String>) {
    let version = |v: Option<kf::base::version::Version>| v.map(|v| v.to_string());
    (seen.weight.percent(), seen.share, version(seen.stable), version(seen.canary))
}

fn two(first: &str, second: &str) -> (Option<String>, Option<String>) {
    (Some(first.to_owned()), Some(second.to_owned()))
}

/// A whole rollout to all of the traffic, the next one on the Deployment that has become free, and the way back of that one.
fn rollouts(cluster: &Cluster, keys: &str, steps: &[f64]) {
    let target = cluster.target(keys);
    let first = arms("1.0.0", "1.1.0");
    target.preflight(&first).unwrap_or_else(|fault| panic!("{}", told(fault)));
    assert_eq!(read(&target, &first).weight, Weight::NONE);
    for percent in steps {
        let (stable, canary) = two("1.0.0", "1.1.0");
        let seen = shift(&target, &first, *percent);
        let stable = stable.filter(|_| cluster.part("deployment/bot-blue", "/spec/replicas") != json!(0));
        assert_eq!(shown(&seen), (*percent, percent / 100.0, stable, canary));
    }
    target.settle(&first, Keep::Canary).unwrap_or_else(|fault| panic!("{}", told(fault)));
    target.settle(&first, Keep::Canary).unwrap_or_else(|fault| panic!("again: {}", told(fault)));
    assert_eq!(cluster.part("deployment/bot-blue", "/spec/replicas"), json!(0));
    let annotations = cluster.part("deployment/bot-green", "/metadata/annotations");
    assert_eq!((&annotations["kf.dev/version"], &annotations["kf.dev/digest"]), (&json!("1.1.0"), &json!(first.canary.digest)));
    assert_eq!(cluster.part("deployment/bot-green", "/spec/template/spec/containers/0/image"), "registry.example.org/bot:1.1.0");

    let second = arms("1.1.0", "1.2.0");
    target.preflight(&second).unwrap_or_else(|fault| panic!("{}", told(fault)));
    assert_eq!(read(&target, &second).weight, Weight::NONE);
    let seen = shift(&target, &second, steps[0]);
    assert_eq!(seen.weight, weight(steps[0]));
    assert_eq!(cluster.part("deployment/bot-blue", "/spec/template/spec/containers/0/image"), "registry.example.org/bot:1.2.0");
    let back = shift(&target, &second, 0.0);
    assert_eq!((back.weight, back.share), (Weight::NONE, 0.0));
    target.settle(&second, Keep::Stable).unwrap_or_else(|fault| panic!("{}", told(fault)));
    assert_eq!(cluster.part("deployment/bot-blue", "/spec/replicas"), json!(0));
    assert_eq!(shown(&read(&target, &second)), (0.0, 0.0, Some("1.1.0".to_owned()), None));
}

#[test]
fn a_service_is_switched_whole() {
    with(Cluster::new(), [2, 0], SERVICE, |cluster| {
        rollouts(&cluster, BY_SERVICE, &[100.0]);
        let target = cluster.target(BY_SERVICE);
        let half = told(target.allows(weight(50.0)).expect_err("no halves"));
        assert_eq!(half, "Service `bot` has all of the traffic on one Deployment: 50 % cannot be had");
        assert!(target.scale(&arms("1.1.0", "1.2.0"), weight(5.0)).is_err());
        let no = target.can_copy().expect_err("no copies").into_error();
        assert!(no.hints()[0].contains("`virtualservice` or `httproute`, or the gateway"), "{no}");
        assert!(target.shadow(&arms("1.1.0", "1.2.0"), weight(5.0)).is_err());
        assert!(target.shadow(&arms("1.1.0", "1.2.0"), Weight::NONE).is_ok());
    });
}

/// A typo'd selector would leave the Service without endpoints, and no error.
#[test]
fn a_selector_that_would_select_nothing_is_never_written() {
    let typo = SERVICE.replace("app: bot, track: blue", "app: bott, track: blue");
    for (manifest, label, why) in [
        (typo.as_str(), "", "would select no pod of Deployment `bot-blue`"),
        (SERVICE, "label = \"trck\"\n", "the pods of Deployment `bot-blue` have no label `trck`"),
        (SERVICE, "label = \"app\"\n", "the pods of both Deployments have `app: \"bot\"`"),
        (BOTH, "", "the selector of Service `bot` has no `track`"),
    ] {
        with(Cluster::new(), [1, 1], manifest, |cluster| {
            let target = cluster.target(&format!("{BY_SERVICE}{label}"));
            let said = told(target.preflight(&arms("1.0.0", "1.1.0")).expect_err(why));
            assert!(said.contains(why), "{said}");
            let before = cluster.part("service/bot", "/spec/selector");
            assert!(target.write(&arms("1.0.0", "1.1.0"), Weight::FULL, "0").is_err());
            assert_eq!(cluster.part("service/bot", "/spec/selector"), before);
        });
    }
}

#[test]
fn replicas_show_what_was_asked_for_and_what_it_comes_to() {
    with(Cluster::new(), [4, 0], BOTH, |cluster| {
        let target = cluster.target(BY_DEPLOYMENT);
        let arms = arms("1.0.0", "1.1.0");
        target.preflight(&arms).unwrap_or_else(|fault| panic!("{}", told(fault)));
        let (stable, canary) = two("1.0.0", "1.1.0");
        for (percent, share) in [(5.0, 0.25), (25.0, 0.25), (50.0, 0.5), (0.0, 0.0), (75.0, 0.75)] {
            let seen = shift(&target, &arms, percent);
            let canary = canary.clone().filter(|_| percent > 0.0);
            assert_eq!(shown(&seen), (percent, share, stable.clone(), canary));
        }
        // Whoever else scales is seen, and wins over who had looked before.
        let guard = read(&target, &arms).guard;
        cluster.patch("deployment/bot-blue", &json!([{"op": "replace", "path": "/spec/replicas", "value": 3}]));
        let lost = target.write(&arms, weight(25.0), &guard).expect_err("somebody was faster");
        assert!(matches!(lost, Fault::Conflict(_)), "{}", told(lost));
        assert_eq!(read(&target, &arms).weight, weight(50.0));
        // Back to stable, and on to the end.
        assert_eq!(shift(&target, &arms, 0.0).weight, Weight::NONE);
        assert_eq!(shown(&shift(&target, &arms, 100.0)), (100.0, 1.0, None, canary));
    });
}

#[test]
fn the_two_deployments_change_places_by_replicas() {
    with(Cluster::new(), [4, 0], BOTH, |cluster| rollouts(&cluster, BY_DEPLOYMENT, &[25.0, 100.0]));
}

#[test]
fn replicas_that_an_autoscaler_changes_are_no_split() {
    with(Cluster::new(), [4, 0], &format!("{BOTH}---\n{AUTOSCALER}"), |cluster| {
        let said = told(cluster.target(BY_DEPLOYMENT).preflight(&arms("1.0.0", "1.1.0")).expect_err("it fights"));
        assert_eq!(said, "HorizontalPodAutoscaler `bot` changes the replicas that the traffic is split by");
    });
}

#[test]
fn an_httproute_gets_both_weights_in_one_patch() {
    with(Cluster::new(), [2, 0], HTTP_ROUTE, |cluster| {
        rollouts(&cluster, &by_route("httproute"), &[5.0, 12.5, 100.0]);
        // The rule for people who ask for the canary by a header was never touched.
        assert_eq!(cluster.part("httproute/bot", "/spec/rules/0/backendRefs/0/weight"), json!(1));
    });
}

#[test]
fn weights_that_gitops_puts_back_are_seen() {
    with(Cluster::new(), [2, 0], HTTP_ROUTE, |cluster| {
        let (target, arms) = (cluster.target(&by_route("httproute")), arms("1.0.0", "1.1.0"));
        let seen = shift(&target, &arms, 20.0);
        let reset = json!([{"op": "replace", "path": "/spec/rules/1/backendRefs/0/weight", "value": 100},
            {"op": "replace", "path": "/spec/rules/1/backendRefs/1/weight", "value": 0}]);
        cluster.patch("httproute/bot", &reset);
        let lost = target.write(&arms, weight(50.0), &seen.guard).expect_err("it was changed");
        assert!(matches!(lost, Fault::Conflict(_)), "{}", told(lost));
        assert_eq!(read(&target, &arms).weight, Weight::NONE);
        // Only one of the weights: 10 beside 100 is 9.09 %.
        let one = json!([{"op": "replace", "path": "/spec/rules/1/backendRefs/1/weight", "value": 10}]);
        cluster.patch("httproute/bot", &one);
        assert_eq!(read(&target, &arms).weight, weight(9.09));
    });
}

#[test]
fn of_writers_who_saw_the_same_exactly_one_wins() {
    with(Cluster::new(), [2, 0], HTTP_ROUTE, |cluster| {
        let (target, arms) = (cluster.target(&by_route("httproute")), arms("1.0.0", "1.1.0"));
        let guard = shift(&target, &arms, 5.0).guard;
        let write = |percent: u32| target.write(&arms, weight(f64::from(percent)), &guard);
        let results: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (11..17).map(|percent| scope.spawn(move || write(percent))).collect();
            all.into_iter().map(|t| t.join().expect("no panic")).collect()
        });
        let won = results.iter().filter(|r| r.is_ok()).count();
        let lost = results.iter().filter(|r| matches!(r, Err(Fault::Conflict(_)))).count();
        assert_eq!((won, lost), (1, 5), "{results:?}");
    });
}

#[test]
fn an_ingress_gets_a_canary_beside_it_and_takes_over_at_the_end() {
    with(Cluster::new(), [2, 0], INGRESS, |cluster| {
        rollouts(&cluster, &by_route("ingress"), &[5.0, 0.25, 100.0]);
        let names = cluster.kubectl(&["get", "ingresses", "--output=name"]);
        assert_eq!(names.trim(), "ingress.networking.k8s.io/bot");
        let to = |i: usize| cluster.part("ingress/bot", &format!("/spec/rules/0/http/paths/{i}/backend/service/name"));
        assert_eq!((to(0), to(1)), (json!("bot-green"), json!("docs")));
    });
}

#[test]
fn a_virtual_service_has_whole_percent() {
    with(Cluster::new(), [2, 0], VIRTUAL_SERVICE, |cluster| {
        rollouts(&cluster, &by_route("virtualservice"), &[5.0, 50.0, 100.0]);
        let target = cluster.target(&by_route("virtualservice"));
        assert!(target.allows(weight(0.5)).is_err() && target.allows(weight(1.0)).is_ok());
    });
}

#[test]
fn routes_copy_requests_to_the_canary_and_end_it() {
    for (kind, manifest, object, pointer) in [
        ("httproute", HTTP_ROUTE, "httproute/bot", "/spec/rules/1/filters/0/requestMirror/backendRef/name"),
        ("virtualservice", VIRTUAL_SERVICE, "virtualservice/bot", "/spec/http/0/mirror/host"),
    ] {
        with(Cluster::new(), [2, 0], manifest, |cluster| {
            let (target, arms) = (cluster.target(&by_route(kind)), arms("1.0.0", "1.1.0"));
            target.scale(&arms, Weight::NONE).unwrap_or_else(|fault| panic!("{}", told(fault)));
            await_ready(&target, &arms, 0.0);
            for percent in [10.0, 100.0] {
                target.shadow(&arms, weight(percent)).unwrap_or_else(|fault| panic!("{}", told(fault)));
                target.shadow(&arms, weight(percent)).unwrap_or_else(|fault| panic!("again: {}", told(fault)));
                assert_eq!(cluster.part(object, pointer), "bot-green");
                let shows = |part: f64| target.copies(&arms, weight(part)).unwrap_or_else(|fault| panic!("{}", told(fault)));
                assert_eq!((shows(percent), shows(5.0), shows(0.0)), (true, false, false));
            }
            target.shadow(&arms, Weight::NONE).unwrap_or_else(|fault| panic!("{}", told(fault)));
            assert_eq!(cluster.part(object, pointer), Value::Null);
            assert_eq!(read(&target, &arms).weight, Weight::NONE);
        });
    }
}

/// A rule of a VirtualService can copy to one place only, which may be somebody else's.
#[test]
fn copies_that_somebody_else_sends_are_left_alone() {
    let theirs = VIRTUAL_SERVICE.to_owned() + "    mirror: {host: audit}\n    mirrorPercentage: {value: 3}\n";
    with(Cluster::new(), [2, 0], &theirs, |cluster| {
        let (target, arms) = (cluster.target(&by_route("virtualservice")), arms("1.0.0", "1.1.0"));
        target.scale(&arms, Weight::NONE).unwrap_or_else(|fault| panic!("{}", told(fault)));
        await_ready(&target, &arms, 0.0);
        let said = told(target.shadow(&arms, weight(10.0)).expect_err("it is somebody else's"));
        assert_eq!(said, "`mirror` is set in `/spec/http/0` of the VirtualService, and not by kf");
        target.shadow(&arms, Weight::NONE).unwrap_or_else(|fault| panic!("{}", told(fault)));
        let shows = |part: f64| target.copies(&arms, weight(part)).unwrap_or_else(|fault| panic!("{}", told(fault)));
        assert_eq!((shows(10.0), shows(0.0)), (false, true));
        assert_eq!(cluster.part("virtualservice/bot", "/spec/http/0/mirror/host"), "audit");
        assert_eq!(cluster.part("virtualservice/bot", "/spec/http/0/mirrorPercentage/value"), json!(3));
    });
}

/// Pods on which users are get no other version, and what runs must be what the registry says.
#[test]
fn what_runs_must_be_what_the_registry_says() {
    with(Cluster::new(), [2, 2], HTTP_ROUTE, |cluster| {
        let target = cluster.target(&by_route("httproute"));
        let said = told(target.preflight(&arms("1.0.5", "1.1.0")).expect_err("another version serves"));
        assert_eq!(said, "Deployment `bot-blue` runs bot 1.0.0, and the rollout began against 1.0.5");
        // By the registry 0.9.0 serves, which is on the idle Deployment: the canary would go where the users are.
        let said = told(target.scale(&arms("0.9.0", "1.1.0"), weight(5.0)).expect_err("users are there"));
        assert_eq!(said, "Deployment `bot-blue` has traffic and runs 1.0.0, not 1.1.0");
        assert_eq!(
            cluster.part("deployment/bot-blue", "/spec/template/spec/containers/0/image"),
            "registry.example.org/bot:1.0.0"
        );
        let image = "/spec/template/spec/containers/0/image";
        cluster
            .patch("deployment/bot-blue", &json!([{"op": "replace", "path": image, "value": "elsewhere.example.org/bot:blue"}]));
        let error = target.preflight(&arms("1.0.0", "1.1.0")).expect_err("nothing tells").into_error();
        assert_eq!(error.to_string(), "Deployment `bot-blue` does not tell which version of bot it runs");
        let hint = "when it is 1.0.0: `kubectl annotate deployment bot-blue kf.dev/version=1.0.0`";
        assert_eq!(error.hints(), [hint]);
    });
}

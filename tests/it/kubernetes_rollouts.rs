//! Whole rollouts in a cluster by the binary and the real `kubectl`: a good version arrives, a bad one is taken back, and after the end
//! `kf rollback` goes back.

use crate::kubernetes::{AUTOSCALER, BOTH, BY_DEPLOYMENT, HTTP_ROUTE, by_route, with};
use crate::kubernetes_page::from_page;
use crate::repo::{json, next_bot, ok, write_bot};
use crate::support::kube::Cluster;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::{skip, wait_until};
use serde_json::{Value, json as value};

/// `[target.prod]` and a plan; who counts is a program that prints what a test wrote about a version.
pub(crate) fn config(cluster: &Cluster, keys: &str, steps: &str) -> String {
    format!(
        "[rollout.bot]\nsteps = [{steps}]\nwindow = \"1s\"\nmonitor = \"3s\"\nmin-requests = 20\n\
         [rollout.bot.source]\nkind = \"command\"\ncommand = [\"sh\", \"count.sh\"]\n{}",
        cluster.table(&cluster.counting().0, keys)
    )
}

/// What versions did in a window, of which `stable` requests are those of the old one; every second one of 1.0.2 fails.
pub(crate) fn figures(version: &str, stable: u64) -> String {
    let did = |n: u64, errors: u64| value!({"requests": n, "errors": errors, "latency": [{"most": 0.5, "n": n}, {"n": 0}]});
    let bad = if version == "1.0.2" { 50 } else { 0 };
    value!({"schema": "kf.counted/1", "stable": did(stable, 0), "canary": did(100, bad)}).to_string()
}

/// A repository with bot 1.0.0 in production, whose next version is good and the one after that bad. `part` prints what the old version
/// has of the traffic, 0 for nothing.
pub(crate) fn repository(config: &str, part: &str) -> Sandbox {
    let s = Sandbox::new();
    s.repository(&format!("[model.bot]\ntype = \"config\"\npath = \"bot\"\n[policy]\nskip-staging = true\n{config}"));
    write_bot(&s);
    ok(&s, ["register", "bot", "bot"]);
    ok(&s, ["promote", "bot@1.0.0", "--to", "production", "--no-traffic"]);
    s.write("count.sh", format!("if [ \"$({part})\" = 0 ]; then cat all-$KF_CANARY; else cat part-$KF_CANARY; fi\n"));
    for version in ["1.0.1", "1.0.2"] {
        s.write(format!("part-{version}"), figures(version, 300));
        s.write(format!("all-{version}"), figures(version, 0));
    }
    s
}

/// Runs kf by the time of the machine, which a cluster goes by too.
fn kf(s: &Sandbox, args: &[&str]) -> Run {
    s.finish(s.command(env!("CARGO_BIN_EXE_kf")).env_remove("KF_CLOCK").args(args))
}

pub(crate) fn production(s: &Sandbox) -> Value {
    json(&ok(s, ["show", "bot@production", "--format", "json"]))["version"].clone()
}

/// What a Deployment is to run, and on how many pods.
pub(crate) fn runs(cluster: &Cluster, track: &str) -> (Value, Value) {
    let part = |pointer: &str| cluster.part(&format!("deployment/bot-{track}"), pointer);
    (part("/spec/template/spec/containers/0/image"), part("/spec/replicas"))
}

pub(crate) fn image(version: &str, replicas: u32) -> (Value, Value) {
    (value!(format!("registry.example.org/bot:{version}")), value!(replicas))
}

/// What a way back may cost: calls of `kubectl` before the one that changes what users get, and in all. Pods that are not up at the
/// first look take more of both.
struct Back<'a> {
    /// What is changed by that call.
    object: &'a str,
    before: usize,
    all: usize,
    /// What somebody else made meanwhile, and what kf says of that.
    meanwhile: Option<(&'a str, &'a str)>,
}

/// The three ends of a release, and what its way back costs.
fn story(cluster: &Cluster, [config, part]: [&str; 2], start: &[&str], way_back: &Back<'_>) -> String {
    let (s, log) = (&repository(config, part), cluster.counting().1);
    next_bot(s, 6);
    let started = |reference: &str| kf(s, &[start, &[reference]].concat());
    let good = started("bot@1.0.1");
    assert_eq!((good.code, production(s)), (Some(0), value!("1.0.1")), "{good}");
    let replicas = cluster.part("deployment/bot-green", "/spec/replicas").as_u64().expect("a number");
    let all = u32::try_from(replicas).expect("a few");
    assert_eq!((runs(cluster, "green"), runs(cluster, "blue").1), (image("1.0.1", all), value!(0)), "they changed places");

    next_bot(s, 7);
    // Long enough for the windows that a verdict needs, however slow the machine: it ends with the verdict.
    s.write("mlops.toml", s.read("mlops.toml").replace("monitor = \"3s\"", "monitor = \"10m\""));
    let bad = started("bot@1.0.2");
    assert_eq!((bad.code, production(s)), (Some(3), value!("1.0.1")), "{bad}");
    assert!(bad.stdout.contains("was taken back: error-rate"), "{bad}");
    assert_eq!((runs(cluster, "green"), runs(cluster, "blue")), (image("1.0.1", all), image("1.0.2", 0)));

    std::fs::remove_file(&log).expect("the calls");
    if let Some((manifest, _)) = way_back.meanwhile {
        cluster.create(manifest);
    }
    let back = kf(s, &["rollback", "bot", "--reason", "a test"]);
    assert_eq!((back.code, production(s)), (Some(0), value!("1.0.0")), "{back}");
    assert_eq!((runs(cluster, "blue"), runs(cluster, "green").1), (image("1.0.0", all), value!(0)));
    let made = std::fs::read_to_string(&log).expect("the calls");
    // A live cluster takes its time for pods, which kf looks at again and again.
    let before = made.lines().position(|call| call == format!("patch {}", way_back.object)).expect("it is changed");
    let few = before <= way_back.before && made.lines().count() <= way_back.all;
    assert!(cluster.is_live() || few, "{before} of {} calls come before: {made}", made.lines().count());
    let said = way_back.meanwhile.map_or("", |(_, said)| said);
    assert!(back.to_string().contains(said), "{back}");
    ok(s, ["fsck"]);
    good.stdout + &good.stderr
}

/// As docs/kubernetes.md shows it, from an empty namespace on.
#[test]
fn by_the_selector_of_a_service() {
    let cluster = match Cluster::new() {
        Ok(cluster) => cluster,
        Err(why) => return skip(&why),
    };
    cluster.apply(&from_page("first", "yaml"));
    let up = || cluster.part("deployment/bot-blue", "/status/readyReplicas") == value!(2);
    assert!(wait_until(60, up), "the pods of the page come up");
    let page = from_page("first", "toml").replace("\"1m\"", "\"1s\"").replace("\"10m\"", "\"3s\"\nmin-requests = 20");
    // The steps of canaries do not matter to blue-green.
    let page = page.replace("[rollout.bot]\n", "[rollout.bot]\nsteps = [{ weight = 100 }]\n");
    let (_, rest) = page.split_once("namespace = \"rag\"\n").expect("where the cluster is");
    let ours = cluster.table(&cluster.counting().0, "");
    let (place, _) = ours.split_once("deployments = ").expect("where the cluster is");
    let start = ["deploy", "--strategy", "blue-green"];
    let way_back = Back { object: "services/bot", before: 8, all: 14, meanwhile: None };
    story(&cluster, [&format!("{place}{rest}"), "echo 0"], &start, &way_back);
    assert_eq!(cluster.part("service/bot", "/spec/selector"), value!({"app": "bot", "track": "blue"}));
}

const STEPS: &str = "{ weight = 25, hold = \"1s\" }, { weight = 100 }";

#[test]
fn by_replicas() {
    with(Cluster::new(), [4, 0], BOTH, |cluster| {
        let part = cluster.typed("get deployment bot-blue --output=jsonpath={.spec.replicas}");
        let said = "HorizontalPodAutoscaler `bot` may give Deployment `bot-blue` another number of pods again, unless that is 0";
        let way_back = Back { object: "deployments.apps/bot-green", before: 8, all: 18, meanwhile: Some((AUTOSCALER, said)) };
        story(&cluster, [&config(&cluster, BY_DEPLOYMENT, STEPS), &part], &["canary", "start"], &way_back);
    });
}

const HTTP_ROUTES: &str = "httproutes.gateway.networking.k8s.io/bot";

#[test]
fn by_the_weights_of_an_httproute() {
    with(Cluster::fake(), [2, 0], HTTP_ROUTE, |cluster| {
        let part = cluster.typed("get httproute bot --output=jsonpath={.spec.rules[1].backendRefs[0].weight}");
        let way_back = Back { object: HTTP_ROUTES, before: 10, all: 16, meanwhile: None };
        story(&cluster, [&config(&cluster, &by_route("httproute"), STEPS), &part], &["canary", "start"], &way_back);
    });
}

/// Where no gateway ever reports, the rollout goes by what is written, and says so.
#[test]
fn by_the_weights_of_an_httproute_that_no_gateway_reports_on() {
    with(Cluster::new(), [2, 0], HTTP_ROUTE, |cluster| {
        if !cluster.is_live() {
            cluster.plan("gateway", &value!({"mode": "none"}));
        }
        // Whoever reported on the route until now was of another gateway.
        cluster.patch("httproute/bot", &value!([{"op": "replace", "path": "/spec/parentRefs/0/name", "value": "nobody"}]));
        let part = cluster.typed("get httproute bot --output=jsonpath={.spec.rules[1].backendRefs[0].weight}");
        let way_back = Back { object: HTTP_ROUTES, before: 10, all: 14, meanwhile: None };
        let said = story(&cluster, [&config(&cluster, &by_route("httproute"), STEPS), &part], &["canary", "start"], &way_back);
        assert!(said.contains("no gateway reports on HTTPRoute `bot`"), "{said}");
        let weights = [0, 1].map(|i| cluster.part("httproute/bot", &format!("/spec/rules/1/backendRefs/{i}/weight")));
        assert_eq!(weights, [value!(100), value!(0)]);
    });
}

//! `kf rollback --emergency` at nginx and Envoy, the real ones, and in a cluster by the real `kubectl`, while the state is damaged, missing
//! or locked: what users get is the old version, and the state hears of it once.

use crate::canary::phase;
use crate::emergency::{EMERGENCY, How, entries, events, losing, moved};
use crate::kubernetes::{BOTH, BY_DEPLOYMENT, BY_SERVICE, HTTP_ROUTE, SERVICE, by_route, with};
use crate::kubernetes_rollouts::{config, figures, image, production, repository, runs};
use crate::repo::{next_bot, ok};
use crate::support::front::{Front, Kind, NEW, NEXT, OLD};
use crate::support::kube::Cluster;
use crate::support::rollout::live;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::skip;
use kf::base::weight::Weight;
use serde_json::{Value, json as value};
use std::time::Duration;

/// Goes back while the state is lost; where to.
#[track_caller]
fn goes_back(s: &Sandbox, how: How, more: &[&str]) -> Value {
    let lost = losing(s, how);
    let done = moved(&live(s, &[&EMERGENCY, more, &["--format", "json"]].concat()));
    assert_eq!((done["changed"].as_bool(), entries(s).len()), (Some(true), 1), "{done}");
    drop(lost);
    done
}

/// Nobody is named, and nothing tells where to: what is typed then.
#[track_caller]
fn wants(s: &Sandbox, how: How, command: &str) {
    let lost = losing(s, how);
    let refused: Run = live(s, &EMERGENCY);
    assert_eq!((refused.code, entries(s).len()), (Some(1), 0), "{refused}");
    assert!(refused.stderr.contains(command), "{refused}");
    drop(lost);
}

/// The next command takes the n-th entry in, and no later one does.
#[track_caller]
fn is_taken_in(s: &Sandbox, n: usize, version: &str) {
    let next = live(s, &["status"]);
    assert!(next.code == Some(0) && next.stderr.contains("is in the audit log now"), "{next}");
    let after = live(s, &["status"]);
    assert!(after.code == Some(0) && after.stderr.is_empty(), "{after}");
    assert_eq!((events(s).len(), entries(s).len(), production(s)), (n, 0, value!(version)));
    ok(s, ["fsck"]);
}

/// Has a canary that lasts with this part of the traffic.
#[track_caller]
fn lasts(s: &Sandbox, percent: f64) {
    let up = (0..150).any(|_| {
        live(s, &["canary", "tick", "bot"]);
        std::thread::sleep(Duration::from_millis(200));
        phase(s)["weight"] == percent
    });
    assert!(up, "{}", phase(s));
}

fn by_front(kind: Kind) {
    let mut front = match Front::stopped(kind) {
        Ok(front) => front,
        Err(why) => return skip(&why),
    };
    let s = &Sandbox::new();
    let plan = |hold: &str| {
        let steps = format!("[rollout.bot]\nsteps = [{{ weight = 60, hold = \"{hold}\" }}, {{ weight = 100 }}]\n");
        let counts = "window = \"1s\"\nmonitor = \"3s\"\nmin-requests = 20\n[rollout.bot.source]\nkind = \"command\"\ncommand = [\"sh\", \"count.sh\"]\n";
        s.write("mlops.toml", format!("{}{steps}{counts}[policy]\nskip-staging = true\n", front.mlops("")));
    };
    // All of the traffic is with the canary when it alone is asked for.
    let file = front.file().display().to_string();
    s.write("count.sh", format!("if grep -q 'weight[\\]*\":10000,[\\]*\"shadow' '{file}'; then cat all; else cat part; fi\n"));
    s.write("part", figures("1.1.0", 67));
    s.write("all", figures("1.1.0", 0));
    plan("1h");
    s.works(["init"]);
    let register = |version: &str| {
        s.write("bot/prompt.txt", format!("you are number {version}"));
        s.works(["register", "bot", "bot", "--version", version]);
    };
    register("1.0.0");
    s.works(["promote", "bot@1.0.0", "--to", "production", "--no-traffic"]);
    register("1.1.0");
    for version in [OLD, NEW, NEXT] {
        front.up(version);
    }
    live(s, &["canary", "start", "bot@1.1.0", "--detach"]);
    live(s, &["canary", "tick", "bot"]);
    front.run();
    lasts(s, 60.0);
    let done = goes_back(s, How::Damaged, &[]);
    assert_eq!((done["from"].as_str(), done["to"].as_str()), (Some("1.1.0"), Some("1.0.0")), "{done}{}", front.log());
    assert_eq!((front.seen().weight, front.ask("")), (Weight::NONE, "1.0.0".to_owned()));
    is_taken_in(s, 1, "1.0.0");
    assert_eq!(phase(s)["phase"], "rolled-back");

    // After a release the file says what it replaced.
    s.write("mlops.toml", s.read("mlops.toml").replace("\"1h\"", "\"1s\""));
    register("1.2.0");
    let released = live(s, &["canary", "start", "bot@1.2.0"]);
    assert_eq!((released.code, front.ask("")), (Some(0), "1.2.0".to_owned()), "{released}{}", front.log());
    let done = goes_back(s, How::Missing, &[]);
    assert_eq!((done["from"].as_str(), done["to"].as_str()), (Some("1.2.0"), Some("1.0.0")), "{done}");
    assert_eq!(front.ask(""), "1.0.0");
    is_taken_in(s, 2, "1.0.0");

    // Nothing is known below that: a version has to be named, and must answer.
    wants(s, How::Locked, "`kf rollback bot --emergency --to VERSION`, with a version that runs there");
    front.down(NEW);
    let lost = losing(s, How::Missing);
    let silent = live(s, &[&EMERGENCY[..], &["--to", "1.1.0", "--max-wait", "1s"]].concat());
    assert!(silent.code == Some(1) && silent.stderr.contains("bot@1.1.0"), "{silent}");
    drop(lost);
    let red = live(s, &["status"]);
    assert_eq!((red.code, events(s).len(), front.ask("").as_str()), (Some(0), 3, "1.0.0"), "what failed is told, too: {red}");
    let done = goes_back(s, How::Locked, &["--to", "1.2.0"]);
    assert_eq!((done["to"].as_str(), front.ask("").as_str()), (Some("1.2.0"), "1.2.0"), "{done}");
    is_taken_in(s, 4, "1.2.0");
}

#[test]
fn nginx_goes_back() {
    by_front(Kind::Nginx);
}

#[test]
fn envoy_goes_back() {
    by_front(Kind::Envoy);
}

/// `start` releases a version, which lasts with so many percent.
fn by_cluster(cluster: &Cluster, [keys, steps, part]: [&str; 3], start: &[&str], (percent, all): (f64, u32)) {
    let s = &repository(&config(cluster, keys, steps), part);
    let quick = s.read("mlops.toml");
    s.write("mlops.toml", quick.replace("hold = \"1s\"", "hold = \"1h\"").replace("monitor = \"3s\"", "monitor = \"1h\""));
    next_bot(s, 6);
    let started = live(s, &[start, &["bot@1.0.1", "--detach"]].concat());
    assert_eq!(started.code, Some(0), "{started}");
    lasts(s, percent);
    let done = goes_back(s, How::Damaged, &[]);
    assert_eq!((done["from"].as_str(), done["to"].as_str()), (Some("1.0.1"), Some("1.0.0")), "{done}");
    assert_eq!((runs(cluster, "blue"), runs(cluster, "green").1), (image("1.0.0", all), value!(0)));
    is_taken_in(s, 1, "1.0.0");
    assert_eq!(phase(s)["phase"], "rolled-back");

    // What was replaced is written beside what replaced it, and its Deployment is there without pods.
    s.write("mlops.toml", quick);
    s.write("part-1.0.2", figures("1.0.1", 33));
    s.write("all-1.0.2", figures("1.0.1", 0));
    next_bot(s, 7);
    let released = live(s, &[start, &["bot@1.0.2"]].concat());
    assert_eq!(
        (released.code, runs(cluster, "green"), runs(cluster, "blue").1),
        (Some(0), image("1.0.2", all), value!(0)),
        "{released}"
    );
    let before = cluster.part("deployment/bot-green", "/metadata/annotations");
    assert_eq!(before["kf.dev/replaces"], "1.0.0", "{before}");
    let done = goes_back(s, How::Missing, &[]);
    assert_eq!((done["from"].as_str(), done["to"].as_str()), (Some("1.0.2"), Some("1.0.0")), "{done}");
    assert_eq!((runs(cluster, "blue"), runs(cluster, "green").1), (image("1.0.0", all), value!(0)));
    is_taken_in(s, 2, "1.0.0");

    wants(s, How::Locked, "`kf rollback bot --emergency --to 1.0.2`");
    let done = goes_back(s, How::Locked, &["--to", "1.0.2"]);
    assert_eq!(done["to"], "1.0.2", "{done}");
    assert_eq!((runs(cluster, "green"), runs(cluster, "blue").1), (image("1.0.2", all), value!(0)));
    is_taken_in(s, 3, "1.0.2");
}

const STEPS: &str = "{ weight = 75, hold = \"1s\" }, { weight = 100 }";

/// The canary has more pods than what serves beside it: who has more does not tell which is which.
#[test]
fn replicas_go_back() {
    with(Cluster::new(), [4, 0], BOTH, |cluster| {
        let part = cluster.typed("get deployment bot-blue --output=jsonpath={.spec.replicas}");
        by_cluster(&cluster, [BY_DEPLOYMENT, STEPS, &part], &["canary", "start"], (75.0, 4));
    });
}

#[test]
fn the_weights_of_an_httproute_go_back() {
    with(Cluster::new(), [2, 0], HTTP_ROUTE, |cluster| {
        let part = cluster.typed("get httproute bot --output=jsonpath={.spec.rules[1].backendRefs[0].weight}");
        by_cluster(&cluster, [&by_route("httproute"), STEPS, &part], &["canary", "start"], (75.0, 2));
    });
}

/// While it is watched whether the new version holds, it has everything already.
#[test]
fn the_selector_of_a_service_goes_back() {
    with(Cluster::new(), [2, 0], SERVICE, |cluster| {
        let start = ["deploy", "--strategy", "blue-green"];
        by_cluster(&cluster, [BY_SERVICE, "{ weight = 100 }", "echo 0"], &start, (100.0, 2));
        assert_eq!(cluster.part("service/bot", "/spec/selector"), value!({"app": "bot", "track": "green"}));
    });
}

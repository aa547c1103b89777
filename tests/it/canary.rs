//! Canaries of the real binary through a real gateway: good ones are promoted, bad ones taken back, and who dies is followed.

use crate::repo::{ends, json, ok};
use crate::schemas::fit;
use crate::support::gateway::{Gateway, Place, configure, register, repository};
use crate::support::rollout::{Asked, Users, in_production, live as kf, proof};
use crate::support::sandbox::Sandbox;
use crate::support::wait_until;
use serde_json::{Value, json as value};
use std::process::Stdio;
use std::time::Duration;

pub(crate) const PLAN: &str = "[rollout.bot]\nsteps = [{ weight = 30, hold = \"1s\" }, { weight = 60, hold = \"1s\" }, { weight = 100 }]\n\
    window = \"1s\"\nmonitor = \"3s\"\nmin-requests = 20\n[policy]\nskip-staging = true\n";

/// A kf that drives a rollout; killed when dropped.
pub(crate) struct Driver(std::process::Child);

impl Driver {
    pub(crate) fn start(s: &Sandbox, args: &[&str]) -> Self {
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        command.env_remove("KF_CLOCK").args(args).stdout(Stdio::null()).stderr(Stdio::null());
        Self::of(command)
    }

    pub(crate) fn of(mut command: std::process::Command) -> Self {
        Self(command.spawn().expect("kf starts"))
    }

    pub(crate) fn ended(mut self) -> Option<i32> {
        self.0.wait().expect("ended").code()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn phase(s: &Sandbox) -> Value {
    json(&kf(s, &["canary", "status", "bot", "--format", "json"]))
}

#[test]
fn a_good_version_is_promoted_and_a_bad_one_taken_back() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, PLAN);
    let _gateway = Gateway::serving(s);
    let users = Users::of(place.users);
    register(s, &value!({"fail": 3}));
    let refused = ends(s, 1, ["promote", "bot@1.0.1", "--to", "production"]);
    assert!(refused.stderr.contains("has not finished a rollout"), "{refused}");
    let back = kf(s, &["canary", "start", "bot@1.0.1"]);
    assert_eq!(back.code, Some(3), "{back}");
    assert!(back.stdout.contains("was taken back: error-rate"), "{back}");
    fit("canary", &[phase(s), json(&kf(s, &["canary", "start", "bot@1.0.1", "--dry-run", "--format", "json"]))]);
    assert_eq!(proof(s)["check"], "error-rate");
    fit("canary-explain", &[json(&ok(s, ["canary", "explain", "bot", "--format", "json"]))]);
    register(s, &value!({"better": true}));
    let done = kf(s, &["canary", "start", "bot@1.0.2"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(in_production(s), "1.0.2");
    let rolled = kf(s, &["rollback", "bot", "--reason", "a test"]);
    assert_eq!(rolled.code, Some(0), "{rolled}");
    assert_eq!(place.get("/"), (200, "1.0.0".to_owned()));
    assert_eq!(in_production(s), "1.0.0");
    let Asked { all, lost, .. } = users.end();
    assert!(all > 100 && lost == 0, "{lost} of {all} got no answer");
    fit("canary", &[phase(s)]);
    fit("canary-explain", &[json(&ok(s, ["canary", "explain", "bot", "--format", "json"]))]);
    fit("canary-history", &[json(&ok(s, ["canary", "history", "--format", "json"]))]);
    ok(s, ["fsck"]);
}

/// The gateway's own fuse is quicker than the judge where nearly all fails.
#[test]
fn what_the_fuse_took_out_is_taken_back() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, &PLAN.replace("window = \"1s\"", "window = \"60s\""));
    let _gateway = Gateway::serving(s);
    let users = Users::of(place.users);
    register(s, &value!({"fail": true}));
    let back = kf(s, &["canary", "start", "bot@1.0.1"]);
    assert_eq!((back.code, phase(s)["phase"].as_str()), (Some(3), Some("rolled-back")), "{back}");
    assert!(back.stdout.contains("the target took it back: ") && back.stdout.contains("requests of the canary failed"), "{back}");
    assert_eq!(place.get("/"), (200, "1.0.0".to_owned()));
    users.end();
    ok(s, ["fsck"]);
}

#[test]
fn whoever_is_killed_is_followed_and_two_never_drive() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, PLAN);
    let _gateway = Gateway::serving(s);
    let users = Users::of(place.users);
    register(s, &value!({"better": true}));
    let planned = kf(s, &["canary", "start", "bot@1.0.1", "--detach"]);
    assert_eq!(planned.code, Some(0), "{planned}");
    for round in 0..4_u64 {
        let driver = Driver::start(s, &["canary", "run", "bot"]);
        std::thread::sleep(Duration::from_millis(700 + 137 * round));
        if phase(s)["open"] == true {
            let second = kf(s, &["canary", "run", "bot"]);
            assert!(matches!(second.code, Some(11 | 0)), "{second}");
        }
        drop(driver);
    }
    let done = kf(s, &["canary", "run", "bot"]);
    assert_eq!((done.code, phase(s)["phase"].as_str()), (Some(0), Some("finished")), "{done}");
    assert_eq!(place.get("/"), (200, "1.0.1".to_owned()));
    let Asked { all, lost, .. } = users.end();
    assert!(all > 100 && lost == 0, "{lost} of {all} got no answer");
    ok(s, ["fsck"]);
}

/// What a plan names is not needed to take a canary back.
#[test]
fn the_way_back_needs_no_plan() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    s.write("mlops.toml", s.read("mlops.toml").replace("[rollout.bot]", "[rollout.other]"));
    let other = kf(s, &["rollback", "bot", "--expect", "7.7.7"]);
    assert!(other.code == Some(1) && other.stderr.contains("expected bot@7.7.7 in production"), "{other}");
    assert_eq!(phase(s)["weight"], 30.0, "nobody was moved");
    let back = kf(s, &["canary", "abort", "bot", "--reason", "a test"]);
    assert_eq!(
        (back.code, phase(s)["phase"].as_str(), phase(s)["weight"].as_f64()),
        (Some(0), Some("rolled-back"), Some(0.0)),
        "{back}"
    );
    assert_eq!(place.get("/"), (200, "1.0.0".to_owned()));
    ok(s, ["fsck"]);
}

/// What has broken for both is not the new version's fault: neither the fuse nor the judge moves anybody, and it goes on by itself.
#[test]
fn while_both_versions_fail_nobody_is_moved() {
    let s = &Sandbox::new();
    let place = repository(s);
    let outage = s.work().join("outage");
    let both = value!({"fail_while": outage.display().to_string()});
    register(s, &both);
    configure(s, &place, &PLAN.replace("hold = \"1s\"", "hold = \"1h\""));
    ok(s, ["promote", "bot@1.0.1", "--to", "production", "--no-traffic"]);
    let _gateway = Gateway::serving(s);
    register(s, &value!({"fail_while": outage.display().to_string(), "better": true}));
    let driver = Driver::start(s, &["canary", "start", "bot@1.0.2"]);
    let up = || kf(s, &["canary", "status", "bot"]).stdout.contains("observing, step 1 of 3, 30 %");
    assert!(wait_until(60, up), "{}", phase(s));
    s.write("outage", "the database is down");
    let users = Users::of(place.users);
    assert!(wait_until(60, || phase(s)["held"] == value!({"judge": "both-broken"})), "{}", phase(s));
    let counters = || place.ask("GET", "/v1/counters", "", &Value::Null).1;
    let failed = || counters()["arms"]["1.0.2"]["errors"].as_u64() >= Some(40);
    assert!(wait_until(60, failed) && counters()["fuse"].is_null(), "{}", counters()["fuse"]);
    assert_eq!(phase(s)["weight"], 30.0);
    let told = kf(s, &["canary", "status", "bot"]);
    assert!(told.code == Some(4) && told.stdout.contains("held (both broken)"), "{told}");
    users.end();
    let back = kf(s, &["canary", "abort", "bot", "--reason", "the outage is enough"]);
    assert!(back.code == Some(0) && back.stdout.contains("was taken back: aborted: by order: the outage is enough"), "{back}");
    assert_eq!(driver.ended(), Some(0));
    ok(s, ["fsck"]);
}

/// Nobody asks anything any more once it has all of the traffic: that is told once, and not again with each window.
#[test]
fn a_monitor_without_requests_is_told_once() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, &PLAN.replace("monitor = \"3s\"", "monitor = \"1h\""));
    let _gateway = Gateway::serving(s);
    let users = Users::of(place.users);
    register(s, &value!({"better": true}));
    let planned = kf(s, &["canary", "start", "bot@1.0.1", "--detach"]);
    assert_eq!(planned.code, Some(0), "{planned}");
    let log = std::fs::File::create(s.work().join("told")).expect("a file");
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    command.env_remove("KF_CLOCK").args(["canary", "run", "bot"]).stdout(Stdio::null()).stderr(log);
    let driver = Driver(command.spawn().expect("kf starts"));
    assert!(wait_until(60, || phase(s)["phase"] == "monitoring"), "{}", phase(s));
    users.end();
    let held = || phase(s)["held"] == value!({"judge": "no-data"});
    assert!(wait_until(60, held), "{}", phase(s));
    let windows = || json(&ok(s, ["canary", "explain", "bot", "--format", "json"]))["windows"].as_u64();
    let before = windows();
    assert!(wait_until(60, || windows() >= before.map(|n| n + 6)), "{before:?}");
    let told = s.read("told");
    assert_eq!(told.matches("got no request").count(), 1, "{told}");
    assert!(held(), "{}", phase(s));
    drop(driver);
    ok(s, ["canary", "abort", "bot"]);
}

/// Whoever asks again to go back goes on with what was begun, and does not take the way back itself back.
#[test]
fn a_way_back_that_was_interrupted_goes_on() {
    let s = &Sandbox::new();
    let place = repository(s);
    register(s, &value!({"bad": true}));
    configure(s, &place, PLAN);
    ok(s, ["promote", "bot@1.0.1", "--to", "production", "--no-traffic"]);
    let driver = Driver::start(s, &["rollback", "bot", "--reason", "nobody is there"]);
    let tried = || kf(s, &["canary", "status", "bot"]).stdout.contains("error 1 in a row");
    assert!(wait_until(60, tried), "the gateway does not run: {}", phase(s));
    drop(driver);
    let _gateway = Gateway::serving(s);
    assert_eq!(place.get("/"), (200, "1.0.1".to_owned()));
    let other = kf(s, &["rollback", "bot", "--to", "1.0.1"]);
    assert!(other.code == Some(1) && other.stderr.contains("goes back to another version"), "{other}");
    kf(s, &["canary", "pause", "bot"]);
    let back = kf(s, &["rollback", "bot"]);
    assert_eq!((back.code, phase(s)["phase"].as_str()), (Some(0), Some("finished")), "{back}");
    assert_eq!(place.get("/"), (200, "1.0.0".to_owned()));
    assert_eq!(in_production(s), "1.0.0");
    ok(s, ["fsck"]);
}

/// Has a canary with a part of the traffic, which lasts.
pub(crate) fn canary_at_30(s: &Sandbox, place: &Place) {
    configure(s, place, &PLAN.replace("hold = \"1s\"", "hold = \"1h\""));
    register(s, &value!({"better": true}));
    let planned = kf(s, &["canary", "start", "bot@1.0.1", "--detach"]);
    assert_eq!(planned.code, Some(0), "{planned}");
    let up = (0..60).any(|_| {
        kf(s, &["canary", "tick", "bot"]);
        std::thread::sleep(Duration::from_millis(200));
        phase(s)["weight"] == 30.0
    });
    assert!(up, "{}", phase(s));
}

/// What cannot be done from here is not ordered: a canary whose target is no longer said keeps what it has, and is told of.
#[test]
fn a_target_that_is_no_longer_said_refuses_the_way_back_before_it_is_ordered() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    let said = s.read("mlops.toml");
    s.write("mlops.toml", said.replace("[target.local]", "[target.other]"));
    let events = || json(&ok(s, ["audit", "log", "--format", "json"]))["entries"].as_array().expect("entries").len();
    let before = events();
    for args in [&["canary", "abort", "bot"][..], &["rollback", "bot"], &["rollback", "bot", "--emergency"]] {
        let refused = kf(s, args);
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.stderr.contains("has no `[target.local]` any more") && refused.stderr.contains("30 %"), "{refused}");
    }
    s.write("mlops.toml", "[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\n");
    let refused = kf(s, &["rollback", "bot"]);
    assert_eq!(refused.code, Some(2), "the registry alone would leave users where they are: {refused}");
    assert_eq!((events(), phase(s)["phase"].as_str()), (before, Some("observing")), "{}", phase(s));
    s.write("mlops.toml", said);
    let back = kf(s, &["canary", "abort", "bot"]);
    assert_eq!((back.code, place.get("/").1.as_str()), (Some(0), "1.0.0"), "{back}");
    ok(s, ["fsck"]);
}

/// Nobody waits without end for a target that is gone; the order stays, and is carried out when it is there again.
#[test]
fn a_way_back_waits_no_longer_than_it_is_told() {
    let s = &Sandbox::new();
    let place = repository(s);
    let gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    drop(gateway);
    for args in [&["canary", "abort", "bot"][..], &["rollback", "bot"], &["rollback", "bot", "--emergency"]] {
        let given_up = kf(s, &[args, &["--max-wait", "1s"]].concat());
        assert_eq!(given_up.code, Some(1), "{given_up}");
        for words in ["did not take bot@1.0.1 back within 1 s", "the order is recorded", "30 %", "`kf canary run "] {
            assert!(given_up.stderr.contains(words), "{words}: {given_up}");
        }
        assert_eq!(phase(s)["phase"], "rolling-back");
    }
    let _gateway = Gateway::serving(s);
    let back = kf(s, &["canary", "run", "bot"]);
    assert_eq!((back.code, place.get("/").1.as_str()), (Some(0), "1.0.0"), "{back}");
    assert_eq!(phase(s)["phase"], "rolled-back");
    ok(s, ["fsck"]);
}

/// Whoever looks at a canary that does not come up is told why, in its own last words; and a dry run needs nobody to drive it.
#[test]
fn the_status_says_on_what_a_canary_waits() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, PLAN);
    let _gateway = Gateway::serving(s);
    register(s, &value!({"unready": true}));
    let dry = kf(s, &["deploy", "bot@1.0.1", "--dry-run"]);
    assert!(dry.code == Some(0) && !dry.stdout.contains("nobody drives it"), "{dry}");
    kf(s, &["canary", "start", "bot@1.0.1", "--detach"]);
    kf(s, &["canary", "tick", "bot"]);
    let waits = phase(s)["waits"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(waits.starts_with("version 1.0.1: "), "{waits}");
    let paused = json(&kf(s, &["canary", "pause", "bot", "--format", "json"]));
    fit("canary", &[phase(s), paused]);
    kf(s, &["canary", "resume", "bot"]);
    let shown = kf(s, &["canary", "status", "bot"]);
    assert!(shown.stdout.contains("waits for: version 1.0.1: "), "{shown}");
    let ticked = kf(s, &["canary", "tick", "bot"]);
    assert!(ticked.stderr.contains("waits: version 1.0.1: "), "{ticked}");
}

/// Who stopped a rollout, and why, is told for as long as it stands still, and stays to be read.
#[test]
fn who_ordered_what_and_why_is_told() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    let order = ["--as", "ada@example.com", "--ticket", "OPS-7", "--reason"];
    kf(s, &[&["canary", "pause", "bot"], &order[..], &["release freeze"]].concat());
    kf(s, &["canary", "tick", "bot"]);
    let told = kf(s, &["canary", "status", "bot"]);
    assert!(told.stdout.contains("stands still since ") && told.code == Some(4), "{told}");
    assert!(told.stdout.contains(": paused by ada@example.com, OPS-7: release freeze\n"), "{told}");
    fit("canary", &[phase(s)]);
    let by = value!({"actor": "ada@example.com", "ticket": "OPS-7", "reason": "release freeze"});
    assert_eq!(phase(s)["halt"]["by"], by, "{}", phase(s));
    let waits = kf(s, &["canary", "run", "bot", "--max-wait", "1s"]);
    let typed = "it stands still until somebody lets it go on: `kf canary resume bot` or `kf canary abort bot`";
    assert!(waits.code == Some(4) && waits.stderr.matches(typed).count() == 1, "{waits}");
    kf(s, &["canary", "resume", "bot"]);
    assert_eq!(phase(s)["halt"], Value::Null);

    kf(s, &[&["canary", "abort", "bot"], &order[..], &["answers in the wrong language"]].concat());
    let explained = ok(s, ["canary", "explain", "bot"]).stdout;
    let line = explained.lines().find(|line| line.contains("aborted")).expect("the order");
    let words: Vec<&str> = line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    let end = ["rolling back", "ada@example.com", "OPS-7", "aborted: by order: answers in the wrong language"];
    assert!(words.ends_with(&end), "{line}");
    let explained = json(&ok(s, ["canary", "explain", "bot", "--format", "json"]));
    let abort = explained["decisions"].as_array().expect("decisions").iter().find(|d| d["what"] == "abort").expect("the order");
    assert_eq!([&abort["actor"], &abort["ticket"]], ["ada@example.com", "OPS-7"], "{abort}");
    assert_eq!(abort["reason"], "answers in the wrong language");
    fit("canary-explain", &[explained]);
}

/// What stands still because somebody changed the weight says so, and what to type; that sets the weight again.
#[test]
fn a_weight_that_somebody_changed_is_set_again_by_who_resumes() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    let (status, _) = place.route(&value!({"stable": "1.0.0", "canary": "1.0.1", "weight": 0, "shadow": 0}));
    assert_eq!(status, 200);
    let held = kf(s, &["canary", "run", "bot", "--max-wait", "1s"]);
    assert!(held.code == Some(4) && held.stdout.contains(": the target shows 0 %, 30 % was set\n"), "{held}");
    assert!(held.stderr.contains("lets it go on: `kf canary resume bot` or `kf canary abort bot`"), "{held}");
    kf(s, &["canary", "resume", "bot"]);
    let up = || {
        kf(s, &["canary", "tick", "bot"]);
        phase(s)["weight"] == 30.0 && phase(s)["held"].is_null()
    };
    assert!(wait_until(60, up), "{}", phase(s));
    ok(s, ["fsck"]);
}

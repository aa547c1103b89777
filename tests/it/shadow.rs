//! Shadows of the real binary through a real gateway: versions are judged on copies, and users notice nothing.

use crate::canary::{Driver, phase};
use crate::repo::{json, ok};
use crate::support::gateway::{Gateway, Place, configure, register, repository};
use crate::support::rollout::{Asked, Users, live as kf};
use crate::support::sandbox::{Run, Sandbox};
use serde_json::{Value, json as value};
use std::time::Duration;

const PLAN: &str =
    "[rollout.bot]\nshadow = 50\nshadow-hold = \"3s\"\nwindow = \"1s\"\nmin-requests = 20\n[policy]\nskip-staging = true\n";

fn deploy(s: &Sandbox, version: &str, more: &[&str]) -> Run {
    kf(s, &[&["deploy", version, "--strategy", "shadow"], more].concat())
}

/// Makes sure that no copies are made, and that the version is stopped, which may take the time of a request.
fn gone(place: &Place, version: &str) {
    assert_eq!(place.ask("GET", "/v1/table", "", &Value::Null).1["table"]["shadow"], 0);
    let stopped = || !place.ask("GET", "/v1/versions", "", &Value::Null).1["versions"].to_string().contains(version);
    assert!(crate::support::wait_until(60, stopped), "{version} still runs");
}

fn only_stable(users: Users) {
    let Asked { all, lost, answers } = users.end();
    assert!(all > 100 && lost == 0, "{lost} of {all} got no answer");
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), [(200, "1.0.0".to_owned())], "users got what is in production");
}

#[test]
fn a_good_and_a_bad_version_are_told_apart_and_users_get_neither() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, PLAN);
    let _gateway = Gateway::serving(s);
    let users = Users::of(place.users);
    register(s, &value!({"fail": 3}));
    let would = deploy(s, "bot@1.0.1", &["--dry-run"]);
    assert!(would.code == Some(0) && would.stdout.contains("shadow bot@1.0.1 against bot@1.0.0"), "{would}");
    gone(&place, "1.0.1");
    let bad = deploy(s, "bot@1.0.1", &[]);
    assert_eq!(bad.code, Some(3), "{bad}");
    assert!(bad.stdout.contains("the shadow of bot@1.0.1 was ended: error-rate"), "{bad}");
    assert!(bad.stdout.contains("not judged: faithfulness: no user gets the answers of a shadow"), "{bad}");
    let explained = json(&ok(s, ["canary", "explain", "bot", "--format", "json"]));
    let decisions = explained["decisions"].as_array().expect("decisions");
    let judged = &decisions.iter().find(|d| !d["judgement"].is_null()).expect("a judgement")["judgement"];
    let rate = judged["findings"].as_array().expect("findings").iter().find(|f| f["check"] == "error-rate").expect("judged");
    let (canary, stable) = (rate["estimate"].as_f64().expect("a rate"), rate["stable"].as_f64().expect("a rate"));
    assert!((0.2..0.5).contains(&canary) && stable == 0.0, "the rates of the copies and of the users: {rate}");
    gone(&place, "1.0.1");

    register(s, &value!({"better": true}));
    let good = deploy(s, "bot@1.0.2", &[]);
    assert_eq!(good.code, Some(0), "{good}");
    assert!(good.stdout.contains("kept to its limits on copies") && good.stdout.contains("kf canary start bot@1.0.2"), "{good}");
    assert_eq!(json(&ok(s, ["show", "bot@production", "--format", "json"]))["version"], "1.0.0");
    gone(&place, "1.0.2");
    let refused = kf(s, &["promote", "bot@1.0.2", "--to", "production"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("has not finished a rollout"), "{refused}");
    let listed = ok(s, ["canary", "history", "bot"]).stdout;
    assert!(listed.contains("finished") && listed.contains("rolled back"), "{listed}");
    only_stable(users);
    ok(s, ["fsck"]);
}

#[test]
fn who_is_killed_is_followed_and_a_way_back_ends_it() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, PLAN);
    let _gateway = Gateway::serving(s);
    let users = Users::of(place.users);
    register(s, &value!({"better": true}));
    let planned = deploy(s, "bot@1.0.1", &["--detach"]);
    assert_eq!(planned.code, Some(0), "{planned}");
    for round in 0..3_u64 {
        let driver = Driver::start(s, &["canary", "run", "bot"]);
        std::thread::sleep(Duration::from_millis(400 + 437 * round));
        drop(driver);
    }
    let done = kf(s, &["canary", "run", "bot"]);
    assert_eq!((done.code, phase(s)["phase"].as_str()), (Some(0), Some("finished")), "{done}");
    gone(&place, "1.0.1");

    configure(s, &place, &PLAN.replace("3s", "1h"));
    register(s, &value!({"best": true}));
    let planned = deploy(s, "bot@1.0.2", &["--detach"]);
    assert_eq!(planned.code, Some(0), "{planned}");
    let up = crate::support::wait_until(60, || {
        kf(s, &["canary", "tick", "bot"]);
        phase(s)["weight"] == 50.0
    });
    assert!(up, "{}", phase(s));
    assert_eq!((kf(s, &["canary", "pause", "bot"]).code, phase(s)["held"].as_str()), (Some(0), Some("paused")));
    let promoted = kf(s, &["canary", "promote", "bot", "--full"]);
    assert!(promoted.code == Some(1) && promoted.stderr.contains("is not promoted"), "{promoted}");
    // Whoever goes back means what is in production, which has nothing before it here; the shadow ends all the same.
    let back = kf(s, &["rollback", "bot"]);
    assert!(back.code == Some(1) && back.stderr.contains("no earlier good production version"), "{back}");
    assert_eq!(phase(s)["phase"], "rolled-back");
    gone(&place, "1.0.2");
    only_stable(users);
    ok(s, ["fsck"]);
}

//! `kf rollback` where registry and targets do not agree, and where a model has several: what counts is what users get.

use crate::canary::{PLAN, canary_at_30, phase};
use crate::repo::{json, ok};
use crate::support::gateway::{Gateway, Place, configure, register, repository};
use crate::support::rollout::{Users, in_production, live as kf};
use crate::support::sandbox::Sandbox;
use crate::support::{free_port, wait_until};
use serde_json::json as value;

/// What users get, and what the registry says.
fn both(s: &Sandbox, place: &Place) -> (String, String) {
    (place.get("/").1, in_production(s))
}

fn versions(users: &str, registry: &str) -> (String, String) {
    (users.to_owned(), registry.to_owned())
}

/// A registry that went back while users stayed where they were is followed by each form of the command.
#[test]
fn users_follow_a_registry_that_went_back_without_them() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, PLAN);
    register(s, &value!({"better": true}));
    ok(s, ["promote", "bot@1.0.1", "--to", "production", "--no-traffic"]);
    let gateway = Gateway::serving(s);
    ok(s, ["rollback", "bot", "--no-traffic"]);
    for args in [
        &["rollback", "bot"][..],
        &["rollback", "bot", "--to", "1.0.0"],
        &["rollback", "bot", "--to", "1.0.0", "--emergency"],
        &["deploy", "bot@1.0.0", "--strategy", "all-at-once"],
    ] {
        place.start(s, "1.0.1");
        let routed = place.route(&value!({"stable": "1.0.1"}));
        assert_eq!((routed.0, both(s, &place)), (200, versions("1.0.1", "1.0.0")), "{routed:?}");
        let users = args.contains(&"deploy").then(|| Users::of(place.users));
        let back = kf(s, args);
        assert_eq!((back.code, both(s, &place)), (Some(0), versions("1.0.0", "1.0.0")), "{args:?} {back}");
        let told = "local serves bot@1.0.1, and 1.0.0 is in production";
        assert_eq!(back.stderr.contains(told), args.contains(&"rollback"), "{args:?} {back}");
        drop(users);
    }
    let there = kf(s, &["rollback", "bot", "--to", "1.0.0"]);
    assert!(there.code == Some(0) && there.stdout.contains("is in production already"), "{there}");
    drop(gateway);
    let unknown = kf(s, &["rollback", "bot", "--to", "1.0.0"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("does not say what it serves"), "{unknown}");
    ok(s, ["fsck"]);
}

/// Users that never got what was promoted stay where they are: nobody waits for the version that is left.
#[test]
fn a_version_that_never_had_traffic_is_left_without_waiting_for_it() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, PLAN);
    let _gateway = Gateway::serving(s);
    register(s, &value!({"unready": true}));
    ok(s, ["promote", "bot@1.0.1", "--to", "production", "--no-traffic"]);
    assert_eq!(both(s, &place), versions("1.0.0", "1.0.1"));
    let back = kf(s, &["rollback", "bot", "--max-wait", "5s", "--reason", "it does not start"]);
    assert_eq!((back.code, both(s, &place)), (Some(0), versions("1.0.0", "1.0.0")), "{back}");
    // What somebody put on trial by hand leaves with it.
    register(s, &value!({"better": true}));
    ok(s, ["promote", "bot@1.0.2", "--to", "production", "--no-traffic"]);
    place.start(s, "1.0.2");
    assert_eq!(place.route(&value!({"stable": "1.0.0", "canary": "1.0.2", "weight": 5000})).0, 200);
    let back = kf(s, &["rollback", "bot"]);
    assert_eq!((back.code, both(s, &place)), (Some(0), versions("1.0.0", "1.0.0")), "{back}");
    assert!(place.ask("GET", "/v1/table", "", &serde_json::Value::Null).1["table"]["canary"].is_null());
    ok(s, ["fsck"]);
}

/// `two` beside `local`, which serves something else: version 1.0.0, while 1.0.1 is in production on `local`.
pub(crate) fn two_targets(s: &Sandbox) -> ([Place; 2], [Gateway; 2]) {
    let local = repository(s);
    let two = Place { users: free_port(), admin: free_port() };
    configure(s, &local, "");
    let (head, target) =
        s.read("mlops.toml").split_once("[target.local]").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two");
    let other = target.replace(&local.users.to_string(), &two.users.to_string());
    let other = other.replace(&local.admin.to_string(), &two.admin.to_string());
    s.write("mlops.toml", format!("{head}[target.local]{target}[target.two]{other}{PLAN}"));
    let second = Gateway::at(s, "two");
    register(s, &value!({"better": true}));
    ok(s, ["promote", "bot@1.0.1", "--to", "production", "--no-traffic"]);
    let first = Gateway::at(s, "local");
    assert_eq!([both(s, &local), both(s, &two)], [versions("1.0.1", "1.0.1"), versions("1.0.0", "1.0.1")]);
    ([local, two], [first, second])
}

#[test]
fn a_second_target_gets_what_is_in_production_and_all_go_back_together() {
    let s = &Sandbox::new();
    let ([local, two], _gateways) = two_targets(s);
    let nothing = kf(s, &["rollback", "bot", "--target", "two"]);
    assert!(nothing.code == Some(1) && nothing.stderr.contains("there is nothing to take back"), "{nothing}");
    let users = Users::of(two.users);
    let abort = kf(s, &["deploy", "bot@1.0.1", "--target", "two", "--strategy", "all-at-once", "--detach"]);
    assert_eq!(abort.code, Some(0), "{abort}");
    let aborted = kf(s, &["canary", "abort", "bot"]);
    assert_eq!((aborted.code, both(s, &two)), (Some(0), versions("1.0.0", "1.0.1")), "the stage stays: {aborted}");
    let done = kf(s, &["canary", "start", "bot@1.0.1", "--target", "two"]);
    assert_eq!((done.code, both(s, &two)), (Some(0), versions("1.0.1", "1.0.1")), "{done}");
    drop(users);
    let again = kf(s, &["canary", "start", "bot@1.0.1", "--target", "two"]);
    assert!(again.code == Some(1) && again.stderr.contains("is in production already"), "{again}");
    let back = kf(s, &["rollback", "bot", "--expect", "1.0.1"]);
    assert_eq!(back.code, Some(0), "{back}");
    assert_eq!([both(s, &local), both(s, &two)], [versions("1.0.0", "1.0.0"), versions("1.0.0", "1.0.0")], "{back}");
    assert!(back.stderr.contains("of local") && back.stdout.contains("of two"), "each is told: {back}");
    ok(s, ["fsck"]);
}

/// A rollout on one target is not what is meant where another one is named.
#[test]
fn only_the_target_that_is_named_goes_back() {
    let s = &Sandbox::new();
    let ([local, two], _gateways) = two_targets(s);
    let begun = kf(s, &["canary", "start", "bot@1.0.1", "--target", "two", "--detach"]);
    assert_eq!(begun.code, Some(0), "{begun}");
    let back = kf(s, &["rollback", "bot", "--target", "local", "--to", "1.0.0"]);
    assert_eq!((back.code, both(s, &local)), (Some(0), versions("1.0.0", "1.0.0")), "{back}");
    let all = json(&ok(s, ["canary", "history", "--format", "json"]));
    let open = all["rollouts"].as_array().expect("rollouts").iter().find(|r| r["open"] == true).cloned().unwrap_or_default();
    assert_eq!((open["target"].as_str(), open["version"].as_str()), (Some("two"), Some("1.0.1")), "{all}");
    let back = kf(s, &["rollback", "bot"]);
    assert_eq!((back.code, both(s, &two)), (Some(0), versions("1.0.0", "1.0.0")), "{back}");
    ok(s, ["fsck"]);
}

/// Nobody takes a version out of use that users get, and what cannot be promoted does not get the last of them.
#[test]
fn what_the_registry_would_refuse_is_told_before_the_last_step() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    let refused = kf(s, &["archive", "bot@1.0.1"]);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("is on trial in a rollout") && refused.stderr.contains("`kf canary abort bot`"), "{refused}");
    register(s, &value!({"other": true}));
    ok(s, ["promote", "bot@1.0.2", "--to", "production", "--no-traffic"]);
    kf(s, &["canary", "promote", "bot", "--full"]);
    let held = || {
        kf(s, &["canary", "tick", "bot"]);
        phase(s)["held"] == "refused"
    };
    assert!(wait_until(60, held), "{}", phase(s));
    let at = phase(s);
    assert_eq!((at["weight"].as_f64(), at["phase"].as_str()), (Some(30.0), Some("shifting")), "{at}");
    let why = at["reason"].as_str().unwrap_or_default();
    assert!(why.contains("expected bot@1.0.0 in production") && why.contains("`kf canary abort bot` takes it back"), "{why}");
    let back = kf(s, &["canary", "abort", "bot"]);
    assert_eq!((back.code, both(s, &place)), (Some(0), versions("1.0.0", "1.0.2")), "{back}");
    ok(s, ["archive", "bot@1.0.1"]);
}

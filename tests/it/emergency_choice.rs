//! Where `kf rollback --emergency` goes at a gateway, and what is told until users and registry agree again: a version that merely runs
//! is no way back, copies end, what no target has is refused at once, all targets of a model go together.

use crate::emergency::{EMERGENCY, How, entries, events, losing, moved};
use crate::repo::{json, ok};
use crate::schemas::fit;
use crate::support::gateway::{Gateway, Place, configure, digest, register, repository};
use crate::support::rollout::{in_production, live as kf};
use crate::support::sandbox::{Run, Sandbox};
use crate::support::wait_until;
use crate::way_back::two_targets;
use serde_json::{Value, json as value};

const PLANS: &str = "[rollout.bot]\nsteps = [{ weight = 100 }]\nwindow = \"1s\"\nmonitor = \"0s\"\nmin-requests = 1\nshadow = 50\nshadow-hold = \"1h\"\n\
    [rollout.smoky]\nsteps = [{ weight = 100 }]\nsmoke = [\"false\"]\n[policy]\nskip-staging = true\n";

/// Registers the next version and releases it to all users.
#[track_caller]
fn released(s: &Sandbox, place: &Place, version: &str) {
    register(s, &value!({"number": version}));
    let done = kf(s, &["deploy", &format!("bot@{version}"), "--strategy", "all-at-once", "--plan", "bot"]);
    assert_eq!((done.code, place.get("/").1.as_str()), (Some(0), version), "{done}");
}

fn serving(s: &Sandbox) -> (Place, Gateway) {
    let place = repository(s);
    configure(s, &place, PLANS);
    let gateway = Gateway::serving(s);
    (place, gateway)
}

/// Goes back while the state is gone.
fn emergency(s: &Sandbox, more: &[&str]) -> Run {
    let lost = losing(s, How::Missing);
    let run = kf(s, &[&EMERGENCY, more].concat());
    drop(lost);
    run
}

fn says(run: &Run, code: i32, words: &[&str]) {
    let told = format!("{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.code == Some(code) && told.contains(word), "{word}: {run}");
    }
}

/// 1.0.2 failed its smoke test and runs all the same; 1.0.3 was gone back from.
#[test]
fn a_version_that_was_refused_is_never_the_way_back() {
    let s = &Sandbox::new();
    let (place, _gateway) = serving(s);
    released(s, &place, "1.0.1");
    register(s, &value!({"number": "1.0.2"}));
    let refused = kf(s, &["canary", "start", "bot@1.0.2", "--plan", "smoky"]);
    says(&refused, 3, &["the smoke test says no"]);
    released(s, &place, "1.0.3");
    assert_eq!((kf(s, &["rollback", "bot"]).code, place.get("/").1.as_str()), (Some(0), "1.0.1"));
    released(s, &place, "1.0.4");
    // It is there to be taken by mistake.
    place.start(s, "1.0.2");

    let done = moved(&emergency(s, &["--reason", "burns", "--format", "json"]));
    assert_eq!([&done["from"], &done["to"]], ["1.0.4", "1.0.1"], "{done}");
    assert_eq!(place.get("/"), (200, "1.0.1".to_owned()));
    assert_eq!((kf(s, &["status"]).code, in_production(s).as_str()), (Some(0), "1.0.1"));
    says(
        &kf(s, &["canary", "status", "bot"]),
        0,
        &["bot@1.0.4 was released to local; the emergency at", "of local to bot@1.0.1"],
    );

    // What is newer was gone back from, and of the rest nothing is said to have been with users.
    let none = emergency(s, &[]);
    says(&none, 1, &["1.0.4 before it", "`kf rollback bot --emergency --to 1.0.2` or `kf rollback bot --emergency --to 1.0.4`"]);
    assert_eq!((place.get("/").1.as_str(), entries(s).len(), events(s).len()), ("1.0.1", 0, 1));
    ok(s, ["fsck"]);
}

/// Somebody gives users a version that the registry has never had in production.
#[test]
fn it_is_red_until_users_and_registry_agree() {
    let s = &Sandbox::new();
    let (place, _gateway) = serving(s);
    released(s, &place, "1.0.1");
    register(s, &value!({"number": "1.0.2"}));
    place.start(s, "1.0.2");
    let to_it = ["--to", "1.0.2", "--format", "json"];
    assert_eq!(moved(&emergency(s, &to_it))["to"], "1.0.2");
    let mend = "`kf rollback bot --target local --to 1.0.1` gives them the one in production";
    let first = kf(s, &["list"]);
    says(&first, 0, &["is in the audit log now", "was never in production", mend]);
    let apart = "local gives users bot@1.0.2 since the emergency at";
    for _ in 0..2 {
        says(
            &kf(s, &["status"]),
            3,
            &[apart, "and 1.0.1 is in production", "--to 1.0.0` gives them the last good version", mend],
        );
    }
    let document = json(&kf(s, &["status", "--format", "json"]));
    let told = ["model", "target", "has", "sure", "production", "good"].map(|key| document["apart"][0][key].clone());
    assert_eq!(told, [value!("bot"), value!("local"), value!("1.0.2"), value!(true), value!("1.0.1"), value!("1.0.0")]);
    fit("status", &[document]);
    let of_it = kf(s, &["canary", "status", "bot"]);
    says(&of_it, 3, &["bot@1.0.1 was released to local; ", apart, mend]);
    assert!(!of_it.stdout.contains("with all of the traffic"), "{of_it}");

    let mended = kf(s, &["rollback", "bot", "--target", "local", "--to", "1.0.1"]);
    assert_eq!((mended.code, place.get("/").1.as_str()), (Some(0), "1.0.1"), "{mended}");
    assert_eq!((kf(s, &["status"]).code, kf(s, &["canary", "status", "bot"]).code), (Some(0), Some(0)));

    // A person who brings the target there by hand has kf look at it.
    moved(&emergency(s, &to_it));
    place.start(s, "1.0.1");
    assert_eq!(place.route(&value!({"stable": "1.0.1"})).0, 200);
    assert_eq!(kf(s, &["status"]).code, Some(3));
    says(&kf(s, &["rollback", "bot", "--target", "local", "--to", "1.0.1"]), 0, &["bot@1.0.1 is in production already"]);
    assert_eq!(kf(s, &["status"]).code, Some(0));

    // Or says that this is what users are to have.
    moved(&emergency(s, &to_it));
    assert_eq!(kf(s, &["status"]).code, Some(3));
    ok(s, ["promote", "bot@1.0.2", "--to", "production", "--no-traffic"]);
    assert_eq!((kf(s, &["status"]).code, in_production(s).as_str()), (Some(0), "1.0.2"));

    // Of who was stopped on the way nobody knows how far that came.
    let lost = losing(s, How::Missing);
    moved(&kf(s, &[&EMERGENCY[..], &["--to", "1.0.1", "--format", "json"]].concat()));
    let entry = entries(s).remove(0);
    let text = std::fs::read_to_string(&entry).expect("an entry");
    std::fs::write(&entry, text.replace("\"outcome\":\"done\"", "\"outcome\":\"begun\"")).expect("stopped");
    drop(lost);
    says(&kf(s, &["list"]), 0, &["what was begun past the state", "stopped on the way", "--target local --to 1.0.1`"]);
    says(&kf(s, &["status"]), 3, &["nobody knows whether local gives users bot@1.0.1", "and 1.0.2 is in production"]);
    assert_eq!(kf(s, &["rollback", "bot", "--target", "local", "--to", "1.0.1"]).code, Some(0));
    assert_eq!((kf(s, &["status"]).code, in_production(s).as_str()), (Some(0), "1.0.1"));
    ok(s, ["fsck"]);
    ok(s, ["audit", "verify"]);
}

/// Whoever goes back means what users have: the copies end, and what served before comes back.
#[test]
fn a_shadow_ends_and_what_users_have_goes_back() {
    let s = &Sandbox::new();
    let (place, _gateway) = serving(s);
    released(s, &place, "1.0.1");
    register(s, &value!({"number": "1.0.2"}));
    assert_eq!(kf(s, &["deploy", "bot@1.0.2", "--strategy", "shadow", "--plan", "bot", "--detach"]).code, Some(0));
    let table = || place.ask("GET", "/v1/table", "", &Value::Null).1["table"].clone();
    let copies = wait_until(60, || {
        kf(s, &["canary", "tick", "bot"]);
        table()["shadow"] == 5000
    });
    assert!(copies, "{}", table());
    let done = moved(&emergency(s, &["--format", "json"]));
    assert_eq!([&done["from"], &done["to"]], ["1.0.1", "1.0.0"], "{done}");
    assert_eq!((place.get("/").1.as_str(), &table()["shadow"], &table()["canary"]), ("1.0.0", &value!(0), &Value::Null));
    assert!(wait_until(60, || place.version("1.0.2").is_null()), "nobody needs it any more");
    assert_eq!((kf(s, &["status"]).code, in_production(s).as_str()), (Some(0), "1.0.0"));
    assert_eq!(json(&kf(s, &["canary", "status", "bot", "--format", "json"]))["phase"], "rolled-back");
    ok(s, ["fsck"]);
}

/// The log says which attempt came to nothing, once.
#[test]
fn what_failed_is_told_as_failed() {
    let s = &Sandbox::new();
    let (place, _gateway) = serving(s);
    let unknown = emergency(s, &["--to", "1.0.9"]);
    says(&unknown, 1, &["the target has no bot@1.0.9", "with a version that runs there"]);
    assert_eq!(entries(s).len(), 0, "nothing was tried");
    register(s, &value!({"unready": true}));
    let arm = value!({"version": "1.0.1", "digest": digest(s, "1.0.1")});
    assert_eq!(place.ask("POST", "/v1/versions", "", &arm).0, 202);
    assert_eq!(emergency(s, &["--to", "1.0.1", "--max-wait", "1s"]).code, Some(1));
    let kept = entries(s).remove(0);
    let text = std::fs::read_to_string(&kept).expect("an entry");
    says(&kf(s, &["list"]), 0, &["what was tried past the state", "bot@1.0.1 by", "which failed: it waits for the target"]);
    std::fs::write(&kept, text).expect("put back, as if whoever took it in had been killed");
    assert_eq!(kf(s, &["status"]).code, Some(0));
    let known = events(s);
    assert_eq!((known.len(), known[0]["outcome"].as_str(), place.get("/").1.as_str()), (1, Some("failed"), "1.0.0"), "{known:?}");
    ok(s, ["fsck"]);
}

#[test]
fn all_targets_of_a_model_go_back_where_they_have_the_same_version() {
    let s = &Sandbox::new();
    let (places, _gateways) = two_targets(s);
    let users = || places.each_ref().map(|place| place.get("/").1);
    let users_have = |version: &str| assert_eq!(users(), [version, version]);
    let differ = emergency(s, &[]);
    says(&differ, 2, &["`--target local` takes 1.0.1 back, `--target two` takes 1.0.0 back", "with `--to` the version for all"]);
    assert_eq!((users(), entries(s).len()), (["1.0.1".to_owned(), "1.0.0".to_owned()], 0));
    let lacks = emergency(s, &["--to", "1.0.0"]);
    says(&lacks, 1, &["bot@1.0.0 has all of the traffic of two already", "the target has no bot@1.0.0"]);
    places[0].start(s, "1.0.0");
    says(&emergency(s, &["--to", "1.0.0"]), 0, &["of local", "of two already"]);
    users_have("1.0.0");
    assert_eq!((kf(s, &["status"]).code, in_production(s).as_str(), events(s).len()), (Some(0), "1.0.0", 1));

    assert_eq!(kf(s, &["rollback", "bot", "--to", "1.0.1"]).code, Some(0));
    users_have("1.0.1");
    let lost = losing(s, How::Missing);
    says(&kf(s, &EMERGENCY), 0, &["bot@1.0.0 has all of the traffic of local", "bot@1.0.0 has all of the traffic of two"]);
    assert_eq!(entries(s).len(), 2, "one of each");
    says(&kf(s, &EMERGENCY), 0, &["of local already", "of two already"]);
    drop(lost);
    users_have("1.0.0");
    assert_eq!((kf(s, &["status"]).code, in_production(s).as_str(), events(s).len()), (Some(0), "1.0.0", 3));
    ok(s, ["fsck"]);
}

//! What commands say to type next works when it is typed; and nobody is told to wait for a process that is gone.

use crate::canary::{Driver, PLAN, canary_at_30, phase};
use crate::repo::{json, ok};
use crate::support::gateway::{Gateway, configure, register, repository};
use crate::support::rollout::live as kf;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::wait_until;
use serde_json::json as value;

/// A rollout that was taken back before it had traffic: what commands call it.
fn taken_back(s: &Sandbox, reference: &str) -> String {
    let planned = kf(s, &["canary", "start", reference, "--detach"]);
    assert_eq!(planned.code, Some(0), "{planned}");
    let back = kf(s, &["canary", "abort", "bot"]);
    assert_eq!((back.code, phase(s)["phase"].as_str()), (Some(0), Some("rolled-back")), "{back}");
    let id = phase(s)["rollout"].as_str().expect("an id").to_owned();
    id[id.len() - 8..].to_owned()
}

fn refused(s: &Sandbox, args: &[&str], says: &[&str]) -> Run {
    let run = kf(s, args);
    assert!(run.code == Some(1) && says.iter().all(|what| run.stderr.contains(what)), "{says:?}: {run}");
    run
}

/// What would take users back to what nobody wants any more, or only stand still, is refused at once, and not offered.
#[test]
fn a_rollout_is_started_again_only_while_it_would_be_the_same() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, PLAN);
    let _gateway = Gateway::serving(s);
    register(s, &value!({"better": true}));
    let named = taken_back(s, "bot@1.0.1");
    for told in [kf(s, &["status"]), kf(s, &["canary", "status", "bot"])] {
        assert!(told.stdout.contains("`kf canary retry bot` starts it again from the first step"), "{told}");
    }
    assert_eq!(kf(s, &["canary", "retry", "bot"]).code, Some(0));
    let other = kf(s, &["canary", "abort", "bot"]);
    assert_eq!(other.code, Some(0), "{other}");
    register(s, &value!({"better": "still"}));
    assert!(!kf(s, &["status"]).stdout.contains("was taken back"), "there is a newer one");

    // Another one went to production since.
    ok(s, ["promote", "bot@1.0.2", "--to", "production", "--no-traffic"]);
    let moved = "when it began bot@1.0.0 was in production, and now bot@1.0.2 is";
    refused(s, &["canary", "retry", &named], &[moved, "hint: `kf canary start bot@1.0.1` begins a new one"]);
    let shown = kf(s, &["canary", "status", &named]);
    assert!(!shown.stdout.contains("retry") && shown.stdout.contains("`kf canary start bot@1.0.1` begins a new one"), "{shown}");
    assert_eq!(phase(s)["open"], false, "nothing was changed");

    // What serves is not what the rollout begins against: which of them is right only the registry knows.
    kf(s, &["canary", "start", "bot@1.0.1", "--detach"]);
    kf(s, &["canary", "tick", "bot"]);
    let failed = phase(s)["reason"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(failed.contains("serves version 1.0.0, and the rollout began against 1.0.2"), "{failed}");
    assert!(failed.contains("when that is 1.0.2, bring it there first: `kf canary start bot@1.0.2 --target local`"), "{failed}");
    assert!(!failed.contains("kf rollback") && !failed.contains("1.0.2 is in production"), "{failed}");
    assert_eq!(kf(s, &["canary", "start", "bot@1.0.2", "--target", "local", "--detach"]).code, Some(0));
    refused(s, &["canary", "retry", &named], &["a rollout of bot@1.0.2 is under way"]);
    kf(s, &["canary", "abort", "bot"]);

    ok(s, ["archive", "bot@1.0.1"]);
    let typed = "hint: `kf restore bot@1.0.1`, then `kf canary start bot@1.0.1` begins a new one";
    refused(s, &["canary", "retry", &named], &["bot@1.0.1 is archived", typed]);
    ok(s, ["restore", "bot@1.0.1"]);
    let anew = kf(s, &["canary", "start", "bot@1.0.1", "--detach"]);
    assert_eq!(anew.code, Some(0), "{anew}");
    ok(s, ["fsck"]);
}

/// From the moment on that whoever drove it is gone: in every view of it, and after every order that somebody must carry out.
#[test]
fn a_controller_that_was_killed_drives_nothing() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    let driver = Driver::start(s, &["canary", "run", "bot"]);
    assert!(wait_until(60, || phase(s)["driven_by"].is_string()), "{}", phase(s));
    let told = kf(s, &["status"]).stdout;
    assert!(told.contains("drives it: ") && !told.contains("nobody"), "{told}");
    drop(driver);
    let nobody = "nobody drives it: `kf canary run bot`";
    assert_eq!(phase(s)["driven_by"], value!(null));
    let mut orders = vec![kf(s, &["status"]), kf(s, &["canary", "status", "bot"])];
    for order in [&["pause", "bot"][..], &["resume", "bot"], &["promote", "bot", "--full"]] {
        orders.push(kf(s, &[&["canary"], order].concat()));
    }
    assert!(orders.iter().all(|run| run.code == Some(0) && run.stdout.contains(nobody)), "{orders:?}");
    let json = json(&kf(s, &["status", "--format", "json"]));
    assert!(json["rollouts"][0]["driven_by"].is_null(), "{json}");
}

/// A version that never served is released, and not promoted past the users; what was only tried has no id and needs nobody.
#[test]
fn what_is_only_shown_has_no_id_and_what_never_served_is_released() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, &PLAN.replace("monitor = \"3s\"", "monitor = \"0s\""));
    let _gateway = Gateway::serving(s);
    register(s, &value!({"better": true}));
    refused(s, &["rollback", "bot", "--to", "1.0.1"], &["was never in production", "`kf canary start bot@1.0.1`"]);
    let would = kf(s, &["canary", "start", "bot@1.0.1", "--dry-run"]);
    assert!(would.stdout.contains("plan bot\n") && !would.stdout.contains("rollout "), "{would}");
    assert_eq!(kf(s, &["deploy", "bot@1.0.1", "--strategy", "all-at-once", "--quiet"]).code, Some(0));
    let back = kf(s, &["rollback", "bot", "--dry-run"]);
    assert!(back.code == Some(0) && back.stdout.contains("rollback bot@1.0.0 against bot@1.0.1"), "{back}");
    assert!(!back.stdout.contains("nobody drives it") && !back.stdout.contains(", rollout "), "{back}");
}

/// One that stands still because its version is archived says how that is put right, and goes on then.
#[test]
fn a_version_that_was_archived_on_the_way_can_be_brought_back() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    ok(s, ["promote", "bot@1.0.1", "--to", "production", "--no-traffic"]);
    ok(s, ["rollback", "bot", "--no-traffic"]);
    kf(s, &["canary", "promote", "bot", "--full"]);
    let ticked = |wanted: &str| {
        kf(s, &["canary", "tick", "bot"]);
        let at = phase(s);
        at["held"] == wanted || at["phase"] == wanted
    };
    assert!(wait_until(60, || ticked("refused")), "{}", phase(s));
    let why = phase(s)["reason"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(
        why.contains("is archived: `kf restore bot@1.0.1`, then `kf promote bot@1.0.1 --to staging` put that right"),
        "{why}"
    );
    ok(s, ["restore", "bot@1.0.1"]);
    ok(s, ["promote", "bot@1.0.1", "--to", "staging"]);
    assert_eq!(kf(s, &["canary", "resume", "bot"]).code, Some(0));
    assert!(wait_until(60, || ticked("monitoring")), "{}", phase(s));
}

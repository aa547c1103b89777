//! How long a version's answers take beside the stable one's, through a real gateway, which knows nothing of the time before.

use crate::canary::{PLAN, phase};
use crate::repo::{json, ok};
use crate::schemas::fit;
use crate::support::gateway::{Gateway, configure, register, repository};
use crate::support::rollout::{Asked, Users, in_production, live as kf, proof};
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json as value};

/// Seconds that an answer of the stable version takes: far more than the machine adds.
const TAKES: f64 = 0.06;

/// What the judge found of a check whenever something was decided.
fn found(explained: &Value, check: &str) -> Vec<Value> {
    let decisions = explained["decisions"].as_array().expect("decisions").iter();
    let findings = decisions.filter_map(|d| d["judgement"]["findings"].as_array()).flatten();
    findings.filter(|f| f["check"] == check).cloned().collect()
}

#[test]
fn a_slow_version_is_taken_back_and_one_as_slow_promoted() {
    let s = &Sandbox::new();
    let place = repository(s);
    register(s, &value!({ "takes": TAKES }));
    configure(s, &place, &format!("{PLAN}[rollout.bot.limits]\nlatency-ratio = 1.5\n"));
    ok(s, ["promote", "bot@1.0.1", "--to", "production", "--no-traffic"]);
    let _gateway = Gateway::serving(s);
    let users: Vec<Users> = (0..4).map(|_| Users::of(place.users)).collect();

    register(s, &value!({ "takes": 2.0 * TAKES }));
    let back = kf(s, &["canary", "start", "bot@1.0.2"]);
    assert_eq!(back.code, Some(3), "{back}");
    assert!(back.stdout.contains("was taken back: latency-"), "{back}");
    assert!(
        back.stdout.contains("compared: latency-ratio: with 1.5 times the stable version's p95 in the same windows"),
        "{back}"
    );
    let broken = proof(s);
    assert!(broken["check"].as_str().is_some_and(|check| check.starts_with("latency-")), "{broken}");
    assert!(broken["estimate"].as_f64() > broken["limit"].as_f64() && broken["against"].as_u64() > Some(20), "{broken}");
    assert_eq!(in_production(s), "1.0.1");
    fit("canary", &[phase(s)]);

    register(s, &value!({ "takes": TAKES, "better": true }));
    let done = kf(s, &["canary", "start", "bot@1.0.3"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(in_production(s), "1.0.3");
    let explained = json(&ok(s, ["canary", "explain", "bot", "--format", "json"]));
    fit("canary-explain", std::slice::from_ref(&explained));
    let ratio = found(&explained, "latency-ratio");
    let inside = ratio.iter().filter(|f| f["standing"] == "good" && f["n"].as_u64() >= Some(20));
    assert!(inside.count() >= 2, "each step was let on by it: {ratio:?}");
    for Asked { all, lost, .. } in users.into_iter().map(Users::end) {
        assert!(all > 20 && lost == 0, "{lost} of {all} got no answer");
    }
    ok(s, ["fsck"]);
}

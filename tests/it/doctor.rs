//! `kf doctor`.

use crate::repo::{ends, init, json, ok, on_both};
use crate::support::sandbox::Sandbox;

/// The checks by name: health and what was found.
fn checks(run: &crate::support::sandbox::Run) -> std::collections::BTreeMap<String, (String, String)> {
    let doc = json(run);
    let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
    let all = doc["checks"].as_array().cloned().unwrap_or_default();
    all.iter().map(|c| (text(&c["what"]), (text(&c["health"]), text(&c["found"])))).collect()
}

#[test]
fn a_healthy_repository() {
    on_both(|s| {
        init(s);
        let found = checks(&ok(s, ["doctor", "--format", "json"]));
        for what in ["kf", "configuration", "state", "artifacts", "git"] {
            assert_eq!(found.get(what).map(|(health, _)| health.as_str()), Some("ok"), "{what}: {found:?}");
        }
        assert_eq!(found["log key"].0, "missing");
    });
}

#[test]
fn what_is_broken_is_named_and_exits_3() {
    let s = Sandbox::new();
    assert_eq!(checks(&ends(&s, 3, ["doctor", "--format", "json"]))["configuration"].0, "broken");
    init(&s);
    s.write("mlops.toml", "[project]\nname = \"shop\"\n[signing]\nlog-key = \"env:NOT_SET\"\n");
    let found = checks(&ends(&s, 3, ["doctor", "--format", "json"]));
    assert_eq!(found["log key"].0, "broken");
    assert!(found["log key"].1.contains("NOT_SET"), "{found:?}");
    s.write("mlops.toml", "[project]\nname = \"shop\"\n[state]\nurl = \"postgres://nobody@127.0.0.1:1/none?sslmode=disable\"\n");
    let run = ends(&s, 3, ["doctor", "--format", "json"]);
    assert_eq!(checks(&run)["state"].0, "broken", "{run}");
}

//! `kf doctor`.

use crate::offers::TEXT;
use crate::repo::{ends, init, json, ok, on_both};
use crate::support::embeddings::Embeddings;
use crate::support::sandbox::{Sandbox, on_both_engines};

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
        for what in ["kf", "configuration", "state", "artifacts", "documents", "embedder", "engine", "git"] {
            assert_eq!(found.get(what).map(|(health, _)| health.as_str()), Some("ok"), "{what}: {found:?}");
        }
        assert_eq!(found["log key"].0, "missing");
    });
}

#[test]
fn documents_and_what_serves_them() {
    on_both_engines(|s| {
        init(s);
        let told = |run| {
            let found = checks(&run);
            ["documents", "embedder", "engine"].map(|what| found[what].clone())
        };
        let at = |health: &str, found: &str| (health.to_owned(), found.to_owned());
        let [documents, embedder, engine] = told(ok(s, ["doctor", "--format", "json"]));
        assert_eq!((documents, embedder.0.as_str()), (at("ok", "none yet"), "ok"));
        assert!(
            embedder.1.starts_with("builtin") && engine.1.starts_with("embedded for new collections"),
            "{embedder:?} {engine:?}"
        );
        s.write("docs/a.md", TEXT);
        ok(s, ["ingest", "docs"]);
        let [documents, _, engine] = told(ok(s, ["doctor", "--format", "json"]));
        assert_eq!(documents, at("ok", "1 document in 1 collection of 1 tenant, 1 chunk, 0 refused"));
        assert!(engine.1.contains(", 1 collection in embedded"), "{engine:?}");
        // Vectors of another model cannot be compared with those of this one.
        let service = Embeddings::start();
        s.write("mlops.toml", format!("[project]\nname = \"shop\"\n{}", service.config()));
        let [_, embedder, _] = told(ends(s, 3, ["doctor", "--format", "json"]));
        assert_eq!(embedder.0, "broken", "{embedder:?}");
        assert!(embedder.1.contains("the collection default holds vectors of"), "{embedder:?}");
    });
}

#[test]
fn what_is_broken_is_named_and_exits_3() {
    let s = Sandbox::new();
    init(&s);
    s.write("mlops.toml", "[projet]\n");
    assert_eq!(checks(&ends(&s, 3, ["doctor", "--format", "json"]))["configuration"].0, "broken");
    s.write("mlops.toml", "[project]\nname = \"shop\"\n[signing]\nlog-key = \"env:NOT_SET\"\n");
    let found = checks(&ends(&s, 3, ["doctor", "--format", "json"]));
    assert_eq!(found["log key"].0, "broken");
    assert!(found["log key"].1.contains("NOT_SET"), "{found:?}");
    s.write("mlops.toml", "[project]\nname = \"shop\"\n[state]\nurl = \"postgres://nobody@127.0.0.1:1/none?sslmode=disable\"\n");
    let run = ends(&s, 3, ["doctor", "--format", "json"]);
    assert_eq!(checks(&run)["state"].0, "broken", "{run}");
}

#[test]
fn what_is_not_set_up_yet_is_told_and_is_not_broken() {
    let s = Sandbox::new();
    let run = ok(&s, ["doctor"]);
    let row = run.stdout.lines().find(|l| l.starts_with("configuration")).unwrap_or_default();
    assert!(row.contains("not here") && row.contains("no `mlops.toml`"), "{run}");
    assert!(run.stdout.contains("hint: configuration: `kf init` makes one here"), "{run}");
    let found = checks(&ok(&s, ["doctor", "--format", "json"]));
    assert_eq!((found["kf"].0.as_str(), found["git"].0.as_str()), ("ok", "ok"), "it tells what it can: {found:?}");
    s.write("mlops.toml", "[project]\nname = \"shop\"\n");
    let found = checks(&ok(&s, ["doctor", "--format", "json"]));
    assert_eq!((found["configuration"].0.as_str(), found["state"].0.as_str()), ("ok", "missing"), "{found:?}");
    assert!(!s.work().join(".kf/state.db").exists(), "a doctor makes no state");
}

#[test]
fn the_key_of_another_log_is_told_from_the_right_one() {
    on_both(|s| {
        init(s);
        ok(s, ["audit", "key", "--generate", "--out", "../log.key"]);
        s.set("KF_LOG_KEY", s.read("../log.key").trim());
        assert_eq!(checks(&ok(s, ["doctor", "--format", "json"]))["log key"].0, "ok");
        s.set("KF_LOG_KEY", "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz");
        let run = ends(s, 3, ["doctor"]);
        assert!(run.stdout.contains("it is the key of the log `PeterNeumann`, this log is `kf/shop/"), "{run}");
        assert!(run.stdout.contains("`kf audit key --generate` makes a key for this log"), "{run}");
    });
}

/// Programs of targets and plans are looked for and not run.
#[test]
fn programs_that_releases_need_are_looked_for() {
    let s = &Sandbox::new();
    init(s);
    s.write("bot/prompt.md", "Answer.");
    s.write(
        "mlops.toml",
        "[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\n[target.local]\ncommand = [\"./serve.sh\"]\n[target.far]\nkind = \"gateway\"\n\
         admin = \"127.0.0.1:9999\"\nlisten = \"127.0.0.1:9998\"\nurl = \"http://{version}.internal:80\"\n\
         [rollout.bot]\nsmoke = [\"sh\", \"-c\", \"touch ran\"]\nload = [\"no-such-k6\", \"run\"]\n",
    );
    let run = ends(s, 3, ["doctor"]);
    let found = checks(&ends(s, 3, ["doctor", "--format", "json"]));
    let is = |what: &str, health: &str, told: &str| assert_eq!(found[what], (health.to_owned(), told.to_owned()));
    is("target.local", "broken", "gateway: `./serve.sh` cannot be run here");
    is("target.far", "ok", "gateway: kf runs no program for it");
    is("rollout.bot", "broken", "its programs: `no-such-k6` cannot be run here");
    assert!(run.stdout.contains("hint: rollout.bot: install `no-such-k6` or add its folder to PATH"), "{run}");
    s.write("serve.sh", "#!/bin/sh\ntouch ran\n");
    assert_eq!(checks(&ends(s, 3, ["doctor", "--format", "json"]))["target.local"].0, "broken", "it is no program yet");
    let file = std::fs::File::open(s.work().join("serve.sh")).expect("a file");
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    s.write("mlops.toml", s.read("mlops.toml").replace("no-such-k6", "sh"));
    let found = checks(&ok(s, ["doctor", "--format", "json"]));
    assert_eq!(found["target.local"].1, "gateway: `./serve.sh` is here");
    assert_eq!(found["rollout.bot"].1, "its programs: `sh` is here");
    assert!(!s.work().join("ran").exists(), "nothing was run");
}

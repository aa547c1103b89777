//! `kf dr`: runbooks, exercises of them, and what is kept of those.

use crate::backup::{place_of, prepare};
use crate::repo::{ends, events, json, ok};
use crate::schemas;
use crate::story::RETURNS;
use crate::support::sandbox::{Run, Sandbox, on_both_engines};
use serde_json::Value;

fn steps(doc: &Value) -> Vec<(String, String)> {
    let text = |step: &Value, key: &str| step[key].as_str().expect(key).to_owned();
    doc["steps"].as_array().expect("steps").iter().map(|step| (text(step, "command"), text(step, "outcome"))).collect()
}

#[test]
fn runbooks_name_what_the_repository_has_and_lie_where_they_are_asked_for() {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    let config = "[dr]\nsecondary = \"eu-west-1\"\nterraform = \"infra/secondary\"\ndns = [\"./failover.sh\", \"eu-west-1\"]\ntenant-flag = \"serving\"\n";
    s.write("mlops.toml", s.read("mlops.toml") + config);
    s.write("one/about.md", RETURNS);
    ok(&s, ["ingest", "one", "--tenant", "acme"]);
    let before = events(&s);
    let all = json(&ok(&s, ["dr", "plan", "--format", "json"]));
    schemas::fit("dr-plan", std::slice::from_ref(&all));
    let names: Vec<&str> =
        all["runbooks"].as_array().expect("runbooks").iter().filter_map(|book| book["scenario"].as_str()).collect();
    assert_eq!(names, ["regional-outage", "data-corruption", "complete-failure", "lost-key", "bad-release", "ransomware"]);
    let corrupt = ok(&s, ["dr", "plan", "data-corruption"]).stdout;
    assert!(corrupt.contains("kf flag set serving --off --tenant acme"), "{corrupt}");
    let outage = ok(&s, ["dr", "plan", "regional-outage"]).stdout;
    let loaded = "grep words < \"${BACK}/restored/words/output\"";
    for part in [
        "terraform -chdir=infra/secondary apply",
        "./failover.sh eu-west-1",
        "Target: 4 hours",
        loaded,
        "index verify --tenant acme",
    ] {
        assert!(outage.contains(part), "{part}: {outage}");
    }
    ok(&s, ["dr", "plan", "-o", "runbooks"]);
    let written = s.read("runbooks/data-corruption.md");
    assert_eq!(written.replace(&s.root().display().to_string(), "[ROOT]").trim_end(), corrupt.trim_end());
    assert_eq!(events(&s), before, "a plan changes nothing");
    // Where the state is lost a runbook is needed most.
    std::fs::rename(s.work().join(".kf/state.db"), s.root().join("lost.db")).expect("moved");
    ok(&s, ["dr", "plan", "complete-failure"]);
}

#[test]
fn an_exercise_on_paper_is_kept_signed_and_told_in_the_log() {
    on_both_engines(|s| {
        let place = place_of(s);
        prepare(s, &place);
        let nobody = ends(s, 2, ["dr", "exercise", "bad-release"]);
        assert!(nobody.stderr.contains("nobody is here to say what became of each step"), "{nobody}");
        let talked = json(&ok(s, ["dr", "exercise", "bad-release", "--yes", "--format", "json"]));
        assert_eq!((talked["passed"].as_bool(), talked["mode"].as_str()), (Some(true), Some("tabletop")), "{talked}");
        s.write("answers.jsonl", "{\"step\": 1, \"outcome\": \"done\", \"who\": \"ada\"}\n{\"step\": 2, \"outcome\": \"failed\", \"note\": \"no key\"}\n");
        let failed = ends(s, 3, ["dr", "exercise", "lost-key", "--answers", "answers.jsonl", "--format", "json"]);
        let outcomes: Vec<String> = steps(&json(&failed)).into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!((outcomes[0].as_str(), outcomes[1].as_str(), outcomes[2].as_str()), ("done", "failed", "skipped"), "{failed}");
        s.write("answers.jsonl", "{\"step\": 99, \"outcome\": \"done\"}\n");
        let wrong = ends(s, 2, ["dr", "exercise", "lost-key", "--answers", "answers.jsonl"]);
        assert!(wrong.stderr.contains("there is no step 99"), "{wrong}");
        let history = json(&ok(s, ["dr", "history", "--format", "json"]));
        schemas::fit("dr-history", std::slice::from_ref(&history));
        schemas::fit("dr-exercise", &[talked, json(&failed)]);
        let kept: Vec<&str> =
            history["exercises"].as_array().expect("exercises").iter().filter_map(|e| e["scenario"].as_str()).collect();
        assert_eq!(kept, ["lost-key", "bad-release"], "{history}");
        let log = ok(s, ["audit", "log", "--action", "dr.exercised", "--format", "json"]);
        assert_eq!(log.stdout.matches("dr.exercised").count(), 2, "{log}");
        ok(s, ["fsck"]);
    });
}

/// Runs the steps of a scenario. Each is a process of its own, and must not have the ids of the others.
fn exercised(s: &Sandbox, args: &[&str]) -> Run {
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    s.finish(command.env_remove("KF_SEED").args(["dr", "exercise", "--run", "--format", "json"]).args(args))
}

#[test]
fn an_exercise_that_is_run_restores_a_set_and_changes_nothing_in_use() {
    on_both_engines(|s| {
        let place = place_of(s);
        prepare(s, &place);
        s.write("one/about.md", RETURNS);
        ok(s, ["ingest", "one", "--tenant", "acme"]);
        ok(s, ["backup", "run"]);
        let before = events(s);
        let run = exercised(s, &["data-corruption"]);
        assert_eq!(run.code, Some(0), "{run}");
        let doc = json(&run);
        let of = |part: &str| {
            steps(&doc).into_iter().find(|(command, _)| command.contains(part)).unwrap_or_else(|| panic!("{part}: {doc}")).1
        };
        for part in ["backup show", "backup restore", "KF_STATE_URL=sqlite", "index verify", "index export"] {
            assert_eq!(of(part), "done", "{part}: {doc}");
        }
        for part in ["index import", "ingest", "backup run"] {
            assert_eq!(of(part), "skipped", "{part}: {doc}");
        }
        assert_eq!(events(s), before + 1, "the exercise alone is in the log");
        // Whoever has no checkpoint from outside is told so, and all else is tried.
        let attack = exercised(s, &["ransomware", "--set", "SET=latest"]);
        let doc = json(&attack);
        let of = |part: &str| {
            steps(&doc).into_iter().find(|(command, _)| command.contains(part)).unwrap_or_else(|| panic!("{part}: {doc}")).1
        };
        for part in ["backup list", "--read-data all", "fsck", "KF_ARTIFACTS_URL=.kf/objects kf -C \"${BACK}\" audit verify"] {
            assert_eq!(of(part), if part.ends_with("audit verify") { "skipped" } else { "done" }, "{part}: {doc}");
        }
        assert_eq!(events(s), before + 2);
        let left = std::fs::read_dir(s.work().join(".kf/cache/backup")).expect("a folder");
        // The lock of who works there stays.
        let left: Vec<_> = left.map(|entry| entry.expect("an entry").file_name()).filter(|name| name != "lock").collect();
        assert!(left.is_empty(), "{left:?}");
        // What is damaged is found before anybody needs it.
        let wrong = ends(s, 2, ["dr", "exercise", "bad-release", "--run", "--set", "NOTHING=1"]);
        assert!(wrong.stderr.contains("the runbook has no variable `NOTHING`"), "{wrong}");
    });
}

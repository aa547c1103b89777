//! `kf status`.

use crate::repo::{ends, json, next_bot, ok, on_both, release, with_bot};
use crate::schemas::fit;
use crate::story;
use crate::support::sandbox::{Engine, Sandbox};
use crate::support::skip;
use insta::assert_snapshot;

#[test]
fn one_screen_tells_what_stands_where_and_what_waits() {
    on_both(|s| {
        with_bot(s);
        release(s, "bot@1.0.0");
        next_bot(s, 8);
        s.write("golden.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\n");
        s.write(
            "mlops.toml",
            "[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n[gates.exact]\nstage = \"production\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.9\n",
        );
        ok(s, ["promote", "bot", "--to", "staging"]);
        let run = ok(s, ["status"]);
        let (first, rest) = run.stdout.split_once('\n').expect("lines");
        assert!(
            first.starts_with("shop  (SQLite [ROOT]/work/.kf/state.db)") || first.starts_with("shop  (PostgreSQL"),
            "{first}"
        );
        assert_snapshot!(rest, @"

        MODEL  PRODUCTION  STAGING  NEWEST
        bot    1.0.0       1.0.1    1.0.1 (staging)

        gates   bot@1.0.1 → production: inconclusive on exact
        audit   6 events, unsigned: `kf audit key --generate` makes a key that signs them
        ");
    });
}

#[test]
fn open_episodes_are_told_until_they_close() {
    on_both(|s| {
        s.repository("");
        story::monitor(s);
        let told = ok(s, ["status"]).stdout;
        assert!(told.contains("monitor 1 episode open: queue{host=\"a\"} (high since 20"), "{told}");
        assert!(told.contains("Z): `kf monitor status`\n") && !told.contains("latency"), "what closed is not told: {told}");
        let doc = json(&ok(s, ["status", "--format", "json"]));
        assert_eq!(doc["episodes"][0]["metric"], "queue{host=\"a\"}", "{doc}");
        ok(s, ["monitor", "record", "queue=101", "--label", "host=a"]);
        ok(s, ["monitor", "record", "queue=102", "--label", "host=a"]);
        ok(s, ["monitor", "check"]);
        assert!(!ok(s, ["status"]).stdout.contains("monitor"), "nothing is open");
    });
}

/// A rollout of the bot that a person paused, one of the embedder that was taken back: what to type next, and no word of gates that pass.
#[test]
fn rollouts_are_told_while_they_last_and_after_they_took_a_version_back() {
    on_both(|s| {
        story::tell(s);
        s.write("bot/routing.yaml", "routes: []\n");
        ok(s, ["register", "embedder", "bot/routing.yaml", "--type", "embedding", "--bump", "patch"]);
        story::rollouts(s);
        let told = ok(s, ["status"]).stdout;
        let lines: Vec<&str> = told.lines().collect();
        let after = |begin: &str| {
            let at = lines.iter().position(|l| l.starts_with(begin)).unwrap_or_else(|| panic!("no `{begin}` in {told}"));
            [lines[at], lines[at + 1]]
        };
        let paused = "rollout bot@1.0.1 against bot@1.0.0: awaiting approval, held (paused), step 1 of 2, 0 % of edge";
        assert_eq!(
            after("rollout bot"),
            [paused, "        paused; process 1 on elsewhere drives it: `kf canary resume bot` or `kf canary abort bot`"]
        );
        let [back, next] = after("rollout embedder");
        assert_eq!(back, "rollout embedder@1.0.1 was taken back: aborted: slow");
        assert!(next.ends_with(
            "Z: `kf canary explain embedder` says why; `kf canary retry embedder` starts it again from the first step"
        ));
        let doc = json(&ok(s, ["status", "--format", "json"]));
        let (open, back) = (&doc["rollouts"][0], &doc["taken_back"][0]);
        assert_eq!(
            (open["stable"].as_str(), open["next"].as_str()),
            (Some("1.0.0"), Some("`kf canary resume bot` or `kf canary abort bot`"))
        );
        assert_eq!((back["version"].as_str(), back["why"].as_str()), (Some("1.0.1"), Some("aborted: slow")));
        fit("status", std::slice::from_ref(&doc));
    });
}

#[test]
fn a_stage_without_gates_is_not_said_to_pass_them() {
    let s = &Sandbox::new();
    with_bot(s);
    let run = ok(s, ["promote", "bot", "--to", "staging"]);
    assert_eq!(run.stderr.lines().filter(|l| l.starts_with("note: no gate of staging is configured")).count(), 1, "{run}");
    let told = ok(s, ["status"]).stdout;
    assert!(told.contains("gates   bot@1.0.0 → production: no gate is configured") && !told.contains("passes"), "{told}");
    assert_eq!(json(&ok(s, ["status", "--format", "json"]))["waiting"][0]["gates"], 0);
    assert_eq!(ok(s, ["promote", "bot", "--to", "production", "--quiet"]).stderr, "");
    assert_eq!(ok(s, ["promote", "bot", "--to", "production"]).stderr, "", "nothing was changed");
}

#[test]
fn a_state_that_was_moved_away_says_where_to() {
    let Ok(servers) = Sandbox::on(Engine::Servers) else { return skip("PostgreSQL or S3 is missing") };
    let url = servers.environment().get("KF_STATE_URL").cloned().expect("a state on PostgreSQL");
    let s = Sandbox::new();
    with_bot(&s);
    assert_eq!(json(&ok(&s, ["status", "--format", "json"]))["moved_to"], serde_json::Value::Null);
    ok(&s, ["state", "move", "--to", &url]);
    let doc = json(&ok(&s, ["status", "--format", "json"]));
    let place = doc["moved_to"].as_str().expect("a place");
    assert!(place.starts_with("postgres://127.0.0.1:") || place.starts_with("postgres://kf@127.0.0.1:"), "{place}");
    let told = ok(&s, ["status"]).stdout;
    assert!(told.contains(&format!("This state was moved to {place}")), "{told}");
    let run = ends(&s, 1, ["tag", "bot", "x"]);
    assert!(run.stderr.contains("was moved to") && run.stderr.contains("hint: set `state.url"), "{run}");
}

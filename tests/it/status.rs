//! `kf status`.

use crate::repo::{ends, json, next_bot, ok, on_both, release, with_bot};
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

//! `kf drift`: from files to verdicts, and what follows from them.

use crate::repo::{ends, events, json, ok, on_both, refused, release, with_bot};
use crate::story::rows;
use crate::support::sandbox::{Sandbox, on_both_engines};
use crate::support::{s3, skip};
use axum::extract::State;
use axum::routing::post;
use std::sync::{Arc, Mutex};

/// A bot with a baseline, data that are like it, and data that are not; `table` is what `[drift.bot]` says beside.
pub(crate) fn prepare(s: &Sandbox, table: &str) {
    with_bot(s);
    s.write("mlops.toml", format!("{}[drift.bot]\nexclude = [\"id\"]\n{table}", s.read("mlops.toml")));
    s.write("accepted.csv", rows(0, "region"));
    s.write("quiet.csv", rows(1, "region"));
    s.write("moved.csv", rows(60, "region"));
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv"]);
}

/// The kinds, bands and states of all actions that were ever opened, as the newest report of each tells them.
fn pending(s: &Sandbox) -> Vec<(String, String, String)> {
    let due = json(&s.kf(["drift", "due", "--format", "json"]));
    let text = |a: &serde_json::Value, key: &str| a[key].as_str().expect("a word").to_owned();
    due["actions"].as_array().expect("actions").iter().map(|a| (text(a, "kind"), text(a, "band"), text(a, "state"))).collect()
}

fn is(kind: &str, band: &str, state: &str) -> (String, String, String) {
    (kind.to_owned(), band.to_owned(), state.to_owned())
}

/// The same data give the same words and codes on both engines; a second drifting check opens nothing.
#[test]
fn data_like_the_baseline_pass_and_others_open_one_ticket() {
    on_both(|s| {
        prepare(s, "");
        let quiet = ok(s, ["drift", "check", "bot", "--data", "quiet.csv"]);
        insta::assert_snapshot!(quiet.stdout, @r"
        bot: 1,000 new rows against the 1,000 rows that bot@1.0.0 was accepted on

        COLUMN  STATUS    PSI  99.9 %      Q             EFFECT            N  NULLS  WHY
        amount  ok      0.002   0.056  1.000  0.027 wasserstein  1000 / 1000  0 / 0  PSI 0.002; once in a thousand chance makes PSI 0.056
        region  ok      0.000   0.028  1.000    0.000 cramers-v  1000 / 1000  0 / 0  PSI 0.000; once in a thousand chance makes PSI 0.028

        bot: ok: 2 columns, none drifted
        ");
        assert_eq!(pending(s), []);
        let moved = ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv", "--format", "json"]);
        let check = json(&moved)["checks"][0].clone();
        assert_eq!((&check["verdict"], &check["rows"]), (&"critical".into(), &1000.into()));
        assert_eq!(check["judgement"]["columns"][0]["name"], "amount");
        assert_eq!(pending(s), [is("open-ticket", "critical", "open")]);
        let before = events(s);
        let again = ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        assert!(again.stdout.contains("open-ticket (") && again.stdout.contains("): open since "), "{again}");
        assert_eq!(pending(s), [is("open-ticket", "critical", "open")]);
        assert_eq!(events(s), before + 1, "a check is one event");
        ends(s, 3, ["drift", "due"]);
        ok(s, ["drift", "close", "bot", "--reason", "retrained"]);
        ok(s, ["drift", "due"]);
        let held = ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        assert!(held.stdout.contains("not again before"), "{held}");
        assert_eq!(pending(s), []);
        ok(s, ["fsck"]);
        ok(s, ["audit", "verify"]);
    });
}

#[test]
fn the_band_that_fails_is_a_choice() {
    let s = &Sandbox::new();
    prepare(s, "");
    s.write("some.csv", rows(8, "region"));
    let told = ends(s, 3, ["drift", "check", "bot", "--data", "some.csv"]);
    assert!(told.stdout.contains("bot: warning: "), "{told}");
    ok(s, ["drift", "check", "bot", "--data", "some.csv", "--fail-on", "critical"]);
    s.write("few.csv", rows(0, "region").lines().take(11).map(|l| format!("{l}\n")).collect::<String>());
    ends(s, 4, ["drift", "check", "bot", "--data", "few.csv"]);
    ends(s, 3, ["drift", "check", "bot", "--data", "few.csv", "--fail-on", "inconclusive"]);
    let e = ends(s, 2, ["drift", "check", "bot", "--data", "few.csv", "--fail-on", "warn"]);
    assert!(e.stderr.contains("did you mean `warning`?"), "{e}");
}

/// Nothing of it changes the state, and each says what to do.
#[test]
fn what_cannot_be_checked_is_told() {
    on_both_engines(|s| {
        with_bot(s);
        s.write("accepted.csv", rows(0, "region"));
        s.write("header.csv", "id,amount\n");
        s.write("empty.csv", "");
        let says = |code: i32, args: &[&str], what: &str| {
            let before = events(s);
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
            assert_eq!((run.code, run.to_string().contains(what)), (Some(code), true), "{args:?}: {what}\n{run}");
            assert_eq!(events(s), before, "{args:?}");
        };
        says(1, &["drift", "check", "bot", "--data", "accepted.csv"], "`kf drift baseline bot --data FILE`");
        says(2, &["drift", "check"], "mlops.toml has no `[drift.NAME]`");
        says(1, &["drift", "baseline", "bto", "--data", "accepted.csv"], "did you mean `bot`?");
        says(1, &["drift", "baseline", "bot", "--data", "header.csv"], "the data has no rows");
        says(1, &["drift", "baseline", "bot", "--data", "empty.csv"], "empty.csv");
        says(1, &["drift", "baseline", "bot", "--data", "gone.csv"], "gone.csv");
        ok(s, ["drift", "baseline", "bot", "--data", "accepted.csv"]);
        says(1, &["drift", "check", "bto", "--data", "accepted.csv"], "did you mean `bot`?");
        says(2, &["drift", "check", "bot"], "no data is named for `bot`");
        says(1, &["drift", "report", "bot"], "there is no check `bot`");
        says(1, &["drift", "history", "bot"], "was not checked yet");
        says(1, &["drift", "close", "nothing", "--reason", "x"], "there is no action `nothing`");
        s.write("mlops.toml", format!("{}[drift.bot]\nkinds = {{ amuont = \"number\" }}\n", s.read("mlops.toml")));
        says(2, &["drift", "baseline", "bot", "--data", "accepted.csv"], "did you mean `amount`?");
        s.write("mlops.toml", s.read("mlops.toml").replace("kinds = { amuont = \"number\" }", "model = \"other\""));
        says(2, &["drift", "baseline", "bot", "--data", "accepted.csv"], "compares the model other");
        says(1, &["drift", "check", "bot", "--data", "accepted.csv"], "the newest baseline `bot` is of bot@1.0.0");
    });
}

#[test]
fn the_same_baseline_is_kept_once_and_mix_ups_are_noted() {
    on_both_engines(|s| {
        prepare(s, "");
        let before = events(s);
        let again = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv"]);
        assert!(again.stdout.contains("was kept before") && events(s) == before, "{again}");
        ok(s, ["drift", "baseline", "bot@1.0.0", "--name", "mondays", "--data", "accepted.csv"]);
        ok(s, ["drift", "check", "mondays", "--data", "accepted.csv"]);
        let same = ok(s, ["drift", "check", "bot", "--data", "accepted.csv"]);
        assert!(same.stdout.contains("the very bytes that the baseline was taken of"), "{same}");
        ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        let swapped = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "moved.csv"]);
        assert!(swapped.stdout.contains("were reference and new data swapped?"), "{swapped}");
        ok(s, ["archive", "bot@1.0.0"]);
        let archived = ok(s, ["drift", "check", "bot", "--data", "moved.csv"]);
        assert!(archived.stdout.contains("which is archived"), "{archived}");
    });
}

/// A column that is gone, one that is new and one of another kind are told as such; the rest goes on.
#[test]
fn a_changed_schema_is_told_column_by_column() {
    let s = &Sandbox::new();
    prepare(s, "");
    let row = |i: u32| format!("word{},{},1\n", i % 5, ["north", "south", "south", "east"][(i % 4) as usize]);
    s.write("broken.csv", "amount,region,extra\n".to_owned() + &(0..1000).map(row).collect::<String>());
    let run = ends(s, 3, ["drift", "check", "bot", "--data", "broken.csv", "--format", "json"]);
    let columns = json(&run)["checks"][0]["judgement"]["columns"].clone();
    let statuses: Vec<(&str, &str)> = columns
        .as_array()
        .expect("columns")
        .iter()
        .map(|c| (c["name"].as_str().expect("a name"), c["status"].as_str().expect("a status")))
        .collect();
    assert_eq!(statuses, [("amount", "retyped"), ("region", "ok"), ("extra", "new")]);
    s.write("gone.csv", "region\n".to_owned() + &"north\nsouth\nsouth\neast\n".repeat(250));
    let run = ends(s, 3, ["drift", "check", "bot", "--data", "gone.csv"]);
    assert!(run.stdout.contains("upstream: critical: amount is missing") && !run.stdout.contains("wrong file"), "{run}");
    s.write("other.csv", "host,load\n".to_owned() + &"a,0.5\nb,0.25\n".repeat(500));
    let run = ends(s, 3, ["drift", "check", "bot", "--data", "other.csv"]);
    let words = "bot: critical: the new data has no column of the reference (amount, region), and it has host, load: most likely it is the wrong file";
    assert!(run.stdout.contains(words) && run.stdout.contains("hint: name the right file with `--data`"), "{run}");
}

#[test]
fn every_drift_is_checked_and_the_strongest_code_wins() {
    let s = &Sandbox::new();
    prepare(
        s,
        "data = [\"quiet.csv\"]\n[drift.other]\nmodel = \"bot\"\nexclude = [\"id\"]\ndata = [\"moved.csv\"]\n[drift.lost]\nmodel = \"bot\"\ndata = [\"gone.csv\"]\n",
    );
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv", "--name", "other"]);
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv", "--name", "lost"]);
    let run = ends(s, 1, ["drift", "check"]);
    for line in
        ["bot    bot@1.0.0  1000  ok", "other  bot@1.0.0  1000  critical", "3 checks: other critical; 1 check could not be made"]
    {
        assert!(run.stdout.contains(line), "{line}\n{run}");
    }
    // One that names no data, or a query of a database that is not there, stops no other.
    let plain = s.read("mlops.toml");
    let idle = "[drift.idle]\nmodel = \"bot\"\n";
    let away = "[drift.away]\nmodel = \"bot\"\nsource = \"env:KF_TEST_NOWHERE\"\nsql = \"SELECT 1\"\n";
    s.write("mlops.toml", plain.clone() + idle + away);
    let run = ends(s, 1, ["drift", "check"]).stdout;
    for line in ["5 checks: other critical; 3 checks could not be made", "no data is named for `idle`", "KF_TEST_NOWHERE"] {
        assert!(run.contains(line), "{line}\n{run}");
    }
    let lines = ends(s, 1, ["drift", "check", "--format", "jsonl"]).stdout;
    assert!(lines.lines().count() == 5 && lines.contains(r#"{"name":"lost","error":"cannot read"#), "{lines}");
    s.write("mlops.toml", plain);
    let other = ends(s, 3, ["drift", "check", "bot", "other"]).stdout;
    assert!(!other.contains("because of drift of other"), "{other}");
    ok(s, ["drift", "check", "bot"]);
    // One model, one retraining, whoever asks for it.
    assert_eq!(pending(s), [is("open-ticket", "critical", "open")]);
    let theirs = ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]).stdout;
    assert!(theirs.contains("because of drift of other"), "{theirs}");
    let list = ok(s, ["drift", "list"]).stdout;
    assert!(list.contains("lost") && list.contains("never"), "{list}");
}

#[test]
fn a_check_is_made_again_with_the_same_digest() {
    on_both_engines(|s| {
        prepare(s, "");
        ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        let report = json(&ok(s, ["drift", "report", "bot", "--format", "json"]));
        // What mlops.toml says now is not what it said then.
        s.write("mlops.toml", s.read("mlops.toml").replace("exclude = [\"id\"]", "min-rows = 9999"));
        let same = json(&ok(s, ["drift", "replay", "bot", "--data", "moved.csv", "--format", "json"]));
        assert_eq!((&same["same"], &same["found"]), (&true.into(), &report["report"]));
        let other = ends(s, 3, ["drift", "replay", "bot", "--data", "quiet.csv"]).stdout;
        assert!(other.contains("differs: the data are others") && other.contains("differs: amount: ok"), "{other}");
        let id = report["check"].as_str().expect("an id");
        assert!(ok(s, ["drift", "replay", &id[id.len() - 8..], "--data", "moved.csv"]).stdout.contains("the same again"));
    });
}

#[test]
fn what_moved_is_explained_and_history_is_kept() {
    let s = &Sandbox::new();
    prepare(s, "");
    ok(s, ["drift", "check", "bot", "--data", "quiet.csv"]);
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
    let told = ok(s, ["drift", "explain", "bot"]).stdout;
    assert!(told.contains("amount: critical: ") && told.contains("amount by cell") && !told.contains("region by cell"), "{told}");
    assert!(ok(s, ["drift", "explain", "bot", "region"]).stdout.contains("region by cell"));
    let e = ends(s, 1, ["drift", "explain", "bot", "regoin"]);
    assert!(e.stderr.contains("did you mean `region`?"), "{e}");
    let history = ok(s, ["drift", "history", "bot"]).stdout;
    assert!(history.contains("▁█") && history.contains("2 checks, the last is critical"), "{history}");
}

/// The data may come by a pipe, and a report goes to a file.
#[test]
fn data_come_by_a_pipe_and_reports_go_to_files() {
    let s = &Sandbox::new();
    prepare(s, "[drift.other]\ndata = [\"quiet.csv\"]\n");
    s.write("mlops.toml", s.read("mlops.toml").replace("[drift.bot]", "[drift.bot]\ndata = [\"quiet.csv\"]"));
    let data = std::fs::File::open(s.work().join("moved.csv")).expect("the data");
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    command.args(["drift", "check", "bot", "--data", "-", "--report", "markdown=d.md", "--report", "json=d.json"]);
    command.args(["--report", "html=d.html"]);
    let run = s.finish(command.stdin(data));
    assert_eq!(run.code, Some(3), "{run}");
    assert!(s.read("d.md").contains("| amount | critical |"), "{}", s.read("d.md"));
    let page = s.read("d.html");
    assert!(page.starts_with("<!doctype html>") && page.contains("open-ticket") && page.len() < 100_000, "{page}");
    ok(s, ["drift", "report", "bot", "--report", "html=again.html"]);
    assert_eq!(s.read("again.html"), page);
    let two = ends(s, 2, ["drift", "check", "bot", "other", "--report", "html=d.html"]);
    assert!(two.stderr.contains("a page shows one check"), "{two}");
    assert!(s.read("d.json").starts_with("{\n  \"schema\": \"kf.drift-check/1\""));
}

/// A program is run once, with the facts in its environment and the message on its standard input.
#[test]
fn a_program_runs_and_what_fails_is_tried_again() {
    on_both_engines(|s| {
        prepare(
            s,
            "on-critical = [\"command\"]\ncommand = [\"sh\", \"-c\", \"test -e ready || exit 7; { echo $KF_DRIFT $KF_BAND $KF_COLUMNS; cat; } >> told\"]\n",
        );
        let run = ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        assert!(run.stderr.contains("the action command (") && run.stderr.contains("exit status 7"), "{run}");
        assert_eq!(pending(s), [is("command", "critical", "failed")]);
        s.write("ready", "");
        ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        assert_eq!(pending(s), []);
        let told = s.read("told");
        assert!(told.starts_with("bot critical amount\ndrift of bot: critical: "), "{told}");
        ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        assert_eq!(s.read("told"), told, "it ran once");
        ok(s, ["fsck"]);
    });
}

/// Two checks in a row must say so before anything is done.
#[test]
fn windows_wait_for_a_second_check() {
    let s = &Sandbox::new();
    prepare(s, "windows = 2\n");
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
    assert_eq!(pending(s), []);
    ok(s, ["drift", "check", "bot", "--data", "quiet.csv"]);
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
    assert_eq!(pending(s), []);
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
    assert_eq!(pending(s), [is("open-ticket", "critical", "open")]);
}

#[test]
fn a_freeze_keeps_the_model_where_it_is_until_it_is_closed() {
    on_both_engines(|s| {
        prepare(s, "on-critical = [\"freeze-promotions\"]\n");
        ok(s, ["promote", "bot@1.0.0", "--to", "staging"]);
        ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        let run = ends(s, 3, ["promote", "bot@1.0.0", "--to", "production"]);
        assert!(run.stdout.contains("promotions are frozen since") && run.stdout.contains("`kf drift close "), "{run}");
        // Taking the row away does not thaw it.
        let store = crate::story::open(s);
        crate::story::alter(s, &store, "DELETE FROM drift_action");
        ends(s, 3, ["promote", "bot@1.0.0", "--to", "production"]);
        ends(s, 3, ["fsck"]);
    });
    let s = &Sandbox::new();
    prepare(s, "on-critical = [\"freeze-promotions\"]\n");
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
    ok(s, ["drift", "close", "bot", "--reason", "the data were wrong"]);
    release(s, "bot@1.0.0");
}

/// A webhook takes `kf.alert/1` with a text; its address is in no output, state or log.
#[test]
fn a_webhook_is_told_once_and_its_address_is_kept_secret() {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hear = |State(heard): State<Arc<Mutex<Vec<String>>>>, body: String| async move {
        heard.lock().expect("nobody panicked").push(body);
        "ok"
    };
    let address = crate::support::serve(axum::Router::new().route("/hidden-path", post(hear)).with_state(Arc::clone(&heard)));
    let s = &mut Sandbox::new();
    s.set("TEAM_HOOK", &format!("http://{address}/hidden-path"));
    prepare(s, "on-critical = [\"notify\"]\nalerts = [\"team\"]\n[alerts.team]\nurl = \"env:TEAM_HOOK\"\n");
    let run = ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
    let heard = heard.lock().expect("nobody panicked").clone();
    let [body] = &heard[..] else { panic!("{heard:?}\n{run}") };
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert!(body["text"].as_str().is_some_and(|t| t.starts_with("drift of bot: critical: ")), "{body}");
    let log = ok(s, ["audit", "log", "--format", "jsonl"]).stdout;
    assert!(log.contains("drift.action-done") && !log.contains("hidden-path"), "{log}");
    s.set("TEAM_HOOK", "http://127.0.0.1:1/hidden-path");
    s.write("mlops.toml", s.read("mlops.toml").replace("[drift.bot]", "[drift.bot]\ncool-down = \"0s\""));
    let lost = ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
    assert!(lost.stderr.contains("`alerts.team` was not told of ") && !lost.to_string().contains("hidden-path"), "{lost}");
}

/// Baselines and reports are kept by a collection that takes all else.
#[test]
fn a_collection_keeps_what_drift_names() {
    on_both_engines(|s| {
        prepare(s, "");
        ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        ok(s, ["gc", "--apply", "--grace", "0s", "--force"]);
        ok(s, ["gc", "--apply", "--grace", "0s", "--force"]);
        ok(s, ["fsck"]);
        ok(s, ["drift", "replay", "bot", "--data", "moved.csv"]);
    });
}

#[test]
fn a_damaged_object_and_an_edited_baseline_are_refused() {
    let s = &Sandbox::new();
    prepare(s, "");
    let store = crate::story::open(s);
    crate::story::alter(s, &store, "UPDATE baseline SET row_count = 7");
    refused(s, 3, ["drift", "check", "bot", "--data", "quiet.csv"]);
    crate::story::alter(s, &store, "UPDATE baseline SET row_count = 1000");
    ok(s, ["drift", "check", "bot", "--data", "quiet.csv"]);
    std::fs::remove_dir_all(s.work().join(".kf/objects/sha256")).expect("removed");
    let run = ends(s, 1, ["drift", "check", "bot", "--data", "quiet.csv"]);
    assert!(run.stderr.contains("cannot read the baseline `bot` of bot@1.0.0"), "{run}");
    let found = ends(s, 3, ["fsck"]).stdout;
    assert!(found.contains("it is the baseline of bot") && found.contains("it is the report of a check of bot"), "{found}");
}

/// A column of vectors is compared in the frame of its reference, and the column of texts names what moved.
#[test]
fn vectors_are_compared_and_named_by_their_texts() {
    let s = &Sandbox::new();
    with_bot(s);
    let kinds = "[drift.bot]\nexclude = [\"query\"]\nkinds = { query = \"text\" }\n";
    s.write("mlops.toml", s.read("mlops.toml") + kinds);
    // Three topics at three corners, with a little noise that differs in every row; `of` says which topic a row has.
    let data = |of: &dyn Fn(u32) -> u32, width: u32| {
        let row = |i: u32| {
            let topic = of(i);
            let noise = |k: u32| f64::from((i * 7919 + k * 104_729) % 1000) / 5000.0;
            let numbers: Vec<String> = (0..width).map(|k| format!("{:.4}", noise(k) + f64::from(u8::from(k == topic)))).collect();
            format!(
                "{{\"query\": \"about {} {i}\", \"vector\": [{}]}}\n",
                ["parcels", "refunds", "warranty"][topic as usize],
                numbers.join(",")
            )
        };
        (0..1500).map(row).collect::<String>()
    };
    s.write("accepted.jsonl", data(&|i| i % 2, 6));
    s.write("quiet.jsonl", data(&|i| (i / 3) % 2, 6));
    s.write("moved.jsonl", data(&|i| if i % 3 == 0 { 2 } else { i % 2 }, 6));
    s.write("wide.jsonl", data(&|i| i % 2, 8));
    let kept = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.jsonl"]);
    assert!(kept.stdout.contains("vector  vectors") && !kept.stdout.contains("query"), "{kept}");
    ok(s, ["drift", "check", "bot", "--data", "quiet.jsonl"]);
    ends(s, 3, ["drift", "check", "bot", "--data", "moved.jsonl"]);
    let told = ok(s, ["drift", "explain", "bot", "vector"]).stdout;
    assert!(told.contains("like “about "), "{told}");
    let wide = ends(s, 3, ["drift", "check", "bot", "--data", "wide.jsonl"]);
    assert!(wide.stdout.contains("vectors of 8 instead of vectors of 6"), "{wide}");
}

/// An address is read where it is; what is not there is told with the address.
#[test]
fn data_come_from_a_bucket() {
    let server = match s3::shared() {
        Ok(server) => server,
        Err(why) => return skip(why),
    };
    let mut s = Sandbox::new();
    for (name, value) in server.environment(server.port()) {
        s.set(name, &value);
    }
    let place = server.fresh();
    prepare(&s, &format!("data = [\"{place}/moved.csv\"]\n"));
    let path = format!("/{}/moved.csv", place.trim_start_matches("s3://"));
    assert_eq!(server.request("PUT", &path, &s.read("moved.csv")).map(|(status, _)| status), Ok(200));
    ends(&s, 3, ["drift", "check"]);
    let missing = ends(&s, 1, ["drift", "check", "bot", "--data", &format!("{place}/none.csv")]);
    assert!(missing.stderr.contains("none.csv") && missing.stderr.contains("hint:"), "{missing}");
}

//! `kf eval`, and the gates that stand on it.

use crate::repo::{ends, events, json, next_bot, ok, on_both, refused, release, with_bot};
use crate::story::{self, alter};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;
use serde_json::Value;

/// A golden dataset of eight questions; the answers beside it are right but for the last `wrong`.
fn golden(s: &Sandbox, wrong: usize) {
    let rows = (0..8).map(|i| format!("{{\"id\": \"q{i}\", \"question\": \"Question {i}?\", \"reference\": \"answer {i}\"}}\n"));
    s.write("golden.jsonl", rows.collect::<String>());
    let text = |i: usize| if i < 8 - wrong { format!("answer {i}") } else { "no idea".to_owned() };
    let answers = (0..8).map(|i| format!("{{\"id\": \"q{i}\", \"answer\": \"{}\"}}\n", text(i)));
    s.write("answers.jsonl", answers.collect::<String>());
}

const GATED: &str = "[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n\
    [gates.exact]\nstage = [\"staging\", \"production\"]\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.6\nallow-recorded = true\n";

#[test]
fn a_good_version_passes_its_gates_and_a_worse_one_is_refused() {
    on_both(|s| {
        with_bot(s);
        golden(s, 0);
        s.write("mlops.toml", GATED);
        assert_snapshot!(s.kf(["eval", "bot", "--answers", "answers.jsonl", "--metric", "exact-match"]), @"
        bot@1.0.0 on golden.jsonl (8 rows, 996c88f187d3), answers: recorded

        METRIC              MEAN  95 % INTERVAL    SCORED  OF  WHY
        cost-per-query  unscored                        0   8  no answer says what it cost
        coverage          1.0000                        8   8
        error-rate        0.0000                        8   8
        exact-match       1.0000  0.6756 … 1.0000       8   8
        latency-p95     unscored                        0   8  no answer says how long it took

        gates of staging
        GATE   METRIC       MEASURED  95 % INTERVAL    THRESHOLD  N  VERDICT  WHY
        exact  exact-match    1.0000  0.6756 … 1.0000  ≥ 0.6      8  pass     the whole 95 % interval meets it

        bot@1.0.0: the gates of staging pass
        -- exit status: 0 --
        ");
        release(s, "bot@1.0.0");
        next_bot(s, 8);
        golden(s, 8);
        assert_snapshot!(ends(s, 3, ["eval", "bot", "--answers", "answers.jsonl", "--metric", "exact-match"]), @"
        bot@1.0.1 on golden.jsonl (8 rows, 996c88f187d3), answers: recorded

        METRIC              MEAN  95 % INTERVAL    SCORED  OF  WHY
        cost-per-query  unscored                        0   8  no answer says what it cost
        coverage          1.0000                        8   8
        error-rate        0.0000                        8   8
        exact-match       0.0000  0.0000 … 0.3244       8   8
        latency-p95     unscored                        0   8  no answer says how long it took

        against bot@1.0.0 in production, paired by row
        METRIC       PRODUCTION    THIS  DIFFERENCE  95 % INTERVAL      N  DETECTABLE  VERDICT
        exact-match      1.0000  0.0000     -1.0000  -1.0000 … -0.4840  8      0.3688  worse

        gates of staging
        GATE   METRIC       MEASURED  95 % INTERVAL    THRESHOLD  N  VERDICT  WHY
        exact  exact-match    0.0000  0.0000 … 0.3244  ≥ 0.6      8  fail     the whole 95 % interval misses it

        bot@1.0.1: the gates of staging fail
        -- exit status: 3 --
        ");
        let dry = refused(s, 3, ["eval", "bot", "--answers", "answers.jsonl", "--dry-run"]);
        assert!(dry.stderr.contains("dry run: nothing was changed"), "{dry}");
        let shown = json(&ok(s, ["show", "bot", "--format", "json"]));
        assert_eq!(shown["evaluations"].as_array().map(Vec::len), Some(1), "a dry run is not recorded");
        let size = events(s);
        assert_snapshot!(ends(s, 3, ["promote", "bot", "--to", "staging"]), @"
        GATE   METRIC       MEASURED  95 % INTERVAL    THRESHOLD  N  VERDICT  WHY
        exact  exact-match    0.0000  0.0000 … 0.3244  ≥ 0.6      8  fail     the whole 95 % interval misses it

        bot@1.0.1 stays in development: gates failed: exact
        -- exit status: 3 --
        ");
        assert_eq!(events(s), size + 1, "a refusal is recorded");
        let doc = json(&ends(s, 3, ["promote", "bot", "--to", "staging", "--dry-run", "--format", "json"]));
        assert_eq!((&doc["verdict"], &doc["gates"][0]["gate"]), (&"fail".into(), &"exact".into()));
    });
}

#[test]
fn a_dataset_that_changed_needs_a_new_evaluation() {
    on_both(|s| {
        with_bot(s);
        golden(s, 0);
        s.write("mlops.toml", GATED);
        ok(s, ["eval", "bot", "--answers", "answers.jsonl"]);
        s.write("golden.jsonl", s.read("golden.jsonl").replace("Question 1?", "Question one?"));
        let run = ends(s, 4, ["promote", "bot", "--to", "staging"]);
        assert!(run.stdout.contains("has no evaluation on golden.jsonl"), "{run}");
    });
}

#[test]
fn data_that_cannot_be_used() {
    on_both(|s| {
        with_bot(s);
        golden(s, 0);
        assert_snapshot!(refused(s, 2, ["eval", "bot"]), @"
        -- stderr --
        error: no golden dataset named
        hint: name one with `--dataset`, or set `[golden] dataset` in mlops.toml
        -- exit status: 2 --
        ");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "missing.jsonl"]), @"
        -- stderr --
        error: no file of the repository and no registered dataset is called missing.jsonl
        caused by: there is no model `missing.jsonl`
        hint: there is: bot
        -- exit status: 1 --
        ");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "golden.jsonl"]), @r#"
        -- stderr --
        error: golden.jsonl holds no answers, and nothing says how a version answers
        hint: give recorded answers with `--answers FILE`, or set `[system] kind = "command"`, "http" or "builtin" in mlops.toml
        -- exit status: 1 --
        "#);
        assert_snapshot!(refused(s, 2, ["eval", "bot", "--dataset", "golden.jsonl", "--metric", "exact-mach"]), @"
        -- stderr --
        error: there is no metric `exact-mach`
        hint: did you mean `exact-match`?
        -- exit status: 2 --
        ");
        s.write("bad.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\n{\"answer\": \"A\"}\n{\"question\": \"\"}\n");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "bad.jsonl"]), @"
        -- stderr --
        error: the dataset bad.jsonl cannot be used:
        bad.jsonl:2: the row has no question; it has: answer
        bad.jsonl:3: the row has no question; it has: question
        hint: mend these lines; `--map COLUMN=FIELD` says which column is which field
        -- exit status: 1 --
        ");
        s.write("broken.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\nnot json\n");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "broken.jsonl"]), @"
        -- stderr --
        error: the dataset broken.jsonl cannot be used:
        broken.jsonl:2: not JSON: expected ident (column 2)
        hint: mend these lines; `--map COLUMN=FIELD` says which column is which field
        -- exit status: 1 --
        ");
        s.write("empty.jsonl", "");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "empty.jsonl"]), @"
        -- stderr --
        error: the dataset empty.jsonl cannot be used:
        empty.jsonl:1: the file is empty
        hint: mend these lines; `--map COLUMN=FIELD` says which column is which field
        -- exit status: 1 --
        ");
        s.write("strangers.jsonl", "{\"id\": \"zz\", \"answer\": \"A\"}\n");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "golden.jsonl", "--answers", "strangers.jsonl"]), @"
        -- stderr --
        error: no answer in [ROOT]/work/strangers.jsonl belongs to a row of golden.jsonl
        hint: answers are joined by `id`, or by `question` where they have no id
        -- exit status: 1 --
        ");
    });
}

#[test]
fn a_metric_without_a_scored_row_is_shown_and_holds_up_its_gate() {
    on_both(|s| {
        with_bot(s);
        s.write("golden.jsonl", "{\"question\": \"Q1\", \"answer\": \"A\", \"references\": []}\n{\"question\": \"Q2\", \"answer\": \"A\", \"references\": []}\n");
        s.write("mlops.toml", GATED);
        assert_snapshot!(ends(s, 4, ["eval", "bot", "--metric", "exact-match"]), @"
        bot@1.0.0 on golden.jsonl (2 rows, 684fa91069d5), answers: recorded

        METRIC              MEAN  95 % INTERVAL  SCORED  OF  WHY
        cost-per-query  unscored                      0   2  no answer says what it cost
        coverage          1.0000                      2   2
        error-rate        0.0000                      2   2
        exact-match     unscored                      0   2  the row has no reference answer
        latency-p95     unscored                      0   2  no answer says how long it took

        gates of staging
        GATE   METRIC       MEASURED  95 % INTERVAL  THRESHOLD  N  VERDICT       WHY
        exact  exact-match                           ≥ 0.6      0  inconclusive  none of 2 rows could be scored: the row has no reference answer

        bot@1.0.0: the gates of staging are inconclusive
        -- exit status: 4 --
        ");
        let doc = json(&ok(s, ["show", "bot", "--format", "json"]));
        let metric = &doc["evaluations"][0]["metrics"][3];
        let told = (&metric["metric"], &metric["n"], &metric["mean"], &metric["unscored"]);
        assert_eq!(told, (&"exact-match".into(), &0.into(), &Value::Null, &"the row has no reference answer".into()));
    });
}

/// Rankings where the right document is the fourth: found with k = 5, not with k = 3.
fn rankings(s: &Sandbox, k: &str) {
    let row = |i: usize| {
        format!(
            "{{\"id\": \"q{i}\", \"question\": \"Q{i}\", \"response\": \"A\", \"relevant_ids\": [\"d4\"], \"retrieved_ids\": [\"d1\", \"d2\", \"d3\", \"d4\"]}}\n"
        )
    };
    s.write("golden.jsonl", (0..12).map(row).collect::<String>());
    let gate = "[gates.hit]\nstage = [\"staging\", \"production\"]\nkind = \"absolute\"\nmetric = \"hit-at-k\"\nmin = 0.6\n";
    s.write("mlops.toml", format!("[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n{k}{gate}"));
}

#[test]
fn gates_go_by_the_k_of_the_configuration() {
    on_both(|s| {
        with_bot(s);
        rankings(s, "");
        ok(s, ["eval", "bot", "--metric", "hit-at-k"]);
        assert_snapshot!(s.kf(["eval", "bot", "--metric", "hit-at-k", "--k", "3"]), @"
        bot@1.0.0 on golden.jsonl (12 rows, 4bd5bec07154), answers: recorded
        read as: response → answer, retrieved_ids → context_ids, relevant_ids → reference_context_ids
        gates take no notice of this evaluation: mlops.toml says k = 5, set `k = 3` in `[golden]`

        METRIC              MEAN  95 % INTERVAL    SCORED  OF  WHY
        cost-per-query  unscored                        0  12  no answer says what it cost
        coverage          1.0000                       12  12
        error-rate        0.0000                       12  12
        hit-at-k          0.0000  0.0000 … 0.2425      12  12
        latency-p95     unscored                        0  12  no answer says how long it took

        gates of staging
        GATE  METRIC    MEASURED  95 % INTERVAL    THRESHOLD   N  VERDICT  WHY
        hit   hit-at-k    1.0000  0.7575 … 1.0000  ≥ 0.6      12  pass     the whole 95 % interval meets it

        bot@1.0.0: the gates of staging pass
        -- exit status: 0 --
        ");
        rankings(s, "k = 3\n");
        ends(s, 3, ["promote", "bot", "--to", "staging"]);
        let told = json(&ends(s, 3, ["eval", "bot", "--metric", "hit-at-k", "--format", "json"]));
        assert_eq!((&told["ignored"], &told["evaluation"]["judge"]), (&Value::Null, &"deterministic;k=3".into()));
        let shown = ok(s, ["config", "show", "--origin"]).stdout;
        assert!(shown.contains("golden.k") && shown.contains('3'), "{shown}");
        rankings(s, "k = 4\n");
        let run = ends(s, 4, ["promote", "bot", "--to", "staging"]);
        assert!(
            run.stdout.contains("has no evaluation on golden.jsonl (4bd5bec07154) with the `k` and `map` of `[golden]`"),
            "{run}"
        );
        rankings(s, "");
        ok(s, ["promote", "bot", "--to", "staging"]);
    });
}

#[test]
fn gates_go_by_the_map_of_the_configuration() {
    on_both(|s| {
        with_bot(s);
        let row = |i: usize| {
            format!("{{\"question\": \"Q{i}\", \"answer\": \"right {i}\", \"say\": \"right {i}\", \"gold\": \"no\"}}\n")
        };
        s.write("golden.jsonl", (0..12).map(row).collect::<String>());
        s.write("mlops.toml", GATED);
        let asked = json(&ends(s, 4, ["eval", "bot", "--map", "say=references", "--metric", "exact-match", "--format", "json"]));
        assert!(asked["ignored"].as_str().is_some_and(|why| why.contains("`[golden] map`")), "{}", asked["ignored"]);
        s.write("mlops.toml", GATED.replace("[gates", "map = { say = \"references\" }\n[gates"));
        ok(s, ["promote", "bot", "--to", "staging"]);
        let same = json(&ok(s, ["eval", "bot", "--map", "say=references", "--metric", "exact-match", "--format", "json"]));
        assert_eq!(same["ignored"], Value::Null, "what mlops.toml says anyway changes nothing");
    });
}

/// Eight questions and a program that answers them: `script` is the body of a shell script.
fn answering(s: &Sandbox, script: &str) {
    golden(s, 0);
    s.write("answer.sh", format!("{ANSWER}\n{script}\n"));
    let system = "[system]\nkind = \"command\"\ncommand = [\"sh\", \"answer.sh\"]\ntimeout = \"2s\"\n";
    s.write("mlops.toml", format!("[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n{system}"));
}

/// Reads a question and answers it rightly.
const ANSWER: &str = r#"answer() {
    read -r line || return 1
    id=$(printf '%s' "$line" | sed 's/.*"id":"q\([0-9]*\)".*/\1/')
    printf '{"id": "q%s", "answer": "answer %s"}\n' "$id" "$id"
}"#;

/// Runs an evaluation of what the program answers: how it ended, how many rows failed and why, how many were scored.
#[track_caller]
fn evaluated(s: &Sandbox, code: i32) -> (i64, String, i64) {
    let doc = json(&ends(s, code, ["eval", "bot", "--metric", "exact-match", "--format", "json"]));
    let failures = doc["failures"].as_array().expect("a list");
    let rows = failures.iter().map(|f| f["rows"].as_i64().expect("a number")).sum();
    let why = failures.first().map(|f| f["reason"].as_str().expect("a reason").to_owned()).unwrap_or_default();
    let metric = |name: &str| {
        let all = doc["evaluation"]["metrics"].as_array().expect("a list");
        all.iter().find(|m| m["metric"] == name).cloned().expect("a metric")
    };
    assert_eq!(metric("error-rate")["mean"].as_f64(), Some(f64::from(i32::try_from(rows).expect("few")) / 8.0));
    (rows, why, metric("exact-match")["n"].as_i64().expect("a number"))
}

#[test]
fn rows_that_a_program_fails_on_are_kept_apart() {
    on_both(|s| {
        with_bot(s);
        for (script, code, failed, why) in [
            ("exit 7", 1, 8, "no answer: `sh` ended with exit status 7"),
            ("echo sorry >&2; exit 7", 1, 8, "sorry"),
            ("exec <&-; sleep 1", 1, 8, "no answer: `sh` ended"),
            ("sleep 60", 1, 8, "no answer: `sh`"),
            ("answer; answer; answer; exit 3", 5, 5, "no answer: `sh` ended with exit status 3"),
            ("answer; answer", 5, 6, "no answer: `sh` ended"),
            ("answer; sleep 60", 5, 7, "no answer: `sh`"),
            (
                r#"answer; read -r line; echo '{"id": "q1", "error": "no documents"}'; while answer; do :; done"#,
                5,
                1,
                "no documents",
            ),
            ("while answer; do :; done", 0, 0, ""),
        ] {
            answering(s, script);
            let (rows, reason, scored) = evaluated(s, code);
            assert_eq!((rows, scored), (failed, 8 - failed), "{script}");
            assert!(reason.contains(why), "{script}: {reason}");
        }
    });
}

#[test]
fn a_program_whose_output_cannot_be_trusted_is_no_evaluation() {
    on_both(|s| {
        with_bot(s);
        for (script, what) in [
            ("answer; echo Loading model; while answer; do :; done", "is not a JSON object"),
            (r#"answer; echo '{"id": "q0", "answer": "again"}'; while answer; do :; done"#, "a second time"),
            (r#"echo '{"id": "zz", "answer": "x"}'"#, "that was not asked"),
            (r#"echo '{"answer": "x"}'"#, "has no `id`"),
            (r"printf '\377\376\000\001\n'", "is not a JSON object"),
        ] {
            answering(s, script);
            let run = refused(s, 1, ["eval", "bot"]);
            assert!(run.stderr.contains("of the output of `sh`") && run.stderr.contains(what), "{script}: {run}");
            assert!(run.stderr.contains("hint: write one JSON object a line"), "{run}");
        }
        s.write("mlops.toml", s.read("mlops.toml").replace("\"sh\"", "\"no-such-program\""));
        let run = refused(s, 1, ["eval", "bot"]);
        assert!(run.stderr.contains("no-such-program"), "{run}");
        answering(s, "while answer; do :; done");
        assert_eq!(evaluated(s, 0), (0, String::new(), 8), "the next run goes on");
    });
}

#[test]
fn a_budget_of_errors_says_how_many_failures_are_too_many() {
    on_both(|s| {
        with_bot(s);
        answering(s, "answer; answer; answer; answer; answer; answer; exit 3");
        let gate =
            |max: &str| format!("[gates.errors]\nstage = \"staging\"\nkind = \"budget\"\nmetric = \"error-rate\"\nmax = {max}\n");
        let config = s.read("mlops.toml");
        s.write("mlops.toml", format!("{config}{}", gate("0.3")));
        ok(s, ["eval", "bot"]);
        s.write("mlops.toml", format!("{config}{}", gate("0.2")));
        ends(s, 3, ["eval", "bot"]);
        s.write("mlops.toml", config);
        let run = ends(s, 5, ["eval", "bot"]);
        assert!(run.stdout.contains("the system failed on 2 of 8 rows"), "{run}");
    });
}

/// A service whose behaviour the path decides: `/3/500` answers three questions and then says 500.
fn service() -> std::net::SocketAddr {
    use axum::extract::Path;
    use axum::http::{StatusCode, header};
    use axum::response::{IntoResponse, Redirect, Response};
    async fn app(Path((good, way)): Path<(usize, String)>, axum::Json(asked): axum::Json<Value>) -> Response {
        let id = asked["id"].as_str().unwrap_or_default().to_owned();
        let number: usize = id.trim_start_matches('q').parse().unwrap_or(0);
        if number < good {
            return axum::Json(serde_json::json!({"id": id, "answer": format!("answer {number}")})).into_response();
        }
        match way.as_str() {
            "html" => ([(header::CONTENT_TYPE, "text/html")], "<html><body>Sign in</body></html>").into_response(),
            "empty" => StatusCode::NO_CONTENT.into_response(),
            // Followed: it stays at the same origin and keeps the method.
            "away" => Redirect::temporary("/8/ok").into_response(),
            "refuse" => (StatusCode::FORBIDDEN, "no").into_response(),
            _ => {
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                ().into_response()
            }
        }
    }
    crate::support::serve(axum::Router::new().route("/{good}/{way}", axum::routing::post(app)))
}

#[test]
fn rows_that_a_service_fails_on_are_kept_apart() {
    let at = service();
    let s = Sandbox::new();
    with_bot(&s);
    golden(&s, 0);
    for (path, code, failed, why) in [
        ("8/ok", 0, 0, ""),
        ("3/html", 5, 5, "the answer is not JSON"),
        ("0/html", 1, 8, "Sign in"),
        ("7/empty", 5, 1, "the answer is not JSON"),
        ("7/refuse", 5, 1, "403 Forbidden"),
        ("7/slow", 5, 1, "no answer within 1 s"),
        ("7/away", 0, 0, ""),
        ("8/ok", 0, 0, ""),
    ] {
        let system = format!("[system]\nkind = \"http\"\nurl = \"http://{at}/{path}\"\ntimeout = \"1s\"\n");
        s.write("mlops.toml", format!("[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n{system}"));
        let (rows, reason, scored) = evaluated(&s, code);
        assert_eq!((rows, scored), (failed, 8 - failed), "{path}: {reason}");
        assert!(reason.contains(why), "{path}: {reason}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_found_before_anything_is_evaluated() {
    on_both(|s| {
        with_bot(s);
        golden(s, 0);
        s.write("mlops.toml", GATED);
        for place in ["junit=nowhere/x.xml", "html=bot", "json=golden.jsonl/x"] {
            let run =
                refused(s, 1, ["eval", "bot", "--answers", "answers.jsonl", "--report", "json=good.json", "--report", place]);
            assert!(run.stderr.starts_with("error: cannot write the report "), "{run}");
        }
        refused(s, 2, ["eval", "bot", "--answers", "answers.jsonl", "--report", "junit=mlops.toml"]);
        let left =
            std::fs::read_dir(s.work()).expect("a folder").filter_map(|e| e.expect("an entry").file_name().into_string().ok());
        assert_eq!(left.filter(|n| n.ends_with(".tmp") || n == "good.json").count(), 0, "nothing is left there");
        ok(s, ["eval", "bot", "--answers", "answers.jsonl", "--report", "json=good.json"]);
        assert!(s.work().join("good.json").is_file());
    });
}

/// What production scored is shown beside the candidate, so it is what was recorded or it is not shown.
#[test]
fn a_comparison_believes_no_edited_row_of_production() {
    on_both(|s| {
        story::tell(s);
        let compared =
            |code| ends(s, code, ["eval", "bot@1.0.2", "--answers", "answers.jsonl", "--no-gates", "--format", "json"]);
        assert!(json(&compared(5))["comparison"].as_array().is_some_and(|all| !all.is_empty()), "there is one to compare with");
        let store = story::open(s);
        let of = "evaluation = (SELECT e.id FROM evaluation e JOIN version v ON v.id = e.version WHERE v.stage = 'production')";
        assert_eq!(
            alter(s, &store, &format!("UPDATE eval_row SET value = 0 WHERE {of} AND pos = 1 AND metric = 'exact-match'")),
            1
        );
        let run = compared(3);
        assert!(run.stderr.contains("of bot@1.0.0") && run.stderr.contains("kf fsck"), "{run}");
    });
}

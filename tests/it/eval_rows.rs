//! `kf eval` below the mean: slices, clusters, what could be detected, rows that must pass.

use crate::repo::{ends, json, next_bot, ok, with_bot};
use crate::schemas::fit;
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Sixty questions in two languages, answered; `more` is said of each row.
fn golden(s: &Sandbox, more: impl Fn(usize) -> Value) {
    let mut lines = String::new();
    for i in 0..60 {
        let mut row =
            json!({"id": format!("q{i}"), "question": format!("Question {i}?"), "reference": format!("one two three {i}")});
        row["language"] = json!(if i < 30 { "de" } else { "fr" });
        row["tags"] = json!(if i % 3 == 0 { vec!["returns"] } else { vec![] });
        if let (Value::Object(row), Value::Object(more)) = (&mut row, more(i)) {
            row.extend(more);
        }
        let _ = writeln!(lines, "{row}");
    }
    s.write("golden.jsonl", lines);
}

/// Answers that are right where `right` says so, and half right elsewhere.
fn answers(s: &Sandbox, right: impl Fn(usize) -> bool) {
    let text = |i: usize| if right(i) { format!("one two three {i}") } else { format!("one four five {i}") };
    let line = |i: usize| format!("{}\n", json!({"id": format!("q{i}"), "answer": text(i)}));
    s.write("answers.jsonl", (0..60).map(line).collect::<String>());
}

fn repository(gate: &str) -> Sandbox {
    let s = Sandbox::new();
    with_bot(&s);
    let config = s.read("mlops.toml");
    s.write("mlops.toml", format!("{config}\n[golden]\ndataset = \"golden.jsonl\"\n[policy]\nskip-staging = true\n{gate}"));
    s
}

/// Evaluates 1.0.0 and puts it into production, then evaluates 1.0.1.
fn both(s: &Sandbox, before: impl Fn(usize) -> bool, now: impl Fn(usize) -> bool) -> Value {
    answers(s, before);
    ok(s, ["eval", "bot", "--answers", "answers.jsonl", "--metric", "exact-match", "--metric", "token-f1", "--no-gates"]);
    ok(s, ["promote", "bot", "--to", "production"]);
    next_bot(s, 9);
    answers(s, now);
    let args = [
        "eval",
        "bot",
        "--answers",
        "answers.jsonl",
        "--metric",
        "exact-match",
        "--metric",
        "token-f1",
        "--no-gates",
        "--slices",
    ];
    let found = json(&s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).args(["--format", "json"])));
    fit("eval", std::slice::from_ref(&found));
    let table = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args)).stdout;
    assert!(table.contains("DETECTABLE") && table.contains("slices, each with its own rows"), "{table}");
    found
}

fn compared<'a>(found: &'a Value, metric: &str) -> &'a Value {
    found["comparison"].as_array().expect("a comparison").iter().find(|c| c["metric"] == metric).expect("the metric")
}

/// German lost what French gained: together nothing, by language both, each with its own n.
#[test]
fn a_language_that_lost_is_told_where_the_whole_says_nothing() {
    let s = repository("");
    golden(&s, |_| json!({}));
    let found = both(&s, |i| i < 30, |i| i >= 30);
    let whole = compared(&found, "exact-match");
    assert_eq!((&whole["verdict"], &whole["difference"], &whole["n"]), (&json!("inconclusive"), &json!(0.0), &json!(60)));
    // 2.8016 · sd / √60 with sd = √(60/59).
    assert!((whole["detectable"].as_f64().expect("a number") - 0.3647).abs() < 1e-3, "{whole}");
    let slices = found["slices"].as_array().expect("slices");
    let of = |slice: &str| slices.iter().find(|v| v["slice"] == slice && v["metric"] == "exact-match").expect("a slice");
    assert_eq!((&of("language de")["verdict"], &of("language de")["n"]), (&json!("worse"), &json!(30)));
    assert_eq!((&of("language fr")["verdict"], &of("tag returns")["verdict"]), (&json!("better"), &json!("inconclusive")));
    assert_eq!(of("tag returns")["rows"], 20);
    // An evaluation of what is in production has nothing to be compared with, and slices all the same.
    let alone =
        ["eval", "bot@production", "--answers", "answers.jsonl", "--metric", "exact-match", "--slices", "--format", "json"];
    let alone = json(&ok(&s, alone));
    assert!(
        alone["slices"].as_array().is_some_and(|all| all.len() == 3 && all.iter().all(|v| v["verdict"].is_null())),
        "{alone}"
    );
}

/// Twelve of sixty rows gained: clear if they are independent, and open if they are two conversations.
#[test]
fn rows_of_one_conversation_count_together() {
    let verdicts = [json!({}), json!({"cluster": "same"})].map(|more| {
        let s = repository("");
        golden(&s, |i| match &more["cluster"] {
            Value::Null => json!({}),
            _ => json!({"cluster": format!("talk {}", i / 6)}),
        });
        let found = both(&s, |_| false, |i| i < 12);
        compared(&found, "exact-match").clone()
    });
    assert_eq!((&verdicts[0]["verdict"], &verdicts[0]["clusters"]), (&json!("better"), &Value::Null));
    assert_eq!((&verdicts[1]["verdict"], &verdicts[1]["clusters"]), (&json!("inconclusive"), &json!(10)));
    assert_eq!(verdicts[0]["difference"], verdicts[1]["difference"]);
    assert!(verdicts[1]["needed"].as_u64().is_some_and(|n| n > 60), "{}", verdicts[1]);
}

/// What sixty independent rows prove four conversations of fifteen do not: neither the mean nor the loss is sure. Gates that read the state
/// know the conversations without the dataset's rows.
#[test]
fn gates_count_the_conversations_of_rows() {
    let gates = "[gates.right]\nstage = \"production\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.5\nallow-recorded = true\n\
                 [gates.no-worse]\nstage = \"production\"\nkind = \"regression\"\nmetric = \"exact-match\"\nmargin = 0.4\nallow-recorded = true\n";
    for (size, code, verdicts) in
        [(1, 0, ["pass", "pass"]), (6, 4, ["inconclusive", "pass"]), (12, 4, ["inconclusive", "inconclusive"])]
    {
        let s = repository("");
        golden(&s, |i| if size == 1 { json!({}) } else { json!({"cluster": format!("talk {}", i / size)}) });
        answers(&s, |i| i % 12 < 9);
        ok(&s, ["eval", "bot", "--answers", "answers.jsonl", "--metric", "exact-match", "--no-gates"]);
        ok(&s, ["promote", "bot", "--to", "production"]);
        s.write("mlops.toml", format!("{}\n{gates}", s.read("mlops.toml")));
        next_bot(&s, 9);
        answers(&s, |i| i % 12 < 9 && i != 3);
        let args =
            ["eval", "bot", "--answers", "answers.jsonl", "--gate", "production", "--metric", "exact-match", "--format", "json"];
        let found = json(&ends(&s, code, args));
        fit("eval", std::slice::from_ref(&found));
        let of = |found: &Value, gate: &str| {
            let judged = found["gates"].as_array().expect("gates").iter().find(|g| g["gate"] == gate).expect("the gate");
            (judged["verdict"].clone(), judged["low"].clone(), judged["reason"].clone())
        };
        for (gate, verdict) in ["right", "no-worse"].into_iter().zip(verdicts) {
            assert_eq!(of(&found, gate).0, verdict, "{size}: {found:#}");
        }
        let why = of(&found, "no-worse").2;
        assert_eq!(why.as_str().is_some_and(|why| why.contains("clusters")), size > 1, "{why}");
        let promoted = json(&ends(&s, code, ["promote", "bot", "--to", "production", "--format", "json"]));
        for gate in ["right", "no-worse"] {
            assert_eq!(of(&promoted, gate), of(&found, gate), "{size}");
        }
        ok(&s, ["fsck"]);
    }
}

/// 59 of 60 are right, and the gate passes; but not when the one that is wrong must pass. The state knows it without the dataset's rows.
#[test]
fn a_row_that_must_pass_fails_the_gate_by_itself() {
    let gate = "[gates.right]\nstage = \"production\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.9\nbound = \"mean\"\nallow-recorded = true\n";
    for (must, code, why) in [
        (vec![5, 8], 0, "it meets the limit; each of 2 rows that must pass meets it"),
        (vec![7, 8], 3, "1 of 2 rows that must pass miss the limit: q7"),
        (vec![], 0, "it meets the limit"),
    ] {
        let s = repository(gate);
        golden(&s, |i| json!({"must_pass": must.contains(&i)}));
        answers(&s, |i| i != 7);
        let args = ["eval", "bot", "--answers", "answers.jsonl", "--gate", "production", "--format", "json"];
        let found = json(&ends(&s, code, args));
        fit("eval", std::slice::from_ref(&found));
        assert_eq!(found["gates"][0]["reason"], why);
        assert!(found["evaluation"]["metrics"].as_array().is_some_and(|all| all.iter().all(|m| m["metric"] != "must-pass")));
        let promoted = ends(&s, code, ["promote", "bot", "--to", "production", "--first-release"]);
        assert!(promoted.stdout.contains(why), "{promoted}");
        ok(&s, ["fsck"]);
    }
    // One that is unscored leaves the gate open.
    let s = repository(gate);
    golden(&s, |i| json!({"must_pass": i == 7}));
    answers(&s, |_| true);
    let lines = s.read("answers.jsonl").replace("\"q7\",\"answer\":\"one two three 7\"", "\"q7\",\"error\":\"timeout\"");
    s.write("answers.jsonl", lines);
    let args = ["eval", "bot", "--answers", "answers.jsonl", "--gate", "production", "--metric", "exact-match"];
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
    assert!(run.stdout.contains("1 of 1 rows that must pass are unscored: q7"), "{run}");
    assert_eq!(ends(&s, 4, ["promote", "bot", "--to", "production"]).code, Some(4));
}

const NO_WORSE: &str = "\n[gates.no-worse]\nstage = \"production\"\nkind = \"regression\"\nmetric = \"exact-match\"\nmargin = 0.2\nallow-recorded = true\n";

/// A file of answers that leaves out the rows which went wrong is not a better version.
#[test]
fn rows_that_a_file_does_not_answer_are_rows_that_failed() {
    let s = repository("");
    golden(&s, |_| json!({}));
    answers(&s, |i| i < 20);
    let kept: String = s.read("answers.jsonl").lines().take(20).map(|line| format!("{line}\n")).collect();
    s.write("answers.jsonl", kept);
    let args = ["eval", "bot", "--answers", "answers.jsonl", "--metric", "exact-match", "--no-gates"];
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
    assert_eq!(run.code, Some(5), "{run}");
    for told in ["no answer to 40 rows: answers.jsonl has no answer to it", "the system failed on 40 of 60 rows"] {
        assert!(run.stdout.contains(told), "{told}: {run}");
    }
    let found = json(&s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).args(["--rows", "--format", "json"])));
    fit("eval", std::slice::from_ref(&found));
    let why = found["rows"][59]["unscored"]["exact-match"].as_str();
    assert_eq!(why, Some("the system failed: answers.jsonl has no answer to it"));
}

/// Whoever looks at one metric does not take from gates and comparisons what was found before.
#[test]
fn an_evaluation_of_one_metric_hides_no_other() {
    let s = repository("");
    golden(&s, |_| json!({}));
    answers(&s, |_| true);
    let of = |metric: &str, more: &[&str], code: i32| {
        let args = [&["eval"], more, &["--answers", "answers.jsonl", "--metric", metric, "--format", "json"]].concat();
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
        assert_eq!(run.code, Some(code), "{run}");
        json(&run)
    };
    of("exact-match", &["bot", "--no-gates"], 0);
    ok(&s, ["promote", "bot", "--to", "production"]);
    s.write("mlops.toml", s.read("mlops.toml") + NO_WORSE);
    of("token-f1", &["bot@production", "--no-gates"], 0);
    next_bot(&s, 9);
    let found = of("exact-match", &["bot", "--gate", "production"], 0);
    assert_eq!((&found["gates"][0]["verdict"], &found["comparison"][0]["metric"]), (&json!("pass"), &json!("exact-match")));
    of("token-f1", &["bot", "--no-gates"], 0);
    ok(&s, ["promote", "bot", "--to", "production"]);
    // What nobody computed is named, with what to run.
    s.write("mlops.toml", s.read("mlops.toml").replace("exact-match", "chrf"));
    next_bot(&s, 8);
    let found = of("chrf", &["bot", "--gate", "production"], 4);
    let why = found["gates"][0]["reason"].as_str().expect("a reason");
    assert!(why.ends_with("in production on this dataset computed chrf: run `kf eval bot@1.0.1`"), "{why}");
}

/// Gates that go by another dataset than the one that was asked say so.
#[test]
fn an_evaluation_that_no_gate_goes_by_says_so() {
    let s = repository("");
    golden(&s, |_| json!({}));
    answers(&s, |_| true);
    s.write(
        "mlops.toml",
        s.read("mlops.toml") + "\n[gates.right]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.5\n",
    );
    ok(&s, ["eval", "bot", "--answers", "answers.jsonl"]);
    s.write("other.jsonl", s.read("golden.jsonl").replace("one two", "eins zwei"));
    let other = json(&ok(&s, ["eval", "bot", "--answers", "answers.jsonl", "--dataset", "other.jsonl", "--format", "json"]));
    let told = "gates take no notice of this evaluation: they go by golden.jsonl, and by what was recorded of it before";
    assert_eq!(other["ignored"], told);
    // The same bytes under another name are the same dataset.
    s.write("copy.jsonl", s.read("golden.jsonl"));
    let copy = json(&ok(&s, ["eval", "bot", "--answers", "answers.jsonl", "--dataset", "copy.jsonl", "--format", "json"]));
    assert_eq!(copy["ignored"], Value::Null);
    let dry = ok(&s, ["eval", "bot", "--answers", "answers.jsonl", "--metric", "exact-match", "--no-gates", "--dry-run"]);
    assert!(dry.stdout.contains(": 3 metrics computed"), "{dry}");
}

/// A row without a reference must decline, and holds up no gate that needs a reference.
#[test]
fn a_row_that_must_pass_counts_for_the_metrics_that_can_score_it() {
    let gates = "[gates.words]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"token-f1\"\nmin = 0.5\n[gates.declines]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"refusal-correct\"\nmin = 0.5\n";
    for (said, code, verdict) in [("I do not know.", 0, "pass"), ("Blue, of course.", 3, "fail")] {
        let s = repository(gates);
        golden(&s, |i| json!({"answerable": true, "must_pass": i == 1}));
        let unanswerable = json!({"id": "u", "question": "Which colour?", "answerable": false, "must_pass": true});
        s.write("golden.jsonl", format!("{}{unanswerable}\n", s.read("golden.jsonl")));
        answers(&s, |_| true);
        s.write("answers.jsonl", format!("{}{}\n", s.read("answers.jsonl"), json!({"id": "u", "answer": said})));
        let found = json(&ends(&s, code, ["eval", "bot", "--answers", "answers.jsonl", "--format", "json"]));
        let verdicts: Vec<&Value> = found["gates"].as_array().expect("gates").iter().map(|g| &g["verdict"]).collect();
        assert_eq!(verdicts, [&json!("pass"), &json!(verdict)], "{found:#}");
        let promoted = json(&ends(&s, code, ["promote", "bot", "--to", "staging", "--format", "json"]));
        for (now, then) in promoted["gates"].as_array().expect("gates").iter().zip(found["gates"].as_array().expect("gates")) {
            assert_eq!((&now["verdict"], &now["reason"]), (&then["verdict"], &then["reason"]));
        }
    }
}

/// What a dataset of a pull request calls its rows is no command to the runner that prints it.
#[test]
fn no_line_of_a_report_is_a_command_of_github() {
    let s = repository(
        "[gates.right]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.5\nbound = \"mean\"\n",
    );
    let row = |id: &str| json!({"id": id, "question": format!("Question {id}?"), "reference": "yes", "must_pass": true, "answer": "no"});
    let rows = ["r0\n::stop-commands::xx", "\u{1b}[31m ::error::x", "##[add-mask]a"].map(row);
    s.write("golden.jsonl", rows.iter().map(|row| format!("{row}\n")).collect::<String>());
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).env("GITHUB_ACTIONS", "true").args([
        "eval",
        "bot",
        "--rows",
        "--metric",
        "exact-match",
    ]));
    let both = format!("{}\n{}", run.stdout, run.stderr);
    let commands: Vec<&str> = both.lines().filter(|line| line.trim_start().starts_with("::")).collect();
    assert!(commands.len() == 1 && commands[0].starts_with("::error file=mlops.toml,title="), "{commands:#?} {run}");
    assert!(!both.contains("##[") && !both.contains('\u{1b}'), "{both:?}");
}

//! `kf eval --changed` where not everything is measured: gates that are not judged, options that do not go together, files that programs read.

use crate::ci_comment::{PROGRAM, branch, commit, config, judged, prompt};
use crate::repo::{ends, json, ok};
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json as doc};

/// Makes what is in the folder what the branch goes into.
fn merged(s: &Sandbox) {
    commit(s, "merged");
    s.git(["branch", "-f", "main"]);
}

fn eval(s: &Sandbox, code: i32, more: &[&str]) -> Value {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["eval", "--changed=main", "--format", "json"]).args(more));
    assert_eq!(run.code, Some(code), "kf eval --changed=main {more:?}\n{run}");
    json(&run)
}

fn gates(model: &Value) -> Vec<&str> {
    model["gates"].as_array().expect("a list").iter().filter_map(|g| g["gate"].as_str()).collect()
}

/// Gates on suites, and on metrics and datasets that are left out, are told with the command that judges them, and decide nothing.
#[test]
fn gates_that_are_not_measured_here_are_told_and_decide_nothing() {
    let s = &branch();
    let gate = |name: &str, rest: &str| format!("[gates.{name}]\nstage = \"production\"\n{rest}\n");
    let more = [
        gate("no-worse", "kind = \"regression\"\nmetric = \"token-f1\"\nmargin = 0.3"),
        gate("robust", "kind = \"absolute\"\nmetric = \"robustness\"\nmin = 0.9"),
        gate("typos", "kind = \"absolute\"\nmetric = \"robustness/typos\"\nmin = 0.9"),
        gate("exact", "kind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.99"),
        gate("other", "kind = \"absolute\"\nmetric = \"token-f1\"\nmin = 0.9\ndataset = \"more.jsonl\""),
        gate("all", "kind = \"budget\"\nmetric = \"coverage\"\nmin = 1.0"),
    ];
    s.write("mlops.toml", config() + &more.concat());
    s.write("more.jsonl", s.read("golden.jsonl"));
    merged(s);
    prompt(s, "Be careful.");
    let found = eval(s, 0, &["--metric", "token-f1"]);
    let model = &found["models"][0];
    assert_eq!((gates(model), &model["verdict"]), (vec!["words", "no-worse", "all"], &doc!("pass")), "{model}");
    assert_eq!(
        model["notes"],
        doc!([
            "gates that go by another dataset were not judged: other; `kf eval --changed --dataset more.jsonl` judges them",
            "gates that go by a suite were not judged: robust, typos; once the version is registered, `kf eval bot --suite robustness` judges them",
            "gates that go by other metrics than those of `--metric` were not judged: exact; `kf eval --changed` without `--metric` judges them",
        ])
    );
    let comment = judged(s, 0).1;
    assert!(comment.contains("--suite robustness"), "{comment}");
    // Those of another stage are nobody's concern, nor are those that nobody asks for.
    assert_eq!(eval(s, 4, &["--metric", "token-f1", "--gate", "staging"])["models"][0]["notes"], doc!([]));
    assert_eq!(eval(s, 4, &["--metric", "token-f1", "--no-gates"])["models"][0]["notes"], doc!([]));
    let all = eval(s, 3, &[]);
    assert!(gates(&all["models"][0]).contains(&"exact"), "{all}");
    let other = eval(s, 4, &["--dataset", "more.jsonl"]);
    assert_eq!(gates(&other["models"][0]), ["other"]);
}

/// What is compared stands in a state that is thrown away: its numbers are none that a person could name.
#[test]
fn no_sentence_names_a_version_that_nobody_has() {
    let s = &branch();
    let late = "[gates.fast]\nstage = \"production\"\nkind = \"budget\"\nmetric = \"latency-p95\"\nmax = 5000\n\
        [gates.no-worse]\nstage = \"production\"\nkind = \"regression\"\nmetric = \"token-f1\"\nmargin = 0.3\n";
    s.write("mlops.toml", config() + late);
    merged(s);
    prompt(s, "Be careful.");
    let sampled = eval(s, 4, &["--metric", "token-f1", "--sample", "10"]);
    let reason = sampled["models"][0]["gates"][0]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.starts_with("bot has no evaluation on golden.jsonl (") && reason.contains("leave out `--sample`"), "{reason}");
    eval(s, 0, &["--metric", "token-f1", "--cache", "write"]);
    let kept = eval(s, 4, &["--metric", "token-f1", "--cache", "only"]);
    assert!(kept.to_string().contains("run `kf eval --changed` with `--cache off`"), "{kept}");
    for found in [&sampled, &kept] {
        assert!(!found.to_string().contains("bot@"), "{found}");
    }
}

#[test]
fn what_does_not_go_together_says_what_does() {
    let s = &branch();
    let run = ends(s, 2, ["eval", "--changed", "--suite", "robustness"]);
    assert!(run.stderr.contains("'--changed[=<REF>]' cannot be used with '--suite <SUITE>'"), "{run}");
    for reference in ["main", "origin/main"] {
        let run = ends(s, 2, ["eval", "--changed", reference]);
        let tip = format!("to compare with `{reference}` write `--changed={reference}`");
        assert!(run.stderr.contains(&tip) && !run.stderr.contains("Usage"), "{run}");
        let run = ends(s, 2, ["eval", "--changed", reference, "--format", "json"]);
        let said: Value = serde_json::from_str(&run.stderr).expect("a line of JSON");
        assert_eq!(said["hints"][0], format!("tip: {tip}"), "{said}");
    }
    // What is wrong elsewhere is not taken for it.
    let run = ends(s, 2, ["eval", "--changed", "main", "--k", "none"]);
    assert!(!run.stderr.contains("tip: to compare"), "{run}");
    let run = ends(s, 2, ["eval", "bot", "--changed"]);
    assert!(!run.stderr.contains("tip: to compare"), "{run}");
}

/// A report that was asked for as JSON is JSON, so that the comment can be made of it.
#[test]
fn a_quiet_report_makes_a_comment() {
    let s = &branch();
    prompt(s, "Say little.");
    let run = ends(s, 3, ["eval", "--changed=main", "--metric", "token-f1", "--format", "json", "--quiet"]);
    s.write("eval.json", &run.stdout);
    assert!(ok(s, ["ci", "comment", "eval.json"]).stdout.contains("❌ fail"), "{run}");
}

/// The program of `ci_comment`, which reads what is right from a handbook, by a module of its own.
fn reading_program(s: &Sandbox, files: &str) {
    let program = PROGRAM.replace("open(\"golden.jsonl\")", "open(\"handbook.jsonl\")");
    s.write("answer.py", format!("import lib.tone\n{program}"));
    s.write("lib/tone.py", "KIND = True\n");
    s.write("handbook.jsonl", s.read("golden.jsonl"));
    s.write("mlops.toml", config().replace("\"answer.py\"]\n", &format!("\"answer.py\"]\n{files}")));
    merged(s);
}

/// What the program reads and imports changes what it answers, when `system.files` names it.
#[test]
fn files_that_the_program_reads_change_every_model() {
    let s = &branch();
    reading_program(s, "files = [\"handbook.jsonl\", \"lib/\"]\n");
    assert_eq!(judged(s, 0).0["models"], doc!([]), "nothing changed, and what Python compiles is no change");
    s.write("handbook.jsonl", s.read("handbook.jsonl").replace("seven working days", "when it is there"));
    commit(s, "another handbook");
    let (found, comment) = judged(s, 3);
    let model = &found["models"][0];
    assert_eq!(model["files"], doc!([{"path": "handbook.jsonl", "status": "changed", "from": null}]));
    assert!(model["figures"][0]["verdict"] == "worse" && comment.contains("handbook.jsonl"), "{model}");
    s.git(["reset", "-q", "--hard", "main"]);
    s.write("lib/tone.py", "KIND = False\n");
    s.write("lib/more.py", "");
    let (found, _) = judged(s, 4);
    let files: Vec<_> = found["models"][0]["files"].as_array().expect("files").iter().map(|f| f["path"].clone()).collect();
    assert_eq!((files, &found["files_elsewhere"]), (vec![doc!("lib/more.py"), doc!("lib/tone.py")], &doc!(0)));
    assert_eq!(found["since"]["uncommitted"], doc!(["lib/more.py", "lib/tone.py"]));
    // A path that is not there is a mistake of the configuration, wherever it is met.
    s.write("mlops.toml", s.read("mlops.toml").replace("\"lib/\"", "\"libs/\""));
    for args in [&["eval", "--changed=main"][..], &["config", "check"]] {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
        assert!(run.code == Some(2) && run.stderr.contains("libs") && run.stderr.contains("`system.files`"), "{args:?}: {run}");
    }
}

#[test]
fn files_that_nothing_depends_on_are_counted() {
    let s = &branch();
    reading_program(s, "");
    s.write("handbook.jsonl", "");
    s.write("notes.txt", "Hello\n");
    let (found, comment) = judged(s, 0);
    assert_eq!((&found["models"], &found["files_elsewhere"]), (&doc!([]), &doc!(2)));
    assert!(comment.contains("Not changed: bot.\n\n2 changed files belong to no model.\n"), "{comment}");
    let run = ok(s, ["eval", "--changed=main"]);
    assert!(run.stdout.ends_with("); 2 changed files belong to no model\n"), "{run}");
}

/// An answer that is kept is one of the files that the program read when it gave it.
#[test]
fn kept_answers_are_of_the_files_that_were_read() {
    let s = &branch();
    reading_program(s, "files = [\"handbook.jsonl\", \"lib\"]\n");
    ok(s, ["init"]);
    ok(s, ["register", "bot"]);
    let kept = |code: i32, how: &str| {
        let run = ends(s, code, ["eval", "bot", "--metric", "token-f1", "--no-gates", "--cache", how, "--format", "json"]);
        json(&run)["evaluation"]["metrics"].as_array().and_then(|all| all.iter().find(|m| m["metric"] == "token-f1").cloned())
    };
    let first = kept(0, "write").expect("a score")["mean"].as_f64();
    assert_eq!(kept(0, "only").expect("a score")["mean"].as_f64(), first);
    s.write("handbook.jsonl", s.read("handbook.jsonl").replace("seven working days", "when it is there"));
    assert_ne!(kept(0, "write").expect("a score")["mean"].as_f64(), first, "another handbook is asked again");
    s.write("lib/tone.py", "KIND = False\n");
    ends(s, 1, ["eval", "bot", "--metric", "token-f1", "--no-gates", "--cache", "only"]);
}

//! `kf eval --changed` where scores are missing, and what a system is told of the two sides.

use crate::repo::json;
use crate::schemas::fit;
use crate::support::models::{KEY, Models};
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json as doc};

/// Right but for every seventh answer; a prompt with `Only easy` mends those and fails on every second question.
const PROGRAM: &str = r#"import json, os, pathlib, sys
prompt = pathlib.Path(os.environ["KF_VERSION_DIR"], "prompts/answer.txt").read_text()
for line in sys.stdin:
    asked = json.loads(line)
    open("versions.log", "a").write(asked["version"] + "\n")
    i = int(asked["id"][1:])
    said = f"parcel {i} arrives within seven working days"
    if "Only easy" in prompt and i % 2:
        print(json.dumps({"id": asked["id"], "error": "too hard"}), flush=True)
        continue
    if "Only easy" not in prompt and i % 7 == 0:
        said = "who knows"
    print(json.dumps({"id": asked["id"], "answer": said, "contexts": [said]}), flush=True)
"#;

fn branch(more: &str) -> Sandbox {
    let s = Sandbox::new();
    s.write(
        "mlops.toml",
        format!(
            "[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\n[golden]\ndataset = \"golden.jsonl\"\n\
             [system]\nkind = \"command\"\ncommand = [\"python3\", \"answer.py\"]\n{more}"
        ),
    );
    // The side of before runs in a folder of its own.
    s.write("answer.py", PROGRAM.replace("versions.log", &s.work().join("versions.log").display().to_string()));
    let row = |i: usize| doc!({"id": format!("q{i}"), "question": format!("When does parcel {i} arrive?"), "reference": format!("parcel {i} arrives within seven working days")});
    s.write("golden.jsonl", (0..40).map(|i| format!("{}\n", row(i))).collect::<String>());
    s.write("bot/prompts/answer.txt", "Answer {question} from {context}.\n");
    s.write(".gitignore", "*.log\n.kf/\n");
    s.git(["init", "-q", "-b", "main"]);
    s.git(["add", "."]);
    s.git(["commit", "-qm", "first"]);
    s.git(["checkout", "-qb", "topic"]);
    s
}

fn prompt(s: &Sandbox, text: &str) {
    s.write("bot/prompts/answer.txt", format!("{text} Answer {{question}} from {{context}}.\n"));
    s.git(["add", "."]);
    s.git(["commit", "-qm", text]);
}

#[track_caller]
fn changed(s: &Sandbox, code: i32, more: &[&str]) -> Value {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["eval", "--changed=main", "--format", "json"]).args(more));
    assert_eq!(run.code, Some(code), "{run}");
    let found = json(&run);
    fit("eval-changed", std::slice::from_ref(&found));
    found["models"][0].clone()
}

/// Better on what is left of the rows is not better: half of them have no answer any more.
#[test]
fn a_change_that_loses_answers_does_not_pass() {
    let s = &branch("");
    prompt(s, "Only easy.");
    let model = changed(s, 5, &["--metric", "token-f1"]);
    assert_eq!(model["verdict"], "inconclusive");
    assert_eq!(model["reasons"][0], "20 of 40 rows that had a score by token-f1 before have none now");
    let figure = &model["figures"][0];
    assert_eq!((&figure["lost"], &figure["decides"], &figure["n"]), (&doc!(20), &doc!(true), &doc!(20)));
    // Neither side is a version of anything, so a number would be that of another.
    let told: std::collections::BTreeSet<String> = s.read("versions.log").lines().map(str::to_owned).collect();
    let commit = |name: &str| s.git(["rev-parse", name]).stdout.trim().to_owned();
    assert_eq!(told, [commit("main"), commit("topic")].into());
    s.write("bot/prompts/answer.txt", "Answer as you like: {question} from {context}.\n");
    changed(s, 4, &["--metric", "token-f1"]);
    assert!(s.read("versions.log").contains(&format!("{}-dirty", commit("topic"))));
}

/// A judge that says nothing leaves a metric without scores, and the verdict open.
#[test]
fn a_metric_without_a_score_is_told_and_decides() {
    let models = Models::start();
    let mut s = branch(&format!("[judge]\n{}", models.keys("openai")));
    s.set("MODEL_KEY", KEY);
    let s = &s;
    s.write("golden.jsonl", s.read("golden.jsonl").replace("When does", "[[cut]] When does"));
    prompt(s, "Be kind.");
    let model = changed(s, 5, &["--metric", "token-f1", "--metric", "faithfulness"]);
    assert_eq!(model["verdict"], "inconclusive", "{model:#}");
    let figures = model["figures"].as_array().expect("figures");
    let judged = figures.iter().find(|f| f["metric"] == "faithfulness").expect("it is told");
    assert!(judged["decides"] == true && judged["unscored"].as_str().is_some_and(|why| why.starts_with("error: ")), "{judged}");
    assert!(
        model["reasons"][0].as_str().is_some_and(|r| r.starts_with("no row has a score by faithfulness: error: ")),
        "{model:#}"
    );
    let notes: Vec<&str> = model["notes"].as_array().expect("notes").iter().filter_map(Value::as_str).collect();
    assert!(notes.contains(&"the judge failed on 40 rows by faithfulness"), "{notes:?}");
}

/// Forty rows of which each costs up to 0.0015 dollars more: 0.00075 on average, and surely more than nothing.
#[test]
fn what_a_row_costs_more_has_an_interval() {
    let s = &branch("");
    let program = s.read("answer.py").replace(
        "\"contexts\": [said]",
        "\"cost_usd\": 0.001 * (1 + i % 3) + (0.0005 * (i % 4) if \"At length\" in prompt else 0.0), \"contexts\": [said]",
    );
    s.write("answer.py", program);
    s.git(["commit", "-qam", "costs"]);
    s.git(["branch", "-f", "main"]);
    prompt(s, "At length.");
    let model = changed(s, 4, &["--metric", "token-f1"]);
    let cost = model["budgets"].as_array().expect("budgets").iter().find(|b| b["metric"] == "cost-per-query").expect("the cost");
    let of = |key: &str| cost[key].as_f64().expect("a number");
    assert!((of("difference") - 0.00075).abs() < 1e-12 && (of("head") - of("base") - 0.00075).abs() < 1e-12, "{cost}");
    // Student's of forty such rows has a half width of 0.00018.
    assert!((0.0005..0.00065).contains(&of("low")) && (0.00085..0.001).contains(&of("high")), "{cost}");
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args([
        "eval",
        "--changed=main",
        "--metric",
        "token-f1",
        "--format",
        "json",
    ]));
    assert_eq!(&json(&run)["models"][0]["budgets"][0], cost, "the same draws");
    s.write("eval.json", &run.stdout);
    let comment = crate::repo::ok(s, ["ci", "comment", "eval.json"]).stdout;
    assert!(comment.contains(" %, 95 % interval +0.000"), "{comment}");
}

//! `kf eval --changed` by what answers and what judges: an HTTP service, the documents that were taken in, language models.

use crate::builtin::handbook;
use crate::ci_comment::{commit, rows};
use crate::repo::{ends, json, ok, on_both};
use crate::schemas::fit;
use crate::support::models::{KEY, Models};
use crate::support::sandbox::Sandbox;
use crate::support::serve;
use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json as doc};
use std::net::SocketAddr;

/// Makes what is in the folder what the branch goes into.
fn merged(s: &Sandbox) {
    commit(s, "merged");
    s.git(["branch", "-f", "main"]);
}

/// A clone on a branch of its own, with this configuration, thirty questions and a bot.
fn branch(config: &str) -> Sandbox {
    let s = Sandbox::new();
    s.write("mlops.toml", format!("[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\n{config}"));
    s.write("golden.jsonl", rows(30));
    s.write("bot/prompts/answer.txt", "Answer {question} from {context}.\n");
    s.write(".gitignore", ".kf/\n__pycache__/\neval.json\n");
    s.git(["init", "-q", "-b", "main"]);
    commit(&s, "first");
    s.git(["checkout", "-qb", "topic"]);
    s
}

/// What the branch changes, held to its schema, and the comment that is made of it.
#[track_caller]
fn judged(s: &Sandbox, code: i32, more: &[&str]) -> (Value, String) {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["eval", "--changed=main", "--format", "json"]).args(more));
    assert_eq!(run.code, Some(code), "kf eval --changed=main {more:?}\n{run}");
    let found = json(&run);
    fit("eval-changed", std::slice::from_ref(&found));
    s.write("eval.json", &run.stdout);
    (found, ok(s, ["ci", "comment", "eval.json"]).stdout)
}

fn figure<'a>(model: &'a Value, metric: &str) -> &'a Value {
    model["figures"].as_array().expect("a list").iter().find(|f| f["metric"] == metric).expect("the metric")
}

/// A service that is right at `/v1`, says one word at `/v2`, and is broken on every third question at `/v3`.
fn service() -> SocketAddr {
    serve(
        axum::Router::new().fallback(axum::routing::post(|uri: Uri, Json(asked): Json<Value>| async move { said(&uri, &asked) })),
    )
}

fn said(uri: &Uri, asked: &Value) -> Response {
    let id = asked["id"].as_str().unwrap_or_default();
    let number: usize = id.trim_start_matches('q').parse().unwrap_or_default();
    let right = format!("parcel {number} arrives within seven working days");
    let text = match uri.path() {
        "/v2" => "parcel".to_owned(),
        "/v3" if number.is_multiple_of(3) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => right,
    };
    Json(doc!({"id": id, "answer": text, "latency_ms": 12.5, "cost_usd": 0.001})).into_response()
}

const WORDS: &str = "[gates.words]\nstage = [\"staging\", \"production\"]\nkind = \"absolute\"\nmetric = \"token-f1\"\nmin = 0.6\nbound = \"mean\"\n";

/// Each side is asked where its own `[system]` says; a service that knows nothing of the branch says what it said before.
#[test]
fn a_service_is_asked_where_each_side_says() {
    let address = service();
    let config = |path: &str| {
        format!("[golden]\ndataset = \"golden.jsonl\"\n[system]\nkind = \"http\"\nurl = \"http://{address}{path}\"\n{WORDS}")
    };
    let s = &branch(&config("/v1"));
    let by = ["--metric", "token-f1"];
    let point = |path: &str| s.write("mlops.toml", s.read("mlops.toml").replace("/v1\"", &format!("{path}\"")));
    s.write("bot/prompts/answer.txt", "Be brief. Answer {question} from {context}.\n");
    let (found, comment) = judged(s, 4, &by);
    let model = &found["models"][0];
    assert_eq!((&model["system"], &model["same_answers"]), (&doc!("http"), &doc!(30)));
    assert!(comment.contains("no answer changed: 30 rows do not show what this change does"), "{comment}");
    point("/v2");
    let (found, comment) = judged(s, 3, &by);
    let model = &found["models"][0];
    assert_eq!(model["why"], doc!(["mlops.toml: `[system]`"]));
    let f1 = figure(model, "token-f1");
    assert_eq!((&f1["verdict"], &f1["base"]), (&doc!("worse"), &doc!(1.0)));
    assert!(comment.contains("gate words fails"), "{comment}");
    s.git(["checkout", "-q", "mlops.toml"]);
    point("/v3");
    let (found, comment) = judged(s, 5, &by);
    let model = &found["models"][0];
    assert_eq!(model["notes"], doc!(["the system failed on 10 of 30 rows"]));
    let errors = &model["budgets"][2];
    let shown = (&errors["metric"], &errors["base"], &errors["head"]);
    assert_eq!(shown, (&doc!("error-rate"), &doc!(0.0), &doc!(10.0 / 30.0)));
    assert!(comment.contains("the system failed on 10 of 30 rows"), "{comment}");
    assert!(!s.work().join(".kf").exists(), "nothing is recorded");
}

/// The documents of the state answer by the settings of each side.
#[test]
fn the_documents_answer_by_the_settings_of_each_side() {
    on_both(|s| {
        handbook(s);
        let gate =
            "[gates.found]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"recall-at-k\"\nmin = 0.9\nbound = \"mean\"\n";
        s.write("mlops.toml", s.read("mlops.toml") + "[model.bot]\ntype = \"config\"\npath = \"bot\"\n" + gate);
        s.write("bot/prompts/answer.txt", "Answer {question} from {context}.\n");
        s.write("bot/retrieval.yaml", "collection: handbook\ntop_k: 3\nhybrid_weight: 0.5\n");
        s.write(".gitignore", ".kf/\neval.json\n");
        s.git(["init", "-q", "-b", "main"]);
        commit(s, "first");
        s.git(["checkout", "-qb", "topic"]);
        let before = ok(s, ["status", "--format", "json"]).stdout;
        s.write("bot/retrieval.yaml", "collection: handbook\ntop_k: 3\nfilters:\n  source: docs/payment\n");
        let (found, comment) = judged(s, 3, &["--metric", "recall-at-k"]);
        let model = &found["models"][0];
        let recall = figure(model, "recall-at-k");
        assert_eq!((&model["system"], &recall["base"], &recall["head"]), (&doc!("builtin"), &doc!(1.0), &doc!(1.0 / 3.0)));
        assert_eq!(model["gates"][0]["verdict"], "fail");
        assert!(comment.contains("gate found fails: recall-at-k 0.3333"), "{comment}");
        assert_eq!(ok(s, ["status", "--format", "json"]).stdout, before, "nothing is recorded");
        // A setting that there is not is told of the side that has it.
        s.write("bot/retrieval.yaml", "collection: handbook\nrerank:\n  top: 3\n");
        let run = ends(s, 1, ["eval", "--changed=main"]);
        assert!(run.stderr.contains("cannot evaluate bot") && run.stderr.contains("knows no setting `rerank`"), "{run}");
    });
}

/// Answers with what the contexts say, or by a prompt with `Invent` with something that they do not.
const QUOTES: &str = r#"import json, os, pathlib, sys
prompt = pathlib.Path(os.environ["KF_VERSION_DIR"], "prompts/answer.txt").read_text()
right = {r["id"]: r["reference"] for r in map(json.loads, open("golden.jsonl"))}
for line in sys.stdin:
    asked = json.loads(line)
    said = "Nobody ever said so." if "Invent" in prompt else right[asked["id"]]
    print(json.dumps({"id": asked["id"], "answer": said, "contexts": [right[asked["id"]]]}), flush=True)
"#;

const FAITHFUL: &str =
    "[gates.faithful]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"faithfulness\"\nmin = 0.5\nbound = \"mean\"\n";

/// A branch whose program quotes what it should, judged by models that are asked in this way.
fn quoting(models: &Models, provider: &str) -> Sandbox {
    let judge = format!("[judge]\nmetrics = [\"faithfulness\"]\n{}", models.keys(provider));
    let config = format!(
        "[golden]\ndataset = \"golden.jsonl\"\n[system]\nkind = \"command\"\ncommand = [\"python3\", \"answer.py\"]\n{judge}{FAITHFUL}"
    );
    let mut s = branch(&config);
    s.set("MODEL_KEY", KEY);
    s.write("answer.py", QUOTES);
    merged(&s);
    s
}

/// A judge scores both sides; a gate goes by it when people vouch for it here, or need not.
#[test]
fn both_sides_are_judged_and_gates_ask_who_vouches() {
    let models = Models::start();
    let s = quoting(&models, "openai");
    s.write("bot/prompts/answer.txt", "Invent. {question} {context}\n");
    let (found, comment) = judged(&s, 3, &["--metric", "faithfulness"]);
    let model = &found["models"][0];
    let faithful = figure(model, "faithfulness");
    let means = (&faithful["base"], &faithful["head"], &faithful["verdict"], &faithful["decides"]);
    assert_eq!(means, (&doc!(1.0), &doc!(0.0), &doc!("worse"), &doc!(true)));
    let gate = &model["gates"][0];
    let why = gate["reason"].as_str().expect("a reason");
    assert!(gate["verdict"] == "inconclusive" && why.contains("decides no gate: nobody compared it"), "{gate}");
    assert!(comment.contains("faithfulness is worse: 1.0000 → 0.0000"), "{comment}");
    assert_eq!(models.refused(), Vec::<String>::new());
    s.write("mlops.toml", s.read("mlops.toml") + "allow-uncalibrated = true\n");
    let (found, _) = judged(&s, 3, &[]);
    assert_eq!(found["models"][0]["gates"][0]["verdict"], "fail", "a gate names what is judged");
    // The most that judges may cost holds for both sides together; what they did not come to is told.
    let (found, comment) = judged(&s, 5, &["--metric", "faithfulness", "--max-cost", "0.002", "--cache", "off"]);
    assert_eq!(found["verdict"], "inconclusive");
    assert_eq!(found["models"][0]["notes"], doc!(["the judges stopped at `--max-cost`, so they did not score every row"]));
    let gate = &found["models"][0]["gates"][0];
    assert!(gate["verdict"] == "inconclusive" && !found.to_string().contains("bot@"), "{gate}");
    assert!(comment.contains("the judges stopped at"), "{comment}");
}

/// What people's labels say of a judge is in the state of the repository, where it has one.
#[test]
fn labels_of_the_state_vouch_for_the_judge_of_a_branch() {
    let models = Models::start();
    let s = quoting(&models, "anthropic");
    ok(&s, ["init"]);
    let label = |i: usize| {
        let text = format!("Label {i} goes out on day {i}.");
        let answer = if i.is_multiple_of(2) { text.clone() } else { "Nobody ever said so.".to_owned() };
        let label = if i.is_multiple_of(2) { "pass" } else { "fail" };
        doc!({"id": format!("l{i}"), "question": "When?", "response": answer, "retrieved_contexts": [text], "label": label})
    };
    s.write("labels.jsonl", (0..30).map(|i| format!("{}\n", label(i))).collect::<String>());
    ok(&s, ["judge", "calibrate", "labels.jsonl", "--metric", "faithfulness"]);
    let before = ok(&s, ["status", "--format", "json"]).stdout;
    s.write("bot/prompts/answer.txt", "Invent. {question} {context}\n");
    let (found, _) = judged(&s, 3, &["--metric", "faithfulness"]);
    assert_eq!(found["models"][0]["gates"][0]["verdict"], "fail", "{}", found["models"][0]["gates"]);
    let asked = models.requests();
    judged(&s, 3, &["--metric", "faithfulness"]);
    assert_eq!(models.requests(), asked, "what was judged is kept");
    assert_eq!(ok(&s, ["status", "--format", "json"]).stdout, before, "nothing is recorded");
}

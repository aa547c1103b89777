//! `[system] kind = "builtin"` with `[llm]`: a language model writes the answers by the version's prompt.

use crate::builtin::{handbook, registered};
use crate::repo::{ends, json, ok, on_both};
use crate::schemas::fit;
use crate::support::models::{KEY, Models};
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json};

const RETRIEVAL: &str = "collection: handbook\ntop_k: 2\n";

/// The handbook, answered by the fake.
fn with_writer(s: &mut Sandbox, models: &Models, provider: &str) {
    s.set("MODEL_KEY", KEY);
    handbook(s);
    s.write("mlops.toml", format!("{}[llm]\n{}", s.read("mlops.toml"), models.keys(provider)));
    registered(s, RETRIEVAL);
}

fn eval(s: &Sandbox, code: i32, more: &[&str]) -> Value {
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    let run = s.finish(command.args(["eval", "bot", "--metric", "token-f1", "--format", "json"]).args(more));
    assert_eq!(run.code, Some(code), "{run}");
    json(&run)
}

fn sum(report: &Value, metric: &str) -> (Option<f64>, i64) {
    let metrics = report["evaluation"]["metrics"].as_array().expect("metrics");
    let found = metrics.iter().find(|m| m["metric"] == metric).expect("the metric");
    (found["mean"].as_f64(), found["n"].as_i64().expect("a count"))
}

#[test]
fn the_versions_prompt_is_asked_with_what_was_found() {
    on_both(|s| {
        let models = Models::start();
        with_writer(s, &models, "openai");
        let gate = "[gates.fast]\nstage = \"staging\"\nkind = \"budget\"\nmetric = \"latency-p95\"\nmax = 60000\n";
        s.write("mlops.toml", s.read("mlops.toml") + gate);
        let first = eval(s, 0, &[]);
        assert_eq!((models.requests(), models.refused()), (3, Vec::<String>::new()));
        assert_eq!(first["evaluation"]["system"], "builtin, judge-1");
        // 1,000 tokens in at $0.15 a million and 100 out at $0.60.
        assert_eq!(sum(&first, "cost-per-query"), (Some(0.000_21), 3));
        assert!(sum(&first, "latency-p95").0.is_some_and(|ms| ms > 0.0), "{first:#}");
        // The template is `Answer {question} from {context}.`, the best passage stands first.
        let asked = models.times("Answer What does standard shipping cost? from [1] docs/shipping.md\\n");
        assert_eq!(asked.len(), 1);
        assert_eq!(first["gates"][0]["verdict"], "pass");
        // What was answered is not asked again, and says nothing of how long it would take today.
        let again = eval(s, 4, &[]);
        assert_eq!((models.requests(), &again["evaluation"]["system"]), (3, &json!("builtin, judge-1, from the cache")));
        assert_eq!(
            (sum(&again, "token-f1"), sum(&again, "cost-per-query")),
            (sum(&first, "token-f1"), sum(&first, "cost-per-query"))
        );
        let why = again["gates"][0]["reason"].as_str().expect("a reason");
        assert!(why.contains("came from the cache") && why.contains("--cache off"), "{why}");
        assert_eq!(eval(s, 0, &["--cache", "off"])["gates"][0]["verdict"], "pass");
        assert_eq!(models.requests(), 6);
    });
}

#[test]
fn the_model_that_answers_is_paid_from_the_limit_too() {
    let (mut s, models) = (Sandbox::new(), Models::start());
    with_writer(&mut s, &models, "openai");
    let judge = format!("[judge]\nstatements = \"sentences\"\nconcurrency = 1\n{}", models.keys("openai"));
    s.write("mlops.toml", s.read("mlops.toml").replace("[llm]\n", "[llm]\nconcurrency = 1\n") + &judge);
    // Two are under way when the first has cost 210 millionths of a dollar; the third is not asked.
    let report = eval(&s, 5, &["--max-cost", "0.0002", "--metric", "faithfulness"]);
    assert_eq!(models.requests(), 2);
    assert_eq!(report["failures"], json!([{"reason": "nobody was asked: stopped at --max-cost", "rows": 1}]));
    assert_eq!((&report["answering"]["stopped"], &report["judging"]["stopped"]), (&json!(true), &json!(true)));
    for of in ["evaluation", "judged"] {
        assert!(report[of]["judge"].as_str().is_some_and(|judge| judge.ends_with(";stopped")), "{}", report[of]);
    }
    fit("eval", &[report]);
    // It goes on from there: one answer, and a judge with what is left of its money.
    let report = eval(&s, 5, &["--max-cost", "0.0004", "--metric", "faithfulness"]);
    assert_eq!((models.requests(), &report["answering"]["stopped"], sum(&report, "token-f1").1), (4, &json!(false), 3));
    assert_eq!(report["judging"]["asked"]["requests"], 1);
    assert!(report["evaluation"]["judge"].as_str().is_some_and(|judge| !judge.contains("stopped")), "{report:#}");
}

#[test]
fn a_prompt_that_nobody_can_fill_is_refused_before_anybody_is_asked() {
    let (mut s, models) = (Sandbox::new(), Models::start());
    with_writer(&mut s, &models, "anthropic");
    s.write("bot/prompts/answer.txt", "Dear {user},\nanswer {question} from {context}.\n");
    ok(&s, ["register", "bot", "bot"]);
    let run = ends(&s, 1, ["eval", "bot"]);
    assert!(run.stderr.contains("prompts/answer.txt, line 1, column 6: ") && run.stderr.contains("`{user}`"), "{run}");
    assert_eq!(models.requests(), 0);
    // What a document or a question says in braces is no field.
    s.write("bot/prompts/answer.txt", "{{as JSON}} {question}\n{context}\n");
    ok(&s, ["register", "bot", "bot"]);
    s.write("golden.jsonl", "{\"id\": \"q\", \"question\": \"What does {context} cost?\"}\n");
    eval(&s, 0, &[]);
    assert_eq!(models.times("{as JSON} What does {context} cost?").len(), 1);
    // A question that fails is its row's, a wrong key is everybody's.
    s.write("golden.jsonl", "{\"id\": \"a\", \"question\": \"[[cut]]?\"}\n{\"id\": \"b\", \"question\": \"Shipping?\"}\n");
    let report = eval(&s, 5, &[]);
    let why = "judge-1: the answer was cut off at 4096 tokens (max_tokens): raise `max-tokens`";
    assert_eq!(report["failures"], json!([{"reason": why, "rows": 1}]));
    s.set("MODEL_KEY", "sk-wrong-000000");
    let run = ends(&s, 1, ["eval", "bot", "--cache", "off"]);
    assert!(run.stderr.contains("invalid x-api-key") && !run.stderr.contains("sk-wrong"), "{run}");
}

//! `[system] kind = "builtin"` with `[llm]`: a language model writes the answers by the version's prompt.

use crate::builtin::{handbook, registered};
use crate::ci_comment::commit;
use crate::repo::{ends, json, ok, on_both};
use crate::schemas::fit;
use crate::support::embeddings::Embeddings;
use crate::support::models::{KEY, Models};
use crate::support::sandbox::{Run, Sandbox};
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

/// What a dry run says of a model, which must not have been asked for it.
fn dry(s: &Sandbox, models: &Models, more: &[&str]) -> (Value, Run) {
    let (before, mut args) =
        (models.requests(), vec!["eval", "bot", "--metric", "faithfulness", "--dry-run", "--format", "json"]);
    args.extend(more);
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
    assert_eq!((run.code, models.requests()), (Some(0), before), "{run}");
    (json(&run), run)
}

#[test]
fn what_answers_take_is_said_before_anybody_is_asked() {
    let (mut s, models) = (Sandbox::new(), Models::start());
    with_writer(&mut s, &models, "openai");
    let gate = "[gates.fails]\nstage = \"staging\"\nkind = \"budget\"\nmetric = \"error-rate\"\nmax = 0.0\n";
    s.write(
        "mlops.toml",
        format!("{}[judge]\nstatements = \"sentences\"\n{}{gate}", s.read("mlops.toml"), models.keys("openai")),
    );
    let (report, run) = dry(&s, &models, &[]);
    assert!(run.stderr.contains("answering 3 rows with judge-1: at most 3 requests, about "), "{run}");
    assert!(run.stderr.contains("judging 3 rows by 1 metric with judge-1: at most 6 requests, about "), "{run}");
    assert!(run.stderr.contains("; 3 of the answers are yet to come"), "{run}");
    let takes = &report["estimate"]["answering"];
    assert_eq!((&takes["requests"], &takes["tokens_out"], &takes["tokens_out_max"]), (&json!(3), &json!(600), &json!(3 * 4096)));
    // Two passages of some 150 characters and a short question, four characters a token.
    let read = takes["tokens_in"].as_u64().expect("a number");
    assert!((180..600).contains(&read), "{takes}");
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let cost = |out: u64| (read as f64 * 0.15 + out as f64 * 0.6) / 1e6;
    for (field, want) in [("cost_usd", cost(600)), ("cost_max_usd", cost(3 * 4096))] {
        assert!(takes[field].as_f64().is_some_and(|usd| (usd - want).abs() < 1e-9), "{takes}");
    }
    assert_eq!(report["estimate"]["judging"]["unanswered"], 3);
    // Nobody failed: nobody was asked, and no gate says otherwise.
    assert_eq!((&report["failures"], &report["gates"]), (&json!([]), &json!([])));
    assert_eq!((&report["answering"]["asked"], &report["answering"]["unasked"]), (&json!(0), &json!(3)));
    assert!(!report["evaluation"].to_string().contains("error-rate"), "{report:#}");
    fit("eval", &[report]);
    // What is kept is not counted, unless it is to be asked for again.
    let run = ends(&s, 0, ["eval", "bot", "--metric", "token-f1", "--repeat", "2", "--limit", "2", "--no-gates"]);
    assert!(run.stderr.contains("answering 2 rows with judge-1: at most 4 requests, about "), "{run}");
    assert_eq!(models.requests(), 4);
    let (report, run) = dry(&s, &models, &["--repeat", "2"]);
    assert!(run.stderr.contains("answering 3 rows with judge-1: at most 2 requests, about "), "{run}");
    assert!(
        run.stderr.contains("; 4 answers from the cache") && run.stderr.contains("; 1 of the answers are yet to come"),
        "{run}"
    );
    assert_eq!((&report["answering"]["kept"], &report["answering"]["unasked"]), (&json!(4), &json!(1)));
    assert!(dry(&s, &models, &["--repeat", "2", "--cache", "off"]).1.stderr.contains("with judge-1: at most 6 requests, about "));
    let (report, run) = dry(&s, &models, &["--limit", "2", "--cache", "only", "--no-gates"]);
    assert!(report["estimate"]["answering"].is_null() && !run.stderr.contains("answering"), "{run}");
    let text = s.read("mlops.toml");
    s.write("mlops.toml", text.replacen("price-output = 0.6\n", "", 1));
    let (report, run) = dry(&s, &models, &[]);
    assert!(run.stderr.contains("(at most 4096), price unknown: `price-input` and `price-output` say it"), "{run}");
    assert!(report["estimate"]["answering"]["cost_usd"].is_null(), "{report:#}");
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["eval", "bot", "--suite", "bias", "--dry-run"]));
    assert!(run.stderr.contains("answering 3 rows with judge-1: at most ") && models.requests() == 4, "{run}");
}

#[test]
fn a_dry_run_asks_no_service_for_vectors_either() {
    let (mut s, models, vectors) = (Sandbox::new(), Models::start(), Embeddings::start());
    with_writer(&mut s, &models, "anthropic");
    s.write("mlops.toml", s.read("mlops.toml") + &vectors.config());
    ok(&s, ["ingest", "docs", "--collection", "remote"]);
    registered(&s, "collection: remote\ntop_k: 2\n");
    let before = vectors.asked();
    let run = ends(&s, 0, ["eval", "bot", "--metric", "token-f1", "--dry-run", "--format", "json"]);
    assert_eq!((vectors.asked(), models.requests()), (before, 0), "{run}");
    // Two passages of 512 tokens at most, where nobody looks for them.
    let read = json(&run)["estimate"]["answering"]["tokens_in"].as_u64().expect("a number");
    assert!((3 * 1024..3 * 1100).contains(&read), "{run}");
    assert!(run.stderr.contains("; what is in the cache is not asked for"), "{run}");
    ok(&s, ["eval", "bot", "--metric", "token-f1"]);
    assert!(vectors.asked() > before && models.requests() == 3);
}

#[test]
fn a_dry_run_of_what_changed_takes_nobody_for_failed() {
    let (mut s, models) = (Sandbox::new(), Models::start());
    with_writer(&mut s, &models, "openai");
    let gate = "[gates.answers]\nstage = \"staging\"\nkind = \"budget\"\nmetric = \"coverage\"\nmin = 1.0\n";
    s.write("mlops.toml", format!("{}{gate}[model.bot]\ntype = \"config\"\npath = \"bot\"\n", s.read("mlops.toml")));
    s.git(["init", "-q", "-b", "main"]);
    commit(&s, "first");
    s.git(["checkout", "-qb", "topic"]);
    s.write("bot/prompts/answer.txt", "Answer {question} briefly from {context}.\n");
    commit(&s, "second");
    let run = ends(&s, 4, ["eval", "--changed=main", "--metric", "token-f1", "--format", "json", "--dry-run"]);
    assert_eq!(models.requests(), 0);
    assert_eq!(run.stderr.matches("answering 3 rows with judge-1: at most 3 requests, about ").count(), 2, "{run}");
    let report = json(&run);
    let notes = &report["models"][0]["notes"];
    assert!(notes.to_string().contains("3 rows without an answer, because a dry run asks nobody"), "{report:#}");
    assert!(!notes.to_string().contains("the system failed") && report["models"][0]["gates"] == json!([]), "{report:#}");
    fit("eval-changed", &[report]);
}

/// Looking ahead must not take as long as the run: of many rows some are looked at.
#[test]
fn of_many_rows_some_stand_for_all() {
    let (mut s, models) = (Sandbox::new(), Models::start());
    with_writer(&mut s, &models, "openai");
    s.write("mlops.toml", format!("{}[judge]\n{}", s.read("mlops.toml"), models.keys("openai")));
    let row = |i: usize| format!("{}\n", json!({"id": format!("q{i}"), "question": format!("What does shipping of {i} cost?")}));
    s.write("golden.jsonl", (0..450).map(row).collect::<String>());
    let takes = |more: &[&str]| {
        let (report, run) = dry(&s, &models, more);
        (report["estimate"]["answering"].clone(), report["estimate"]["judging"]["unanswered"].clone(), run)
    };
    let (all, coming, run) = takes(&[]);
    assert_eq!((&all["requests"], &all["kept"], coming), (&json!(450), &Value::Null, json!(450)));
    assert!(run.stderr.contains("; what is in the cache is not asked for"), "{run}");
    let (some, coming, _) = takes(&["--limit", "200"]);
    assert_eq!((&some["requests"], &some["kept"], coming), (&json!(200), &json!(0), json!(200)));
    let each = |takes: &Value| takes["tokens_in"].as_f64().expect("a number") / takes["requests"].as_f64().expect("a number");
    assert!((each(&all) / each(&some) - 1.0).abs() < 0.05, "{all} {some}");
}

//! `kf prompt test` with language models: those that answer, those that judge, what is kept, what it may cost.

use crate::repo::{ends, init, json, ok};
use crate::schemas::fit;
use crate::support::models::{KEY, Models};
use crate::support::sandbox::{Run, Sandbox};
use serde_json::{Value, json};
use std::time::Duration;

/// What the fake says to `Say How long?`, whose characters it counts.
const SAID: &str = "Of 13 characters I make this.";

/// A folder with a suite, `[llm]` and `[judge]`, the fakes behind both.
fn prepared(models: &Models, judge: bool) -> Sandbox {
    let mut s = Sandbox::new();
    s.set("MODEL_KEY", KEY);
    init(&s);
    let judge = if judge { format!("[judge]\n{}", models.keys("anthropic")) } else { String::new() };
    s.write("mlops.toml", format!("{}[llm]\n{}{judge}", s.read("mlops.toml"), models.keys("openai")));
    s
}

/// Lets the model of `[llm]` be asked no more than so much at a time.
fn slower(s: &Sandbox, models: &Models, concurrency: u32) {
    let keys = models.keys("openai");
    s.write("mlops.toml", s.read("mlops.toml").replace(&keys, &format!("concurrency = {concurrency}\n{keys}")));
}

/// Where the fake is, for providers of a suite: the base addresses of Anthropic's and OpenAI's protocols.
fn addresses(models: &Models) -> [String; 2] {
    ["anthropic", "openai"].map(|provider| {
        let keys = models.keys(provider);
        keys.lines().find_map(|line| line.strip_prefix("base-url = ")).expect("an address").trim_matches('"').to_owned()
    })
}

fn tested(s: &Sandbox, code: i32, suite: &str, more: &[&str]) -> (Run, Value) {
    s.write("prompts.test.yaml", suite);
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["prompt", "test", "--format", "json"]).args(more));
    assert_eq!(run.code, Some(code), "{run}");
    let found = json(&run);
    fit("prompt-test", std::slice::from_ref(&found));
    (run, found)
}

/// Every judged assertion, by names of promptfoo, with bounds that the fake's verdicts meet.
const JUDGED: &str = "tests:
  - vars: {question: How long?, context: 'Of 13 characters I make this. Shops open at nine.'}
    assert:
      - {type: llm-rubric, value: is polite, threshold: 0.8}
      - {type: not-llm-rubric, value: is polite, threshold: 0.81}
      - {type: model-graded-closedqa, value: is short}
      - {type: g-eval, value: [is short, is kind]}
      - {type: context-faithfulness, threshold: 1}
      - {type: context-recall, value: Of 13 characters I make this. Nobody said so., threshold: 0.5}
      - {type: context-relevance}
      - {type: factuality, value: Of 13 characters I make this., threshold: 1}
      - {type: answer-relevance, threshold: 0.0}
      - {type: similar, value: Of 13 characters I make this., threshold: 0.99}
      - {type: assert-set, assert: [{type: contains, value: characters}, {type: llm-rubric, value: is polite}]}
      - {type: cost, threshold: 0.001}
";

#[test]
fn models_answer_and_judges_judge_and_both_are_kept() {
    let models = Models::start();
    let mut s = prepared(&models, true);
    let [anthropic, openai] = addresses(&models);
    let config =
        |url: &str| format!("config: {{apiBaseUrl: '{url}', apiKeyEnvar: MODEL_KEY, price-input: 0.15, price-output: 0.6}}");
    let suite = format!(
        "prompts:\n  - 'Say {{question}}'\nproviders:\n  - llm\n  - {{id: 'anthropic:messages:judge-1', {}}}\n  - {{id: 'openai:chat:judge-1', label: third, {}}}\n{JUDGED}",
        config(&anthropic),
        config(&openai)
    );
    let (run, first) = tested(&s, 0, &suite, &[]);
    assert_eq!((&first["passed"], models.refused()), (&json!(3), Vec::<String>::new()), "{run}");
    for cell in first["cells"].as_array().expect("cells") {
        assert_eq!((&cell["answer"], &cell["cost_usd"]), (&json!(SAID), &json!(0.000_21)), "{cell}");
        let score = |name: &str| {
            cell["assertions"].as_array().expect("a list").iter().find(|a| a["type"] == name).expect("it")["score"].clone()
        };
        assert_eq!(
            [score("llm-rubric"), score("context-recall"), score("context-faithfulness")],
            [json!(0.8), json!(0.5), json!(1.0)]
        );
        assert!(score("answer-relevance").as_f64().is_some_and(|s| (0.0..1.0).contains(&s)), "{cell}");
    }
    // Two providers ask the same of the same service; the third asks it by another protocol.
    assert_eq!(first["models"], json!({"asked": 2, "kept": 1}), "one prompt at one service is one question");
    for metric in
        ["rubric", "faithfulness", "llm-context-recall", "llm-context-precision", "factual-correctness", "answer-relevancy"]
    {
        assert_eq!(first["judging"]["uncalibrated"][metric], "nobody compared it with people's labels");
        let warned = format!(
            "warning: the judge's {metric} is not calibrated: nobody compared it with people's labels; `kf judge calibrate LABELS"
        );
        assert!(run.stderr.contains(&warned), "{run}");
    }
    // Without a key and without a call everything holds again.
    let before = models.requests();
    s.set("MODEL_KEY", "");
    let (_, again) = tested(&s, 0, &suite, &["--cache", "only"]);
    assert_eq!((models.requests(), &again["models"]), (before, &json!({"asked": 0, "kept": 3})));
    assert_eq!((&again["judging"]["total"], &again["spent_usd"]), (&first["judging"]["total"], &json!(0.0)));
    let requests = f64::from(u32::try_from(before).expect("few"));
    assert!(first["spent_usd"].as_f64().is_some_and(|usd| (usd - requests * 0.000_21).abs() < 1e-9), "{}", first["spent_usd"]);
    let without = |report: &Value| {
        let mut report = report.clone();
        (report["models"], report["judging"]["asked"], report["spent_usd"]) = (Value::Null, Value::Null, Value::Null);
        report["cells"].as_array_mut().expect("cells").iter_mut().for_each(|cell| cell["kept"] = Value::Null);
        report.to_string()
    };
    assert_eq!(without(&again), without(&first), "but for what was asked now");
    let (_, third) = tested(&s, 0, &suite, &["--cache", "only"]);
    assert_eq!(third, again, "byte by byte");
    // Time that was measured in another run decides nothing.
    let slow = suite.replace("{type: cost, threshold: 0.001}", "{type: latency, threshold: 60000}");
    let (run, late) = tested(&s, 4, &slow, &["--cache", "only"]);
    assert!(late["cells"][0]["reason"].as_str().is_some_and(|r| r.contains("its time is that of another run")), "{run}");
    // A missing key is found before anybody is asked.
    let refused = ends(&s, 1, ["prompt", "test", "--cache", "off"]);
    assert!(refused.stderr.contains("MODEL_KEY"), "{refused}");
    assert_eq!(models.requests(), before);
    s.set("MODEL_KEY", KEY);
    // A judge of another mind turns the verdicts round.
    models.manner(|m| m.contrary = true);
    let (_, contrary) = tested(&s, 3, &suite, &["--provider", "llm", "--cache", "off"]);
    let failed = contrary["cells"][0]["assertions"].as_array().expect("a list").iter().filter(|a| a["verdict"] == "fail").count();
    assert_eq!(failed, 8, "rubrics, faithfulness, recall, usefulness, facts: {contrary:#}");
    assert!(!s.read("prompts.test.yaml").contains(KEY) && !run.to_string().contains(KEY));
}

#[test]
fn trouble_of_models_is_told_and_never_a_verdict() {
    let models = Models::start();
    let mut s = prepared(&models, false);
    let suite = |question: &str, assertion: &str| {
        format!(
            "prompts: ['Say {{question}}']\nproviders: [llm]\ntests:\n  - vars: {{question: '{question}'}}\n    assert: [{assertion}]\n  - vars: {{question: fine}}\n"
        )
    };
    let (_, cut) = tested(&s, 5, &suite("[[cut]]", "{type: contains, value: this}"), &[]);
    let why = cut["cells"][0]["reason"].as_str().expect("a reason");
    assert!(why.contains("the answer was cut off at 4096 tokens"), "{why}");
    let (_, busy) = tested(&s, 0, &suite("[[429]]", "{type: contains, value: this}"), &[]);
    assert_eq!(busy["passed"], 2);
    let asked = models.times("[[429]]");
    assert!(asked.len() == 2 && asked[1] - asked[0] >= Duration::from_millis(990), "Retry-After is kept to");
    // Without a judge, or with another than the one that is asked for, nothing is known.
    let (run, open) = tested(&s, 4, &suite("x", "{type: llm-rubric, value: is polite}"), &[]);
    assert!(open["cells"][0]["reason"].as_str().is_some_and(|r| r.contains("it needs a judge: add `[judge]`")), "{run}");
    assert_eq!(open["judging"], Value::Null);
    s.write("mlops.toml", format!("{}[judge]\n{}", s.read("mlops.toml"), models.keys("anthropic")));
    let (_, other) = tested(&s, 4, &suite("x", "{type: llm-rubric, value: is polite, provider: 'openai:gpt-5'}"), &[]);
    let why = "it asks for the judge `openai:gpt-5`, and `[judge]` of mlops.toml is `judge-1`";
    assert!(other["cells"][0]["reason"].as_str().is_some_and(|r| r.contains(why)), "{other}");
    tested(&s, 0, &suite("x", "{type: llm-rubric, value: is polite, provider: 'anthropic:messages:judge-1'}"), &[]);
    // A judge that fails on an answer leaves it open.
    let (_, broken) = tested(&s, 4, &suite("x", "{type: llm-rubric, value: 'is [[broken]]'}"), &[]);
    assert!(broken["cells"][0]["reason"].as_str().is_some_and(|r| r.contains("the answer is not JSON")), "{broken}");
    // Each request costs 210 millionths of a dollar.
    let ten = "prompts: ['Say {question}']\nproviders: [llm]\ntests: [{vars: {question: [a, bb, ccc, dddd, eeeee, ffffff]}}]\n";
    slower(&s, &models, 1);
    let (run, stopped) = tested(&s, 5, ten, &["--max-cost", "0.0005"]);
    let asked = stopped["models"]["asked"].as_u64().expect("a count");
    assert!((3..=5).contains(&asked) && stopped["stopped"] == true, "{run}");
    assert!(stopped["cells"][5]["reason"].as_str().is_some_and(|r| r.contains("`--max-cost` was reached")), "{stopped}");
    let (_, on) = tested(&s, 0, ten, &["--max-cost", "1"]);
    assert_eq!((&on["models"]["kept"], &on["models"]["asked"]), (&json!(asked), &json!(6 - asked)));
    s.write("mlops.toml", s.read("mlops.toml").replace("price-output = 0.6\n", ""));
    let run = ends(&s, 2, ["prompt", "test", "--max-cost", "1"]);
    assert!(run.stderr.contains("a limit of cost needs the prices of judge-1"), "{run}");
    s.set("MODEL_KEY", "sk-wrong-000000");
    let run = ends(&s, 1, ["prompt", "test", "--cache", "off"]);
    assert!(run.stderr.contains("Incorrect API key provided") && !run.stderr.contains("sk-wrong"), "{run}");
}

#[test]
fn what_a_suite_takes_is_said_before_anybody_is_asked() {
    let models = Models::start();
    let mut s = prepared(&models, true);
    s.set("MODEL_KEY", "");
    let own = format!("{{id: 'openai:chat:other', config: {{apiBaseUrl: '{}', max_tokens: 100}}}}", addresses(&models)[1]);
    let suite = format!(
        "prompts: ['Say {{question}}', 'Tell {{question}}']\nproviders: [llm, {own}, echo]\n\
         tests:\n  - vars: {{question: [a, b]}}\n    assert: [{{type: llm-rubric, value: is polite}}]\n"
    );
    let (run, dry) = tested(&s, 0, &suite, &["--dry-run"]);
    for line in [
        "answering 4 prompts with judge-1: at most 4 requests, about ",
        " tokens in and 800 out (at most 16384), about $0.0005 (at most $0.0098); what is in the cache is not asked for",
        "answering 4 prompts with other: at most 4 requests, about ",
        "(at most 400), price unknown: `price-input` and `price-output` say it",
        // Two prompts by three providers in two cases.
        "judging 12 rows by 1 metric with judge-1: at most 12 requests, about ",
        "; 12 of the answers are yet to come",
    ] {
        assert!(run.stderr.contains(line), "{line}: {run}");
    }
    let takes = &dry["estimate"];
    assert_eq!((&takes["answering"][0]["requests"], &takes["answering"][1]["cost_usd"]), (&json!(4), &Value::Null));
    assert_eq!((&takes["judging"][0]["requests"], models.requests()), (&json!(12), 0));
    assert!(!s.work().join(".kf/cache/answers.db").exists());
    // The same line stands before a run; nobody is asked with `--cache only`, and then nothing is said.
    s.set("MODEL_KEY", KEY);
    let (run, done) = tested(&s, 0, "prompts: ['Say {question}']\nproviders: [llm]\ntests: [{vars: {question: a}}]\n", &[]);
    assert!(
        run.stderr.contains("answering 1 prompt with judge-1: at most 1 request, about ") && done["estimate"].is_null(),
        "{run}"
    );
    let again = ends(&s, 0, ["prompt", "test", "--cache", "only"]);
    assert!(!again.stderr.contains("answering"), "{again}");
}

#[test]
fn what_cannot_be_asked_is_refused_by_line_and_column_before_anybody_is() {
    let models = Models::start();
    let s = prepared(&models, true);
    let check = |provider: &str, assertion: &str, words: &str| {
        let suite = format!(
            "prompts: ['Say {{question}}']\nproviders:\n  - {provider}\ntests:\n  - vars: {{question: x}}\n    assert:\n      - {assertion}\n"
        );
        s.write("prompts.test.yaml", suite);
        let run = ends(&s, 2, ["prompt", "test"]);
        assert!(run.stderr.contains(words) && !run.stderr.contains("sk-live"), "{words}\n{run}");
    };
    let fine = "{type: llm-rubric, value: x}";
    check(
        "{id: 'openai:chat:m', config: {apiKey: sk-live-1}}",
        fine,
        "prompts.test.yaml:3:5: `apiKey` names a key and never is one",
    );
    check("{id: 'openai:chat:m', config: {top_p: 1}}", fine, "prompts.test.yaml:3:5: `top_p` is not said of a language model");
    check("'openai:responses:m'", fine, "prompts.test.yaml:3:5: `openai:responses:m` is no provider that kf can ask");
    check("llm", "{type: llm-rubric}", "prompts.test.yaml:7:9: `llm-rubric` needs `value`: what a good answer does");
    check(
        "llm",
        "{type: context-faithfulness}",
        "prompts.test.yaml:7:9: `context-faithfulness` looks at what was retrieved: give it as the variable `context`",
    );
    check(
        "llm",
        "{type: select-best, value: x}",
        "prompts.test.yaml:7:10: `select-best` is an assertion of promptfoo that kf has not",
    );
    check(
        "llm",
        "{type: llm-rubric, value: x, rubricPrompt: y}",
        "prompts.test.yaml:7:9: `rubricPrompt` of `llm-rubric` is not read",
    );
    s.write("mlops.toml", s.read("mlops.toml").replace(&format!("[llm]\n{}", models.keys("openai")), ""));
    check("llm", fine, "prompts.test.yaml:3:5: the provider `llm` needs `[llm]` in mlops.toml");
    // A dry run makes no request and opens no cache.
    s.write("prompts.test.yaml", "prompts: ['Say {question}']\nproviders: ['openai:chat:m']\ntests: [{vars: {question: x}}]\n");
    ok(&s, ["prompt", "test", "--dry-run"]);
    assert!(models.requests() == 0 && !s.work().join(".kf/cache/answers.db").exists());
}

#[test]
fn a_suite_that_is_killed_goes_on_where_it_was() {
    let models = Models::start();
    let s = prepared(&models, true);
    slower(&s, &models, 2);
    let values: Vec<String> = (0..12).map(|i| "x".repeat(i + 1)).collect();
    let suite = format!(
        "prompts: ['Say {{question}}']\nproviders: [llm]\ntests: [{{vars: {{question: [{}]}}, assert: [{{type: llm-rubric, value: is polite}}]}}]\n",
        values.join(", ")
    );
    s.write("prompts.test.yaml", &suite);
    for more in [5, 11] {
        models.kill_after(more, &s, &["prompt", "test"]);
    }
    let (_, report) = tested(&s, 0, &suite, &[]);
    assert_eq!(report["passed"], 12);
    // An answer and a mark for each, none of which was given twice: a kill loses what is under way, two of the model and eight of the judge.
    let requests = models.requests();
    assert_eq!(models.answered(), 24);
    assert!((24 + 2..=24 + 2 * (2 + 8)).contains(&requests), "{requests}");
}

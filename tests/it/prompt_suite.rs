//! `kf prompt test`.

use crate::repo::{ends, events, init, json, ok, on_both};
use crate::schemas::fit;
use crate::support::sandbox::{Run, Sandbox};
use serde_json::{Value, json};

/// A program that answers: what it was asked, and whatever the question is about.
const BOT: &str = "#!/bin/sh\necho asked >> asked.log\nprompt=$(cat)\ncase $prompt in\n*boom*) echo 'it went wrong' >&2; exit 7;;\n*slow*) sleep 20;;\n\
    *json*) echo '{\"days\": 30}';;\n*) echo \"Within 30 days. $prompt\";;\nesac\n";

const SUITE: &str = "description: refunds
prompts:
  - prompts/answer.txt
  - {label: short, raw: 'Briefly: {question}'}
providers:
  - {id: 'exec: sh bot.sh', label: bot, config: {timeout: 3s, concurrency: 2}}
tests:
  - description: how long
    vars: {question: How long?}
    assert:
      - {type: icontains, value: '{{question}}', metric: repeats}
      - {type: contains, value: 30 days}
";

fn prepared() -> Sandbox {
    let s = Sandbox::new();
    init(&s);
    s.write("bot.sh", BOT);
    s.write(
        "prompts/answer.txt",
        "---\nvariables: {question: text, tone: {type: text, default: warm}}\n---\nAnswer in a {tone} tone: {question}",
    );
    s
}

/// How often the program was asked.
fn asked(s: &Sandbox) -> usize {
    std::fs::read_to_string(s.work().join("asked.log")).map_or(0, |text| text.lines().count())
}

fn tested(s: &Sandbox, code: i32, suite: &str) -> (Run, Value) {
    s.write("prompts.test.yaml", suite);
    let run = ends(s, code, ["prompt", "test", "--format", "json"]);
    let found = json(&run);
    fit("prompt-test", std::slice::from_ref(&found));
    (run, found)
}

#[test]
fn what_holds_passes_and_every_failure_says_why() {
    let s = &prepared();
    let (_, good) = tested(s, 0, SUITE);
    assert_eq!((&good["verdict"], &good["passed"], asked(s)), (&json!("pass"), &json!(2), 2));
    let cell = &good["cells"][0];
    assert_eq!(cell["answer"], "Within 30 days. Answer in a warm tone: How long?");
    assert_eq!((&cell["vars"]["tone"], &cell["score"], &cell["cost_usd"]), (&json!("warm"), &json!(1.0), &Value::Null));
    assert!(cell["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{cell}");
    assert_eq!(good["tallies"][1]["metrics"]["repeats"], json!({"mean": 1.0, "n": 1}));

    let more = "  - description: fails
    vars: {question: Why?}
    assert: [{type: not-contains, value: days}, {type: llm-rubric, value: is polite}, {type: cost, threshold: 1, weight: 0}]
  - description: open
    vars: {question: Why?}
    assert: [{type: llm-rubric, value: is polite}]
  - description: no answer
    vars: {question: boom}
  - description: mean
    threshold: 0.5
    vars: {question: json}
    assert: [{type: is-json, value: {type: object, required: [days]}}, {type: equals, value: no}]
";
    let (_, worse) = tested(s, 3, &format!("{SUITE}{more}"));
    let count = |key: &str| worse[key].as_u64().expect("a number");
    assert_eq!((count("passed"), count("failed"), count("unscored"), count("errors")), (4, 2, 2, 2));
    let run = ends(s, 3, ["prompt", "test", "--report", "junit=j.xml", "--report", "markdown=m.md", "--report", "json=r.json"]);
    for words in [
        "FAIL  fails, prompt prompts/answer.txt, by bot\n      not-contains: must not hold: expected to contain \"days\", got \"Within 30 days. Answer in a warm tone: Why?\"",
        "unscored  open, prompt short, by bot\n      llm-rubric: it needs a judge",
        "ERROR  no answer, prompt short, by bot\n      `sh` ended with exit status 7: it went wrong",
        "prompts.test.yaml: 4 of 10 answers passed, 2 failed, 2 unscored, 2 without an answer",
    ] {
        assert!(run.stdout.contains(words), "{words}\n{run}");
    }
    let xml = s.read("j.xml");
    assert!(xml.contains("tests=\"10\" skipped=\"2\" failures=\"2\" errors=\"2\""), "{xml}");
    assert!(s.read("m.md").contains("| prompts/answer.txt | bot |"));
    let report: Value = serde_json::from_str(&s.read("r.json")).expect("JSON");
    assert_eq!(report["verdict"], "fail");
}

#[test]
fn the_code_is_that_of_the_strongest_end() {
    let s = &prepared();
    let with = |vars: &str, assertion: &str| {
        format!(
            "prompts: ['{{question}}']\nproviders: [{{id: exec, label: bot, config: {{command: [sh, bot.sh], timeout: 700ms}}}}]\ntests:\n  - vars: {{question: {vars}}}\n    assert: [{assertion}]\n"
        )
    };
    tested(s, 4, &with("x", "{type: cost, threshold: 1}"));
    let (_, partly) = tested(s, 5, &with("[x, boom]", "{type: contains, value: days}"));
    assert_eq!(
        (&partly["verdict"], partly["cells"][1]["reason"].as_str()),
        (&json!("partial"), Some("`sh` ended with exit status 7: it went wrong"))
    );
    let (_, none) = tested(s, 1, &with("slow", "{type: contains, value: days}"));
    assert!(none["cells"][0]["reason"].as_str().is_some_and(|r| r.contains("0.7 s")), "{none}");
    tested(s, 3, &with("[x, boom]", "{type: contains, value: weeks}"));
    let gone = with("x", "{type: is-refusal}").replace("[sh, bot.sh]", "[no-such-program]");
    assert!(tested(s, 1, &gone).1["cells"][0]["reason"].as_str().is_some_and(|r| r.contains("no-such-program")));
}

#[test]
fn nobody_is_asked_when_something_is_wrong() {
    let s = &prepared();
    let check = |from: &str, to: &str, words: &[&str]| {
        let suite = SUITE.replace(from, to);
        assert_ne!(suite, SUITE, "{from}");
        s.write("prompts.test.yaml", &suite);
        let run = ends(s, 2, ["prompt", "test"]);
        words.iter().for_each(|w| assert!(run.stderr.contains(w), "{w}\n{run}"));
        assert_eq!((run.stdout.as_str(), asked(s)), ("", 0), "{run}");
    };
    check("{question: How long?}", "{qestion: How long?}", &["prompts.test.yaml:11:9: there is no value for `{{question}}`"]);
    check(
        "{question: How long?}",
        "{question: How long?, qestion: x}",
        &["prompts.test.yaml:8:5: how long: `qestion` is given and nothing uses it", "`{{name}}` is text"],
    );
    check(
        "Briefly: {question}",
        "Briefly: {other}",
        &["prompts.test.yaml:8:5: how long, with the prompt short: there is no value for `other`"],
    );
    check("prompts/answer.txt", "prompts/gone.txt", &["prompts.test.yaml:3:5: cannot read", "gone.txt"]);
    check(
        "{question}'",
        "{question:.2f}'",
        &["prompts.test.yaml:8:5: how long, with the prompt short: 1:10: ValueError: `f` is for numbers"],
    );
    check("{question}'", "{question'", &["prompts.test.yaml:4:5: ", "`{` has no `}` after it"]);
    check(
        "exec: sh bot.sh",
        "openai:responses:gpt-5",
        &["prompts.test.yaml:6:5: `openai:responses:gpt-5` is no provider that kf can ask: there is `echo`"],
    );
    check(
        "type: contains",
        "type: contians",
        &["prompts.test.yaml:12:10: `contians` is no assertion that kf knows; did you mean `contains`?"],
    );
    check(
        "type: contains, value: 30 days",
        "type: javascript, value: 'output.length > 3'",
        &["prompts.test.yaml:12:10: `javascript` is a program, and kf runs no code of a suite"],
    );
    check(
        "value: 30 days",
        "valeu: 30 days",
        &["prompts.test.yaml:12:9: `valeu` is not said of an assertion; did you mean `value`?"],
    );
    check("{{question}}", "{{answer}}", &["prompts.test.yaml:11:9: there is no value for `{{answer}}`"]);
    check("tests:", "test:", &["prompts.test.yaml:7:1: `test` is not read of a suite; did you mean `tests`?"]);
    check("description: refunds", "description: [refunds", &["prompts.test.yaml:"]);
    check("  - prompts/answer.txt", "  - 'version:nobody@1.0.0'", &["prompts.test.yaml:3:5: there is no model"]);
    s.write("prompts.test.yaml", SUITE);
    assert!(ends(s, 2, ["prompt", "test", "--provider", "other"]).stderr.contains("there is: `bot`"));
    assert!(ends(s, 2, ["prompt", "test", "--prompt", "other"]).stderr.contains("there is: `prompts/answer.txt`, `short`"));
    assert!(ends(s, 2, ["prompt", "test", "--filter", "zzz"]).stderr.contains("no case of the suite has `zzz`"));
    assert!(ends(s, 1, ["prompt", "test", "gone.yaml"]).stderr.contains("cannot read"));
    std::fs::remove_file(s.work().join("prompts.test.yaml")).expect("removed");
    assert!(ends(s, 2, ["prompt", "test"]).stderr.contains("there is no suite in this folder"));
    assert_eq!(asked(s), 0);
}

#[test]
fn a_dry_run_checks_everything_and_asks_nobody() {
    let s = &prepared();
    s.write("prompts.test.yaml", SUITE);
    let run = ok(s, ["prompt", "test", "--dry-run", "--report", "json=r.json", "--format", "json"]);
    let found = json(&run);
    fit("prompt-test", std::slice::from_ref(&found));
    assert_eq!((&found["verdict"], &found["calls"], asked(s)), (&Value::Null, &json!(2), 0));
    assert!(!s.work().join("r.json").exists());
    s.write("prompts.test.yaml", SUITE.replace("{question}'", "{other}'"));
    ends(s, 2, ["prompt", "test", "--dry-run"]);
}

/// A registered version is tested in the place of the suite's prompts; the program of `[system]` learns which it is.
#[test]
fn a_registered_version_is_tested_and_the_system_of_the_repository_asked() {
    on_both(|s| {
        let system = "[system]\nkind = \"command\"\ncommand = [\"sh\", \"system.sh\"]\n";
        s.repository(system);
        s.write("system.sh", "while read -r line; do id=${line#*\\\"id\\\":\\\"}; id=${id%%\\\"*}\nprintf '{\"id\": \"%s\", \"answer\": \"%s %s: %s\", \"cost_usd\": 0.002}\\n' \"$id\" \"$KF_MODEL\" \"$KF_VERSION\" \"$(cat \"$KF_VERSION_DIR/answer.txt\" 2>/dev/null)\"; done\n");
        s.write("prompts/answer.txt", "Answer {question}");
        ok(s, ["prompt", "add", "prompts/answer.txt"]);
        let before = events(s);
        s.write("p.toml", "prompts = [\"version:answer@latest\"]\nmodels = [\"system\", \"echo\"]\n[[tests]]\nvars = {question = \"Why?\"}\n[[tests.assert]]\ntype = \"cost\"\nthreshold = 0.01\n[[tests.assert]]\ntype = \"similar\"\nvalue = \"answer 1.0.0: Answer {question}\"\n");
        let run = ends(s, 3, ["prompt", "test", "p.toml", "--format", "json"]);
        let found = json(&run);
        fit("prompt-test", std::slice::from_ref(&found));
        assert_eq!(
            (found["cells"][0]["answer"].as_str(), &found["cells"][0]["end"]),
            (Some("answer 1.0.0: Answer {question}"), &json!("pass")),
            "{run}"
        );
        assert_eq!((&found["cells"][0]["prompt"], &found["cells"][0]["cost_usd"]), (&json!("answer@1.0.0"), &json!(0.002)));
        assert_eq!((&found["cells"][1]["answer"], &found["cells"][1]["end"]), (&json!("Answer Why?"), &json!("fail")));
        s.write("prompts/answer.txt", "Answer briefly {question}");
        ok(s, ["prompt", "add", "prompts/answer.txt"]);
        let on = json(&ends(
            s,
            3,
            ["prompt", "test", "p.toml", "--provider", "echo", "--on", "answer@1.0.0", "--on", "answer", "--format", "json"],
        ));
        let labels: Vec<&str> = on["tallies"].as_array().expect("a list").iter().filter_map(|t| t["prompt"].as_str()).collect();
        assert_eq!(labels.len(), 2, "{on}");
        assert!(labels[0].starts_with("answer@1.0.0") && labels[1].starts_with("answer@"), "{labels:?}");
        assert_eq!(events(s), before + 1, "a test changes nothing");
        assert!(ends(s, 1, ["prompt", "test", "p.toml", "--on", "nobody"]).stderr.contains("there is no model"));
        s.write("mlops.toml", s.read("mlops.toml").replace(system, ""));
        assert!(ends(s, 2, ["prompt", "test", "p.toml"]).stderr.contains("needs `[system]`"));
    });
}

/// What promptfoo gives a program: the prompt, its options and the context as arguments; a prompt that is too long for one stands on
/// standard input alone.
#[test]
fn a_program_is_called_as_promptfoo_calls_it() {
    let s = &prepared();
    s.write("args.sh", "read -r first\nprintf '%s|%s|%s|%s' \"$1\" \"$2\" \"$3\" \"${#first}\"\n");
    let suite = "prompts: ['Q {q}']\nproviders: [{id: 'exec: sh args.sh', config: {options: {t: 0}}}]\ntests:\n  - {description: short, vars: {q: why}}\n  - {description: long, vars: {q: file://long.txt}}\n";
    s.write("long.txt", "x".repeat(200_000));
    let (_, found) = tested(s, 0, suite);
    assert_eq!(found["cells"][0]["answer"], "Q why|{\"t\":0}|{\"vars\":{\"q\":\"why\"}}|5");
    assert_eq!(found["cells"][1]["answer"], "|||200002");
}

/// The program notes when it begins and when it ends; never are more than two between the two.
#[test]
fn no_more_calls_are_open_than_the_suite_allows() {
    let s = &prepared();
    s.write("slow.sh", "echo begin >> calls.log\nsleep 0.2\necho end >> calls.log\necho done\n");
    let suite = "prompts: ['{q}']\nproviders: [{id: 'exec: sh slow.sh', config: {concurrency: 2}}]\ntests: [{vars: {q: [1, 2, 3, 4, 5, 6, 7]}}]\n";
    tested(s, 0, suite);
    let (mut open, mut most, mut calls) = (0_i32, 0, 0);
    for line in s.read("calls.log").lines() {
        open += if line == "begin" { 1 } else { -1 };
        calls += i32::from(line == "begin");
        most = most.max(open);
    }
    assert_eq!((calls, open), (7, 0));
    assert!((1..=2).contains(&most), "{most} were open at once");
}

#[test]
fn cases_come_from_files_and_lists_of_values() {
    let s = &prepared();
    s.write("cases.csv", "question,__expected,__description\nHow long?,contains: 30 days,from a table\nWhy?,not-is-json,\n");
    s.write("more.jsonl", "{\"description\": \"a line\", \"vars\": {\"question\": \"json\"}, \"assert\": [{\"type\": \"is-json\", \"value\": \"file://schema.json\"}]}\n");
    s.write("schema.json", "{\"type\": \"object\", \"properties\": {\"days\": {\"minimum\": 31}}}");
    let suite = "prompts: ['{question}']\nproviders: [{id: 'exec: sh bot.sh', label: bot}]\ntests: [cases.csv, file://more.jsonl, {vars: {question: [a, b, c]}, assert: [{type: word-count, value: {max: 4}}]}]\n";
    let (_, found) = tested(s, 3, suite);
    let ends: Vec<(&str, &str)> = found["cells"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| (c["case"].as_str().expect("a name"), c["end"].as_str().expect("an end")))
        .collect();
    assert_eq!(
        ends,
        [
            ("from a table", "pass"),
            ("case 2", "pass"),
            ("a line", "fail"),
            ("case 4 / 1", "pass"),
            ("case 4 / 2", "pass"),
            ("case 4 / 3", "pass")
        ]
    );
    assert!(found["cells"][2]["reason"].as_str().is_some_and(|r| r.contains("`days` is 30, below 31")), "{found}");
    let some = json(&ends_with(s, 0, &["--filter", "case", "--limit", "3"]));
    assert_eq!(some["calls"], 3);
    let quiet = json(&ends_with(s, 3, &["--quiet"]));
    assert_eq!(quiet["cells"][2]["end"], "fail", "quiet is not silent about a failure: {quiet}");
    let table = crate::repo::ends(s, 3, ["prompt", "test", "--quiet"]);
    assert!(table.stdout.contains("FAIL  a line"), "quiet is not silent about a failure: {table}");
}

fn ends_with(s: &Sandbox, code: i32, args: &[&str]) -> Run {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["prompt", "test", "--format", "json"]).args(args));
    assert_eq!(run.code, Some(code), "{run}");
    run
}

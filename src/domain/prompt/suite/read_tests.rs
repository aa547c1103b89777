//! Suites that are right, and those that are not.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn files(name: &str) -> Result<Vec<u8>, String> {
    Ok(match name {
        "cases.csv" => b"question,__expected,__expected2,__description\nWhat?,contains: day,levenshtein(3): a day,first\nWhy?,Because: so,,\n".to_vec(),
        "cases.jsonl" => b"{\"vars\": {\"q\": 1}}\n\n{\"vars\": {\"q\": 2}}\n".to_vec(),
        "broken.jsonl" => b"{}\n{\"vars\": }\n".to_vec(),
        "policy.txt" => b"30 days\n".to_vec(),
        "schema.json" => b"{\"type\": \"object\"}".to_vec(),
        other => return Err(format!("cannot read {other}")),
    })
}

fn good(text: &str) -> Suite {
    read("s.yaml", text.as_bytes(), &files).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn a_suite_of_promptfoo_is_read() {
    let suite = good(
        r#"
description: support answers
prompts:
  - prompts/answer.txt
  - file://prompts/chat.yaml#messages
  - "version: answer@production#answer.txt"
  - {label: short, raw: "Say {q}"}
  - Answer briefly {q}
providers:
  - echo
  - id: exec:python3 bot.py
    label: bot
    config: {timeout: 5s}
defaultTest:
  vars: {tone: warm, policy: file://policy.txt}
  assert:
    - {type: not-icontains, value: sorry}
  threshold: 0.5
tests:
  - description: refunds
    vars: {q: [a, b], tone: cold}
    assert:
      - type: contains
        value: "{{ policy }}, {{q}}"
        weight: 2
        metric: recall
      - {type: is-json, value: file://schema.json}
  - options: {disableVarExpansion: true}
    vars: {q: [a, b]}
    threshold: 1
  - file://cases.csv
  - cases.jsonl
"#,
    );
    assert_eq!(suite.prompts[0].from, From::File("prompts/answer.txt".into(), None));
    assert_eq!(suite.prompts[1].from, From::File("prompts/chat.yaml".into(), Some("messages".into())));
    assert_eq!(suite.prompts[2].from, From::Version("answer@production".into(), Some("answer.txt".into())));
    assert_eq!((suite.prompts[3].label.as_deref(), &suite.prompts[3].from), (Some("short"), &From::Text("Say {q}".into())));
    assert_eq!((&suite.prompts[4].from, suite.prompts[4].place), (&From::Text("Answer briefly {q}".into()), (8, 5)));
    assert_eq!((suite.providers[1].label.as_str(), &suite.providers[1].config["timeout"]), ("bot", &json!("5s")));
    let names: Vec<&str> = suite.cases.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["refunds / 1", "refunds / 2", "case 3", "first", "case 5", "case 6", "case 7"]);
    let first = &suite.cases[0];
    assert_eq!(Value::Object(first.vars.clone()), json!({"tone": "cold", "policy": "30 days", "q": "a"}));
    assert_eq!((first.assertions.len(), first.threshold, first.asked_by_assertions.join(",")), (3, Some(0.5), "policy,q".into()));
    assert_eq!((suite.cases[2].vars["q"].clone(), suite.cases[2].threshold), (json!(["a", "b"]), Some(1.0)));
    let csv: Vec<&str> = suite.cases[3].assertions.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(csv, ["not-icontains", "contains", "levenshtein"]);
    assert_eq!(suite.cases[4].assertions[1].name, "equals", "`Because: so` is no assertion");
    assert_eq!(suite.cases[6].vars["q"], json!(2));
}

#[test]
fn toml_is_read_as_well_and_a_suite_without_cases_asks_once() {
    let text = "prompts = [\"Say {x}\"]\nmodels = [\"echo\"]\n[default-test.vars]\nx = 1\n";
    let suite = read("s.toml", text.as_bytes(), &files).expect("valid");
    assert_eq!((suite.cases.len(), suite.cases[0].vars["x"].clone()), (1, json!(1)));
}

#[test]
fn everything_that_is_wrong_is_placed() {
    let check = |text: &str, expected: &[&str]| {
        let faults = read("s.yaml", text.as_bytes(), &files).expect_err(text);
        let shown: Vec<String> = faults.iter().map(|f| format!("{}:{}: {}", f.line, f.column, f.message)).collect();
        assert_eq!(shown.len(), expected.len(), "{shown:#?}");
        for (shown, start) in shown.iter().zip(expected) {
            assert!(shown.starts_with(start), "{shown}\n{start}");
        }
    };
    let head = "prompts: [x]\nproviders: [echo]\n";
    check("prompts: [x\n", &["2:1: "]);
    check("- a\n", &["1:1: a suite is a map"]);
    check("providers: [echo]\n", &["1:1: the suite has no `prompts`"]);
    check("prompts: [x]\n", &["1:1: the suite has no `providers`"]);
    check(&format!("{head}test:\n  - vars: {{}}\n"), &["3:1: `test` is not read of a suite; did you mean `tests`?"]);
    check(&format!("{head}scenarios: []\n"), &["3:1: `scenarios` is not read: write its cases"]);
    check(&format!("{head}tests: []\n"), &["3:1: the suite has no case"]);
    check(
        "prompts: [x, '', 3, {raw: a, file: b}]\nproviders: [echo, echo, {label: x}]\n",
        &[
            "1:14: the prompt is empty",
            "1:18: a prompt is a text",
            "1:21: a prompt has one of",
            "2:19: two providers",
            "2:25: a provider is such as",
        ],
    );
    check(
        &format!(
            "{head}tests:\n  - var: {{a: 1}}\n    assert:\n      - type: contain\n        value: x\n      - type: regex\n        value: \"(\"\n  - vars: 5\n    assert: {{type: equals}}\n    threshold: 3\n  - 7\n  - file://broken.jsonl\n  - vars: {{a: file://gone.txt}}\n"
        ),
        &[
            "4:5: `var` is not read of a case; did you mean `vars`?",
            "6:9: `contain` is no assertion that kf knows",
            "9:9: `(` is no pattern",
            "10:5: `vars` is a map",
            "11:5: `assert` is a list",
            "12:5: `threshold` of a case is a number from 0 to 1, and this is 3",
            "13:5: a case is a map",
            "14:5: broken.jsonl:2:10: ",
            "15:12: cannot read gone.txt",
        ],
    );
    check(
        &format!(
            "{head}defaultTest:\n  assert:\n    - type: javascript\n      value: output.length\ntests:\n  - vars: {{a: 1}}\n  - vars: {{a: 2}}\n    assert: [{{type: equals, value: '{{{{b}}}}'}}, {{type: equals, value: '{{{{a | upper}}}}'}}]\n"
        ),
        &["5:7: `javascript` is a program", "10:14: there is no value for `{{b}}`", "10:46: only the name of a variable"],
    );
    let faults = read("s.txt", b"", &files).expect_err("no suite");
    assert!(faults[0].message.contains(".yaml"), "{faults:?}");
}

/// Each of 20,000 cases has its own name and place, and neither is looked for among all the others.
#[test]
fn many_cases_are_read_and_placed() {
    let rows: String = (0..20_000).map(|i| format!("  - {{vars: {{q: {i}}}, description: same}}\n")).collect();
    let suite = good(&format!("prompts: ['{{q}}']\nproviders: [echo]\ntests:\n{rows}"));
    let names: std::collections::BTreeSet<&str> = suite.cases.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names.len(), 20_000);
    assert_eq!(suite.place(&suite.cases[19_999].at), (20_003, 5));
}

#[test]
fn combinations_are_bounded() {
    let many = (0..6).map(|i| format!("{}: [{}]", (b'a' + i) as char, ["1"; 10].join(", "))).collect::<Vec<_>>().join(", ");
    let faults = read("s.yaml", format!("prompts: [x]\nproviders: [echo]\ntests:\n  - vars: {{{many}}}\n").as_bytes(), &files)
        .expect_err("too many");
    assert!(faults[0].message.contains("more than 100000 cases"), "{faults:?}");
}

proptest! {
    #[test]
    fn reading_never_panics(text in "(prompts: |providers: |tests:\n|  - |vars: |assert: |type: |[\\[\\]{}a-z:,'\"#\n -]){0,20}") {
        for path in ["s.yaml", "s.toml", "s.json"] {
            if let Err(faults) = read(path, text.as_bytes(), &files) {
                prop_assert!(!faults.is_empty() && faults.iter().all(|f| f.line >= 1 && f.column >= 1));
            }
        }
    }
}

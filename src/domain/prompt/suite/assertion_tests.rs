//! Every assertion on both sides of what it asks.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn judged(said: Value, text: &str) -> Judged {
    let assertion = Assertion::read(&said).unwrap_or_else(|(_, why)| panic!("{said}: {why}"));
    let similarity =
        |a: &str, b: &str| if b == "unknown" { Err("no vectors".to_owned()) } else { Ok(if a == b { 1.0 } else { 0.2 }) };
    let opinion = |asked: &Asked| match asked.by {
        Some(_) => Err("it needs a judge".to_owned()),
        None => Ok(if text == "good" { 0.7 } else { 0.69 }),
    };
    assertion.judge(Given { text, latency_ms: Some(120.0), cost_usd: None, kept: text == "kept" }, &similarity, &opinion)
}

fn check(said: Value, text: &str, verdict: Verdict) {
    let plain = judged(said.clone(), text);
    assert_eq!(plain.verdict, verdict, "{said} {text:?}: {}", plain.reason);
    if said["type"] == "assert-set" {
        return;
    }
    let mut negated = said.clone();
    negated["type"] = format!("not-{}", said["type"].as_str().expect("a name")).into();
    let turned = judged(negated, text);
    let expected = match verdict {
        Verdict::Pass => Verdict::Fail,
        Verdict::Fail => Verdict::Pass,
        Verdict::Inconclusive => Verdict::Inconclusive,
    };
    assert_eq!((turned.verdict, turned.score.is_some()), (expected, plain.score.is_some()), "not-{said} {text:?}");
}

#[test]
fn every_assertion_holds_and_does_not() {
    use Verdict::{Fail, Inconclusive, Pass};
    let texts = |name: &str, value: Value, good: &[&str], bad: &[&str]| {
        good.iter().for_each(|t| check(json!({"type": name, "value": value}), t, Pass));
        bad.iter().for_each(|t| check(json!({"type": name, "value": value}), t, Fail));
    };
    texts("equals", json!("Paris"), &["Paris"], &["paris", "Paris.", ""]);
    texts("equals", json!({"a": [1, "é"]}), &["{\"a\": [1, \"\\u00e9\"]}"], &["{\"a\": [1]}", "no JSON"]);
    texts("contains", json!("Par"), &["in Paris"], &["in paris"]);
    texts("icontains", json!("ÉTÉ"), &["l'été"], &["l'ete"]);
    texts("contains-any", json!(["a1", "b2"]), &["x b2"], &["A1", ""]);
    texts("contains-any", json!("a1, b2"), &["x b2"], &["A1"]);
    texts("contains-all", json!(["a1", "b2"]), &["b2 a1"], &["a1"]);
    texts("icontains-any", json!(["A1"]), &["xa1"], &["b"]);
    texts("icontains-all", json!(["A1", "b2"]), &["xa1 B2"], &["a1"]);
    texts("starts-with", json!("The"), &["The end"], &["the end", " The"]);
    texts("ends-with", json!("end."), &["The end."], &["The end. "]);
    texts("regex", json!("\\d{2,3} days?"), &["within 30 days of it"], &["within 3 days", "thirty days"]);
    texts("is-json", json!({"type": "object", "required": ["a"]}), &["{\"a\": 1}"], &["{}", "{\"a\": 1} x", "[1]"]);
    check(json!({"type": "is-json"}), "[1]", Pass);
    check(json!({"type": "is-json", "value": "{\"type\": \"array\"}"}), "[1]", Pass);
    texts(
        "contains-json",
        json!({"required": ["a"], "type": "object"}),
        &["So: {x} {\"b\": 1} then {\"a\": {\"c\": 1}}."],
        &["{\"b\": {\"c\": 2}}", "none"],
    );
    check(json!({"type": "contains-json"}), "list [1, 2]!", Pass);
    texts("word-count", json!(3), &["one two  three"], &["one two"]);
    texts("word-count", json!({"min": 2, "max": 3}), &["a b", "a b c"], &["a", "a b c d"]);
    texts("word-count", json!({"max": 1}), &["", "a"], &["a b"]);
    texts("levenshtein", json!("kitten"), &["sitting", "kitten"], &["something else"]);
    check(json!({"type": "levenshtein", "value": "kitten", "threshold": 2}), "sitting", Fail);
    texts("rouge-n", json!("the cat sat on the mat"), &["the cat sat on the mat"], &["a dog stood elsewhere"]);
    texts("bleu", json!(["the cat sat", "other"]), &["the cat sat"], &["a dog stood"]);
    texts("similar", json!("same"), &["same"], &["other"]);
    check(json!({"type": "similar", "value": "unknown"}), "x", Inconclusive);
    check(json!({"type": "is-refusal"}), "I cannot answer that question.", Pass);
    check(json!({"type": "is-refusal"}), "It takes 30 days.", Fail);
    check(json!({"type": "latency", "threshold": 120}), "", Pass);
    check(json!({"type": "latency", "threshold": 119}), "", Fail);
    check(json!({"type": "cost", "threshold": 1}), "", Inconclusive);
    check(json!({"type": "llm-rubric", "value": "is polite", "provider": "openai:gpt-5"}), "x", Inconclusive);
    texts("llm-rubric", json!("is polite"), &["good"], &["bad"]);
    texts("model-graded-closedqa", json!("is polite"), &["good"], &["bad"]);
    check(json!({"type": "factuality", "value": "x"}), "bad", Pass);
    check(json!({"type": "answer-relevance", "threshold": 0.7}), "good", Pass);
    check(json!({"type": "answer-relevance", "threshold": 0.71}), "good", Fail);
    check(json!({"type": "latency", "threshold": 1000}), "kept", Inconclusive);
    let set = |threshold: Value| json!({"type": "assert-set", "threshold": threshold, "assert": [{"type": "contains", "value": "a"}, {"type": "contains", "value": "b"}]});
    check(set(json!(0.5)), "a", Pass);
    check(set(json!(0.6)), "a", Fail);
}

/// The names of promptfoo 0.123 that kf has not: none of them is a mistake for another one.
#[test]
fn what_promptfoo_has_and_kf_has_not_is_told_as_that() {
    for (name, instead) in [
        ("contains-xml", "`regex` finds a pattern"),
        ("not-is-sql", "`regex` finds a pattern"),
        ("gleu", "`regex` finds a pattern"),
        ("trajectory:tool-used", "`regex` finds a pattern"),
        ("similar:dot", "`similar` compares by the cosine"),
        ("trajectory:goal-success", "`llm-rubric`"),
        ("promptfoo:redteam:pii", "`llm-rubric`"),
    ] {
        let (key, why) = Assertion::read(&json!({"type": name, "value": "x"})).map(|_| ()).expect_err(name);
        let what = format!("`{name}` is an assertion of promptfoo that kf has not; {instead}");
        assert!(key == Some("type") && why.starts_with(&what), "{why}");
    }
    let (_, why) = Assertion::read(&json!({"type": "contains-alll"})).map(|_| ()).expect_err("no name");
    assert!(why.contains("no assertion that kf knows; did you mean `contains-all`?"), "{why}");
}

#[test]
fn a_failure_says_what_was_expected_and_what_came() {
    let reason = |said: Value, text: &str| judged(said, text).reason;
    assert_eq!(
        reason(json!({"type": "contains-all", "value": ["a", "b", "c"]}), "b"),
        "expected to contain \"a\", \"c\" too, got \"b\""
    );
    assert_eq!(
        reason(json!({"type": "not-contains", "value": "sorry"}), "so sorry"),
        "must not hold: expected to contain \"sorry\", got \"so sorry\""
    );
    assert_eq!(reason(json!({"type": "word-count", "value": {"min": 2}}), "one"), "expected at least 2 words, got 1");
    assert_eq!(
        reason(json!({"type": "is-json", "value": {"type": "object"}}), "[]"),
        "expected JSON that fits the schema: the value is not of type object: []"
    );
    assert!(reason(json!({"type": "equals", "value": "x"}), &"long ".repeat(100)).len() < 250);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let check = |said: Value, key: Option<&str>, words: &str| {
        let (found, why) = Assertion::read(&said).map(|_| ()).expect_err(words);
        assert_eq!(found, key, "{said}: {why}");
        assert!(why.contains(words), "{said}: {why}");
    };
    check(json!({"type": "contain", "value": "x"}), Some("type"), "did you mean `contains`?");
    check(json!({"type": "javascript", "value": "1"}), Some("type"), "kf runs no code of a suite");
    check(json!({"type": "not-python", "value": "1"}), Some("type"), "kf runs no code of a suite");
    check(json!({"value": "x"}), None, "has a `type`");
    check(json!("contains"), None, "is a map");
    check(json!({"type": "contains"}), None, "needs `value`");
    check(json!({"type": "contains-any", "value": []}), None, "a list of texts");
    check(json!({"type": "regex", "value": "("}), Some("value"), "is no pattern");
    check(json!({"type": "latency"}), None, "needs `threshold`");
    check(json!({"type": "equals", "value": "x", "weight": -1}), Some("weight"), "below 0");
    check(json!({"type": "equals", "value": "x", "treshold": 1}), None, "did you mean `threshold`?");
    check(json!({"type": "is-json", "value": {"tpye": 1}}), Some("value"), "no keyword");
    check(json!({"type": "word-count", "value": {"mim": 1}}), Some("value"), "`min` and `max`");
    check(json!({"type": "not-assert-set", "assert": [{"type": "is-json"}]}), Some("type"), "turn each");
    check(json!({"assert": [{"type": "nope"}]}), Some("assert"), "no assertion");
    check(json!({"type": "similar", "value": "x", "threshold": "high"}), Some("threshold"), "is a number");
}

proptest! {
    #[test]
    fn judging_never_panics(text in "\\PC{0,40}|[\\[{}\\]\",:0-9a\\\\]{0,30}", value in "\\PC{0,10}") {
        for name in NAMES.iter().copied().chain(rated::names()) {
            let said = json!({"type": name, "value": value, "threshold": 0.5, "assert": [{"type": "contains", "value": value}]});
            if let Ok(assertion) = Assertion::read(&said) {
                let given = Given { text: &text, latency_ms: None, cost_usd: None, kept: false };
                let found = assertion.judge(given, &|_, _| Ok(0.5), &|_| Ok(0.5));
                prop_assert!(found.score.is_none_or(|s| (0.0..=1.0).contains(&s)), "{name}: {:?}", found.score);
            }
        }
    }
}

//! The JSON in which systems are asked and answer, the same over pipes and over HTTP.
//!
//! Asked: `{"id", "question", "contexts"?, "meta"?, "model", "version"}`. Answered: `{"id", "answer"}` with, where the system
//! knows them, `contexts`, `context_ids`, `latency_ms`, `cost_usd`, `tokens: {"input", "output"}`, or `error` in place of an
//! answer. `response`, `output` and `text` are read as `answer`, `retrieved_contexts` and `retrieved_context_ids` as ragas
//! writes them. What has the wrong type is a reason, not a guess.

use crate::base::quantity::MicroUsd;
use crate::base::text::ellipsis;
use crate::seams::answerer::{Answer, Question, Tokens};
use serde_json::{Map, Value, json};

/// The longest reason that is kept, in characters.
const REASON_MAX: usize = 500;

/// One question as a system sees it.
pub(super) fn asked(question: &Question, model: &str, version: &str) -> Value {
    let mut out = Map::new();
    out.insert("id".into(), question.id.as_str().into());
    out.insert("question".into(), question.question.as_str().into());
    if let Some(contexts) = &question.contexts {
        out.insert("contexts".into(), json!(contexts));
    }
    if !question.meta.is_empty() {
        out.insert("meta".into(), Value::Object(question.meta.clone()));
    }
    out.insert("model".into(), model.into());
    out.insert("version".into(), version.into());
    Value::Object(out)
}

/// The id that an answer names; numbers are read as their text.
pub(super) fn id(object: &Map<String, Value>) -> Option<String> {
    text(object.get("id")?)
}

/// The answer, or why there is none.
pub(super) fn outcome(object: &Map<String, Value>) -> Result<Answer, String> {
    if let Some(error) = field(object, &["error"]) {
        return Err(reason(error));
    }
    let answer = field(object, &["answer", "response", "output", "text"]).ok_or("the system gave no `answer`")?;
    let answer = answer.as_str().ok_or_else(|| format!("`answer` is not text: {}", ellipsis(&answer.to_string(), 80)))?;
    Ok(Answer {
        text: answer.to_owned(),
        contexts: list(object, &["contexts", "retrieved_contexts"], |v| v.as_str().map(str::to_owned))?,
        context_ids: list(object, &["context_ids", "retrieved_context_ids"], text)?,
        latency_ms: number(object, "latency_ms")?,
        cost: number(object, "cost_usd")?.map(|usd| MicroUsd::from_usd(usd).ok_or("`cost_usd` is too large")).transpose()?,
        tokens: tokens(object)?,
        kept: None,
    })
}

/// A reason as one bounded line.
pub(super) fn bounded(reason: &str) -> String {
    ellipsis(reason, REASON_MAX)
}

fn reason(error: &Value) -> String {
    let words = error.as_str().or_else(|| error.get("message")?.as_str()).map(str::to_owned);
    let words = words.unwrap_or_else(|| error.to_string());
    if words.trim().is_empty() { "the system reported an error without words".into() } else { bounded(&words) }
}

/// The first of these fields that is there and not null.
fn field<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|n| object.get(*n).filter(|v| !v.is_null()))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn list(object: &Map<String, Value>, names: &[&str], item: fn(&Value) -> Option<String>) -> Result<Option<Vec<String>>, String> {
    let Some(found) = field(object, names) else { return Ok(None) };
    let items = found.as_array().and_then(|items| items.iter().map(item).collect::<Option<Vec<_>>>());
    let name = names.first().copied().unwrap_or_default();
    items.map(Some).ok_or_else(|| format!("`{name}` is not a list of texts: {}", ellipsis(&found.to_string(), 80)))
}

/// A number that is finite and not negative.
fn number(object: &Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    let Some(found) = field(object, &[name]) else { return Ok(None) };
    let n = found.as_f64().filter(|n| n.is_finite() && *n >= 0.0);
    n.map(Some).ok_or_else(|| format!("`{name}` is not a number of zero or more: {}", ellipsis(&found.to_string(), 80)))
}

fn tokens(object: &Map<String, Value>) -> Result<Tokens, String> {
    let Some(found) = field(object, &["tokens"]) else { return Ok(Tokens::default()) };
    let bad = || format!("`tokens` is not {{\"input\", \"output\"}}: {}", ellipsis(&found.to_string(), 80));
    let object = found.as_object().ok_or_else(bad)?;
    let one = |name: &str| match field(object, &[name]) {
        Some(v) => v.as_u64().map(Some).ok_or_else(bad),
        None => Ok(None),
    };
    Ok(Tokens { input: one("input")?, output: one("output")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: Value) -> Result<Answer, String> {
        outcome(json.as_object().expect("an object"))
    }

    #[test]
    fn a_question_says_only_what_there_is() {
        let mut q = Question { id: "q1".into(), question: "Why?".into(), ..Question::default() };
        assert_eq!(asked(&q, "bot", "1.2.0"), json!({"id": "q1", "question": "Why?", "model": "bot", "version": "1.2.0"}));
        q.contexts = Some(vec![]);
        q.meta.insert("lang".into(), "de".into());
        assert_eq!(asked(&q, "bot", "1.2.0")["contexts"], json!([]));
        assert_eq!(asked(&q, "bot", "1.2.0")["meta"]["lang"], "de");
    }

    #[test]
    fn everything_a_system_may_say_is_read() {
        let full = json!({"answer": "42", "contexts": ["a", "b"], "context_ids": ["d1", 7], "latency_ms": 12.5,
            "cost_usd": 0.0021, "tokens": {"input": 10, "output": 3}, "error": null, "extra": true});
        let expected = Answer {
            text: "42".into(),
            contexts: Some(vec!["a".into(), "b".into()]),
            context_ids: Some(vec!["d1".into(), "7".into()]),
            latency_ms: Some(12.5),
            cost: Some(MicroUsd(2100)),
            tokens: Tokens { input: Some(10), output: Some(3) },
            kept: None,
        };
        assert_eq!(read(full), Ok(expected));
    }

    #[test]
    fn other_names_are_understood() {
        for name in ["response", "output", "text"] {
            let answer = read(json!({name: "x", "retrieved_contexts": ["c"], "retrieved_context_ids": ["1"]})).expect(name);
            assert_eq!((answer.text.as_str(), answer.contexts.map(|c| c.len())), ("x", Some(1)), "{name}");
            assert_eq!(answer.context_ids, Some(vec!["1".to_owned()]), "{name}");
        }
        assert_eq!(read(json!({"answer": null, "text": "x"})).map(|a| a.text), Ok("x".into()));
    }

    #[test]
    fn an_empty_answer_is_an_answer_and_a_missing_one_is_not() {
        let empty = Answer::default();
        assert_eq!(read(json!({"answer": ""})), Ok(empty));
        assert_eq!(read(json!({"answer": null})), Err("the system gave no `answer`".into()));
    }

    #[test]
    fn what_cannot_be_used_is_a_reason() {
        let check = |json: Value, why: &str| {
            let found = read(json.clone()).expect_err(why);
            assert!(found.contains(why), "{json}: {found}");
        };
        check(json!({"answer": "x", "error": "rate limited"}), "rate limited");
        check(json!({"error": {"message": "no key", "code": 7}}), "no key");
        check(json!({"error": {"code": 7}}), r#"{"code":7}"#);
        check(json!({"error": ""}), "without words");
        check(json!({"answer": 42}), "`answer` is not text: 42");
        check(json!({"answer": "x", "contexts": "one"}), "`contexts` is not a list of texts");
        check(json!({"answer": "x", "retrieved_contexts": [{"text": "c"}]}), "`contexts` is not a list of texts");
        check(json!({"answer": "x", "latency_ms": -1}), "`latency_ms` is not a number of zero or more: -1");
        check(json!({"answer": "x", "cost_usd": "free"}), "`cost_usd` is not a number");
        check(json!({"answer": "x", "cost_usd": 1e300}), "`cost_usd` is too large");
        check(json!({"answer": "x", "tokens": {"input": -1}}), "`tokens` is not");
    }
}

//! Assertions that a language model judges: promptfoo's names, the judged metric of `kf eval` that stands for each, and what it needs.
//!
//! kf's own definitions and prompts judge (`domain::eval::judged`), so a score is not promptfoo's: it is a share of statements or a mark, and
//! it holds from `threshold` on. Where promptfoo takes 0 when none is given, which every answer passes, kf takes `LEAST`.

use super::assertion::Wrong;
use crate::base::text::ellipsis;
use crate::domain::eval::judged::JudgedId;
use serde_json::{Map, Value};

/// The least score that holds where none is given: that of promptfoo's `g-eval`.
const LEAST: f64 = 0.7;
/// The same of facts that agree: an answer that says half of what is right is promptfoo's "subset", which passes there.
const LEAST_FACTS: f64 = 0.5;

/// What `value` is to an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Nothing,
    Criteria,
    Reference,
}

/// The assertions by their names: the metric, what `value` is, whether contexts are needed, and the least score that holds.
const ALL: &[(&str, JudgedId, Says, bool, f64)] = &[
    ("answer-relevance", JudgedId::AnswerRelevancy, Says::Nothing, false, LEAST),
    ("context-faithfulness", JudgedId::Faithfulness, Says::Nothing, true, LEAST),
    ("context-recall", JudgedId::ContextRecall, Says::Reference, true, LEAST),
    ("context-relevance", JudgedId::ContextPrecision, Says::Nothing, true, LEAST),
    ("factuality", JudgedId::FactualCorrectness, Says::Reference, false, LEAST_FACTS),
    ("g-eval", JudgedId::Rubric, Says::Criteria, false, LEAST),
    ("llm-rubric", JudgedId::Rubric, Says::Criteria, false, LEAST),
    ("model-graded-closedqa", JudgedId::Rubric, Says::Criteria, false, LEAST),
    ("model-graded-factuality", JudgedId::FactualCorrectness, Says::Reference, false, LEAST_FACTS),
];

/// The names.
pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    ALL.iter().map(|(name, ..)| *name)
}

/// What a judge is asked of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked {
    /// The metric that stands for the assertion.
    pub metric: JudgedId,
    /// What a good answer does, in words.
    pub criteria: Option<String>,
    /// What is right.
    pub reference: Option<String>,
    /// Who is to judge, in promptfoo's words; whoever judges everything else where it is not said.
    pub by: Option<String>,
}

/// An assertion that a model judges.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rated {
    pub(super) asked: Asked,
    /// The least score that holds.
    pub(super) least: f64,
    /// Whether contexts are judged.
    contexts: bool,
}

/// The variables that may hold the question; where none is there the rendered prompt is it.
pub const QUESTION: [&str; 2] = ["query", "question"];
/// The variable that holds what was retrieved: a text, or a list of texts.
pub const CONTEXT: &str = "context";

impl Rated {
    /// Reads one; `None` when a model judges nothing of this name.
    pub(super) fn read(name: &str, map: &Map<String, Value>, threshold: Option<f64>) -> Option<Result<Self, Wrong>> {
        let (_, metric, value, contexts, least) = *ALL.iter().find(|(known, ..)| *known == name)?;
        let least = threshold.unwrap_or(least);
        let needed = |said: Option<String>, what: &str| match said {
            Some(text) => Ok(Some(text)),
            None => Err((None, format!("`{name}` needs `value`: {what}"))),
        };
        let asked = Self::value(name, map, least).and_then(|said| {
            let by = map.get("provider").and_then(Value::as_str).map(str::to_owned);
            let plain = Asked { metric, criteria: None, reference: None, by };
            match value {
                Says::Nothing if said.is_some() => Err((Some("value"), format!("`{name}` has no `value`"))),
                Says::Nothing => Ok(plain),
                Says::Criteria => Ok(Asked { criteria: needed(said, "what a good answer does")?, ..plain }),
                Says::Reference => Ok(Asked { reference: needed(said, "the right answer")?, ..plain }),
            }
        });
        Some(asked.map(|asked| Self { asked, least, contexts }))
    }

    /// What `value` says as a text, after everything else was found right.
    fn value(name: &str, map: &Map<String, Value>, least: f64) -> Result<Option<String>, Wrong> {
        for key in ["rubricPrompt", "config"] {
            if map.contains_key(key) {
                return Err((None, format!("`{key}` of `{name}` is not read: kf judges by prompts of its own")));
            }
        }
        if map.get("provider").is_some_and(|by| !by.is_string()) {
            return Err((
                None,
                format!("`provider` of `{name}` is a text such as `anthropic:messages:MODEL`; `[judge]` says the rest"),
            ));
        }
        if !(0.0..=1.0).contains(&least) {
            return Err((Some("threshold"), format!("`threshold` of `{name}` is from 0 to 1, and this is {least}")));
        }
        match map.get("value") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|t| !t.trim().is_empty())),
            Some(Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_string) => {
                let lines: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                Ok(Some(lines.join("\n")))
            }
            Some(other) => {
                Err((Some("value"), format!("`value` of `{name}` is a text, and this is {}", ellipsis(&other.to_string(), 40))))
            }
        }
    }

    /// The variables that it looks at, of those that a case has.
    ///
    /// # Errors
    /// When one is missing, or is no text.
    pub(super) fn variables(&self, name: &str, vars: &Map<String, Value>) -> Result<Vec<&'static str>, String> {
        let mut used: Vec<&'static str> = QUESTION.into_iter().filter(|name| vars.contains_key(*name)).take(1).collect();
        if self.contexts {
            contexts(vars).map_err(|why| format!("`{name}` looks at what was retrieved: {why}"))?;
            used.push(CONTEXT);
        }
        Ok(used)
    }
}

/// What was asked, as the variables of a case say it.
pub fn question(vars: &Map<String, Value>) -> Option<&str> {
    QUESTION.iter().find_map(|name| vars.get(*name)).and_then(Value::as_str)
}

/// What was retrieved, as the variables of a case say it.
///
/// # Errors
/// When they do not, or not in texts.
pub fn contexts(vars: &Map<String, Value>) -> Result<Vec<String>, String> {
    let texts = match vars.get(CONTEXT) {
        None => return Err(format!("give it as the variable `{CONTEXT}`, a text or a list of texts")),
        Some(Value::String(text)) => Some(vec![text.clone()]),
        Some(Value::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    };
    texts.ok_or_else(|| format!("the variable `{CONTEXT}` is a text or a list of texts"))
}

#[cfg(test)]
mod tests {
    use super::super::assertion::Assertion;
    use super::*;
    use serde_json::json;

    fn asked(said: Value) -> Asked {
        let assertion = Assertion::read(&said).unwrap_or_else(|(_, why)| panic!("{said}: {why}"));
        assertion.asks().first().map(|asked| (*asked).clone()).unwrap_or_else(|| panic!("{said}: nobody is asked"))
    }

    #[test]
    fn each_name_has_its_metric_and_what_it_needs() {
        for (name, metric, value, ..) in ALL {
            let said = match value {
                Says::Nothing => json!({"type": name}),
                _ => json!({"type": format!("not-{name}"), "value": "a text"}),
            };
            let found = asked(said);
            assert_eq!(found.metric, *metric, "{name}");
            let given = (found.criteria.is_some(), found.reference.is_some());
            assert_eq!(given, (*value == Says::Criteria, *value == Says::Reference), "{name}");
        }
        let steps = asked(
            json!({"assert": [{"type": "is-json"}, {"type": "g-eval", "value": ["short", "kind"], "provider": "openai:m"}]}),
        );
        assert_eq!((steps.criteria.as_deref(), steps.by.as_deref()), (Some("short\nkind"), Some("openai:m")));
    }

    #[test]
    fn what_cannot_be_judged_is_refused_with_its_reason() {
        let check = |said: Value, key: Option<&str>, words: &str| {
            let (found, why) = Assertion::read(&said).map(|_| ()).expect_err(words);
            assert!(found == key && why.contains(words), "{said}: {found:?} {why}");
        };
        check(json!({"type": "llm-rubric"}), None, "`llm-rubric` needs `value`: what a good answer does");
        check(json!({"type": "llm-rubric", "value": "  "}), None, "needs `value`");
        check(json!({"type": "factuality", "value": {"a": 1}}), Some("value"), "is a text, and this is");
        check(json!({"type": "answer-relevance", "value": "x"}), Some("value"), "has no `value`");
        check(json!({"type": "answer-relevance", "threshold": 7}), Some("threshold"), "is from 0 to 1, and this is 7");
        check(json!({"type": "llm-rubric", "value": "x", "rubricPrompt": "y"}), None, "kf judges by prompts of its own");
        check(json!({"type": "llm-rubric", "value": "x", "provider": {"id": "y"}}), None, "`[judge]` says the rest");
        check(json!({"type": "not-moderation"}), Some("type"), "an assertion of promptfoo that kf has not");
    }

    #[test]
    fn what_was_retrieved_is_a_variable() {
        let vars = |context: Value| {
            json!({"question": "q", "query": "why?", "context": context}).as_object().cloned().unwrap_or_default()
        };
        assert_eq!(contexts(&vars(json!("one"))), Ok(vec!["one".to_owned()]));
        assert_eq!(contexts(&vars(json!(["one", "two"]))).map(|c| c.len()), Ok(2));
        assert!(
            contexts(&vars(json!([1]))).is_err() && contexts(&Map::new()).expect_err("none").contains("the variable `context`")
        );
        assert_eq!((question(&vars(Value::Null)), question(&Map::new())), (Some("why?"), None));
        let faithful = Assertion::read(&json!({"type": "context-faithfulness"})).expect("read");
        assert_eq!(faithful.variables(&vars(json!("one"))), Ok(vec!["query", "context"]));
        assert!(
            faithful.variables(&Map::new()).expect_err("none").contains("`context-faithfulness` looks at what was retrieved")
        );
    }
}

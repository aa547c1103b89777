//! A row of a golden dataset and an answer to it, read from one JSON object.

use super::fields::{Field, Mapping};
use crate::base::canonical;
use crate::base::digest::Digest;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A reviewed question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its id: given, or the first digits of the digest of question and references.
    pub id: String,
    /// The line that it begins on, from 1.
    pub line: usize,
    /// What is asked.
    pub question: String,
    /// What should be answered.
    pub references: Vec<String>,
    /// What should be retrieved.
    pub reference_contexts: Vec<String>,
    /// The ids of what should be retrieved.
    pub reference_context_ids: Vec<String>,
    /// Graded relevance: id → grade.
    pub relevance: Option<BTreeMap<String, f64>>,
    /// False when the documents do not answer the question.
    pub answerable: Option<bool>,
    /// The language.
    pub language: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// The document or conversation that rows share.
    pub cluster: Option<String>,
    /// The split that it belongs to.
    pub split: Option<String>,
    /// True when it must pass by itself.
    pub must_pass: bool,
    /// The answer recorded beside it.
    pub answer: Option<Answer>,
    /// Fields that kf does not know, kept.
    pub extra: Map<String, Value>,
}

/// An answer, or why there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The text; `None` when there is only an error.
    pub text: Option<String>,
    /// What was retrieved for it, best first.
    pub contexts: Vec<String>,
    /// The ids of what was retrieved, best first.
    pub context_ids: Vec<String>,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<f64>,
    /// What it cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// Reads fields out of one object and collects what is wrong with it.
pub(super) struct Reader<'a> {
    pub(super) object: &'a Map<String, Value>,
    pub(super) mapping: &'a Mapping,
    pub(super) problems: Vec<String>,
}

impl Reader<'_> {
    fn value(&self, field: Field) -> Option<&Value> {
        self.object.get(self.mapping.column(field)?).filter(|v| !v.is_null() && v.as_str() != Some(""))
    }

    fn complain<T>(&mut self, field: Field, want: &str) -> Option<T> {
        let column = self.mapping.column(field).unwrap_or(field.word());
        self.problems.push(format!("`{column}` must be {want}"));
        None
    }

    fn text(&mut self, field: Field) -> Option<String> {
        match self.value(field)? {
            Value::String(s) => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            other => match inner_text(other) {
                Some(text) => Some(text),
                None => self.complain(field, "a text"),
            },
        }
    }

    /// A list of texts, or one text; a text that is itself a JSON list (CSV) counts as that list.
    fn texts(&mut self, field: Field) -> Vec<String> {
        let Some(value) = self.value(field).cloned() else { return Vec::new() };
        let list = match &value {
            Value::String(s) if s.trim_start().starts_with('[') => {
                serde_json::from_str(s).unwrap_or_else(|_| vec![value.clone()])
            }
            Value::Array(items) => items.clone(),
            one => vec![one.clone()],
        };
        let texts: Option<Vec<String>> = list
            .iter()
            .map(|v| match v {
                Value::String(s) => Some(s.clone()),
                Value::Number(n) => Some(n.to_string()),
                other => inner_text(other),
            })
            .collect();
        match texts {
            Some(texts) => texts,
            None => self.complain(field, "a text or a list of texts").unwrap_or_default(),
        }
    }

    fn number(&mut self, field: Field) -> Option<f64> {
        let value = self.value(field)?;
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        match number.filter(|n| n.is_finite() && *n >= 0.0) {
            Some(n) => Some(n),
            None => self.complain(field, "a number that is not negative"),
        }
    }

    fn flag(&mut self, field: Field) -> Option<bool> {
        match self.value(field)? {
            Value::Bool(b) => Some(*b),
            Value::String(s) if s.eq_ignore_ascii_case("true") => Some(true),
            Value::String(s) if s.eq_ignore_ascii_case("false") => Some(false),
            _ => self.complain(field, "true or false"),
        }
    }

    fn relevance(&mut self) -> Option<BTreeMap<String, f64>> {
        let value = self.value(Field::Relevance)?;
        let map: Option<BTreeMap<String, f64>> = value
            .as_object()
            .and_then(|m| m.iter().map(|(k, v)| Some((k.clone(), v.as_f64().filter(|g| g.is_finite())?))).collect());
        map.or_else(|| self.complain(Field::Relevance, "an object of numbers"))
    }

    /// The answer in the object, if it has one.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let answer = Answer {
            text: self.text(Field::Answer),
            contexts: self.texts(Field::Contexts),
            context_ids: self.texts(Field::ContextIds),
            latency_ms: self.number(Field::LatencyMs),
            cost_usd: self.number(Field::CostUsd),
            error: self.text(Field::Error),
        };
        (answer.text.is_some() || answer.error.is_some()).then_some(answer)
    }

    /// The id in the object.
    pub(super) fn id(&mut self) -> Option<String> {
        self.text(Field::Id)
    }

    /// The question in the object.
    pub(super) fn question(&mut self) -> Option<String> {
        self.text(Field::Question).filter(|q| !q.trim().is_empty())
    }

    /// The row in the object; what is wrong stays in `problems`.
    pub(super) fn row(&mut self, line: usize) -> Row {
        let question = self.question();
        if question.is_none() {
            self.problems.push("it has no question".to_owned());
        }
        let question = question.unwrap_or_default();
        let references = self.texts(Field::Reference);
        let id = self.id().unwrap_or_else(|| content_id(&question, &references));
        Row {
            id,
            line,
            question,
            references,
            reference_contexts: self.texts(Field::ReferenceContexts),
            reference_context_ids: self.texts(Field::ReferenceContextIds),
            relevance: self.relevance(),
            answerable: self.flag(Field::Answerable),
            language: self.text(Field::Language),
            tags: self.texts(Field::Tags),
            cluster: self.text(Field::Cluster),
            split: self.text(Field::Split),
            must_pass: self.flag(Field::MustPass).unwrap_or(false),
            answer: self.answer(),
            extra: self.object.iter().filter(|(k, _)| !self.mapping.knows(k)).map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }
}

/// The text inside of what other tools wrap: `{"question": …}`, a list of chat messages, `{"expected_response": …}`.
fn inner_text(value: &Value) -> Option<String> {
    const KEYS: [&str; 9] =
        ["question", "query", "input", "answer", "output", "response", "expected_response", "content", "text"];
    match value {
        Value::Object(map) => KEYS.iter().find_map(|k| map.get(*k)?.as_str().map(str::to_owned)),
        Value::Array(messages) => {
            let user = messages.iter().rev().find(|m| m.get("role").and_then(Value::as_str) == Some("user"));
            user.and_then(|m| m.get("content")?.as_str().map(str::to_owned))
        }
        _ => None,
    }
}

fn content_id(question: &str, references: &[String]) -> String {
    let text = canonical::to_string(&(question, references)).unwrap_or_default();
    Digest::of(text.as_bytes()).short()
}

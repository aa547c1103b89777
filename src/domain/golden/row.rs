//! One row of a golden dataset, and the one way such rows are written.

use crate::base::digest::Digest;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A reviewed question. Written with names that no tool uses for something else, in this order, absent fields left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// Unique in its dataset: as given, else [`Row::content_id`].
    pub id: String,
    /// What is asked; never blank.
    pub question: String,
    /// Right answers, any of them will do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// What a system answered, when it was recorded with the question.
    #[serde(rename = "response", skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What a system retrieved, best first.
    #[serde(rename = "retrieved_contexts", skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<String>,
    /// What should be retrieved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reference_contexts: Vec<String>,
    /// Ids of what a system retrieved, best first.
    #[serde(rename = "retrieved_context_ids", skip_serializing_if = "Vec::is_empty")]
    pub context_ids: Vec<String>,
    /// Ids of what should be retrieved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reference_context_ids: Vec<String>,
    /// How relevant a context is, by id; 0 is not at all, the scale is the dataset's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relevance: Option<BTreeMap<String, f64>>,
    /// False when the right behaviour is to say that there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answerable: Option<bool>,
    /// The language of the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Free words to slice by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Rows with the same one are not independent (same document, same conversation).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Part of the dataset, such as `dev` and `holdout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// How much the row counts, from 0; 1 when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// How long the recorded answer took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What the recorded answer cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Tokens of the recorded answer, in and out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Whether a gate fails when this row does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub must_pass: Option<bool>,
    /// What the file says beyond that.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Row {
    /// The id of a row that has none: 16 hexadecimal digits of SHA-256 over question, references and reference contexts.
    pub fn content_id(&self) -> String {
        let content = json!([self.question, self.references, self.reference_contexts]);
        // serde_json writes lists of texts in one way only.
        Digest::of(content.to_string().as_bytes()).hex().chars().take(16).collect()
    }
}

/// Rows as JSON lines, which [`super::read`] reads back as they are.
pub fn to_jsonl(rows: &[Row]) -> String {
    let line = |row| serde_json::to_string(row).expect("a row has only text keys and finite numbers") + "\n";
    rows.iter().map(line).collect()
}

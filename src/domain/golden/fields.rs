//! The names that other tools give to the fields of a golden dataset.
//!
//! Sources: ragas 0.1 and 0.4 (`EvaluationDataset`), DeepEval (`Golden`), promptfoo (`vars`), OpenAI evals (`input`/`ideal`),
//! inspect_ai (`target`), MLflow (`inputs`/`expectations`), LangSmith, Braintrust and Phoenix (`inputs`, `expected`, `output`).

use crate::base::name::words;
use std::collections::BTreeMap;

words! {
    /// A field of a row.
    Field, "field" {
        /// The row's id.
        Id = "id",
        /// What is asked.
        Question = "question",
        /// What should be answered; one or several.
        Reference = "reference",
        /// What was answered.
        Answer = "answer",
        /// What was retrieved for the answer.
        Contexts = "contexts",
        /// What should be retrieved.
        ReferenceContexts = "reference_contexts",
        /// The ids of what was retrieved, best first.
        ContextIds = "context_ids",
        /// The ids of what should be retrieved.
        ReferenceContextIds = "reference_context_ids",
        /// Graded relevance: id → grade.
        Relevance = "relevance",
        /// False when the documents do not answer the question.
        Answerable = "answerable",
        /// The language.
        Language = "language",
        /// Tags.
        Tags = "tags",
        /// The document or conversation that rows share.
        Cluster = "cluster",
        /// `dev` or `holdout`.
        Split = "split",
        /// The row must pass by itself.
        MustPass = "must_pass",
        /// How long the answer took, in milliseconds.
        LatencyMs = "latency_ms",
        /// What the answer cost, in US dollars.
        CostUsd = "cost_usd",
        /// Why there is no answer.
        Error = "error",
    }
}

/// The aliases of each field, the most telling first.
const ALIASES: &[(Field, &[&str])] = &[
    (Field::Id, &["id", "row_id", "example_id"]),
    (Field::Question, &["question", "user_input", "input", "query", "inputs", "prompt"]),
    (
        Field::Reference,
        &[
            "reference",
            "references",
            "ground_truth",
            "ground_truths",
            "expected_output",
            "expected",
            "ideal",
            "target",
            "expected_response",
            "reference_answer",
            "__expected",
        ],
    ),
    (Field::Answer, &["answer", "response", "actual_output", "output", "outputs", "prediction", "generated_answer"]),
    (Field::Contexts, &["retrieved_contexts", "retrieval_context", "contexts"]),
    (Field::ReferenceContexts, &["reference_contexts", "expected_contexts", "context", "contexts"]),
    (Field::ContextIds, &["context_ids", "retrieved_context_ids", "retrieved_ids"]),
    (
        Field::ReferenceContextIds,
        &["reference_context_ids", "expected_context_ids", "expected_retrieved_context", "relevant_ids"],
    ),
    (Field::Relevance, &["relevance", "grades"]),
    (Field::Answerable, &["answerable", "is_answerable"]),
    (Field::Language, &["language", "lang"]),
    (Field::Tags, &["tags", "tag", "labels"]),
    (Field::Cluster, &["cluster", "source_file", "conversation_id", "thread"]),
    (Field::Split, &["split"]),
    (Field::MustPass, &["must_pass", "critical"]),
    (Field::LatencyMs, &["latency_ms"]),
    (Field::CostUsd, &["cost_usd", "cost"]),
    (Field::Error, &["error"]),
];

/// Which column of the data is which field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping(pub BTreeMap<Field, String>);

impl Mapping {
    /// Finds the fields among the columns. `overrides` is column → field; an overridden column is never guessed.
    ///
    /// The trap: `contexts` is what was retrieved in ragas 0.1, and what should be retrieved once `retrieved_contexts` is there.
    ///
    /// # Errors
    /// When an override names a field that does not exist or a column that is not there.
    pub fn of(columns: &[&str], overrides: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut found = BTreeMap::new();
        let mut taken: Vec<&str> = Vec::new();
        for (column, field) in overrides {
            let field: Field = field.parse()?;
            if !columns.contains(&column.as_str()) {
                return Err(format!("there is no column `{column}` to map to `{field}`; there is: {}", columns.join(", ")));
            }
            found.insert(field, column.clone());
            taken.push(column);
        }
        for (field, aliases) in ALIASES {
            if found.contains_key(field) {
                continue;
            }
            if let Some(alias) = aliases.iter().find(|a| columns.contains(a) && !taken.contains(a)) {
                found.insert(*field, (*alias).to_owned());
                taken.push(alias);
            }
        }
        Ok(Self(found))
    }

    /// The column of a field.
    pub fn column(&self, field: Field) -> Option<&str> {
        self.0.get(&field).map(String::as_str)
    }

    /// The columns that were read under another name than their own: (column, field).
    pub fn renamed(&self) -> Vec<(String, Field)> {
        self.0.iter().filter(|(f, c)| f.word() != c.as_str()).map(|(f, c)| (c.clone(), *f)).collect()
    }

    /// True when a column is some field.
    pub fn knows(&self, column: &str) -> bool {
        self.0.values().any(|c| c == column)
    }
}

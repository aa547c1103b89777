//! Which field of a file is which field of ours.
//!
//! Sources: ragas 0.4 (`user_input`, `response`, `reference`, `retrieved_contexts` …) and ragas 0.1 (`question`, `answer`,
//! `contexts`, `ground_truth`), DeepEval (`input`, `actual_output`, `expected_output`, `context`, `retrieval_context`),
//! promptfoo (`vars`, `assert`, `__expected`), OpenAI evals (`input` messages, `ideal`), inspect_ai (`input`, `target`), MLflow
//! (`inputs`, `outputs`, `expectations`), LangSmith (`inputs`, `outputs`), Langfuse and Braintrust (`input`,
//! `expectedOutput`, `expected`), Phoenix (`input`, `output`), SQuAD (`context`, `answers.text`, `is_impossible`).
//!
//! The mapping is decided once for a file, from the fields that any row has. Names are compared in lower case with `_` for
//! spaces, `-`, `.` and humps. Four names mean different things in different tools:
//! - `contexts` is what was retrieved (ragas), but what should be when the file also says what was retrieved;
//! - `outputs` is the reference (LangSmith), but the answer beside `expectations` (MLflow) or another reference;
//! - `output` is the reference (Phoenix), but the answer beside another reference;
//! - `answer` is the answer (ragas), but the reference in a file with neither reference nor retrieved contexts.

use super::raw::RawRow;
use crate::base::error::{Error, Result};
use crate::base::name::words;
use crate::base::text::{did_you_mean, ellipsis};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

words! {
    /// A field that means something to kf.
    Field, "field of a golden dataset" {
        /// Names the row.
        Id = "id",
        /// What is asked.
        Question = "question",
        /// Right answers.
        References = "references",
        /// What a system answered.
        Answer = "answer",
        /// What a system retrieved.
        Contexts = "contexts",
        /// What should be retrieved.
        ReferenceContexts = "reference_contexts",
        /// Ids of what a system retrieved.
        ContextIds = "context_ids",
        /// Ids of what should be retrieved.
        ReferenceContextIds = "reference_context_ids",
        /// How relevant each context is.
        Relevance = "relevance",
        /// Whether the documents hold an answer.
        Answerable = "answerable",
        /// The language of the question.
        Language = "language",
        /// Free words.
        Tags = "tags",
        /// Rows that are not independent share it.
        Cluster = "cluster",
        /// Part of the dataset, such as `dev` and `holdout`.
        Split = "split",
        /// How much the row counts.
        Weight = "weight",
        /// How long the answer took, in milliseconds.
        LatencyMs = "latency_ms",
        /// What the answer cost, in US dollars.
        CostUsd = "cost_usd",
        /// Tokens that the answer took, in and out.
        Tokens = "tokens",
        /// Whether a gate fails when this row does.
        MustPass = "must_pass",
        /// Why there is no answer; in files of answers only.
        Error = "error",
    }
}

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A golden dataset.
    Golden,
    /// Recorded answers.
    Answers,
}

const INVERTED: &[&str] = &["unanswerable", "is_unanswerable", "is_impossible"];

/// Names of fields in the order they are tried; `a.b` is `b` within `a`.
const ALIASES: &[(Field, &str)] = &[
    (Field::Id, "id row_id question_id query_id qid example_id sample_id test_id case_id uuid _id metadata.id"),
    (
        Field::Question,
        "question user_input query question_text inputs.question inputs.query inputs.user_input inputs.input \
        inputs.prompt inputs.messages inputs.message vars.question vars.query vars.user_input vars.input \
        vars.prompt vars.message input.question input.query input.input input.messages input prompt messages \
        instruction inputs vars",
    ),
    (
        Field::References,
        "references reference reference_answers reference_answer ground_truths ground_truth ideal_answers \
        ideal_answer ideal expected_answers expected_answer expected_outputs expected_output \
        expected_response expected targets target correct_answer gold_answer expectations.expected_response \
        reference_outputs.answer reference_outputs answers.text answers __expected assert",
    ),
    (Field::Answer, "response actual_output model_output prediction predicted_answer generated_answer completion"),
    (
        Field::Contexts,
        "retrieved_contexts retrieved_context retrieval_context retrieved_documents retrieved vars.contexts \
        vars.context",
    ),
    (
        Field::ReferenceContexts,
        "reference_contexts reference_context ideal_contexts gold_contexts relevant_contexts context \
        expectations.expected_retrieved_context",
    ),
    (Field::ContextIds, "context_ids retrieved_context_ids retrieved_ids retrieved_doc_ids"),
    (
        Field::ReferenceContextIds,
        "reference_context_ids relevant_ids relevant_doc_ids relevant_context_ids gold_ids \
        expected_context_ids",
    ),
    (Field::Relevance, "relevance relevances qrels grades"),
    (Field::Answerable, "answerable is_answerable unanswerable is_unanswerable is_impossible"),
    (Field::Language, "language lang locale metadata.language metadata.lang"),
    (Field::Tags, "tags tag category metadata.tags metadata.category"),
    (Field::Cluster, "cluster cluster_id group group_id thread_id conversation_id document_id metadata.cluster"),
    (Field::Split, "split subset metadata.split"),
    (Field::Weight, "weight metadata.weight"),
    (Field::LatencyMs, "latency_ms duration_ms response_time_ms"),
    (Field::CostUsd, "cost_usd total_cost_usd cost"),
    (Field::Tokens, "tokens total_tokens token_count usage.total_tokens"),
    (Field::MustPass, "must_pass"),
    (Field::Error, "error error_message"),
];

fn aliases(field: Field) -> impl Iterator<Item = &'static str> {
    ALIASES.iter().filter(move |(f, _)| *f == field).flat_map(|(_, names)| names.split_whitespace())
}

/// Outputs of a system, or of an expert: where they hold an answer, in the order it is looked for.
const OUTPUTS: &[&str] = &["outputs.answer", "outputs.response", "outputs.output", "outputs.content", "outputs"];
const OUTPUT: &[&str] = &["output.answer", "output.response", "output.output", "output"];

/// Fields of a file of answers.
const OF_ANSWERS: &[Field] = &[
    Field::Id,
    Field::Question,
    Field::Answer,
    Field::Contexts,
    Field::ContextIds,
    Field::LatencyMs,
    Field::CostUsd,
    Field::Tokens,
    Field::Error,
];

/// A name as names are compared.
pub(super) fn normal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut before = '_';
    for c in name.trim().chars() {
        if c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit()) {
            out.push('_');
        }
        before = c;
        match c {
            ' ' | '-' => out.push('_'),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

/// True for a key of a row that may hold its question.
pub(super) fn names_question(key: &str, overrides: &[Override]) -> bool {
    let key = normal(key);
    let first = |path: &str| path.split('.').next() == Some(key.as_str());
    aliases(Field::Question).any(first) || overrides.iter().any(|o| o.field == Field::Question && first(&o.source))
}

/// True for a key that holds an answer in a file of answers.
pub(super) fn names_answer(key: &str) -> bool {
    let key = normal(key);
    key == "answer" || aliases(Field::Answer).any(|name| name == key)
}

/// `SOURCE=FIELD`: the field of the file that is a field of ours, against the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    source: String,
    field: Field,
}

impl FromStr for Override {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let Some((source, field)) = s.split_once('=').filter(|(source, _)| !source.trim().is_empty()) else {
            let e = Error::usage(format!("`{}` does not map a field", ellipsis(s, 60)));
            return Err(e.hint("write the field of the file and ours, such as `--map ground_truth=references`"));
        };
        Self::new(source, field)
    }
}

impl Override {
    /// Maps a field of the file to the one of ours that has this name.
    ///
    /// # Errors
    /// When none of ours has it.
    pub fn new(source: &str, field: &str) -> Result<Self> {
        let parsed = field.trim().parse::<Field>().map_err(|e| {
            let hint = did_you_mean(field.trim(), Field::ALL.iter().map(|f| f.word()));
            hint.into_iter().fold(Error::usage(e), Error::hint)
        });
        Ok(Self { source: normal(source), field: parsed? })
    }

    /// The field of the file, as names are compared.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The field of ours.
    pub fn field(&self) -> Field {
        self.field
    }
}

/// One field of the file and what it was read as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mapped {
    /// Its name in the file, `a.b` for `b` within `a`.
    pub source: String,
    /// Our name.
    pub field: Field,
    /// Rows where it was read as that.
    pub rows: usize,
    /// Why, when the name alone does not say it.
    pub note: Option<String>,
}

/// How a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// Fields that mean something, in the order of our fields and then of preference.
    pub used: Vec<Mapped>,
    /// Fields that were kept as they are.
    pub kept: Vec<String>,
    /// Fields that were to be mapped and that no row has, as names are compared. Not a problem by itself: a dataset and its
    /// answers are read with the same overrides, and [`Mapping::check`] tells what neither of them has.
    pub missing: Vec<String>,
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for m in &self.used {
            let note = m.note.as_ref().map_or_else(String::new, |n| format!("; {n}"));
            writeln!(f, "{} → {} ({}{note})", m.source, m.field, crate::base::text::count(m.rows, "row"))?;
        }
        if self.kept.is_empty() { Ok(()) } else { writeln!(f, "kept: {}", self.kept.join(", ")) }
    }
}

impl Mapping {
    /// Holds every override to be of some use in files that were read with it.
    ///
    /// # Errors
    /// When no row of any of them has the field that is to be mapped.
    pub fn check(read: &[&Self]) -> Result<()> {
        let Some((first, rest)) = read.split_first() else { return Ok(()) };
        match first.missing.iter().find(|m| rest.iter().all(|other| other.missing.contains(m))) {
            Some(missing) => {
                let there =
                    read.iter().flat_map(|m| m.used.iter().map(|u| u.source.as_str()).chain(m.kept.iter().map(String::as_str)));
                let hint = did_you_mean(missing, there.collect::<BTreeSet<_>>());
                let e = Error::usage(format!("no row has the field `{}` that is to be mapped", ellipsis(missing, 60)));
                Err(hint.into_iter().fold(e, Error::hint))
            }
            None => Ok(()),
        }
    }
}

/// One field to look for: where, as what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub path: String,
    pub field: Field,
    pub note: Option<&'static str>,
    /// The value says the opposite of the field.
    pub inverted: bool,
}

/// What to look for in every row, best first.
pub(super) fn plan(rows: &[RawRow], mode: Mode, overrides: &[Override]) -> Vec<Source> {
    let present = present(rows);
    let has = |path: &str| present.contains(path);
    let any = |field| aliases(field).any(has);
    let forced = |field| overrides.iter().any(|o| o.field == field);
    let source = |path: &str, field, note| Source { path: path.to_owned(), field, note, inverted: INVERTED.contains(&path) };
    let mut sources: Vec<Source> =
        overrides.iter().map(|o| source(&o.source, o.field, Some("as asked"))).filter(|s| has(&s.path)).collect();
    let fields = if mode == Mode::Answers { OF_ANSWERS } else { Field::ALL };
    for field in fields.iter().copied().filter(|f| mode == Mode::Answers || *f != Field::Error) {
        sources.extend(aliases(field).map(|path| source(path, field, None)));
    }
    let referenced = forced(Field::References) || any(Field::References);
    let as_answer = |paths: &'static [&'static str], note| paths.iter().map(move |p| source(p, Field::Answer, note));
    if mode == Mode::Answers {
        sources.extend(as_answer(&["answer", "result", "text"], None));
        sources.extend(as_answer(OUTPUTS, None).chain(as_answer(OUTPUT, None)));
        sources.push(source("contexts", Field::Contexts, None));
    } else {
        let retrieved = forced(Field::Contexts) || any(Field::Contexts);
        sources.push(match retrieved {
            true => source("contexts", Field::ReferenceContexts, Some("the file says elsewhere what was retrieved")),
            false => source("contexts", Field::Contexts, Some("taken as what was retrieved, as in ragas")),
        });
        let known = "the references are elsewhere";
        for (paths, other) in [(OUTPUTS, referenced || has("expectations")), (OUTPUT, referenced)] {
            let (field, note) = if other { (Field::Answer, known) } else { (Field::References, "taken as the right answer") };
            sources.extend(paths.iter().map(|p| source(p, field, Some(note))));
        }
        let lone = !referenced && !retrieved && !["contexts", "outputs", "output", "expectations"].into_iter().any(has);
        sources.push(match lone {
            true => source("answer", Field::References, Some("taken as the right answer, there is no other")),
            false => source("answer", Field::Answer, None),
        });
    }
    let mut seen = BTreeSet::new();
    sources.retain(|s| has(&s.path) && seen.insert(s.path.clone()));
    // A stable sort: within one field the order of preference stays.
    sources.sort_by_key(|s| s.field);
    sources
}

/// Every field that any row has with a value, those within an object as `a.b`, in the form names are compared.
fn present(rows: &[RawRow]) -> BTreeSet<String> {
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut all = BTreeSet::new();
    for (key, cell) in rows.iter().flat_map(|r| &r.fields).filter(|(_, c)| !c.value.is_null()) {
        let name = names.entry(key).or_insert_with(|| normal(key));
        if !all.contains(name.as_str()) {
            all.insert(name.clone());
        }
        if let Some(inner) = cell.value.as_object() {
            all.extend(inner.iter().filter(|(_, v)| !v.is_null()).map(|(k, _)| format!("{name}.{}", normal(k))));
        }
    }
    all
}

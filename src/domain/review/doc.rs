//! The documents: what an evaluation of changed models and a test of prompts say, as they are written and as they are read again.

use crate::base::text::count;
use crate::base::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an evaluation of changed models is called.
pub const REVIEW: &str = "kf.eval-changed/1";
/// What a test of prompts is called.
pub const PROMPTS: &str = "kf.prompt-test/1";

/// Changed models against what they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// What they are compared with.
    pub since: SinceDoc,
    /// The verdict over all of them; none changed passes.
    pub verdict: Verdict,
    /// True when `policy.inconclusive` lets what is inconclusive through.
    pub inconclusive_allowed: bool,
    /// The models that changed.
    pub models: Vec<ModelReview>,
    /// Models that did not.
    pub unchanged: Vec<String>,
    /// Models that are gone.
    pub removed: Vec<String>,
    /// How many files changed that no model is made of or depends on.
    #[serde(default)]
    pub files_elsewhere: usize,
}

impl Review {
    /// What is said of files that no model is made of or depends on; `None` where there are none.
    pub fn elsewhere(&self) -> Option<String> {
        let verb = if self.files_elsewhere == 1 { "belongs" } else { "belong" };
        (self.files_elsewhere > 0).then(|| format!("{} {verb} to no model", count(self.files_elsewhere, "changed file")))
    }
}

/// What is compared with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SinceDoc {
    /// The branch that was named.
    pub reference: String,
    /// The commit at which both parted.
    pub base: String,
    /// The commit that is checked out.
    pub head: String,
    /// Files among those that count that are not committed.
    pub uncommitted: Vec<String>,
}

/// A model that changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelReview {
    /// Its name.
    pub name: String,
    /// The verdict: of its comparison and its gates.
    pub verdict: Verdict,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// About how many rows a decision takes, when it is inconclusive for want of rows.
    pub needed: Option<u64>,
    /// Why it counts as changed, where that is more than its files.
    pub why: Vec<String>,
    /// The files of it that changed.
    pub files: Vec<FileDoc>,
    /// True when there is no such model where it is compared with.
    pub is_new: bool,
    /// The dataset and how many of its rows were asked.
    pub dataset: String,
    /// Rows that were asked.
    pub rows: usize,
    /// How the answers came.
    pub system: String,
    /// Answers that are the same, letter by letter, as before; `None` without anything before.
    pub same_answers: Option<usize>,
    /// Metrics against what they were, or alone where there is nothing before.
    pub figures: Vec<FigureDoc>,
    /// Cost, latency, errors and coverage.
    pub budgets: Vec<BudgetDoc>,
    /// Slices that got worse.
    pub slices: Vec<SliceDoc>,
    /// The gates.
    pub gates: Vec<GateDoc>,
    /// The rows that lost most.
    pub worst: Vec<RowDoc>,
    /// Prompts that differ.
    pub prompts: Vec<PromptDoc>,
    /// The change of the files as text.
    pub diff: Option<String>,
    /// What else a reviewer should know.
    pub notes: Vec<String>,
}

/// A file that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDoc {
    /// Its path in the repository.
    pub path: String,
    /// `added`, `removed`, `changed` or `renamed`.
    pub status: String,
    /// What it was called.
    pub from: Option<String>,
}

/// A metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureDoc {
    /// Its name.
    pub metric: String,
    /// True when the verdict goes by it.
    pub decides: bool,
    /// The mean before, over the rows that both have.
    pub base: Option<f64>,
    /// The mean now; over all scored rows where there is nothing before.
    pub head: Option<f64>,
    /// Now minus before.
    pub difference: Option<f64>,
    /// Lower end of the 95 % interval: of the difference, or of the mean alone.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Rows.
    pub n: usize,
    /// Clusters of them, where rows share one.
    pub clusters: Option<usize>,
    /// The chance of so large a difference when there is none; corrected for all that decide, among those.
    pub p_value: Option<f64>,
    /// The least difference that so many rows show with power 0.8.
    pub detectable: Option<f64>,
    /// `better`, `worse` or `inconclusive`; `None` where there is nothing before.
    pub verdict: Option<String>,
    /// About how many rows would decide it.
    pub needed: Option<u64>,
    /// Rows that had a score before and have none now because something went wrong.
    #[serde(default)]
    pub lost: usize,
    /// Why no row has a score now, when none has because something went wrong.
    #[serde(default)]
    pub unscored: Option<String>,
}

/// A figure of answers in sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetDoc {
    /// `cost-per-query` (US dollars), `latency-p95` (milliseconds), `error-rate`, `coverage` (shares).
    pub metric: String,
    /// Before.
    pub base: Option<f64>,
    /// Now.
    pub head: Option<f64>,
    /// Of the cost: now minus before on the rows that state it both times; `None` where no two differ.
    #[serde(default)]
    pub difference: Option<f64>,
    /// Lower end of its 95 % interval.
    #[serde(default)]
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    #[serde(default)]
    pub high: Option<f64>,
}

/// A slice that got worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceDoc {
    /// Which rows.
    pub slice: String,
    /// The metric.
    pub metric: String,
    /// Now minus before.
    pub difference: f64,
    /// Rows scored.
    pub n: usize,
    /// The chance, corrected for all slices.
    pub q_value: Option<f64>,
}

/// A gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateDoc {
    /// Its name.
    pub gate: String,
    /// The stage that it guards.
    pub stage: String,
    /// The metric.
    pub metric: String,
    /// True when it compares with what was before.
    pub regression: bool,
    /// What was measured.
    pub measured: Option<f64>,
    /// The condition in words.
    pub threshold: String,
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// About how many rows would decide it.
    pub needed: Option<u64>,
}

/// A row that lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowDoc {
    /// Its id.
    pub id: String,
    /// True when it must pass by itself.
    pub must_pass: bool,
    /// What is asked.
    pub question: String,
    /// What is right.
    pub expected: Option<String>,
    /// What was answered before.
    pub base: Option<String>,
    /// What is answered now, or why nothing is.
    pub head: Option<String>,
    /// Scores before and now, by metric.
    pub scores: BTreeMap<String, (Option<f64>, Option<f64>)>,
}

/// A prompt that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptDoc {
    /// Its name.
    pub prompt: String,
    /// `added`, `removed` or `changed`.
    pub status: String,
    /// Variables that are new.
    pub variables_added: Vec<String>,
    /// Variables that are gone.
    pub variables_removed: Vec<String>,
    /// Tokens before.
    pub tokens_before: Option<u32>,
    /// Tokens now.
    pub tokens_after: Option<u32>,
}

/// A test of prompts by a suite: of what `kf prompt test` says, what is told.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Tested {
    /// The suite.
    pub suite: String,
    /// How it ended, in the words of exit codes; `None` when nobody was asked.
    pub verdict: Option<String>,
    /// Answers that are right.
    pub passed: usize,
    /// Answers that are not.
    pub failed: usize,
    /// Answers that could not be judged.
    pub unscored: usize,
    /// Calls without an answer.
    pub errors: usize,
    /// Each answer.
    pub cells: Vec<Cell>,
}

/// An answer of a suite.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Cell {
    /// The case.
    pub case: String,
    /// The prompt.
    pub prompt: String,
    /// Who answered.
    pub provider: String,
    /// `pass`, `fail`, `unscored` or `error`.
    pub end: String,
    /// Why, for what did not pass.
    pub reason: Option<String>,
    /// The answer.
    pub answer: Option<String>,
}

//! Whether retrieval finds enough, and where to look when it does not: the rows that missed, the settings that decide it, and what other
//! settings found while they were tried.

use super::lab::{Lab, Player};
use super::search::Runner;
use crate::config::Project;
use crate::domain::eval::metrics::MetricId;
use crate::domain::eval::record::{RowScore, Summary};
use crate::domain::eval::score::Scores;
use crate::domain::optimize::Operator;
use crate::domain::registry::parts::{Part, Parts};
use crate::release::evaluate;
use crate::stats::describe::mean;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;

/// Recall below this asks for a look at retrieval (requirement E5).
pub const RECALL: f64 = 0.85;

/// A setting that decides what is found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its name.
    pub setting: String,
    /// Its value.
    pub value: String,
    /// Where it stands.
    pub place: String,
    /// What another value may do.
    pub advice: String,
}

/// A row of which not everything was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Missed {
    /// The row.
    pub row: String,
    /// What was asked.
    pub question: String,
    /// How much of it was found, 0 to 1.
    pub score: f64,
    /// What should have been found.
    pub wanted: Vec<String>,
}

/// What other settings found, on the rows that they were tried on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// The variant.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Recall of the version on them.
    pub before: f64,
    /// Recall of the variant.
    pub now: f64,
}

/// How much of what should be found is found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Review {
    /// The metric that says it.
    pub metric: String,
    /// Its mean.
    pub mean: f64,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Rows.
    pub n: i64,
    /// Below this retrieval is to be reviewed.
    pub limit: f64,
    /// True when it is below.
    pub below: bool,
    /// What to review; empty when it is not below.
    pub settings: Vec<Setting>,
    /// The rows that missed something, the worst first; empty when it is not below.
    pub missed: Vec<Missed>,
    /// What other settings found.
    pub tried: Vec<Tried>,
}

/// The metrics that tell recall, the one that looks at texts first: ids are not always those that a system gives.
const METRICS: [MetricId; 3] = [MetricId::ContextRecall, MetricId::RecallAtK, MetricId::HitAtK];

/// What the scores of all rows say of retrieval; `None` when no row tells.
pub fn review(
    lab: &Lab<'_>,
    scores: &Scores,
    (parent, runners): (&Player, &[Runner]),
    (project, parts, builtin): (&Project, &Parts, bool),
) -> Option<Review> {
    let sum = |id: &MetricId| scores.sums.iter().find(|s| s.metric == id.word() && s.n > 0);
    let (id, found) = METRICS.iter().find_map(|id| Some((*id, sum(id)?)))?;
    let Summary { mean: Some(mean), low, high, n, .. } = *found else { return None };
    let below = mean < RECALL;
    let mut tried = Vec::new();
    let (mut settings, mut missed) = (Vec::new(), Vec::new());
    if below {
        tried = tried_with(lab, id, parent, runners);
        settings = settings_of(project, parts, builtin);
        missed = missed_of(lab, id, &scores.rows);
    }
    Some(Review { metric: id.word().to_owned(), mean, low, high, n, limit: RECALL, below, settings, missed, tried })
}

fn missed_of(lab: &Lab<'_>, id: MetricId, rows: &[RowScore]) -> Vec<Missed> {
    let by_id: HashMap<&str, _> = lab.rows.iter().map(|r| (r.id.as_str(), r)).collect();
    let one = |r: &RowScore| {
        let score = r.value.filter(|v| *v < 1.0 && r.metric == id.word())?;
        let row = by_id.get(r.row.as_str())?;
        let relevant = || row.relevance.iter().flatten().filter(|(_, grade)| **grade > 0.0).map(|(id, _)| id.clone());
        let wanted = match id {
            MetricId::ContextRecall => row.reference_contexts.clone(),
            _ => row.reference_context_ids.iter().cloned().chain(relevant()).collect(),
        };
        Some(Missed { row: row.id.clone(), question: row.question.clone(), score, wanted })
    };
    let mut found: Vec<Missed> = rows.iter().filter_map(one).collect();
    found.sort_by(|a, b| a.score.total_cmp(&b.score));
    found
}

fn tried_with(lab: &Lab<'_>, id: MetricId, parent: &Player, runners: &[Runner]) -> Vec<Tried> {
    let one = |runner: &Runner| {
        let rows: Vec<_> = lab.rows.iter().filter(|r| runner.player.answers.contains_key(&r.id)).cloned().collect();
        let recall = |player: &Player| {
            let found = evaluate::score_rows(&rows, &[&player.answers], &[id], lab.k, lab.jobs);
            let values: Vec<f64> = found.rows.iter().filter_map(|r| r.value).collect();
            Some((mean(&values)?, values.len()))
        };
        let ((before, _), (now, n)) = (recall(parent)?, recall(&runner.player)?);
        Some(Tried { name: runner.trial.name.clone(), rows: n, before, now })
    };
    let of_retrieval = |r: &&Runner| matches!(r.trial.operator, Operator::Passages | Operator::Words | Operator::Folder);
    let mut found: Vec<Tried> = runners.iter().filter(of_retrieval).filter_map(one).collect();
    found.sort_by(|a, b| (b.now - b.before).total_cmp(&(a.now - a.before)));
    found
}

/// The settings of the version's own files, and where kf itself finds passages those of its documents.
fn settings_of(project: &Project, parts: &Parts, builtin: bool) -> Vec<Setting> {
    let mut found = Vec::new();
    for (path, document) in parts.documents.iter().filter(|(_, d)| d.part == Some(Part::Retrieval)) {
        let said = document.value.get("retrieval").filter(|v| v.is_object()).unwrap_or(&document.value);
        for (key, value) in said.as_object().into_iter().flatten() {
            let value = if let Value::String(text) = value { text.clone() } else { value.to_string() };
            found.push(Setting { setting: key.clone(), value, place: path.clone(), advice: advice(key).to_owned() });
        }
    }
    if !builtin {
        return found;
    }
    let named = |names: &[&str]| found.iter().any(|s: &Setting| names.contains(&s.setting.replace('_', "-").as_str()));
    let mut missing = Vec::new();
    if !named(&["top-k", "k"]) {
        missing.push(("top-k", "5", "not written down"));
    }
    if !named(&["hybrid-weight", "mode"]) {
        missing.push(("hybrid-weight", "0", "not written down"));
    }
    let (tokens, overlap) = (project.ingest.chunk_tokens.to_string(), project.ingest.chunk_overlap.to_string());
    let embedder = match &project.embedder {
        crate::config::Embedder::Builtin => "builtin",
        crate::config::Embedder::Directory { .. } => "directory",
        crate::config::Embedder::Endpoint(_) => "endpoint",
    };
    missing.push(("chunk-tokens", &tokens, "[ingest] of mlops.toml"));
    missing.push(("chunk-overlap", &overlap, "[ingest] of mlops.toml"));
    missing.push(("kind", embedder, "[embedder] of mlops.toml"));
    found.extend(missing.into_iter().map(|(setting, value, place)| Setting {
        setting: setting.to_owned(),
        value: value.to_owned(),
        place: place.to_owned(),
        advice: advice(setting).to_owned(),
    }));
    found
}

fn advice(key: &str) -> &'static str {
    match key.replace('_', "-").as_str() {
        "top-k" | "k" => "more passages find what comes later in the ranking",
        "hybrid-weight" | "mode" => "words find names and numbers, meaning finds what is said otherwise",
        "filters" => "a filter can keep the right document out",
        "collection" => "`kf search` tells whether what is missed is in it",
        "chunk-tokens" | "chunk-overlap" => "shorter chunks are found more exactly, longer ones keep together; `kf ingest` again",
        "kind" => "another embedder may bring questions nearer to their answers; `kf ingest` again",
        _ => "",
    }
}

//! An evaluation laid out for its files: JUnit for CI, HTML for people.

use super::evaluate::{Compared, Loaded};
use crate::base::verdict::Verdict;
use crate::domain::eval::gate::Judged;
use crate::domain::eval::known::known;
use crate::domain::eval::record::Evaluation;
use crate::domain::eval::score::Scores;
use crate::domain::eval::suite;
use crate::domain::eval::view::{CompareView, Direction, EvalView, GateView, MetricView, RowView, ScoreView};
use crate::domain::golden::Answer;
use crate::domain::registry::table::VersionRow;
use std::collections::HashMap;

/// What an evaluation gave.
pub struct Parts<'a> {
    /// The version.
    pub version: &'a VersionRow,
    /// The sums.
    pub evaluation: &'a Evaluation,
    /// The sums that a model judged, with the scores of the rows.
    pub judged: Option<(&'a Evaluation, &'a Scores)>,
    /// The dataset.
    pub loaded: &'a Loaded,
    /// The answers by row id.
    pub answers: &'a HashMap<String, Answer>,
    /// The scores of the rows.
    pub scores: &'a Scores,
    /// The gates.
    pub gates: &'a [Judged],
    /// The comparison with production.
    pub compared: Option<&'a [Compared]>,
}

/// Lays it out.
pub fn view(parts: &Parts<'_>) -> EvalView {
    let e = parts.evaluation;
    EvalView {
        model: parts.version.name.to_string(),
        version: parts.version.version.to_string(),
        digest: e.digest,
        dataset: e.dataset.clone(),
        dataset_digest: e.dataset_digest,
        judge: parts.judged.map_or_else(|| e.judge.clone(), |(judged, _)| format!("{}, {}", e.judge, judged.judge)),
        system: e.system.clone(),
        metrics: e
            .metrics
            .iter()
            .chain(parts.judged.iter().flat_map(|(judged, _)| &judged.metrics))
            .map(|m| MetricView {
                name: m.metric.clone(),
                group: group(&m.metric).to_owned(),
                direction: direction(&m.metric),
                mean: m.mean,
                low: m.low,
                high: m.high,
                n: m.n,
                total: m.total,
                unscored: m.unscored.clone(),
            })
            .collect(),
        rows: rows(parts),
        gates: parts.gates.iter().map(gate).collect(),
        comparison: parts.compared.map(|all| all.iter().map(compare).collect()),
        at: e.at,
    }
}

fn rows(parts: &Parts<'_>) -> Vec<RowView> {
    let mut scores: HashMap<&str, Vec<ScoreView>> = HashMap::new();
    for s in parts.scores.rows.iter().chain(parts.judged.iter().flat_map(|(_, scores)| &scores.rows)) {
        let score = ScoreView { metric: s.metric.clone(), value: s.value, reason: s.reason.clone() };
        scores.entry(s.row.as_str()).or_default().push(score);
    }
    let answer = |id: &str| {
        let found = parts.answers.get(id);
        let failed = || found.and_then(|a| a.error.clone()).unwrap_or_else(|| "there is no answer".to_owned());
        found.and_then(|a| a.answer.clone()).ok_or_else(failed)
    };
    let row = |r: &crate::domain::golden::Row| RowView {
        id: r.id.clone(),
        question: r.question.clone(),
        answer: answer(&r.id),
        scores: scores.remove(r.id.as_str()).unwrap_or_default(),
    };
    parts.loaded.golden.rows.iter().map(row).collect()
}

fn gate(j: &Judged) -> GateView {
    GateView {
        name: j.gate.clone(),
        metric: j.metric.clone(),
        measured: j.measured,
        threshold: j.threshold.clone(),
        verdict: j.verdict,
        reason: j.reason.clone(),
    }
}

fn compare(c: &Compared) -> CompareView {
    CompareView {
        metric: c.metric.clone(),
        candidate: Some(c.candidate),
        production: Some(c.production),
        diff: Some(c.difference),
        low: c.low,
        high: c.high,
        verdict: match c.verdict {
            "better" => Verdict::Pass,
            "worse" => Verdict::Fail,
            _ => Verdict::Inconclusive,
        },
        needed: c.needed,
    }
}

/// Retrieval looks at what was found, text at what was said, budget at what it took.
fn group(metric: &str) -> &'static str {
    const RETRIEVAL: [&str; 9] = [
        "context-precision",
        "context-recall",
        "precision-at-k",
        "recall-at-k",
        "hit-at-k",
        "mrr",
        "map",
        "ndcg",
        "ndcg-exponential",
    ];
    match known(metric) {
        None => "budget",
        Some(_) if RETRIEVAL.contains(&metric) => "retrieval",
        Some(m) if m.judged => "judged",
        Some(_) if suite::of_metric(metric).is_some() => "suite",
        Some(_) => "text",
    }
}

/// Budgets are better low, except coverage.
fn direction(metric: &str) -> Direction {
    match known(metric) {
        Some(m) if !m.higher_is_better() => Direction::Lower,
        None if metric != crate::domain::eval::score::COVERAGE => Direction::Lower,
        _ => Direction::Higher,
    }
}

//! What `kf eval --changed` says.

use super::super::report::{number, range};
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::{count, group};
use crate::base::verdict::Verdict;
use crate::cli::report::{Block, Report};
use crate::domain::review::doc::{ModelReview, REVIEW, Review};
use serde::Serialize;

/// A review, and how asking ended.
#[derive(Serialize)]
pub(super) struct Reviewed {
    #[serde(flatten)]
    pub(super) review: Review,
    #[serde(skip)]
    pub(super) trouble: Exit,
}

/// How many files a person is shown of a model.
const FILES_SHOWN: usize = 10;

impl Report for Reviewed {
    const SCHEMA: &'static str = REVIEW;

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for model in &self.review.models {
            // Reasons may hold what a dataset calls its rows, which is no Markdown.
            blocks.push(Block::Verbatim(said(model)));
            blocks.extend(Block::filled(figures(model)));
            blocks.extend(Block::filled(gates(model)));
        }
        let mut lines = Vec::new();
        let uncommitted = &self.review.since.uncommitted;
        if !uncommitted.is_empty() {
            lines.push(format!("not committed, and counted: {}", uncommitted.join(", ")));
        }
        if !self.review.removed.is_empty() {
            lines.push(format!("removed: {}", self.review.removed.join(", ")));
        }
        lines.push(self.summary());
        blocks.push(lines.join("\n").into());
        blocks
    }

    fn summary(&self) -> String {
        let since = &self.review.since;
        let at: String = since.base.chars().take(12).collect();
        let against = format!("since {} ({at})", since.reference);
        if self.review.models.is_empty() {
            let elsewhere = self.review.elsewhere().map(|said| format!("; {said}")).unwrap_or_default();
            return format!("no model changed {against}{elsewhere}");
        }
        let said: Vec<String> = self.review.models.iter().map(|m| format!("{} {}", m.name, ended(m))).collect();
        format!("{} changed {against}: {}", count(said.len(), "model"), said.join("; "))
    }

    fn exit(&self) -> Exit {
        let verdict = match self.review.verdict {
            Verdict::Inconclusive if self.review.inconclusive_allowed => Exit::Ok,
            verdict => verdict.into(),
        };
        verdict.and(self.trouble)
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.review.models.iter().filter_map(|m| serde_json::to_value(m).ok()).collect())
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("models", self.review.models.iter().map(|m| m.name.as_str()).collect::<Vec<_>>().join(" "))]
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        let bad = self.review.models.iter().filter(|m| m.verdict != Verdict::Pass);
        let file = |m: &ModelReview| m.files.iter().find(|f| f.status != "removed").map(|f| f.path.clone());
        bad.map(|m| (file(m), format!("{} {}", m.name, ended(m)), m.reasons.join("\n"))).collect()
    }
}

/// `passes`, `fails`, or `is inconclusive, needs n = 540`.
fn ended(model: &ModelReview) -> String {
    match (model.verdict, model.needed) {
        (Verdict::Pass, _) => "passes".to_owned(),
        (Verdict::Fail, _) => "fails".to_owned(),
        (Verdict::Inconclusive, None) => "is inconclusive".to_owned(),
        (Verdict::Inconclusive, Some(n)) => {
            format!("is inconclusive, needs n = {}", group(usize::try_from(n).unwrap_or(usize::MAX)))
        }
    }
}

/// What changed, on what it was measured, and why the verdict is what it is.
fn said(model: &ModelReview) -> String {
    let mut changed: Vec<String> = model.files.iter().take(FILES_SHOWN).map(|f| format!("{} ({})", f.path, f.status)).collect();
    let more = model.files.len().saturating_sub(FILES_SHOWN);
    if more > 0 {
        changed.push(format!("{more} more"));
    }
    changed.extend(model.why.iter().cloned());
    let mut lines = vec![
        format!("{} on {} ({}), answers: {}", model.name, model.dataset, count(model.rows, "row"), model.system),
        format!("changed: {}", changed.join(", ")),
    ];
    lines.extend(model.notes.iter().cloned());
    lines.push(format!("{} {}", model.name, ended(model)));
    lines.extend(model.reasons.iter().map(|r| format!("  {r}")));
    lines.join("\n")
}

/// What decides; where nothing does, all there is.
fn figures(model: &ModelReview) -> Table {
    let decides = model.figures.iter().any(|f| f.decides);
    let shown = model.figures.iter().filter(|f| f.decides || !decides);
    if !decides {
        let mut t = Table::new(&["metric", ">mean", "95 % interval", ">n"]);
        for f in shown {
            t.row([f.metric.clone(), f.head.map(number).unwrap_or_default(), range(f.low, f.high), f.n.to_string()]);
        }
        return t;
    }
    let mut t = Table::new(&["metric", ">base", ">this", ">difference", "95 % interval", ">n", "verdict"]);
    for f in shown {
        t.row([
            f.metric.clone(),
            f.base.map(number).unwrap_or_default(),
            f.head.map(number).unwrap_or_default(),
            f.difference.map(|d| format!("{d:+.4}")).unwrap_or_default(),
            range(f.low, f.high),
            f.clusters.map_or_else(|| f.n.to_string(), |k| format!("{} in {k} clusters", f.n)),
            f.verdict.clone().unwrap_or_default(),
        ]);
    }
    t
}

fn gates(model: &ModelReview) -> Table {
    let mut t = Table::new(&["gate", "of", "metric", ">measured", "threshold", "verdict", "why"]);
    for g in &model.gates {
        t.row([
            g.gate.clone(),
            g.stage.clone(),
            g.metric.clone(),
            g.measured.map(number).unwrap_or_default(),
            g.threshold.clone(),
            g.verdict.to_string(),
            g.reason.clone(),
        ]);
    }
    t
}

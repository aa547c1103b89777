//! What `kf eval` says: how the data was read, the metrics, the comparison with production, the gates.

use super::answering::AnsweringDoc;
use super::judging::JudgingDoc;
use super::suite::SuiteDoc;
use crate::base::exit::Exit;
use crate::base::name::Stage;
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::verdict::Verdict;
use crate::cli::report::{Block, Report};
use crate::commands::promote::{gate_annotations, gate_table};
use crate::commands::version_doc::VersionDoc;
use crate::domain::eval::attempts::Attempted;
use crate::domain::eval::gate::Judged;
use crate::domain::eval::record::{Evaluation, RowScore, Summary};
use crate::domain::eval::score::{COVERAGE, ERROR_RATE, Scores};
use crate::domain::eval::slice::Sliced;
use crate::domain::golden::{Answer, Mapped, Mapping};
use crate::release::answer::forecast;
use crate::release::evaluate::Compared;
use crate::release::judging;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// The scores of one row.
#[derive(Serialize)]
pub(super) struct RowDoc {
    pub(super) id: String,
    pub(super) scores: BTreeMap<String, Option<f64>>,
    pub(super) unscored: BTreeMap<String, String>,
}

/// Why there is no answer, and to how many rows.
#[derive(Serialize)]
pub(super) struct FailureDoc {
    pub(super) reason: String,
    pub(super) rows: usize,
}

/// What models will take; `None` where none is asked.
#[derive(Serialize)]
pub(super) struct EstimateDoc {
    pub(super) answering: Option<forecast::Estimate>,
    pub(super) judging: Option<judging::Estimate>,
}

/// What an evaluation gave.
#[derive(Serialize)]
pub(super) struct Evaluated {
    /// True when nothing of it was kept.
    #[serde(skip)]
    pub(super) dry_run: bool,
    pub(super) version: VersionDoc,
    pub(super) evaluation: Evaluation,
    /// What a model judged.
    pub(super) judged: Option<Evaluation>,
    /// How it judged.
    pub(super) judging: Option<JudgingDoc>,
    /// How it was tried with a suite, and what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) suite: Option<SuiteDoc>,
    /// What several answers to each row come to; `None` when they were answered once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempts: Option<Vec<Attempted>>,
    pub(super) mapping: Mapping,
    pub(super) answers_mapping: Option<Mapping>,
    /// What models will take, in a dry run: what a run asks for again or finds must not tell its report from another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) estimate: Option<EstimateDoc>,
    /// How a system was asked; `None` when answers were recorded.
    pub(super) answering: Option<AnsweringDoc>,
    pub(super) failures: Vec<FailureDoc>,
    /// Rows without any answer, for the exit code.
    #[serde(skip)]
    pub(super) unanswered: usize,
    /// Why gates take no notice of it; `None` when they do.
    pub(super) ignored: Option<String>,
    pub(super) production: Option<VersionDoc>,
    pub(super) comparison: Option<Vec<Compared>>,
    pub(super) stage: Option<Stage>,
    pub(super) verdict: Verdict,
    pub(super) gates: Vec<Judged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<Vec<RowDoc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slices: Option<Vec<Sliced>>,
}

impl Evaluated {
    /// Rows that the system failed on.
    fn failed(&self) -> usize {
        self.failures.iter().map(|f| f.rows).sum()
    }

    /// How asking ended: failed when the system failed on every row, partly done when it failed on some, unless a gate is there
    /// to say how many are too many.
    fn answering(&self) -> Exit {
        let gated = self.gates.iter().any(|g| [ERROR_RATE, COVERAGE].contains(&g.metric.as_str()));
        match self.failed() {
            _ if self.answering.as_ref().is_some_and(|a| a.stopped) => Exit::Partial,
            0 => Exit::Ok,
            _ if self.unanswered == rows_of(&self.evaluation) => Exit::Failed,
            _ if gated => Exit::Ok,
            _ => Exit::Partial,
        }
    }

    /// How judging ended: failed when nothing has a score for want of answers, partly done when something has none or it was stopped.
    fn judging(&self) -> Exit {
        let Some(judging) = &self.judging else { return Exit::Ok };
        let scored = self.judged.iter().flat_map(|e| &e.metrics).any(|m| m.n > 0);
        match (judging.failed(), judging.stopped(), scored) {
            (0, false, _) => Exit::Ok,
            (_, true, _) | (_, _, true) => Exit::Partial,
            (_, false, false) => Exit::Failed,
        }
    }

    /// Every metric in sum, by name.
    fn metrics(&self) -> Vec<&Summary> {
        let mut all: Vec<&Summary> = self.evaluation.metrics.iter().chain(self.judged.iter().flat_map(|e| &e.metrics)).collect();
        all.sort_by(|a, b| a.metric.cmp(&b.metric));
        all
    }
}

impl Report for Evaluated {
    const SCHEMA: &'static str = "kf.eval/1";

    fn blocks(&self) -> Vec<Block> {
        let e = &self.evaluation;
        let mut lines = vec![format!(
            "{} on {} ({}, {}), answers: {}",
            self.version.reference(),
            e.dataset,
            count(rows_of(e), "row"),
            e.dataset_digest.short(),
            e.system
        )];
        lines.extend(read_as("read as", &self.mapping));
        lines.extend(self.answers_mapping.as_ref().and_then(|m| read_as("answers read as", m)));
        lines.extend(self.answering.iter().flat_map(AnsweringDoc::lines));
        lines.extend(
            self.failures.iter().take(FAILURES_SHOWN).map(|f| format!("no answer to {}: {}", count(f.rows, "row"), f.reason)),
        );
        lines.extend(self.judging.iter().flat_map(JudgingDoc::lines));
        lines.extend(self.suite.iter().flat_map(SuiteDoc::lines));
        lines.extend(self.ignored.clone());
        let mut blocks = vec![lines.join("\n").into(), metric_table(&self.metrics()).into()];
        blocks.extend(self.suite.iter().flat_map(SuiteDoc::blocks));
        blocks.extend(self.attempts.as_deref().and_then(attempts_table).map(Block::from));
        if let (Some(production), Some(compared)) = (&self.production, &self.comparison) {
            blocks.push(compared_table(production, compared).into());
        }
        if let Some(slices) = &self.slices {
            blocks.extend(Block::filled(slice_table(slices)));
        }
        if let Some(rows) = &self.rows {
            blocks.push(row_table(rows).into());
        }
        if !self.gates.is_empty() {
            blocks.push(gate_table(&self.gates).titled(format!("gates of {}", self.stage.map_or("", Stage::word))).into());
        }
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let v = self.version.reference();
        let verdict = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "are inconclusive",
        };
        let said = match (self.stage, self.gates.is_empty()) {
            (Some(stage), false) => format!("the gates of {stage} {verdict}"),
            _ => {
                let metrics = count(self.metrics().iter().filter(|m| m.mean.is_some()).count(), "metric");
                format!("{metrics} {}", if self.dry_run { "computed" } else { "recorded" })
            }
        };
        match self.failed() {
            0 => format!("{v}: {said}"),
            failed => format!("{v}: {said}; the system failed on {failed} of {}", count(rows_of(&self.evaluation), "row")),
        }
    }

    fn exit(&self) -> Exit {
        Exit::from(self.verdict)
            .and(self.answering())
            .and(self.judging())
            .and(self.suite.as_ref().map_or(Exit::Ok, SuiteDoc::exit))
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("version", self.version.version.to_string()), ("evaluation", self.evaluation.id.clone())]
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        gate_annotations(&self.gates)
    }
}

/// The fields that were read under another name than their own, or for a reason.
fn read_as(what: &str, mapping: &Mapping) -> Option<String> {
    // Its own name in another number, case or spelling says nothing that a reader does not see.
    let plain = |name: &str| name.to_lowercase().replace(['-', ' '], "_").trim_end_matches('s').to_owned();
    let told = |m: &&Mapped| plain(&m.source) != plain(m.field.word()) || m.note.is_some();
    let one = |m: &Mapped| match &m.note {
        Some(note) => format!("{} → {} ({note})", m.source, m.field),
        None => format!("{} → {}", m.source, m.field),
    };
    let mapped: Vec<String> = mapping.used.iter().filter(told).map(one).collect();
    (!mapped.is_empty()).then(|| format!("{what}: {}", mapped.join(", ")))
}

/// How many different reasons a person is shown.
const FAILURES_SHOWN: usize = 3;

/// Why answers are missing, the most frequent reason first. A row counts once, by the first of its answers that is missing.
pub(super) fn failures(samples: &[&HashMap<String, Answer>]) -> Vec<FailureDoc> {
    let mut missing: BTreeMap<&str, &str> = BTreeMap::new();
    for (id, answer) in samples.iter().copied().flatten().filter(|(_, a)| a.answer.is_none()) {
        if let Some(reason) = answer.error.as_deref() {
            missing.entry(id).or_insert(reason);
        }
    }
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    missing.values().for_each(|reason| *counted.entry(reason).or_default() += 1);
    let mut failures: Vec<_> = counted.into_iter().map(|(r, rows)| FailureDoc { reason: r.to_owned(), rows }).collect();
    failures.sort_by_key(|f| std::cmp::Reverse(f.rows));
    failures
}

fn rows_of(e: &Evaluation) -> usize {
    usize::try_from(e.rows).unwrap_or(0)
}

pub(super) fn number(value: f64) -> String {
    if value.abs() >= 1000.0 { format!("{value:.1}") } else { format!("{value:.4}") }
}

pub(super) fn range(low: Option<f64>, high: Option<f64>) -> String {
    low.zip(high).map(|(l, h)| format!("{} … {}", number(l), number(h))).unwrap_or_default()
}

fn metric_table(all: &[&Summary]) -> Table {
    let columns = ["metric", ">mean", "95 % interval", ">scored", ">of", "why"];
    let unscored = all.iter().any(|m| m.unscored.is_some());
    let shown = if unscored { columns.len() } else { columns.len() - 1 };
    let mut t = Table::new(&columns[..shown]);
    for m in all {
        let mean = m.mean.map_or("unscored".to_owned(), number);
        let why = m.unscored.clone().unwrap_or_default();
        let cells = [m.metric.clone(), mean, range(m.low, m.high), m.n.to_string(), m.total.to_string(), why];
        t.row(cells.into_iter().take(shown));
    }
    t
}

/// One of k, and all of k, for one answer and for as many as were given.
fn attempts_table(all: &[Attempted]) -> Option<Table> {
    let k = all.iter().flat_map(|a| &a.of).map(|of| of.k).max()?;
    let (any, every) = (format!(">pass@{k}"), format!(">pass^{k}"));
    let mut t = Table::new(&["metric", "passes at", ">rows", ">pass@1", &any, "95 % interval", &every, "95 % interval"])
        .titled(format!("{k} answers to each row: pass@{k} is the chance that one of {k} passes, pass^{k} that all of them do"));
    let mean = |mean: Option<f64>| mean.map_or("unscored".to_owned(), number);
    for a in all {
        let (Some(one), Some(most)) = (a.of.first(), a.of.last()) else { continue };
        let limits = [a.min.map(|min| format!("≥ {min}")), a.max.map(|max| format!("≤ {max}"))];
        t.row([
            a.metric.clone(),
            limits.into_iter().flatten().collect::<Vec<_>>().join(", "),
            most.rows.to_string(),
            mean(one.any.mean),
            mean(most.any.mean),
            range(most.any.low, most.any.high),
            mean(most.all.mean),
            range(most.all.low, most.all.high),
        ]);
    }
    Some(t)
}

fn compared_table(production: &VersionDoc, compared: &[Compared]) -> Table {
    let mut t = Table::new(&["metric", ">production", ">this", ">difference", "95 % interval", ">n", ">detectable", "verdict"])
        .titled(format!("against {} in production, paired by row", production.reference()));
    for c in compared {
        let needed = c.needed.map(|n| format!(", about {n} rows would decide")).unwrap_or_default();
        t.row([
            c.metric.clone(),
            number(c.production),
            number(c.candidate),
            format!("{:+.4}", c.difference),
            range(c.low, c.high),
            c.clusters.map_or_else(|| c.n.to_string(), |k| format!("{} in {k} clusters", c.n)),
            c.detectable.map(number).unwrap_or_default(),
            format!("{}{needed}", c.verdict),
        ]);
    }
    t
}

fn slice_table(slices: &[Sliced]) -> Table {
    let compared = slices.iter().any(|s| s.verdict.is_some());
    let columns = ["slice", "metric", ">mean", "95 % interval", ">scored", ">of", ">difference", ">q", "verdict"];
    let shown = if compared { columns.len() } else { columns.len() - 3 };
    let mut t = Table::new(&columns[..shown]).titled("slices, each with its own rows; q is corrected for all of them".to_owned());
    for s in slices {
        let cells = [
            s.slice.clone(),
            s.metric.clone(),
            s.mean.map_or("unscored".to_owned(), number),
            range(s.low, s.high),
            s.n.to_string(),
            s.rows.to_string(),
            s.difference.map(|d| format!("{d:+.4}")).unwrap_or_default(),
            s.q_value.map(number).unwrap_or_default(),
            s.verdict.unwrap_or_default().to_owned(),
        ];
        t.row(cells.into_iter().take(shown));
    }
    t
}

/// The scores of every row.
pub(super) fn row_docs(scores: &[&Scores]) -> Vec<RowDoc> {
    let mut docs: Vec<RowDoc> = Vec::new();
    let mut all: Vec<&RowScore> = scores.iter().flat_map(|s| &s.rows).collect();
    all.sort_by_key(|s| s.pos);
    for s in all {
        if docs.last().is_none_or(|d| d.id != s.row) {
            docs.push(RowDoc { id: s.row.clone(), scores: BTreeMap::new(), unscored: BTreeMap::new() });
        }
        if let Some(doc) = docs.last_mut() {
            doc.scores.insert(s.metric.clone(), s.value);
            if let Some(reason) = &s.reason {
                doc.unscored.insert(s.metric.clone(), reason.clone());
            }
        }
    }
    docs
}

fn row_table(rows: &[RowDoc]) -> Table {
    let names: Vec<&str> = rows.first().map(|r| r.scores.keys().map(String::as_str).collect()).unwrap_or_default();
    let columns: Vec<String> = std::iter::once("row".to_owned()).chain(names.iter().map(|n| format!(">{n}"))).collect();
    let mut t = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        let cells = row.scores.values().map(|s| s.map_or("unscored".to_owned(), number));
        t.row(std::iter::once(row.id.clone()).chain(cells));
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::golden::Field;

    #[test]
    fn what_was_read_as_something_else_is_told() {
        let mapped = |source: &str, field, note: Option<&str>| Mapped {
            source: source.into(),
            field,
            rows: 1,
            note: note.map(str::to_owned),
        };
        let used = vec![
            mapped("question", Field::Question, None),
            mapped("reference", Field::References, None),
            mapped("Context IDs", Field::ContextIds, None),
            mapped("ground_truth", Field::References, None),
            mapped("contexts", Field::Contexts, Some("as in ragas")),
        ];
        let mapping = Mapping { used, ..Mapping::default() };
        let told = "read as: ground_truth → references, contexts → contexts (as in ragas)";
        assert_eq!(read_as("read as", &mapping).as_deref(), Some(told));
        assert_eq!(read_as("read as", &Mapping::default()), None);
    }
}

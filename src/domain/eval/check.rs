//! Whether evaluations say what the audit log says: every column against the event that recorded them, and the row scores
//! against the digest that sealed them, computed again from the rows.
//!
//! Covered: every column of `evaluation` and `evaluation_metric`, and of `eval_row` by the digest.

use super::record;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::text::count;
use crate::domain::registry::check::references;
use crate::store::View;
use crate::store::check::rows::{self, Cell, Cells, Rows, Told, differences_read};
use crate::store::check::{Entry, Finding, restore_fix};
use serde_json::Value;
use std::collections::BTreeMap;

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["evaluation."];

/// The evaluations as the log tells them.
#[derive(Debug, Default)]
pub struct Replay {
    told: Rows<Told>,
}

/// What checking the evaluations gave.
#[derive(Debug, Default)]
pub struct Checked {
    /// Evaluations compared.
    pub evaluations: u64,
    /// Row scores whose digest was computed again.
    pub rows: u64,
    /// Row scores of evaluations that were never finished; harmless.
    pub unfinished: u64,
    /// What does not agree.
    pub findings: Vec<Finding>,
}

/// What an entry tells of the rows of one evaluation: the subject of each row, and what it holds.
pub fn told(entry: &Entry) -> Rows<Told> {
    if entry.action != "evaluation.recorded" {
        return Rows::new();
    }
    let id = entry.text("evaluation").unwrap_or_default();
    let row = |cells: Vec<(&'static str, Cell)>| Told { event: entry.seq, cells: cells.into_iter().collect() };
    let fact = |key: &str, part: &str| entry.detail.get(key).and_then(|f| f.get(part));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let number = |value: Option<&Value>| value.and_then(Value::as_i64).map(|n| n.to_string());
    let evaluation = vec![
        ("version", entry.res.version.map(|v| format!("{}@{v}", entry.res.name))),
        ("digest", entry.res.digest.map(|d| d.to_string())),
        ("dataset", text(fact("dataset", "name"))),
        ("dataset_digest", text(fact("dataset", "digest"))),
        ("judge", text(entry.detail.get("judge"))),
        ("system", text(entry.detail.get("system"))),
        ("row_count", number(fact("rows", "n"))),
        ("rows_digest", text(fact("rows", "digest"))),
        ("ts", Some(entry.at.micros().to_string())),
        ("actor", Some(entry.actor.id.clone())),
        ("event", Some(entry.seq.to_string())),
    ];
    let mut told = Rows::from([(subject(id), row(evaluation))]);
    for (metric, sum) in entry.detail.get("metrics").and_then(Value::as_object).into_iter().flatten() {
        let sums = ["mean", "low", "high"].map(|part| (part, text(sum.get(part))));
        let counts = ["n", "total"].map(|part| (part, number(sum.get(part))));
        told.insert(metric_subject(metric, id), row(sums.into_iter().chain(counts).collect()));
    }
    told
}

fn subject(id: &str) -> String {
    format!("evaluation {id}")
}

fn metric_subject(metric: &str, id: &str) -> String {
    format!("{metric} of evaluation {id}")
}

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        self.told.extend(told(entry));
    }

    /// Compares all evaluations with what the log told. `read_rows` also computes the digests of the row scores again.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(self, view: View<'_>, read_rows: bool) -> Result<Checked> {
        let sql = "SELECT count(*) FROM eval_row r WHERE NOT EXISTS (SELECT 1 FROM evaluation e WHERE e.id = r.evaluation)";
        let unfinished = u64::try_from(view.count(sql, &[])?).unwrap_or(0);
        let stored = stored(view)?;
        let mut checked = Checked { unfinished, findings: rows::compare(&stored, &self.told), ..Checked::default() };
        checked.evaluations = stored.keys().filter(|subject| subject.starts_with("evaluation ")).count() as u64;
        if read_rows {
            for (subject, told) in &self.told {
                let Some(id) = subject.strip_prefix("evaluation ") else { continue };
                checked.rows += check_rows(view, id, told, &mut checked.findings)?;
            }
        }
        for finding in &mut checked.findings {
            finding.fix += ", or run `kf eval` again";
        }
        Ok(checked)
    }
}

/// Every row of the evaluations by what it is about.
fn stored(view: View<'_>) -> Result<Rows<Vec<Cells>>> {
    let versions = references(view)?;
    let mut all: Rows<Vec<Cells>> = BTreeMap::new();
    let value = |row: &Cells, column: &str| row.get(column).cloned().flatten().unwrap_or_default();
    for mut row in rows::stored(view, "evaluation")? {
        let version = value(&row, "version");
        row.insert("version", Some(versions.get(&version).cloned().unwrap_or_else(|| format!("#{version}"))));
        all.entry(subject(&value(&row, "id"))).or_default().push(row);
    }
    for row in rows::stored(view, "evaluation_metric")? {
        all.entry(metric_subject(&value(&row, "metric"), &value(&row, "evaluation"))).or_default().push(row);
    }
    Ok(all)
}

/// Computes the digest of the row scores of an evaluation again, and says how many there are.
fn check_rows(view: View<'_>, id: &str, told: &Told, findings: &mut Vec<Finding>) -> Result<u64> {
    let rows = record::all_rows(view, id)?;
    let found = record::digest_of(&rows)?;
    findings.extend(
        unsealed(found, rows.len(), told)
            .map(|problem| Finding::new(format!("scores of evaluation {id}"), problem, restore_fix(Some(told.event)))),
    );
    Ok(rows.len() as u64)
}

fn unsealed(found: Digest, n: usize, told: &Told) -> Option<String> {
    let sealed = told.cells.get("rows_digest").cloned().flatten();
    (sealed.as_deref() != Some(found.to_string().as_str())).then(|| {
        format!("its {} have the digest {found}, sealed was {}", count(n, "row score"), sealed.unwrap_or_else(|| "none".into()))
    })
}

/// What of an evaluation's rows differs from the entry that recorded it; with `read_rows` the row scores are read too.
///
/// # Errors
/// When the rows cannot be read.
pub fn differs(
    view: View<'_>,
    evaluation: &record::Evaluation,
    reference: &str,
    entry: &Entry,
    read_rows: bool,
) -> Result<Vec<String>> {
    let told = told(entry);
    let Some(sums) = told.get(&subject(&evaluation.id)) else {
        return Ok(vec![format!("entry {} recorded no such evaluation", entry.seq)]);
    };
    let mut stored = cells(evaluation);
    stored.insert(subject(&evaluation.id), facts(evaluation, reference));
    let mut wrong = Vec::new();
    for (subject, told) in &told {
        match stored.remove(subject) {
            Some(row) => {
                let of = if told.cells.contains_key("mean") { format!("{subject}: ") } else { String::new() };
                wrong.extend(differences_read(&row, &told.cells).into_iter().map(|what| format!("{of}{what}")));
            }
            None => wrong.push(format!("{subject} is gone")),
        }
    }
    wrong.extend(stored.into_keys().map(|subject| format!("{subject} was not recorded")));
    if read_rows {
        let rows = record::all_rows(view, &evaluation.id)?;
        wrong.extend(unsealed(record::digest_of(&rows)?, rows.len(), sums));
    }
    Ok(wrong)
}

fn cells(evaluation: &record::Evaluation) -> Rows<Cells> {
    let sum = |m: &record::Summary| {
        let sums = [("mean", m.mean), ("low", m.low), ("high", m.high)].map(|(column, value)| (column, rows::real(value)));
        let counts = [("n", m.n), ("total", m.total)].map(|(column, value)| (column, Some(value.to_string())));
        (metric_subject(&m.metric, &evaluation.id), sums.into_iter().chain(counts).collect())
    };
    evaluation.metrics.iter().map(sum).collect()
}

/// Without the actor, of whom the name was read and not the pseudonym.
fn facts(e: &record::Evaluation, reference: &str) -> Cells {
    let text = |value: &dyn ToString| Some(value.to_string());
    Cells::from([
        ("version", text(&reference)),
        ("digest", text(&e.digest)),
        ("dataset", text(&e.dataset)),
        ("dataset_digest", text(&e.dataset_digest)),
        ("judge", text(&e.judge)),
        ("system", text(&e.system)),
        ("row_count", text(&e.rows)),
        ("rows_digest", text(&e.rows_digest)),
        ("ts", text(&e.at.micros())),
        ("event", text(&e.event)),
    ])
}

#[cfg(test)]
mod tests;

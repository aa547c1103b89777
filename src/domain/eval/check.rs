//! Whether evaluations say what the audit log says: sums and facts against the event that recorded them, and the row scores
//! against the digest that sealed them, computed again from the rows.
//!
//! Covered: which version, dataset, judge and system; number and digest of the rows; mean, n and total of each metric. Not in
//! the log, hence not covered: the ends of the intervals, which follow from the rows.

use super::record::{self, Evaluation};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::text::count;
use crate::domain::registry::table::VersionRow;
use crate::store::View;
use crate::store::check::{Entry, Finding, restore_fix};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["evaluation."];

/// An evaluation as the log tells it.
#[derive(Debug)]
struct Told {
    event: i64,
    subject: Option<Digest>,
    detail: Map<String, Value>,
}

/// The evaluations as the log tells them.
#[derive(Debug, Default)]
pub struct Replay {
    told: BTreeMap<String, Told>,
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

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, seq: i64, entry: &Entry) {
        if entry.action != "evaluation.recorded" {
            return;
        }
        let id = entry.text("evaluation").unwrap_or_default().to_owned();
        self.told.insert(id, Told { event: seq, subject: entry.res.digest, detail: entry.detail.clone() });
    }

    /// Compares the evaluations of these versions, which are all there are, with what the log told. `read_rows` also computes
    /// the digests of the row scores again.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(mut self, view: View<'_>, versions: &[VersionRow], read_rows: bool) -> Result<Checked> {
        let sql = "SELECT count(*) FROM eval_row r WHERE NOT EXISTS (SELECT 1 FROM evaluation e WHERE e.id = r.evaluation)";
        let unfinished = u64::try_from(view.count(sql, &[])?).unwrap_or(0);
        let mut checked = Checked { unfinished, ..Checked::default() };
        for version in versions {
            for evaluation in record::of_version(view, version.id, u32::MAX)? {
                checked.evaluations += 1;
                let told = self.told.remove(&evaluation.id);
                let mut wrong = differences(told.as_ref(), &evaluation, version);
                if read_rows {
                    let rows = record::all_rows(view, &evaluation.id)?;
                    checked.rows += rows.len() as u64;
                    let found = record::digest_of(&rows)?;
                    if found != evaluation.rows_digest {
                        let rows = count(rows.len(), "row score");
                        wrong.push(format!("its {rows} have the digest {found}, sealed was {}", evaluation.rows_digest));
                    }
                }
                let event = told.map(|t| t.event);
                if !wrong.is_empty() {
                    let subject = format!("evaluation {} of {}", evaluation.id, version.reference());
                    let problem = format!("it does not say what the audit log says: {}", wrong.join("; "));
                    checked.findings.push(Finding::new(subject, problem, fix(event)));
                }
            }
        }
        for (id, told) in self.told {
            let problem = format!("entry {} of the audit log recorded it, but its row is gone", told.event);
            checked.findings.push(Finding::new(format!("evaluation {id}"), problem, fix(Some(told.event))));
        }
        Ok(checked)
    }
}

fn fix(event: Option<i64>) -> String {
    format!("{}, or run `kf eval` again", restore_fix(event))
}

/// What the rows say otherwise.
fn differences(told: Option<&Told>, found: &Evaluation, version: &VersionRow) -> Vec<String> {
    let Some(told) = told else { return vec!["no event recorded it".into()] };
    let mut wrong = Vec::new();
    let mut compare = |what: &str, row: Value, recorded: Value| {
        if row != recorded {
            wrong.push(format!("{what} is {row}, recorded was {recorded}"));
        }
    };
    compare("event", json!(found.event), json!(told.event));
    compare("version", json!(found.digest), json!(told.subject));
    compare("version row", json!(version.digest), json!(told.subject));
    let fact = |key: &str| told.detail.get(key).cloned().unwrap_or(Value::Null);
    compare("dataset", json!({"name": found.dataset, "digest": found.dataset_digest}), fact("dataset"));
    compare("judge", json!(found.judge), fact("judge"));
    compare("system", json!(found.system), fact("system"));
    compare("rows", json!({"n": found.rows, "digest": found.rows_digest}), fact("rows"));
    compare("metrics", Value::Object(record::sums(&found.metrics)), fact("metrics"));
    wrong
}

#[cfg(test)]
mod tests;

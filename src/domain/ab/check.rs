//! Whether the rows of A/B tests say what the audit log says: tests and batches column by column, values by the digest of their batch.
//!
//! Covered: every column of `ab_test`, `ab_batch` and `ab_value`.

use super::record::{CREATED, RECORDED, STOPPED, Sum};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::stats::describe::Moments;
use crate::store::View;
use crate::store::check::rows::{self, Cell, Cells, Rows, Told};
use crate::store::check::{Entry, Finding, restore_fix};
use serde_json::Value;
use std::collections::BTreeMap;

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["ab."];

/// The rows as the log tells them.
#[derive(Debug, Default)]
pub struct Replay {
    told: Rows<Told>,
}

fn test_of(name: &str) -> String {
    format!("A/B test {name}")
}

fn batch_of(name: &str, seq: &str) -> String {
    format!("batch {seq} of A/B test {name}")
}

fn text(entry: &Entry, key: &str) -> Cell {
    entry.text(key).map(str::to_owned)
}

fn number(entry: &Entry, key: &str) -> Cell {
    entry.detail.get(key).and_then(Value::as_i64).map(|n| n.to_string())
}

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        let Some(name) = entry.text("test").filter(|_| entry.action.starts_with("ab.")).map(str::to_owned) else { return };
        let (at, event) = (Some(entry.at.micros().to_string()), Some(entry.seq.to_string()));
        let actor = Some(entry.actor.id.clone());
        let changed = [("changed", at.clone()), ("event", event.clone())];
        let more: Vec<(&'static str, Cell)> = match entry.action.as_str() {
            CREATED => vec![
                ("name", Some(name.clone())),
                ("setup", text(entry, "setup")),
                ("open", Some("1".to_owned())),
                ("batches", Some("0".to_owned())),
                ("decision", None),
                ("analysis", None),
                ("created", at.clone()),
                ("actor", actor.clone()),
            ],
            RECORDED => vec![("batches", number(entry, "batch"))],
            STOPPED => {
                vec![("open", Some("0".to_owned())), ("decision", text(entry, "decision")), ("analysis", text(entry, "analysis"))]
            }
            _ => return,
        };
        let told = self.told.entry(test_of(&name)).or_default();
        told.event = entry.seq;
        told.cells.extend(more.into_iter().chain(changed));
        if entry.action == RECORDED {
            let seq = number(entry, "batch").unwrap_or_default();
            let cells = Cells::from([
                ("test", Some(name.clone())),
                ("seq", Some(seq.clone())),
                ("source", text(entry, "source")),
                ("cursor", text(entry, "cursor")),
                ("row_count", number(entry, "rows")),
                ("digest", text(entry, "digest")),
                ("at", at),
                ("actor", actor),
                ("event", event),
            ]);
            self.told.insert(batch_of(&name, &seq), Told { event: entry.seq, cells });
        }
    }

    /// Compares all rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(self, view: View<'_>) -> Result<Vec<Finding>> {
        let mut all: Rows<Vec<Cells>> = Rows::new();
        let value = |row: &Cells, column: &str| row.get(column).cloned().flatten().unwrap_or_default();
        let mut add = |mut row: Cells, subject: String, long: &[&'static str]| {
            for column in long {
                let digest: Cell = row.get(column).cloned().flatten().map(|text| Digest::of(text.as_bytes()).to_string());
                row.insert(column, digest);
            }
            all.entry(subject).or_default().push(row);
        };
        for row in rows::stored(view, "ab_test")? {
            let subject = test_of(&value(&row, "name"));
            add(row, subject, &["setup", "analysis"]);
        }
        for row in rows::stored(view, "ab_batch")? {
            let subject = batch_of(&value(&row, "test"), &value(&row, "seq"));
            add(row, subject, &["cursor"]);
        }
        let mut findings = rows::compare(&all, &self.told);
        findings.extend(self.values(view)?);
        Ok(findings)
    }

    /// Values against the digests of their batches.
    fn values(&self, view: View<'_>) -> Result<Vec<Finding>> {
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        let sql =
            "SELECT test, batch, variant, id, unit, metric, n, mean, sd FROM ab_value ORDER BY test, batch, variant, id, metric";
        view.each(sql, &[], |row| {
            let moments = Moments { n: row.int(6)?.unsigned_abs(), mean: row.real(7)?, sd: row.real(8)? };
            let texts = [row.text(2)?, row.text(3)?, row.text(4)?, row.text(5)?];
            sums.entry(batch_of(row.text(0)?, &row.int(1)?.to_string())).or_default().add(texts, &moments);
            Ok(())
        })?;
        let batches = self.told.iter().filter(|(_, told)| told.cells.contains_key("row_count"));
        let mut findings = Vec::new();
        for (subject, told) in batches {
            let (_, is) = sums.remove(subject).unwrap_or_default().finish();
            let was = told.cells.get("digest").cloned().flatten();
            if was != Some(is.to_string()) {
                let what = "its values are not those that the audit log tells of";
                findings.push(Finding::new(subject.clone(), what, restore_fix(Some(told.event))));
            }
        }
        let unknown = sums
            .into_keys()
            .map(|subject| Finding::new(subject, "no event of the audit log tells of its values", restore_fix(None)));
        findings.extend(unknown);
        Ok(findings)
    }
}

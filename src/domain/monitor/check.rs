//! Whether the rows of monitoring say what the audit log says: batches and episodes column by column, samples by the digest of their batch.
//!
//! Covered: every column of `monitor_batch`, `monitor_episode`, `monitor_sample` and `monitor_series`.

use super::record::Sum;
use crate::base::error::Result;
use crate::store::View;
use crate::store::check::rows::{self, Cell, Cells, Rows, Told};
use crate::store::check::{Entry, Finding, restore_fix};
use serde_json::Value;
use std::collections::BTreeMap;

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["monitor."];

/// The rows as the log tells them.
#[derive(Debug, Default)]
pub struct Replay {
    /// Batches by the number of their entry.
    batches: BTreeMap<i64, Cells>,
    episodes: Rows<Told>,
}

fn text(entry: &Entry, key: &str) -> Cell {
    entry.text(key).map(str::to_owned)
}

fn number(entry: &Entry, key: &str) -> Option<i64> {
    entry.detail.get(key).and_then(Value::as_i64)
}

fn batch_of(event: &str) -> String {
    format!("samples of entry {event}")
}

fn episode_of(uid: &str) -> String {
    format!("episode {uid}")
}

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        match entry.action.as_str() {
            "monitor.recorded" => self.recorded(entry),
            action if action.starts_with("monitor.episode-") => self.episode(entry),
            _ => {}
        }
    }

    fn recorded(&mut self, entry: &Entry) {
        let before = number(entry, "before").unwrap_or(i64::MIN);
        let last = |cells: &Cells| cells.get("last").cloned().flatten().and_then(|n| n.parse::<i64>().ok());
        self.batches.retain(|_, cells| last(cells).is_some_and(|last| last >= before));
        if number(entry, "samples").is_some_and(|samples| samples > 0) {
            let told = |key: &str| number(entry, key).map(|n| n.to_string());
            let cells = Cells::from([("samples", told("samples")), ("last", told("last")), ("digest", text(entry, "digest"))]);
            self.batches.insert(entry.seq, cells);
        }
    }

    fn episode(&mut self, entry: &Entry) {
        let at = Some(entry.at.micros().to_string());
        let subject = episode_of(entry.text("episode").unwrap_or_default());
        let told = self.episodes.entry(subject).or_default();
        told.event = entry.seq;
        let mut say = |column: &'static str, cell: Cell| told.cells.insert(column, cell);
        for column in ["severity", "peak"] {
            say(column, text(entry, column));
        }
        say("event", Some(entry.seq.to_string()));
        match entry.action.as_str() {
            "monitor.episode-opened" => {
                say("name", Some(entry.res.name.clone()));
                say("labels", text(entry, "labels"));
                say("kind", text(entry, "kind"));
                say("since", number(entry, "since").map(|n| n.to_string()));
                say("opened", at);
                say("ended", None);
                say("closed", None);
            }
            "monitor.episode-closed" => {
                say("ended", number(entry, "ended").map(|n| n.to_string()));
                say("closed", at);
            }
            _ => {}
        }
    }

    /// Compares all rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(self, view: View<'_>) -> Result<Vec<Finding>> {
        let mut stored: Rows<Vec<Cells>> = BTreeMap::new();
        let value = |row: &Cells, column: &str| row.get(column).cloned().flatten().unwrap_or_default();
        for row in rows::stored(view, "monitor_episode")? {
            stored.entry(episode_of(&value(&row, "uid"))).or_default().push(row);
        }
        for row in rows::stored(view, "monitor_batch")? {
            stored.entry(batch_of(&value(&row, "event"))).or_default().push(row);
        }
        let batches = self.batches.iter();
        let mut told = self.episodes;
        told.extend(batches.map(|(event, cells)| (batch_of(&event.to_string()), Told { event: *event, cells: cells.clone() })));
        let mut findings = rows::compare(&stored, &told);
        findings.extend(samples(view, &self.batches)?);
        Ok(findings)
    }
}

/// Samples against the digests of their batches, and series that have no sample.
fn samples(view: View<'_>, told: &BTreeMap<i64, Cells>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
    let sql = "SELECT s.event, COALESCE(m.name, ''), COALESCE(m.labels, ''), s.at, s.value FROM monitor_sample s \
         LEFT JOIN monitor_series m ON m.id = s.series ORDER BY s.event, m.name, m.labels, s.at";
    view.each(sql, &[], |row| {
        sums.entry(row.int(0)?).or_default().add(row.text(1)?, row.text(2)?, row.int(3)?, row.real(4)?);
        Ok(())
    })?;
    for (event, sum) in sums {
        let is = Some(sum.finish().to_string());
        let problem = match told.get(&event).map(|cells| cells.get("digest").cloned().flatten()) {
            None => "no event of the audit log tells of them",
            Some(was) if was != is => "they are not those that the audit log tells of",
            Some(_) => continue,
        };
        findings.push(Finding::new(batch_of(&event.to_string()), problem, restore_fix(Some(event))));
    }
    let empty =
        "SELECT name, labels FROM monitor_series m WHERE NOT EXISTS (SELECT 1 FROM monitor_sample s WHERE s.series = m.id)";
    view.each(empty, &[], |row| {
        let subject = format!("series {}{}", row.text(0)?, row.text(1)?);
        findings.push(Finding::new(subject, "no sample is of it", restore_fix(None)));
        Ok(())
    })?;
    Ok(findings)
}

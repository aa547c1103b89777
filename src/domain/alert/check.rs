//! Whether the rows of alerts say what the audit log says, both ways.
//!
//! Covered: every column of `alert`, what it says by its digest, and of `alert_delivery` but `error`, which is what a stranger said.

use super::DeliveryState;
use super::record::{DELIVERED, NOT_DELIVERED, left};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::store::View;
use crate::store::check::rows::{self, Cell, Cells, Rows, Told};
use crate::store::check::{Entry, Finding};
use serde_json::Value;

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["alert."];

/// The rows as the log tells them.
#[derive(Debug, Default)]
pub struct Replay {
    told: Rows<Told>,
}

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        match entry.action.as_str() {
            "alert.raised" => self.raised(entry),
            DELIVERED | NOT_DELIVERED => self.tried(entry),
            _ => {}
        }
    }

    fn raised(&mut self, entry: &Entry) {
        let text = |key: &str| entry.text(key).map(str::to_owned);
        let uid = entry.text("alert").unwrap_or_default();
        let (at, seq) = (Some(entry.at.micros().to_string()), Some(entry.seq.to_string()));
        let cells = Cells::from([
            ("about", Some(entry.res.name.clone())),
            ("act", text("act")),
            ("severity", text("severity")),
            ("message", text("message")),
            ("created", at.clone()),
            ("actor", Some(entry.actor.id.clone())),
            ("event", seq.clone()),
        ]);
        self.told.insert(alert_of(uid), Told { event: entry.seq, cells });
        let channels = entry.detail.get("channels").and_then(Value::as_array).into_iter().flatten();
        for channel in channels.filter_map(Value::as_str) {
            let cells = Cells::from([
                ("state", Some(DeliveryState::Waiting.word().to_owned())),
                ("attempts", Some("0".to_owned())),
                ("due", at.clone()),
                ("changed", at.clone()),
                ("event", seq.clone()),
            ]);
            self.told.insert(delivery_of(uid, channel), Told { event: entry.seq, cells });
        }
    }

    fn tried(&mut self, entry: &Entry) {
        let (uid, channel) = (entry.text("alert").unwrap_or_default(), entry.text("channel").unwrap_or_default());
        let Some(told) = self.told.get_mut(&delivery_of(uid, channel)) else { return };
        let due = entry.detail.get("due").and_then(Value::as_i64);
        let state = left(entry.action == DELIVERED, due.map(Timestamp::from_micros));
        let attempts = told.cells.get("attempts").cloned().flatten().and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
        told.event = entry.seq;
        told.cells.insert("state", Some(state.word().to_owned()));
        told.cells.insert("attempts", Some(attempts.saturating_add(1).to_string()));
        told.cells.insert("due", due.map(|n| n.to_string()));
        told.cells.insert("changed", Some(entry.at.micros().to_string()));
        told.cells.insert("event", Some(entry.seq.to_string()));
    }

    /// Compares all rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(self, view: View<'_>) -> Result<Vec<Finding>> {
        Ok(rows::compare(&stored(view)?, &self.told))
    }
}

fn alert_of(uid: &str) -> String {
    format!("alert {uid}")
}

fn delivery_of(uid: &str, channel: &str) -> String {
    format!("delivery of alert {uid} to {channel}")
}

/// Every row by what it is about; an alert's words by their digest.
fn stored(view: View<'_>) -> Result<Rows<Vec<Cells>>> {
    let mut all: Rows<Vec<Cells>> = Rows::new();
    let value = |row: &Cells, column: &str| -> String { row.get(column).cloned().flatten().unwrap_or_default() };
    for mut row in rows::stored(view, "alert")? {
        let words: Cell = row.get("message").cloned().flatten().map(|words| Digest::of(words.as_bytes()).to_string());
        row.insert("message", words);
        all.entry(alert_of(&value(&row, "uid"))).or_default().push(row);
    }
    for row in rows::stored(view, "alert_delivery")? {
        all.entry(delivery_of(&value(&row, "alert"), &value(&row, "channel"))).or_default().push(row);
    }
    Ok(all)
}

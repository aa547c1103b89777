//! Whether the rows of rollouts say what the audit log says: rollouts and moves column by column, what was seen between two
//! moves by its digest.
//!
//! Covered: every column of `rollout`, `rollout_move` and of `rollout_tick` up to the last move. What was seen since then is
//! sealed by the next one. A lease only says who is at work.

use super::record::sum;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::store::View;
use crate::store::check::rows::{self, Cell, Cells, Rows, Told};
use crate::store::check::{Entry, Finding, restore_fix};
use serde_json::Value;
use std::collections::BTreeMap;

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["rollout."];

/// The rows as the log tells them.
#[derive(Debug, Default)]
pub struct Replay {
    told: Rows<Told>,
    /// What was seen after each move, by rollout and move: how much, its digest, the entry that seals it.
    seen: BTreeMap<(String, i64), (i64, String, i64)>,
    /// Rollouts that have not ended, with their last move.
    open: BTreeMap<String, i64>,
}

fn rollout_of(uid: &str) -> String {
    format!("rollout {uid}")
}

fn move_of(uid: &str, seq: &str) -> String {
    format!("move {seq} of rollout {uid}")
}

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        let Some(uid) = entry.text("rollout").filter(|_| entry.action.starts_with("rollout.")) else { return };
        match entry.detail.get("move").and_then(Value::as_i64) {
            None => self.planned(entry, uid),
            Some(seq) => self.moved(entry, uid, seq),
        }
    }

    fn planned(&mut self, entry: &Entry, uid: &str) {
        let text = |key: &str| entry.text(key).map(str::to_owned);
        let (at, seq) = (Some(entry.at.micros().to_string()), Some(entry.seq.to_string()));
        let cells = Cells::from([
            ("model", Some(entry.res.name.clone())),
            ("canary", text("canary")),
            ("target", text("target")),
            ("setup", text("setup")),
            ("state", text("state")),
            ("open", Some("1".to_owned())),
            ("moves", Some("0".to_owned())),
            ("created", at.clone()),
            ("changed", at),
            ("actor", Some(entry.actor.id.clone())),
            ("event", seq),
        ]);
        self.told.insert(rollout_of(uid), Told { event: entry.seq, cells });
        self.open.insert(uid.to_owned(), 0);
    }

    fn moved(&mut self, entry: &Entry, uid: &str, seq: i64) {
        let text = |key: &str| entry.text(key).map(str::to_owned);
        let (at, event) = (Some(entry.at.micros().to_string()), Some(entry.seq.to_string()));
        let open = entry.detail.get("open").and_then(Value::as_bool).unwrap_or(true);
        if let Some(told) = self.told.get_mut(&rollout_of(uid)) {
            told.event = entry.seq;
            for (column, cell) in [
                ("state", text("state")),
                ("open", Some(i64::from(open).to_string())),
                ("moves", Some(seq.to_string())),
                ("changed", at.clone()),
                ("event", event.clone()),
            ] {
                told.cells.insert(column, cell);
            }
        }
        let cells = Cells::from([
            ("what", text("what")),
            ("reason", text("why")),
            ("state", text("state")),
            ("judgement", text("judgement")),
            ("at", at),
            ("actor", Some(entry.actor.id.clone())),
            ("event", event),
        ]);
        self.told.insert(move_of(uid, &seq.to_string()), Told { event: entry.seq, cells });
        let ticks = entry.detail.get("ticks").and_then(Value::as_i64).unwrap_or(0);
        self.seen.insert((uid.to_owned(), seq - 1), (ticks, text("seen").unwrap_or_default(), entry.seq));
        match open {
            true => self.open.insert(uid.to_owned(), seq),
            false => self.open.remove(uid),
        };
    }

    /// Compares all rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(self, view: View<'_>) -> Result<Vec<Finding>> {
        let mut findings = rows::compare(&stored(view)?, &self.told);
        let mut groups: Vec<(String, i64)> = Vec::new();
        view.each("SELECT DISTINCT rollout, base FROM rollout_tick ORDER BY rollout, base", &[], |row| {
            groups.push((row.text(0)?.to_owned(), row.int(1)?));
            Ok(())
        })?;
        let subject = |(uid, base): &(String, i64)| format!("what was seen of rollout {uid} after its move {base}");
        for group in groups.iter().filter(|group| !self.seen.contains_key(*group) && self.open.get(&group.0) != Some(&group.1)) {
            findings.push(Finding::new(subject(group), "no event of the audit log tells of it", restore_fix(None)));
        }
        for (group, (n, digest, event)) in &self.seen {
            let is = sum(view, &group.0, group.1)?;
            if (is.0, is.1.to_string()) != (*n, digest.clone()) {
                let what = "it is not what the audit log tells of";
                findings.push(Finding::new(subject(group), what, restore_fix(Some(*event))));
            }
        }
        Ok(findings)
    }
}

/// Every row by what it is about; long texts by their digests.
fn stored(view: View<'_>) -> Result<Rows<Vec<Cells>>> {
    let mut all: Rows<Vec<Cells>> = Rows::new();
    let value = |row: &Cells, column: &str| -> String { row.get(column).cloned().flatten().unwrap_or_default() };
    let mut add = |mut row: Cells, subject: String, long: &[&'static str]| {
        for column in long {
            let digest: Cell = row.get(column).cloned().flatten().map(|text| Digest::of(text.as_bytes()).to_string());
            row.insert(column, digest);
        }
        all.entry(subject).or_default().push(row);
    };
    for row in rows::stored(view, "rollout")? {
        let subject = rollout_of(&value(&row, "uid"));
        add(row, subject, &["setup", "state"]);
    }
    for row in rows::stored(view, "rollout_move")? {
        let subject = move_of(&value(&row, "rollout"), &value(&row, "seq"));
        add(row, subject, &["reason", "state", "judgement"]);
    }
    Ok(all)
}

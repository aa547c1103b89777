//! Whether the rows of drift say what the audit log says: every column against the events that made and changed the row, both ways.
//!
//! Covered: every column of `baseline`, `drift_check`, `drift_figure` and `drift_action`; what the objects hold, by their digests.

use super::action::ActionState;
use super::record::left_by;
use super::table::BaselineRow;
use crate::base::error::Result;
use crate::domain::registry::check::references;
use crate::store::View;
use crate::store::check::rows::{self, Cell, Cells, Rows, Told, differences_read};
use crate::store::check::{Entry, Finding};
use serde_json::Value;
use std::collections::BTreeMap;

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["drift."];

/// The rows as the log tells them.
#[derive(Debug, Default)]
pub struct Replay {
    told: Rows<Told>,
}

/// What checking the rows gave.
#[derive(Debug, Default)]
pub struct Checked {
    /// Checks whose rows were compared.
    pub checks: u64,
    /// What does not agree.
    pub findings: Vec<Finding>,
}

fn text(value: Option<&Value>) -> Cell {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn number(value: Option<&Value>) -> Cell {
    value.and_then(Value::as_i64).map(|n| n.to_string())
}

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        match entry.action.as_str() {
            "drift.baseline-set" => self.baseline(entry),
            "drift.checked" => self.check(entry),
            "drift.action-opened" => self.opened(entry),
            action => self.changed(entry, action),
        }
    }

    fn tell(&mut self, entry: &Entry, subject: String, cells: Vec<(&'static str, Cell)>) {
        self.told.insert(subject, Told { event: entry.seq, cells: cells.into_iter().collect() });
    }

    fn baseline(&mut self, entry: &Entry) {
        let fact = |key: &str| entry.detail.get(key);
        let object = |part: &str| fact("profile").and_then(|p| p.get(part));
        let cells = vec![
            ("name", text(fact("name"))),
            ("version", entry.reference()),
            ("profile", text(object("digest"))),
            ("profile_bytes", number(object("bytes"))),
            ("data", text(fact("data"))),
            ("row_count", number(fact("rows"))),
            ("column_count", number(fact("columns"))),
            ("created", Some(entry.at.micros().to_string())),
            ("actor", Some(entry.actor.id.clone())),
            ("event", Some(entry.seq.to_string())),
        ];
        self.tell(entry, baseline_of(entry.text("baseline").unwrap_or_default()), cells);
    }

    fn check(&mut self, entry: &Entry) {
        let fact = |key: &str| entry.detail.get(key);
        let object = |part: &str| fact("report").and_then(|p| p.get(part));
        let uid = entry.text("check").unwrap_or_default().to_owned();
        let cells = vec![
            ("name", Some(entry.res.name.clone())),
            ("baseline", text(fact("baseline"))),
            ("data", text(fact("data"))),
            ("row_count", number(fact("rows"))),
            ("verdict", text(fact("verdict"))),
            ("report", text(object("digest"))),
            ("report_bytes", number(object("bytes"))),
            ("created", Some(entry.at.micros().to_string())),
            ("actor", Some(entry.actor.id.clone())),
            ("event", Some(entry.seq.to_string())),
        ];
        self.tell(entry, check_of(&uid), cells);
        for (pos, figure) in fact("figures").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let cells = vec![
                ("column_name", text(figure.get(0))),
                ("status", text(figure.get(1))),
                ("psi", text(figure.get(2))),
                ("n", number(figure.get(3))),
            ];
            self.tell(entry, figure_of(&pos.to_string(), &uid), cells);
        }
    }

    fn opened(&mut self, entry: &Entry) {
        let fact = |key: &str| entry.detail.get(key);
        let cells = vec![
            ("name", text(fact("name"))),
            ("model", Some(entry.res.name.clone())),
            ("drift_check", text(fact("check"))),
            ("kind", text(fact("kind"))),
            ("band", text(fact("band"))),
            ("state", Some(ActionState::Open.word().to_owned())),
            ("due", number(fact("due"))),
            ("attempts", Some("0".to_owned())),
            ("opened", Some(entry.at.micros().to_string())),
            ("changed", Some(entry.at.micros().to_string())),
            ("event", Some(entry.seq.to_string())),
        ];
        self.tell(entry, action_of(entry.text("action").unwrap_or_default()), cells);
    }

    fn changed(&mut self, entry: &Entry, action: &str) {
        let Some(told) = self.told.get_mut(&action_of(entry.text("action").unwrap_or_default())) else { return };
        told.event = entry.seq;
        told.cells.insert("changed", Some(entry.at.micros().to_string()));
        told.cells.insert("event", Some(entry.seq.to_string()));
        if let Some((state, tried)) = left_by(action) {
            told.cells.insert("state", Some(state.word().to_owned()));
            let attempts = told.cells.get("attempts").cloned().flatten().and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
            told.cells.insert("attempts", Some((attempts + i64::from(tried)).to_string()));
        } else {
            told.cells.insert("band", text(entry.detail.get("band")));
            told.cells.insert("due", number(entry.detail.get("due")));
        }
    }

    /// Compares all rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(self, view: View<'_>) -> Result<Checked> {
        let stored = stored(view)?;
        let checks = stored.keys().filter(|subject| subject.starts_with("drift check ")).count() as u64;
        Ok(Checked { checks, findings: rows::compare(&stored, &self.told) })
    }
}

fn baseline_of(uid: &str) -> String {
    format!("baseline {uid}")
}

fn check_of(uid: &str) -> String {
    format!("drift check {uid}")
}

fn figure_of(pos: &str, check: &str) -> String {
    format!("column {pos} of drift check {check}")
}

fn action_of(uid: &str) -> String {
    format!("drift action {uid}")
}

/// Every row by what it is about; numbers of other rows by what these are.
fn stored(view: View<'_>) -> Result<Rows<Vec<Cells>>> {
    let mut all: Rows<Vec<Cells>> = BTreeMap::new();
    let mut put = |subject: String, row: Cells| all.entry(subject).or_default().push(row);
    let value = |row: &Cells, column: &str| row.get(column).cloned().flatten().unwrap_or_default();
    let named = |names: &BTreeMap<String, String>, mut row: Cells, column: &'static str| {
        let id = value(&row, column);
        row.insert(column, Some(names.get(&id).cloned().unwrap_or_else(|| format!("#{id}"))));
        row
    };
    let models = rows::stored(view, "model")?.iter().map(|r| (value(r, "id"), value(r, "name"))).collect();
    let versions = references(view)?;
    for row in rows::stored(view, "baseline")? {
        put(baseline_of(&value(&row, "uid")), named(&versions, row, "version"));
    }
    for row in rows::stored(view, "drift_check")? {
        put(check_of(&value(&row, "uid")), row);
    }
    for row in rows::stored(view, "drift_figure")? {
        put(figure_of(&value(&row, "pos"), &value(&row, "drift_check")), row);
    }
    for row in rows::stored(view, "drift_action")? {
        put(action_of(&value(&row, "uid")), named(&models, row, "model"));
    }
    Ok(all)
}

/// What of a baseline differs from what its entry tells of it.
pub fn differs(row: &BaselineRow, entry: &Entry) -> Vec<String> {
    let mut replay = Replay::default();
    replay.take(entry);
    let Some(told) = replay.told.get(&baseline_of(&row.uid)) else {
        return vec![format!("entry {} recorded no such baseline", entry.seq)];
    };
    let text = |value: &dyn ToString| Some(value.to_string());
    let cells = Cells::from([
        ("name", text(&row.name)),
        ("version", text(&row.reference())),
        ("profile", text(&row.profile)),
        ("data", text(&row.data)),
        ("row_count", text(&row.rows)),
        ("created", text(&row.at.micros())),
        ("event", text(&row.event)),
    ]);
    differences_read(&cells, &told.cells)
}

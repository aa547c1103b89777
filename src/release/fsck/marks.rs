//! What a state says of itself, in `meta`: nothing that kf does not know, and the mark of a state that was moved away if, and
//! only if, its last entry says so. Taking that mark off would make a second state that goes on from the same entry.

use crate::base::error::Result;
use crate::store::check::rows::{self, Cells, Told};
use crate::store::check::{Entry, Finding};
use crate::store::{META_KEYS, META_MOVED_TO, View};
use std::collections::BTreeMap;

/// The actions that a replay wants to see.
pub(super) const ACTIONS: &[&str] = &["state.sealed"];

/// The marks as the log tells them.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Where to the state was moved, and the entry that says so.
    moved: Option<(i64, String)>,
}

impl Replay {
    /// Whatever follows the seal is the log of the copy, which goes on.
    pub(super) fn pass(&mut self, seq: i64) {
        if self.moved.as_ref().is_some_and(|(at, _)| *at < seq) {
            self.moved = None;
        }
    }

    /// Takes the next entry of the log.
    pub(super) fn take(&mut self, entry: &Entry) {
        if entry.action == "state.sealed" {
            self.moved = entry.text("to").map(|to| (entry.seq, to.to_owned()));
        }
    }

    /// Compares the rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub(super) fn compare(&self, view: View<'_>) -> Result<Vec<Finding>> {
        let subject = |key: &str| format!("meta {key}");
        let key = |row: &Cells| row.get("key").cloned().flatten().unwrap_or_default();
        // What the others say is compared elsewhere: `schema` when the state is opened, `state-id` with the first entry.
        let known = |key: &str| META_KEYS.contains(&key) && key != META_MOVED_TO;
        let stored = rows::stored(view, "meta")?.into_iter().filter(|row| !known(&key(row)));
        let stored: BTreeMap<String, Vec<Cells>> = stored.map(|row| (subject(&key(&row)), vec![row])).collect();
        let told = self.moved.iter().map(|(event, to)| {
            (subject(META_MOVED_TO), Told { event: *event, cells: Cells::from([("value", Some(to.clone()))]) })
        });
        Ok(rows::compare(&stored, &told.collect()))
    }
}

//! Whether the rows of flags say what the audit log says, both ways.
//!
//! Covered: every column of `flag`.

use super::record::{REMOVED, SET};
use crate::base::error::Result;
use crate::store::View;
use crate::store::check::rows::{self, Cells, Rows, Told};
use crate::store::check::{Entry, Finding};

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["flag."];

/// The rows as the log tells them.
#[derive(Debug, Default)]
pub struct Replay {
    told: Rows<Told>,
}

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        let text = |key: &str| entry.text(key).unwrap_or_default();
        let about = flag_of(text("tenant"), text("flag"));
        match entry.action.as_str() {
            SET => {
                let cells = Cells::from([
                    ("rule", entry.text("rule").map(str::to_owned)),
                    ("changed", Some(entry.at.micros().to_string())),
                    ("actor", Some(entry.actor.id.clone())),
                    ("event", Some(entry.seq.to_string())),
                ]);
                self.told.insert(about, Told { event: entry.seq, cells });
            }
            REMOVED => drop(self.told.remove(&about)),
            _ => {}
        }
    }

    /// Compares all rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(self, view: View<'_>) -> Result<Vec<Finding>> {
        let mut all: Rows<Vec<Cells>> = Rows::new();
        for row in rows::stored(view, "flag")? {
            let value = |column: &str| row.get(column).cloned().flatten().unwrap_or_default();
            all.entry(flag_of(&value("tenant"), &value("name"))).or_default().push(row);
        }
        Ok(rows::compare(&all, &self.told))
    }
}

fn flag_of(tenant: &str, name: &str) -> String {
    format!("flag {tenant}/{name}")
}

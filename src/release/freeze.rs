//! What keeps a model from being promoted: actions that froze it and that nobody closed, as the audit log tells them.
//!
//! The log and not the rows, because a row is quick to take away.

use crate::base::error::Result;
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::config::ActionKind;
use crate::domain::drift::table::short;
use crate::store::View;
use crate::store::check::later;
use serde::Serialize;

/// An action that keeps a model where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Frozen {
    /// Its id.
    pub action: String,
    /// The drift that asked for it.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
}

impl Frozen {
    /// In words, with what to type.
    pub fn told(&self) -> String {
        format!(
            "promotions are frozen since {} because of drift of {}: `kf drift close {} --reason TEXT` ends it",
            self.since,
            self.name,
            short(&self.action)
        )
    }
}

/// What keeps a model from being promoted.
///
/// # Errors
/// When the log cannot be read.
pub fn frozen(view: View<'_>, model: &Name) -> Result<Vec<Frozen>> {
    let of = |action: &str| later(view, action, ("model", model.as_str()), -1);
    let closed = of("drift.action-closed")?;
    let opened = of("drift.action-opened")?.into_iter().filter(|e| e.text("kind") == Some(ActionKind::FreezePromotions.word()));
    let open = opened.filter(|e| !closed.iter().any(|c| c.text("action") == e.text("action")));
    let text = |e: &crate::store::check::Entry, key: &str| e.text(key).unwrap_or_default().to_owned();
    Ok(open.map(|e| Frozen { action: text(&e, "action"), name: text(&e, "name"), since: e.at }).collect())
}

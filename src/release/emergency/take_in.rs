//! An entry of the journal becomes part of the state: the event, the rollout and the stage, in one transaction.

use super::journal::{Entry, Kept, Outcome, Proof};
use crate::base::error::Result;
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::domain::registry::table as registry;
use crate::domain::rollout::machine::Event as Ordered;
use crate::domain::rollout::record::Because;
use crate::domain::rollout::table as rollout;
use crate::release::rollback::{Request, moving, roll_back};
use crate::release::rollout::back::tell;
use crate::release::rollout::order;
use crate::store::{Tx, View, check};
use serde_json::json;

/// The action of the event.
const ACTION: &str = "rollback.emergency";
/// The fact by which an entry is known again.
const ID: &str = "entry";
/// Why a rollout is taken back by it.
const WHY: &str = "rolled back in an emergency, while the state could not be read";

/// What is left to be done, when something is, in words.
pub type Left = Option<String>;

/// Takes an entry in, once; `alerts` are told of it. Gives what is left to be done.
///
/// # Errors
/// When the state cannot be written.
pub fn take_in(tx: &Tx<'_>, kept: &Kept, alerts: &[Name]) -> Result<Left> {
    let entry = &kept.entry;
    if is_in(tx.view(), entry)? {
        return Ok(None);
    }
    let because = Because { ticket: entry.ticket.as_deref(), reason: entry.reason.as_deref() };
    tx.record(event(kept).because(because.ticket, because.reason));
    let left = match entry.outcome {
        Outcome::Done => done(tx, entry, because)?,
        Outcome::Failed(_) => None,
        Outcome::Begun => begun(tx, entry, because)?,
    };
    if !matches!(entry.outcome, Outcome::Failed(_)) {
        tell(tx, (&entry.model, &entry.target), (entry.from, entry.to), (alerts, entry.reason.as_deref()))?;
    }
    Ok(left)
}

/// Whether an entry is in the audit log.
///
/// # Errors
/// When that cannot be read.
pub fn is_in(view: View<'_>, entry: &Entry) -> Result<bool> {
    let before = check::entries(view, ACTION)?;
    Ok(before.iter().any(|known| known.text(ID) == Some(entry.id.as_str())))
}

fn event(kept: &Kept) -> Event {
    let entry = &kept.entry;
    let signed = match &kept.proof {
        Proof::Signed(by) => Some(by.as_str()),
        Proof::Claimed => None,
    };
    Event::new(ACTION, Resource::new("model", entry.model.as_str()))
        .with(ID, entry.id.as_str())
        .with("digest", json!(kept.digest))
        .with("signed-by", json!(signed))
        .with("acted", entry.at.to_string())
        .with("target", entry.target.as_str())
        .with("from", json!(entry.from))
        .with("to", json!(entry.to))
        .with("ended", json!(entry.outcome))
        .with("state", entry.state.as_str())
}

/// The traffic moved: the rollout that it was taken from has ended, and production is what serves.
fn done(tx: &Tx<'_>, entry: &Entry, because: Because<'_>) -> Result<Left> {
    let view = tx.view();
    let under_way = rollout::open(view)?.into_iter().find(|r| r.setup.model == entry.model && r.setup.canary.version != entry.to);
    if let Some(of) = under_way {
        order::took_back(tx, &of.uid, WHY, because)?;
    }
    let request = Request {
        name: &entry.model,
        to: Some(entry.to),
        // Users have it already: what is recorded is what is. `kf fsck` reads its files.
        files: &|_| Ok(()),
        expect: None,
        ticket: because.ticket,
        reason: because.reason,
    };
    match moving(view, &request) {
        Ok(None) => Ok(None),
        Ok(Some(_)) => roll_back(tx, &request).map(|_| None),
        Err(e) => Ok(Some(format!("{}@{} serves, and the registry does not take it: {e}", entry.model, entry.to))),
    }
}

/// Nobody knows how far it came: a rollout under way is on its way back, which looks at the target.
fn begun(tx: &Tx<'_>, entry: &Entry, because: Because<'_>) -> Result<Left> {
    let model = &entry.model;
    let under_way = rollout::open(tx.view())?.into_iter().find(|r| r.setup.model == *model && r.setup.canary.version != entry.to);
    Ok(Some(match under_way {
        Some(of) => {
            order::take(tx, &of.uid, &Ordered::Abort(WHY.to_owned()), because)?;
            format!("whoever rolled {model} back was stopped on the way: `kf canary run {}` goes on with it", of.short())
        }
        None => {
            let now = registry::find_model(tx.view(), model)?.map(|m| registry::in_production(tx.view(), m.id)).transpose()?;
            let now = now.flatten().map_or_else(|| "nothing".to_owned(), |v| v.reference());
            format!(
                "whoever rolled {model} back was stopped on the way, and {now} is in production: \
                 `kf rollback {model} --to {}` brings both together",
                entry.to
            )
        }
    }))
}

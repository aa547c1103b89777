//! An entry of the journal becomes part of the state: the event, the rollout and the stage, in one transaction.

use super::apart::{Apart, Given};
use super::journal::{Entry, Kept, Outcome, Proof};
use crate::base::error::Result;
use crate::base::event::{Event, Outcome as Ended, Resource};
use crate::base::name::Name;
use crate::domain::rollout::machine::Event as Ordered;
use crate::domain::rollout::record::Because;
use crate::domain::rollout::table::{self as rollout, Rollout};
use crate::release::rollback::{Request, moving, roll_back};
use crate::release::rollout::back::tell;
use crate::release::rollout::order;
use crate::store::{Tx, View, check};
use serde_json::json;

/// The action of the event.
pub(super) const ACTION: &str = "rollback.emergency";
/// The fact by which an entry is known again.
const ID: &str = "entry";
/// The fact that is false when users may have another version since than the registry says.
pub(super) const AGREED: &str = "agreed";
/// Why a rollout is taken back by it.
const WHY: &str = "rolled back in an emergency, while the state could not be read";

/// What is left to be done, when something is, in words.
pub type Left = Option<String>;

/// Takes an entry in, once; `alerts` are told of it. Gives what is left to be done.
///
/// # Errors
/// When the state cannot be written.
pub fn take_in(tx: &Tx<'_>, kept: &Kept, alerts: &[Name]) -> Result<Left> {
    let (entry, view) = (&kept.entry, tx.view());
    if is_in(view, entry)? {
        return Ok(None);
    }
    let because = Because { ticket: entry.ticket.as_deref(), reason: entry.reason.as_deref() };
    let under_way = under_way(view, entry)?;
    let doubt = match &entry.outcome {
        Outcome::Done => moving(view, &request(entry, because)).err().map(|e| e.to_string()),
        Outcome::Begun if under_way.is_none() => Some("whoever did it was stopped on the way".to_owned()),
        Outcome::Begun | Outcome::Failed(_) => None,
    };
    let event = event(kept).because(because.ticket, because.reason);
    let event = if doubt.is_some() { event.with(AGREED, false) } else { event };
    let seq = tx.record(event);
    if !matches!(entry.outcome, Outcome::Failed(_)) {
        tell(tx, (&entry.model, &entry.target), (entry.from, entry.to), (alerts, entry.reason.as_deref()))?;
    }
    let left = match &entry.outcome {
        Outcome::Done => done(tx, entry, (under_way, doubt.is_none()), because).map(|()| None)?,
        Outcome::Begun => under_way.map(|of| begun(tx, entry, &of, because)).transpose()?,
        Outcome::Failed(_) => None,
    };
    let Some(doubt) = doubt else { return Ok(left) };
    let apart = Apart::of(view, &given(entry, seq))?;
    Ok(Some(format!("{}: {doubt}; {}", apart.words(), apart.next())))
}

/// The rollout of the model on that target whose version it took the traffic from.
fn under_way(view: View<'_>, entry: &Entry) -> Result<Option<Rollout>> {
    let of_it =
        |r: &Rollout| r.setup.model == entry.model && r.setup.target == entry.target && r.setup.canary.version != entry.to;
    Ok(rollout::open(view)?.into_iter().find(of_it))
}

/// What the registry is asked for. Users have it already: what is recorded is what is, and `kf fsck` reads its files.
fn request<'a>(entry: &'a Entry, because: Because<'a>) -> Request<'a> {
    let Because { ticket, reason } = because;
    Request { name: &entry.model, to: Some(entry.to), files: &|_| Ok(()), expect: None, ticket, reason }
}

fn given(entry: &Entry, event: i64) -> Given {
    let Entry { model, target, to, at, .. } = entry.clone();
    Given { model, target, to, at, event, sure: entry.outcome == Outcome::Done, agreed: false }
}

/// Whether an entry is in the audit log.
///
/// # Errors
/// When that cannot be read.
pub fn is_in(view: View<'_>, entry: &Entry) -> Result<bool> {
    let before = check::attempts(view, ACTION)?;
    Ok(before.iter().any(|known| known.text(ID) == Some(entry.id.as_str())))
}

fn event(kept: &Kept) -> Event {
    let entry = &kept.entry;
    let signed = match &kept.proof {
        Proof::Signed(by) => Some(by.as_str()),
        Proof::Claimed => None,
    };
    let outcome = if matches!(entry.outcome, Outcome::Failed(_)) { Ended::Failed } else { Ended::Ok };
    Event::new(ACTION, Resource::new("model", entry.model.as_str()))
        .outcome(outcome)
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

/// The traffic moved: the rollout that it was taken from has ended, and production is what serves, if the registry `takes` that.
fn done(tx: &Tx<'_>, entry: &Entry, (under_way, takes): (Option<Rollout>, bool), because: Because<'_>) -> Result<()> {
    if let Some(of) = under_way {
        order::took_back(tx, &of.uid, WHY, because)?;
    }
    let request = request(entry, because);
    if takes && moving(tx.view(), &request)?.is_some() {
        roll_back(tx, &request)?;
    }
    Ok(())
}

/// Nobody knows how far it came: the rollout under way is on its way back, which looks at the target.
fn begun(tx: &Tx<'_>, entry: &Entry, of: &Rollout, because: Because<'_>) -> Result<String> {
    order::take(tx, &of.uid, &Ordered::Abort(WHY.to_owned()), because)?;
    let (model, short) = (&entry.model, of.short());
    Ok(format!("whoever rolled {model} back was stopped on the way: `kf canary run {short}` goes on with it"))
}

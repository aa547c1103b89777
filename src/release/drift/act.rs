//! What kf itself does about drift: it runs programs, after the check and its actions are committed. People are told by the alert
//! that the check raised.
//!
//! Invariant: an action is open before its program runs, and done or failed after it came back. One that is open and has not changed
//! for `LEASE` was left behind by a run that died, one that failed is tried again by later checks; both are claimed first, so that
//! two checks at once do not both do it. A program that runs twice can tell by the key, the id of the action.

use super::Place;
use super::check::found;
use super::tell::alert;
use crate::adapters::hook::Hook;
use crate::base::error::Result;
use crate::base::text::ellipsis;
use crate::config::{ActionKind, Drift};
use crate::domain::drift::action::{ATTEMPTS_MAX, ActionState};
use crate::domain::drift::record::{self, Turn};
use crate::domain::drift::table::{self, ActionRow};
use crate::release::alert::message_of;
use crate::seams::notifier::{Message, Notifier as _, Told};
use crate::store::log;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// How long a program may run.
const COMMAND_MAX: Duration = Duration::from_secs(600);
/// After so long without a change an open action was left behind, in microseconds: longer than all that it does may take.
const LEASE: i64 = 1_800_000_000;
/// How much of an error its event says, in characters.
const WHY_MAX: usize = 300;

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Performed {
    /// Its id.
    pub action: String,
    /// What it is.
    pub kind: ActionKind,
    /// How far it is now.
    pub state: ActionState,
    /// Why it failed.
    pub why: Option<String>,
}

/// Does what a check opened, and what earlier ones of this name left behind; programs run in the folder `root`.
///
/// # Errors
/// When the state cannot be read or written. An action that fails is told, not an error.
pub fn act(place: &Place<'_>, config: &Drift, root: &Path, fresh: &[ActionRow]) -> Result<Vec<Performed>> {
    if place.store.is_dry_run() {
        return Ok(Vec::new());
    }
    let mut all: Vec<ActionRow> = fresh.iter().filter(|a| a.kind == ActionKind::Command).cloned().collect();
    all.extend(claimed(place, config)?);
    all.into_iter().map(|action| perform(place, config, root, action)).collect()
}

/// Programs of this name that were left behind or failed, claimed for this run.
fn claimed(place: &Place<'_>, config: &Drift) -> Result<Vec<ActionRow>> {
    let old = place.store.now().plus_micros(-LEASE);
    let left = |a: &ActionRow| match a.state {
        ActionState::Open => a.changed < old,
        state => state == ActionState::Failed && a.attempts < ATTEMPTS_MAX,
    };
    let all = place.store.read(table::pending)?.into_iter();
    let mut claimed = Vec::new();
    for action in all.filter(|a| a.name == config.name && a.kind == ActionKind::Command && left(a)) {
        // What failed in this very run was opened by it and is not pending yet.
        let again = place.store.write(|tx| {
            let mine = record::turn(tx, &action, Turn::Retried, None)?;
            mine.then(|| table::find_action(tx.view(), &action.uid)).transpose()
        })?;
        claimed.extend(again);
    }
    Ok(claimed)
}

fn perform(place: &Place<'_>, config: &Drift, root: &Path, action: ActionRow) -> Result<Performed> {
    let why = run(place, config, root, &action).err().map(|e| ellipsis(&e.to_string(), WHY_MAX));
    let turn = why.as_deref().map_or(Turn::Done, Turn::Failed);
    place.store.write(|tx| record::turn(tx, &action, turn, None))?;
    let state = if why.is_some() { ActionState::Failed } else { ActionState::Done };
    Ok(Performed { action: action.uid, kind: action.kind, state, why })
}

fn run(place: &Place<'_>, config: &Drift, root: &Path, action: &ActionRow) -> Result<()> {
    let program = Hook::new(&config.actions.command, root, COMMAND_MAX)?;
    match program.tell(&message(place, action)?, place.store.now()) {
        Told::Taken(_) => Ok(()),
        Told::Partly(_, e) | Told::Refused(e) | Told::Missed(e, _) => Err(e),
    }
}

fn message(place: &Place<'_>, action: &ActionRow) -> Result<Message> {
    let (check, origin) = place.store.read(|view| {
        let check = table::find_check(view, Some(&action.check))?;
        Ok((check, log::head(view.db())?.origin))
    })?;
    let found = found(place.objects, &check)?;
    Ok(message_of(&origin, &action.uid, &alert(action, &found.judgement), action.opened))
}

//! What kf itself does about drift: it tells people and runs programs, after the check and its actions are committed.
//!
//! Invariant: an action is open before anything leaves, and done or failed after it came back. One that is open and has not changed
//! for `LEASE` was left behind by a run that died, one that failed is tried again by later checks; both are claimed first, so that
//! two checks at once do not both do it. Who is told twice can tell by the key, the id of the action.

use super::Place;
use super::check::found;
use crate::adapters::hook::Hook;
use crate::adapters::webhook::Webhook;
use crate::base::error::{Error, Result};
use crate::base::random::Random;
use crate::base::text::{count, ellipsis};
use crate::config::{ActionKind, Alerts, Drift, Project, Secret, SecretRef};
use crate::domain::drift::action::ActionState;
use crate::domain::drift::record::{self, Turn};
use crate::domain::drift::table::{self, ActionRow, short};
use crate::seams::notifier::{Message, Notifier};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// How long a program may run.
const COMMAND_MAX: Duration = Duration::from_secs(600);
/// After so long without a change an open action was left behind, in microseconds: longer than all that it does may take.
const LEASE: i64 = 1_800_000_000;
/// How often an action is tried.
const ATTEMPTS_MAX: i64 = 5;
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

/// What acting needs beside the state.
pub struct With<'a> {
    /// The configuration.
    pub project: &'a Project,
    /// The folder that programs run in.
    pub root: &'a Path,
    /// Fetches secrets.
    pub secret: &'a dyn Fn(&SecretRef) -> Result<Secret>,
}

/// Does what a check opened, and what earlier ones of this name left behind.
///
/// # Errors
/// When the state cannot be read or written. An action that fails is told, not an error.
pub fn act(place: &Place<'_>, config: &Drift, with: &With<'_>, fresh: &[ActionRow]) -> Result<Vec<Performed>> {
    if place.store.is_dry_run() {
        return Ok(Vec::new());
    }
    let mut all: Vec<ActionRow> = fresh.iter().filter(|a| a.kind.is_performed()).cloned().collect();
    all.extend(claimed(place, config)?);
    all.into_iter().map(|action| perform(place, config, with, action)).collect()
}

/// Actions of this name that were left behind or failed, claimed for this run.
fn claimed(place: &Place<'_>, config: &Drift) -> Result<Vec<ActionRow>> {
    let old = place.store.now().plus_micros(-LEASE);
    let left = |a: &ActionRow| match a.state {
        ActionState::Open => a.changed < old,
        state => state == ActionState::Failed && a.attempts < ATTEMPTS_MAX,
    };
    let all = place.store.read(table::pending)?.into_iter();
    let mut claimed = Vec::new();
    for action in all.filter(|a| a.name == config.name && a.kind.is_performed() && left(a)) {
        // What failed in this very run was opened by it and is not pending yet.
        let again = place.store.write(|tx| {
            let mine = record::turn(tx, &action, Turn::Retried, None)?;
            mine.then(|| table::find_action(tx.view(), &action.uid)).transpose()
        })?;
        claimed.extend(again);
    }
    Ok(claimed)
}

fn perform(place: &Place<'_>, config: &Drift, with: &With<'_>, action: ActionRow) -> Result<Performed> {
    let done = message(place, &action).and_then(|message| tell(config, with, action.kind, &message));
    let why = done.err().map(|e| ellipsis(&e.to_string(), WHY_MAX));
    let turn = why.as_deref().map_or(Turn::Done, Turn::Failed);
    place.store.write(|tx| record::turn(tx, &action, turn, None))?;
    let state = if why.is_some() { ActionState::Failed } else { ActionState::Done };
    Ok(Performed { action: action.uid, kind: action.kind, state, why })
}

fn tell(config: &Drift, with: &With<'_>, kind: ActionKind, message: &Message) -> Result<()> {
    if kind == ActionKind::Command {
        return Hook::new(&config.actions.command, with.root, COMMAND_MAX)?.tell(message);
    }
    let alerts: Vec<&Alerts> = with.project.alerts.iter().filter(|a| config.actions.alerts.contains(&a.name)).collect();
    if alerts.is_empty() {
        return Err(Error::new(format!("`drift.{}.alerts` names nobody", config.name)));
    }
    // Each is told, whether or not another one can be.
    let tell = |alerts: &Alerts| -> Result<()> {
        let address = (with.secret)(&alerts.url)?;
        Webhook::new(alerts.name.as_str(), &address, alerts.timeout, Random::System)?.tell(message)
    };
    let failed: Vec<String> = alerts.iter().filter_map(|a| Some(format!("alerts.{}: {}", a.name, tell(a).err()?))).collect();
    if failed.is_empty() { Ok(()) } else { Err(Error::new(failed.join("; "))) }
}

fn message(place: &Place<'_>, action: &ActionRow) -> Result<Message> {
    let check = place.store.read(|view| table::find_check(view, Some(&action.check)))?;
    let found = found(place.objects, &check)?;
    let judgement = &found.judgement;
    let moved: Vec<String> =
        judgement.columns.iter().filter(|c| c.status.moved()).map(|c| format!("{}: {}: {}", c.name, c.status, c.why)).collect();
    let shown = moved.iter().take(MOVED_SHOWN).cloned().collect::<Vec<_>>().join("\n");
    let more = moved.len().checked_sub(MOVED_SHOWN).filter(|n| *n > 0).map(|n| format!("\nand {} more", count(n, "column")));
    let body = format!(
        "{shown}{}\n`kf drift explain {}` tells more (check {})",
        more.unwrap_or_default(),
        action.name,
        short(&check.uid)
    );
    let columns: Vec<&str> = judgement.columns.iter().filter(|c| c.status.moved()).map(|c| c.name.as_str()).collect();
    Ok(Message {
        key: action.uid.clone(),
        title: format!("drift of {}: {}: {}", action.name, action.band, judgement.reason),
        body,
        facts: vec![
            ("KF_DRIFT", action.name.to_string()),
            ("KF_MODEL", action.model.to_string()),
            ("KF_BAND", action.band.to_string()),
            ("KF_CHECK", check.uid.clone()),
            ("KF_COLUMNS", columns.join(",")),
        ],
    })
}

/// How many columns a message names with their reasons.
const MOVED_SHOWN: usize = 10;

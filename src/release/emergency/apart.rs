//! Where users may have another version than the registry says, because somebody went back past the state.
//!
//! All of it is in the audit log: what an emergency gave users, and whether the registry took it. It holds until somebody ends it on
//! that target: a rollout or a way back that is finished, a later emergency, a version that the registry takes after all, or a look
//! that finds both the same. So nobody has to be asked who splits traffic.

use super::journal::Outcome;
use super::take_in::{ACTION, AGREED};
use crate::base::error::Result;
use crate::base::event::{Event, Resource};
use crate::base::name::{Name, Stage};
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::domain::registry::rollback::last_good;
use crate::domain::registry::table as registry;
use crate::domain::rollout::machine::Phase;
use crate::domain::rollout::table::{self as rollout, Rollout};
use crate::store::check::{self, Entry};
use crate::store::{Tx, View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The action of the event that both were found the same.
const CONFIRMED: &str = "rollback.confirmed";
/// So many rollouts of a model are looked through for one that ended since.
const LOOKED: u32 = 1000;

/// What the newest emergency on a target of a model gave its users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The model.
    pub model: Name,
    /// The target.
    pub target: Name,
    /// The version.
    pub to: Version,
    /// When.
    pub at: Timestamp,
    /// The audit event by which the state knows of it.
    pub event: i64,
    /// False when whoever did it was stopped on the way.
    pub sure: bool,
    /// Whether the registry went with it.
    pub agreed: bool,
}

/// Users of a target that have, or may have, another version than the registry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Apart {
    /// The model.
    pub model: Name,
    /// The target.
    pub target: Name,
    /// What its users have.
    pub has: Version,
    /// False when nobody knows whether they do.
    pub sure: bool,
    /// Since when.
    pub since: Timestamp,
    /// What the registry has in production.
    pub production: Option<Version>,
    /// The version that a rollback would put back.
    pub good: Option<Version>,
}

/// What an event says of it.
#[derive(Deserialize)]
struct Said {
    target: Name,
    to: Version,
    acted: Timestamp,
    ended: Outcome,
    agreed: Option<bool>,
}

impl Given {
    fn read(entry: Entry) -> Option<Self> {
        let said: Said = serde_json::from_value(entry.detail.into()).ok()?;
        Some(Self {
            model: entry.res.name.parse().ok()?,
            target: said.target,
            to: said.to,
            at: said.acted,
            event: entry.seq,
            sure: said.ended == Outcome::Done,
            agreed: said.agreed.unwrap_or(true),
        })
        .filter(|_| !matches!(said.ended, Outcome::Failed(_)))
    }

    /// Whether it still is what users of the target have, as far as the state can tell.
    fn lasts(&self, view: View<'_>) -> Result<bool> {
        let ended = |r: &Rollout| {
            r.event > self.event && r.setup.target == self.target && r.state.phase == Phase::Finished && !r.setup.plan.shadow
        };
        if rollout::newest(view, Some(&self.model), LOOKED)?.iter().any(ended) {
            return Ok(false);
        }
        let confirmed = check::later(view, CONFIRMED, ("model", self.model.as_str()), self.event)?;
        if confirmed.iter().any(|entry| entry.text("target") == Some(self.target.as_str())) {
            return Ok(false);
        }
        let Some(model) = registry::find_model(view, &self.model)? else { return Ok(true) };
        let history = registry::history(view, model.id, u32::MAX)?;
        Ok(!history.iter().any(|c| c.event > self.event && c.to == Stage::Production && c.version == self.to))
    }
}

/// What the newest emergency on each target gave its users.
fn given(view: View<'_>) -> Result<Vec<Given>> {
    let all = check::entries(view, ACTION)?.into_iter().filter_map(Given::read);
    let newest: BTreeMap<_, _> = all.map(|given| ((given.model.clone(), given.target.clone()), given)).collect();
    Ok(newest.into_values().collect())
}

/// Where users have another version than the registry says.
///
/// # Errors
/// When the state cannot be read; as for all below.
pub fn all(view: View<'_>) -> Result<Vec<Apart>> {
    let mut found = Vec::new();
    for given in given(view)?.iter().filter(|given| !given.agreed) {
        if given.lasts(view)? {
            found.push(Apart::of(view, given)?);
        }
    }
    Ok(found)
}

/// What an emergency gave users after a rollout ended, in place of its version.
pub fn after(view: View<'_>, of: &Rollout) -> Result<Option<Given>> {
    let (model, target, version) = (&of.setup.model, &of.setup.target, of.setup.canary.version);
    let taken = |given: &Given| given.model == *model && given.target == *target && given.event > of.event && given.to != version;
    Ok(given(view)?.into_iter().find(taken))
}

/// Records that a target was looked at and shows what the registry says, where the state was in doubt about that.
pub fn confirm(tx: &Tx<'_>, model: &Name, target: &Name, version: Version) -> Result<()> {
    if all(tx.view())?.iter().any(|apart| apart.model == *model && apart.target == *target) {
        let event = Event::new(CONFIRMED, Resource::new("model", model.as_str()));
        tx.record(event.with("target", target.as_str()).with("version", version.to_string()).with(AGREED, true));
    }
    Ok(())
}

impl Apart {
    /// Of what an emergency gave users and the registry did not take.
    pub fn of(view: View<'_>, given: &Given) -> Result<Self> {
        let (mut production, mut good) = (None, None);
        if let Some(model) = registry::find_model(view, &given.model)? {
            let (now, history) = (registry::in_production(view, model.id)?, registry::history(view, model.id, u32::MAX)?);
            good =
                last_good(&history, now.as_ref()).and_then(|id| history.iter().find(|c| c.version_id == id)).map(|c| c.version);
            production = now.map(|v| v.version);
        }
        let Given { model, target, to, sure, at, .. } = given.clone();
        Ok(Self { model, target, has: to, sure, since: at, production, good })
    }

    /// What users have, and what they are to have.
    pub fn words(&self) -> String {
        let Self { model, target, has, since, .. } = self;
        let production = self.production.map_or_else(|| "nothing".to_owned(), |v| v.to_string());
        match self.sure {
            true => {
                format!("{target} gives users {model}@{has} since the emergency at {since}, and {production} is in production")
            }
            false => format!(
                "nobody knows whether {target} gives users {model}@{has} since the emergency at {since}, and {production} is in production"
            ),
        }
    }

    /// What to type.
    pub fn next(&self) -> String {
        let Self { model, target, .. } = self;
        let gives = |version: Option<Version>, which: &str| {
            version.map(|v| format!("`kf rollback {model} --target {target} --to {v}` gives them {which}"))
        };
        let ways = [gives(self.good, "the last good version"), gives(self.production, "the one in production")];
        let ways: Vec<String> = ways.into_iter().flatten().collect();
        match ways.is_empty() {
            true => format!("`kf history {model}` shows what was in production; `kf deploy {model}@VERSION` releases a version"),
            false => ways.join(", "),
        }
    }
}

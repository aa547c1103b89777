//! Whether the backups of a place can be relied on, plan by plan; and the series of what drills measured.

use super::Place;
use super::sets::{Listed, all};
use crate::base::error::Result;
use crate::base::event::Outcome;
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::config::{Backup, BackupPlan};
use crate::domain::audit::entry::Entry;
use crate::domain::audit::query::{self, Filter};
use crate::domain::backup::health::{Alarm, Known, Limits, Measured, alarms};
use crate::release::backup::drill::DRILLED;
use crate::release::backup::run::COMPLETED;
use crate::store::View;
use serde_json::Value;

/// How a plan stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The plan.
    pub plan: Name,
    /// Its sets.
    pub sets: usize,
    /// What is known of them.
    pub known: Known,
    /// What is wrong.
    pub alarms: Vec<Alarm>,
}

/// What is allowed, in milliseconds.
pub fn limits(backup: &Backup) -> Limits {
    let ms = |of: std::time::Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
    Limits { rto_ms: ms(backup.rto), rpo_ms: ms(backup.rpo) }
}

/// How each plan stands.
///
/// # Errors
/// When the place cannot be read.
pub fn standing(place: &Place<'_>, backup: &Backup, now: Timestamp) -> Result<Vec<Standing>> {
    let sets = all(place)?;
    Ok(backup.plans.iter().map(|plan| of_plan(&sets, plan, limits(backup), now)).collect())
}

fn of_plan(sets: &[Listed], plan: &BackupPlan, limits: Limits, now: Timestamp) -> Standing {
    let of: Vec<_> = sets.iter().filter(|set| set.found.as_ref().is_ok_and(|f| f.manifest.plan == plan.name)).collect();
    let proof = of.iter().filter_map(|set| set.proven.as_ref()).max_by_key(|proof| proof.at);
    let known = Known {
        last: of.first().and_then(|set| set.found.as_ref().ok()).map(|found| found.manifest.began),
        proof: proof.map(|proof| Measured { at: proof.at, rto_ms: proof.rto_ms, rpo_ms: proof.rpo_ms }),
    };
    Standing { plan: plan.name.clone(), sets: of.len(), known, alarms: alarms(plan.every, &known, limits, now) }
}

/// Entries of the log that are looked at for the newest of each plan.
const ENTRIES: u64 = 200;

/// How each plan stands as the log of the state tells it, without asking the place; nothing where nothing says where backups go.
///
/// # Errors
/// When the log cannot be read.
pub fn told(view: View<'_>, backup: &Backup, now: Timestamp) -> Result<Vec<Standing>> {
    if backup.place.is_none() {
        return Ok(Vec::new());
    }
    let read = |action: &str, outcome: Outcome| {
        query::log(view, &Filter { action: Some(action.to_owned()), outcome: Some(outcome), ..Filter::default() }, ENTRIES)
    };
    let (made, drilled) = (read(COMPLETED, Outcome::Ok)?, read(DRILLED, Outcome::Ok)?);
    let of = |entry: &Entry, plan: &Name| entry.detail.get("plan").and_then(Value::as_str) == Some(plan.as_str());
    let ms = |entry: &Entry, key: &str| entry.detail.get(key).and_then(Value::as_u64);
    let standing = |plan: &BackupPlan| {
        let newest = made.iter().filter(|entry| of(entry, &plan.name)).map(|entry| entry.at).max();
        let proof = drilled.iter().filter(|entry| of(entry, &plan.name)).max_by_key(|entry| entry.at);
        let measured =
            |entry: &Entry| Some(Measured { at: entry.at, rto_ms: ms(entry, "rto-ms")?, rpo_ms: ms(entry, "rpo-ms")? });
        let known = Known { last: newest, proof: proof.and_then(measured) };
        let sets = made.iter().filter(|entry| of(entry, &plan.name)).count();
        Standing { plan: plan.name.clone(), sets, known, alarms: alarms(plan.every, &known, limits(backup), now) }
    };
    Ok(backup.plans.iter().map(standing).collect())
}

/// What is wrong in one line; `None` when nothing is.
pub fn in_a_line(all: &[Standing]) -> Option<String> {
    let wrong = all.iter().filter_map(|of| Some(format!("{}: {}", of.plan, of.alarms.first()?.words(&of.plan))));
    Some(wrong.collect::<Vec<_>>().join("; ")).filter(|line| !line.is_empty())
}

//! Whether the backups of a place can be relied on, plan by plan; and the series of what drills measured.

use super::Place;
use super::proofs::Proofs;
use super::sets::Sets;
use crate::base::error::Result;
use crate::base::event::Outcome;
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::config::{Backup, BackupPlan};
use crate::domain::audit::entry::Entry;
use crate::domain::audit::query::{self, Filter};
use crate::domain::backup::health::{Alarm, Known, Limits, Measured, alarms, is_ahead};
use crate::domain::backup::manifest::{Manifest, plan_of};
use crate::domain::backup::proof::Proof;
use crate::release::backup::drill::DRILLED;
use crate::release::backup::run::COMPLETED;
use crate::store::View;
use serde_json::Value;
use std::collections::BTreeSet;

/// How a plan stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The plan.
    pub plan: Name,
    /// Its sets.
    pub sets: usize,
    /// What is known of them.
    pub known: Known,
    /// Until when the newest is locked, where the place was asked.
    pub locked_until: Option<Timestamp>,
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
    let (sets, proofs) = (Sets::of(place)?, Proofs::of(place)?);
    backup.plans.iter().map(|plan| of_plan(place, (&sets, &proofs), plan, limits(backup), now)).collect()
}

fn of_plan(
    place: &Place<'_>,
    (sets, proofs): (&Sets<'_>, &Proofs<'_>),
    plan: &BackupPlan,
    limits: Limits,
    now: Timestamp,
) -> Result<Standing> {
    let name = plan.name.as_str();
    let Seen { newest, deleted, unreadable, mut ahead } = newest(sets, place, name, now)?;
    let measured = |proof: Proof| Measured { at: proof.at, rto_ms: proof.rto_ms, rpo_ms: proof.rpo_ms };
    let proof = proven(sets, proofs, name, (now, &mut ahead))?;
    let known = Known { last: newest.as_ref().map(|of| of.began), proof: proof.map(measured) };
    let lock = newest.as_ref().and_then(|of| of.lock);
    let mut alarms = alarms(plan.every, &known, limits, now);
    alarms.extend((plan.lock.is_some() && newest.is_some() && lock.is_none()).then_some(Alarm::Unlocked));
    alarms.extend(deleted.into_iter().map(Alarm::Deleted));
    alarms.extend(ahead.into_iter().map(Alarm::Ahead));
    alarms.extend(unreadable.into_iter().map(Alarm::Unreadable));
    let locked_until = lock.map(|lock| lock.until);
    Ok(Standing { plan: plan.name.clone(), sets: counted(sets, place, name)?, known, locked_until, alarms })
}

/// The most sets of a plan whose manifests are read to count them; of more the names are counted.
const COUNTED: usize = 100;

/// How many sets a plan has.
fn counted(sets: &Sets<'_>, place: &Place<'_>, plan: &str) -> Result<usize> {
    let names = sets.ids().filter(|id| plan_of(id) == Some(plan)).count();
    if names > COUNTED {
        return Ok(names);
    }
    let mut usable = 0;
    for set in sets.newest(Some(plan)) {
        usable += usize::from(set?.usable(place).is_some());
    }
    Ok(usable)
}

/// What is seen on the way to the newest set of a plan.
#[derive(Default)]
struct Seen {
    /// The newest that may be relied on.
    newest: Option<Manifest>,
    /// Those whose manifest somebody deleted, or overwrote since.
    deleted: BTreeSet<String>,
    /// Those whose manifest cannot be read.
    unreadable: BTreeSet<String>,
    /// Those of a time yet to come, which count for nothing.
    ahead: BTreeSet<String>,
}

fn newest(sets: &Sets<'_>, place: &Place<'_>, plan: &str, now: Timestamp) -> Result<Seen> {
    let deleted = sets.hidden().filter(|id| plan_of(id) == Some(plan)).map(str::to_owned).collect();
    let mut seen = Seen { deleted, ..Seen::default() };
    for set in sets.newest(Some(plan)) {
        let set = set?;
        if set.hidden {
            seen.deleted.insert(set.id.clone());
        }
        match (set.usable(place).is_some(), set.is_ahead(now)) {
            (true, true) => drop(seen.ahead.insert(set.id)),
            (true, false) => {
                seen.newest = set.found.ok().map(|found| found.manifest);
                return Ok(seen);
            }
            (false, _) if set.found.is_err() => drop(seen.unreadable.insert(set.id)),
            (false, _) => {}
        }
    }
    Ok(seen)
}

/// The newest drill that found a set of a plan whole, by the manifest that the set has now; sets with one of a time yet to come are added
/// to those that count for nothing.
fn proven(
    sets: &Sets<'_>,
    proofs: &Proofs<'_>,
    plan: &str,
    (now, ahead): (Timestamp, &mut BTreeSet<String>),
) -> Result<Option<Proof>> {
    for proof in proofs.of_plan(plan) {
        let proof = proof?;
        if !proof.passed || sets.digest(&proof.set)? != Some(proof.manifest) {
            continue;
        }
        if !is_ahead(proof.at, now) {
            return Ok(Some(proof));
        }
        ahead.insert(proof.set);
    }
    Ok(None)
}

/// Entries of the log that are looked at for the newest of each plan.
const ENTRIES: u64 = 2000;

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
        let counts = |entry: &&Entry| of(entry, &plan.name) && !is_ahead(entry.at, now);
        let newest = made.iter().filter(counts).map(|entry| entry.at).max();
        let proof = drilled.iter().filter(counts).max_by_key(|entry| entry.at);
        let measured =
            |entry: &Entry| Some(Measured { at: entry.at, rto_ms: ms(entry, "rto-ms")?, rpo_ms: ms(entry, "rpo-ms")? });
        let known = Known { last: newest, proof: proof.and_then(measured) };
        let sets = made.iter().filter(|entry| of(entry, &plan.name)).count();
        let mut alarms = alarms(plan.every, &known, limits(backup), now);
        // The log keeps what a wrong clock said for ever: it is told until something came after it.
        let last = |all: &[Entry]| {
            let last = all.iter().filter(|entry| of(entry, &plan.name)).max_by_key(|entry| entry.index)?;
            is_ahead(last.at, now).then(|| last.resource.name.clone())
        };
        let ahead: BTreeSet<String> = [last(&made), last(&drilled)].into_iter().flatten().collect();
        alarms.extend(ahead.into_iter().map(Alarm::Ahead));
        Standing { plan: plan.name.clone(), sets, known, locked_until: None, alarms }
    };
    Ok(backup.plans.iter().map(standing).collect())
}

/// What is wrong in one line; `None` when nothing is.
pub fn in_a_line(all: &[Standing]) -> Option<String> {
    let wrong = all.iter().filter_map(|of| Some(format!("{}: {}", of.plan, of.alarms.first()?.words(&of.plan))));
    Some(wrong.collect::<Vec<_>>().join("; ")).filter(|line| !line.is_empty())
}

//! Whether the time of a plan has come, given the sets that there are. What was missed is made up for once.
//!
//! A set counts when it has all that the plan has now, and when it is not from the future: a clock that was ahead must not keep anybody
//! from making backups until it is right.

use super::Place;
use super::parts::{Part, Source};
use super::sets::{LOOKED_AT, Sets};
use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::config::{BackupPlan, Every};
use crate::domain::backup::manifest::Manifest;
use crate::store::{Store, log};

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// What the events of backups begin with, which are no change.
pub(super) const OURS: &str = "backup.";

/// Whether a plan is due.
///
/// # Errors
/// When the state cannot be read.
pub fn is_due(store: &Store, place: &Place<'_>, plan: &BackupPlan, parts: &[Part], sets: &Sets<'_>) -> Result<bool> {
    let now = store.now();
    let period = match plan.every {
        Every::Hour => Some(1),
        Every::Day => Some(24),
        Every::Week => Some(168),
        Every::Change => None,
    };
    // A plan of whose newest sets none has all that it has now is due.
    for set in sets.newest(Some(plan.name.as_str())).take(LOOKED_AT) {
        let set = set?;
        let Some(of) = set.usable(place).map(|found| &found.manifest).filter(|of| of.began <= now.plus_micros(HOUR)) else {
            continue;
        };
        let old = period.is_some_and(|period| hours(of.began, now) >= period);
        if old || parts.iter().all(|part| has(of, part)) {
            return if period.is_some() { Ok(old) } else { changed(store, of) };
        }
    }
    Ok(true)
}

fn has(of: &Manifest, part: &Part) -> bool {
    match part.source {
        Source::Artifacts => of.artifacts.is_some(),
        _ => of.components.iter().any(|kept| kept.name == part.name),
    }
}

/// Whether the log tells of anything but backups since a set.
fn changed(store: &Store, last: &Manifest) -> Result<bool> {
    store.read(|view| {
        let head = log::head(view.db())?;
        match &last.log {
            Some(log) if log.origin == head.origin && log.size <= head.frontier.size() => {
                log::others_since(view.db(), log.size, OURS)
            }
            // The set is of another state, or of this one before it was put back.
            Some(_) => Ok(true),
            None => log::others_after(view.db(), last.began, OURS),
        }
    })
}

/// Whole hours, by the hours of the clock: a job that runs each hour finds each plan due in the hour after.
fn hours(since: Timestamp, now: Timestamp) -> i64 {
    let hour = |at: Timestamp| at.micros().div_euclid(HOUR);
    hour(now) - hour(since)
}

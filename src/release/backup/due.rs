//! Whether the time of a plan has come, given the sets that there are. What was missed is made up for once.
//!
//! A set counts when it has all that the plan has now, and when it is not from the future: a clock that was ahead must not keep anybody
//! from making backups until it is right.

use super::Place;
use super::parts::{Part, Source};
use super::sets::Listed;
use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::config::{BackupPlan, Every};
use crate::domain::backup::manifest::Manifest;
use crate::store::{Store, log};

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// What the events of backups begin with, which are no change.
const OURS: &str = "backup.";

/// Whether a plan is due.
///
/// # Errors
/// When the state cannot be read.
pub fn is_due(store: &Store, place: &Place<'_>, plan: &BackupPlan, parts: &[Part], sets: &[Listed]) -> Result<bool> {
    let now = store.now();
    let ours = sets.iter().filter_map(|set| set.usable(place)).map(|found| &found.manifest);
    let whole =
        ours.filter(|of| of.plan == plan.name && of.began <= now.plus_micros(HOUR) && parts.iter().all(|part| has(of, part)));
    let Some(last) = whole.max_by_key(|of| of.began) else { return Ok(true) };
    match plan.every {
        Every::Hour => Ok(hours(last.began, now) >= 1),
        Every::Day => Ok(hours(last.began, now) >= 24),
        Every::Week => Ok(hours(last.began, now) >= 168),
        Every::Change => changed(store, last),
    }
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

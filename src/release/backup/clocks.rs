//! Whether the clocks can be believed before something is removed because it is old.
//!
//! A set is old by the times in the manifests. Three things tell whether those are right: the clock here, the times at which the place
//! got the manifests, and the audit log, which only grows. A clock that jumped ahead makes everything old at once: that is asked about,
//! too, since after it no witness may be left.

use super::Place;
use super::sets::Listed;
use crate::base::error::Error;
use crate::base::time::Timestamp;
pub(super) use crate::domain::backup::health::APART;
use crate::domain::backup::manifest::Found;
use std::collections::{BTreeMap, BTreeSet};

/// A time without a backup after which it is asked whether the clock jumped.
const JUMP: i64 = 7 * APART;

/// What the clocks say against removing what is to go; `None` when they agree.
pub(super) fn wrong(place: &Place<'_>, sets: &[Listed], gone: &BTreeSet<&str>, now: Timestamp) -> Option<String> {
    let known: Vec<(&Listed, &Found)> = sets.iter().filter_map(|set| Some((set, set.usable(place)?))).collect();
    let wrong = future(&known, now).or_else(|| {
        let mut plans: BTreeMap<&str, Vec<(&Listed, &Found)>> = BTreeMap::new();
        for (set, found) in &known {
            plans.entry(found.manifest.plan.as_str()).or_default().push((set, found));
        }
        plans.values().find_map(|of| witnessed(of, gone).or_else(|| jumped(of, gone)))
    });
    wrong.or_else(|| disordered(&known, gone))
}

/// The same as an error, with what to do.
pub(super) fn told(why: &str) -> Error {
    Error::new(why)
        .hint("nothing was removed; set the clock right, here or where the backups are")
        .hint("when it is right: `kf backup prune --apply --clock-is-right`")
}

fn future(known: &[(&Listed, &Found)], now: Timestamp) -> Option<String> {
    let (set, found) = known.iter().find(|(_, found)| found.manifest.began > now.plus_micros(APART))?;
    Some(format!("the clock says {now}, and the backup set {} was begun at {}", set.id, found.manifest.began))
}

/// The place got a set much later, compared with the newest, than its manifest says.
fn witnessed(of: &[(&Listed, &Found)], gone: &BTreeSet<&str>) -> Option<String> {
    let (newest, last) = of.iter().max_by_key(|(_, found)| found.manifest.ended)?;
    let (set, found) = of.iter().filter(|(set, _)| gone.contains(set.id.as_str())).find(|(set, found)| {
        let by_manifest = last.manifest.ended.micros() - found.manifest.ended.micros();
        let by_place = newest.since.micros() - set.since.micros();
        by_manifest > by_place.saturating_add(APART)
    })?;
    Some(format!(
        "by its manifest the backup set {} is of {}, {} of {}; their place got them at {} and {}",
        set.id, found.manifest.ended, newest.id, last.manifest.ended, set.since, newest.since
    ))
}

/// Most sets of a plan would go at once, because of a long time without any.
fn jumped(of: &[(&Listed, &Found)], gone: &BTreeSet<&str>) -> Option<String> {
    let goes = |set: &&(&Listed, &Found)| gone.contains(set.0.id.as_str());
    let going = of.iter().filter(goes).count();
    let newest = of.iter().filter(goes).map(|(_, found)| found.manifest.began).max()?;
    let next = of.iter().map(|(_, found)| found.manifest.began).filter(|began| *began > newest).min()?;
    let most = going >= 2 && going * 2 >= of.len();
    (most && next.micros() - newest.micros() > JUMP).then(|| {
        format!(
            "{going} of {} backup sets would go at once, since there is none between {newest} and {next}: did the clock jump?",
            of.len()
        )
    })
}

/// A set that goes was made after one that says it is younger: the log, which only grows, was longer by then.
fn disordered(known: &[(&Listed, &Found)], gone: &BTreeSet<&str>) -> Option<String> {
    for (set, found) in known.iter().filter(|(set, _)| gone.contains(set.id.as_str())) {
        let Some(log) = &found.manifest.log else { continue };
        let earlier = known.iter().find(|(_, other)| {
            let shorter = other.manifest.log.as_ref().is_some_and(|o| o.origin == log.origin && o.size < log.size);
            shorter && other.manifest.began > found.manifest.began.plus_micros(APART)
        });
        if let Some((other, _)) = earlier {
            return Some(format!("the backup set {} was made after {}, and says that it is older", set.id, other.id));
        }
    }
    None
}

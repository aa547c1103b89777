//! Locks of sets: every object that a set names is locked before its manifest is there, and the manifest from its first moment on.
//!
//! Whether a place keeps locks is tried, not believed: something is locked, and then to be removed.

use super::sets::{LOOKED_AT, Sets};
use super::{Place, mirror};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::name::words;
use crate::base::time::Timestamp;
use crate::config::BackupLock as Asked;
use crate::domain::backup::manifest::{Lock, Manifest, SETS};
use crate::release::parallel;
use crate::store::Store;
use crate::store::objects::lock::{LockMode, Of, Probe, Retention};
use serde::Serialize;
use std::collections::BTreeSet;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// Objects are locked longer than the set by this part of its lock, and at least a day: the next sets need not lock them again.
const SPARE: u32 = 50;
/// What is told where a lock does not stop who is in no hurry.
const SHORTENED: &str =
    "what is locked cannot be removed, but its lock can be shortened: whoever has these credentials removes it in two steps";
/// The folder of what is locked to try.
const TRIALS: &str = "trials";

/// Whether locks hold in a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worm {
    /// What was found, in a word.
    pub verdict: Verdict,
    /// The same for people.
    pub found: String,
}

words! {
    /// Whether locks hold.
    Verdict, "verdict on locks" {
        /// What is locked cannot be removed.
        Enforced = "enforced",
        /// What was locked could be removed.
        NotEnforced = "not-enforced",
        /// Nothing can be locked.
        NoLocks = "no-locks",
    }
}

/// Tries whether locks of this mode hold.
///
/// # Errors
/// When the place cannot be asked.
pub fn probe(store: &Store, place: &Place<'_>, mode: LockMode) -> Result<Worm> {
    let name = format!("{TRIALS}/{}", crate::domain::backup::manifest::stamp(store.now(), &store.random().bytes()));
    let told = |verdict, found: &str| Worm { verdict, found: found.to_owned() };
    Ok(match place.objects.probe_locks(&name, mode)? {
        Probe::Enforced { shortened: false } => told(Verdict::Enforced, "what is locked cannot be removed"),
        Probe::Enforced { shortened: true } => told(Verdict::Enforced, SHORTENED),
        Probe::NotEnforced => told(Verdict::NotEnforced, "WORM is not enforced here: what was locked could be removed"),
        Probe::NoLocks(why) => told(Verdict::NoLocks, &format!("this place has no locks: {why}")),
    })
}

/// The lock of a set that is made now.
pub(super) fn asked(of: Asked, began: Timestamp) -> Lock {
    let after = |days: u32| Retention::until(of.mode, began.plus_micros(i64::from(days) * DAY)).until;
    let spare = (of.days / SPARE).max(1);
    Lock { mode: of.mode, until: after(of.days), objects: after(of.days.saturating_add(spare)) }
}

/// Locks all that a set names. What an earlier set had locked for long enough is not asked for again.
///
/// # Errors
/// When something cannot be locked.
pub(super) fn hold(place: &Place<'_>, of: &Manifest, lock: Lock, sets: &Sets<'_>) -> Result<Lock> {
    let (mut known, mut locked) = (lock.objects, BTreeSet::new());
    for set in sets.newest(Some(of.plan.as_str())).take(LOOKED_AT) {
        let set = set?;
        let Some(earlier) = set.usable(place).map(|found| &found.manifest) else { continue };
        let long = earlier.lock.filter(|earlier| earlier.mode >= lock.mode && earlier.objects >= lock.until);
        if let (Some(long), Ok(named)) = (long, named(place, earlier)) {
            (known, locked) = (long.objects, named);
            break;
        }
    }
    let all = named(place, of)?;
    let missing: Vec<Digest> = all.difference(&locked).copied().collect();
    let wanted = Retention { mode: lock.mode, until: lock.objects };
    let mut failed = None;
    let one = |object: &Digest| place.objects.retain(Of::Object(object), wanted);
    parallel::each(&missing, place.jobs, &one, &mut |_, got, _| {
        if let Err(e) = got {
            failed = failed.take().or(Some(e));
        }
    });
    match failed {
        Some(e) => Err(e).context(|| "cannot lock the objects of the set"),
        // Those that were left alone are locked as long as the earlier set says.
        None => Ok(Lock { objects: lock.objects.min(known), ..lock }),
    }
}

/// Every object that a set names.
fn named(place: &Place<'_>, of: &Manifest) -> Result<BTreeSet<Digest>> {
    let mut all: BTreeSet<Digest> = of.components.iter().map(|part| part.stored.object).collect();
    if let Some(artifacts) = &of.artifacts {
        all.insert(artifacts.index);
        all.extend(mirror::index(place.objects, artifacts)?.values().map(|stream| stream.object));
    }
    Ok(all)
}

/// What of a set is locked for a shorter time than its manifest says, each in words.
///
/// # Errors
/// When the place cannot be asked.
pub fn shorter(place: &Place<'_>, of: &Manifest) -> Result<Vec<String>> {
    let Some(lock) = of.lock.filter(|_| place.objects.lockable()) else { return Ok(Vec::new()) };
    let manifest = format!("{SETS}/{}", of.id);
    let mut wrong: Vec<String> =
        told("the manifest", place.objects.retained(Of::Name(&manifest))?, lock.retention()).into_iter().collect();
    // A list that cannot be read is told by whoever reads it; the components are looked at all the same.
    let components = || of.components.iter().map(|part| part.stored.object).collect();
    let objects: Vec<Digest> = named(place, of).unwrap_or_else(|_| components()).into_iter().collect();
    let wanted = Retention { mode: lock.mode, until: lock.until };
    let mut failed = None;
    let one = |object: &Digest| place.objects.retained(Of::Object(object));
    parallel::each(&objects, place.jobs, &one, &mut |object, got, _| match got {
        Ok(got) => wrong.extend(told(&format!("object {object}"), got, wanted)),
        Err(e) => failed = failed.take().or(Some(e)),
    });
    failed.map_or(Ok(wrong), Err)
}

fn told(what: &str, got: Option<Retention>, wanted: Retention) -> Option<String> {
    match got {
        None => Some(format!("{what}: it is not locked, and should be until {}", wanted.until)),
        Some(got) if got.until < wanted.until => {
            Some(format!("{what}: it is locked until {}, and should be until {}", got.until, wanted.until))
        }
        Some(got) if got.mode < wanted.mode => {
            Some(format!("{what}: its lock is one of {}, and should be one of {}", got.mode, wanted.mode))
        }
        Some(_) => None,
    }
}

//! Removes the sets that no rule of their plan keeps, and what nobody names any more.
//!
//! Nothing is removed on the word of one clock: see `clocks`. Sets that nobody known here signed decide nothing and are not
//! removed, and what is locked is not tried. Objects that came within a day stay: a set that somebody with another state is just making
//! names them last.

use super::clocks;
use super::sets::{Listed, SAFETY, all};
use super::{Place, mirror, scratch as own};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::config::BackupPlan;
use crate::domain::backup::manifest::SETS;
use crate::domain::backup::retention::{Fate, Keep, Kept, decide};
use crate::store::Store;
use crate::store::lock::{Hold, Lock, Matter};
use crate::store::objects::lock::Of;
use std::collections::BTreeSet;

/// Temporaries in a place that are older than an hour are nobody's.
const HOUR: i64 = 3_600_000_000;

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Remove what goes, instead of only telling it.
    pub remove: bool,
    /// Somebody made sure that the clocks are right.
    pub clock_is_right: bool,
}

/// What becomes of each set.
#[derive(Debug)]
pub struct Pruned {
    /// Every set with why it is kept; one without a reason goes.
    pub sets: Vec<(Name, Fate)>,
    /// Sets that nothing is said about, each with why.
    pub left: Vec<(String, String)>,
    /// Objects that no set names any more, and their bytes.
    pub objects: u64,
    /// The bytes of those.
    pub bytes: u64,
    /// True when they were removed.
    pub done: bool,
    /// Why nothing can be removed now: somebody's clock is wrong.
    pub clock: Option<String>,
    /// Sets because of which no object goes, each with why: nobody knows what they need.
    pub held: Vec<(String, String)>,
}

/// Which sets go, and with `how.remove` their removal.
///
/// # Errors
/// When a clock is wrong, or the place cannot be read or written.
pub fn prune(store: &Store, place: &Place<'_>, plans: &[BackupPlan], how: How, waiting: &mut dyn FnMut(&str)) -> Result<Pruned> {
    let remove = how.remove && !store.is_dry_run();
    // Who only looks waits for nobody.
    let lock = || store.lock(Matter::Backup, Hold::Alone, "backup prune", waiting);
    let alone = remove.then(lock).transpose()?;
    let sets = all(place)?;
    let (mut fates, left) = fates(place, &sets, plans, store);
    locked(place, &sets, &mut fates, store)?;
    let gone: BTreeSet<&str> = fates.iter().filter(|(_, fate)| fate.goes()).map(|(_, fate)| fate.id.as_str()).collect();
    let clock = clocks::wrong(place, &sets, &gone, store.now()).filter(|_| !how.clock_is_right);
    if let Some(why) = clock.as_ref().filter(|_| remove) {
        return Err(clocks::told(why));
    }
    let Unnamed { objects, bytes, held } = unnamed(place, &sets, &gone, store.now())?;
    let mut pruned = Pruned { objects: objects.len() as u64, bytes, done: remove, sets: Vec::new(), left, clock, held };
    if pruned.done {
        own::sweep(place.scratch)?;
        place.objects.sweep_temporaries(store.now().plus_micros(-HOUR))?;
    }
    if pruned.done && (!gone.is_empty() || !objects.is_empty()) {
        alone.iter().try_for_each(Lock::check)?;
        for id in &gone {
            remove_manifest(place, id)?;
        }
        remove_objects(place, &objects, store)?;
        let removed: Vec<&str> = gone.iter().copied().collect();
        let event = Event::new("backup.pruned", Resource::new("backup", place.objects.describe()));
        store.write(|tx| Ok(tx.record(event.with("sets", removed).with("objects", pruned.objects).with("bytes", bytes))))?;
    }
    pruned.sets = fates;
    Ok(pruned)
}

fn remove_manifest(place: &Place<'_>, id: &str) -> Result<()> {
    let name = format!("{SETS}/{id}");
    if !place.objects.lockable() {
        return place.objects.unpublish(&name);
    }
    if place.objects.expunge(Of::Name(&name))? {
        return Ok(());
    }
    Err(Error::new(format!("the backup set {id} is still locked by its place, and its lock has ended by the clock here"))
        .hint("nothing of it was removed; set the clock right, here or where the backups are"))
}

fn remove_objects(place: &Place<'_>, objects: &[Digest], store: &Store) -> Result<()> {
    for object in objects {
        match place.objects.lockable() {
            // One that is locked stays: a later run removes it.
            true => drop(place.objects.expunge(Of::Object(object))?),
            false => drop(place.objects.trash(object, store.now())?),
        }
    }
    if !place.objects.lockable() {
        place.objects.empty_trash(store.now().plus_micros(1))?;
    }
    Ok(())
}

type Fates = (Vec<(Name, Fate)>, Vec<(String, String)>);

/// Each plan by its own rules; a set whose plan nobody knows any more, or whose manifest nobody can read or vouch for, stays. So does one
/// from the future: which of the clocks is wrong is not for kf to say.
fn fates(place: &Place<'_>, sets: &[Listed], plans: &[BackupPlan], store: &Store) -> Fates {
    let (mut fates, mut left) = (Vec::new(), Vec::new());
    let latest = store.now().plus_micros(clocks::APART);
    for set in sets {
        let why = match &set.found {
            Err(e) => e.to_string(),
            Ok(found) if !place.trusts(found) => "no key that is known here signed it".to_owned(),
            Ok(found) if found.manifest.began > latest => {
                format!("it was begun at {}, which is yet to come", found.manifest.began)
            }
            Ok(found) if plans.iter().any(|plan| plan.name == found.manifest.plan) => continue,
            Ok(found) if found.manifest.plan.as_str() == SAFETY => {
                "what was there before a restore; `[backup.plans.safety]` in mlops.toml would say how long it is kept".to_owned()
            }
            Ok(found) => {
                format!("mlops.toml has no plan `{}`", found.manifest.plan)
            }
        };
        left.push((set.id.clone(), why));
    }
    for plan in plans {
        let of = |set: &Listed| {
            let found = set.usable(place).filter(|found| found.manifest.plan == plan.name && found.manifest.began <= latest)?;
            Some(Kept { id: set.id.clone(), at: found.manifest.began, proven: set.proven.is_some() })
        };
        let kept: Vec<Kept> = sets.iter().filter_map(of).collect();
        fates.extend(decide(&kept, &keep(plan)).into_iter().map(|fate| (plan.name.clone(), fate)));
    }
    (fates, left)
}

/// What no rule keeps stays as long as it is locked: by its manifest, or by what the place says.
fn locked(place: &Place<'_>, sets: &[Listed], fates: &mut [(Name, Fate)], store: &Store) -> Result<()> {
    for (_, fate) in fates.iter_mut().filter(|(_, fate)| fate.goes()) {
        let manifest = sets.iter().find(|set| set.id == fate.id).and_then(|set| set.found.as_ref().ok());
        let mut until = manifest.and_then(|found| found.manifest.lock).map(|lock| lock.until);
        if place.objects.lockable() {
            let told = place.objects.retained(Of::Name(&format!("{SETS}/{}", fate.id)))?;
            until = until.max(told.map(|lock| lock.until));
        }
        if let Some(until) = until.filter(|until| *until > store.now()) {
            fate.because.push(format!("locked until {until}"));
        }
    }
    Ok(())
}

/// The rules of a plan.
pub fn keep(plan: &BackupPlan) -> Keep {
    let [hourly, daily, weekly, monthly, yearly] = plan.keep_of;
    Keep { forever: plan.keep_forever, days: plan.keep_days, last: plan.keep_last, hourly, daily, weekly, monthly, yearly }
}

/// What no set names that stays.
#[derive(Default)]
struct Unnamed {
    objects: Vec<Digest>,
    bytes: u64,
    held: Vec<(String, String)>,
}

/// The objects that only sets name which go, or none at all: while there is a set that cannot be read nobody knows what it needs. What came
/// within a day, by the times of the place, is spared, since the set that names it may be on its way.
fn unnamed(place: &Place<'_>, sets: &[Listed], gone: &BTreeSet<&str>, now: Timestamp) -> Result<Unnamed> {
    let (mut named, mut held) = (BTreeSet::new(), Vec::new());
    for set in sets.iter().filter(|set| !gone.contains(set.id.as_str())) {
        match &set.found {
            Err(e) => held.push((set.id.clone(), e.chain().join(": "))),
            Ok(found) => {
                named.extend(found.manifest.components.iter().map(|part| part.stored.object));
                let Some(all) = &found.manifest.artifacts else { continue };
                named.insert(all.index);
                match mirror::index(place.objects, all) {
                    Ok(index) => named.extend(index.values().map(|stream| stream.object)),
                    Err(e) => held.push((set.id.clone(), e.chain().join(": "))),
                }
            }
        }
    }
    if !held.is_empty() {
        return Ok(Unnamed { held, ..Unnamed::default() });
    }
    let mut found: Vec<(Digest, u64, Timestamp)> = Vec::new();
    let mut newest = sets.iter().map(|set| set.since).max();
    place.objects.list(&mut |digest, size, since| {
        newest = newest.max(Some(since));
        if !named.contains(&digest) {
            found.push((digest, size, since));
        }
        Ok(())
    })?;
    // A clock here that is ahead makes nothing old, and one that is behind makes everything young.
    let young = newest.map_or(now, |newest| newest.min(now)).plus_micros(-clocks::APART);
    found.retain(|(_, _, since)| *since <= young);
    let bytes = found.iter().map(|(_, size, _)| size).sum();
    Ok(Unnamed { objects: found.into_iter().map(|(digest, ..)| digest).collect(), bytes, held })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::objects::Objects;
    use std::time::{Duration, SystemTime};

    /// Whoever prunes with another state holds another lock: what a set on its way has brought already must be left to it.
    #[test]
    fn what_came_within_a_day_is_left_whatever_the_clock_here_says() {
        let dir = tempfile::tempdir().expect("a folder");
        let objects = Objects::files(&dir.path().join("place")).expect("a place");
        let place =
            Place { objects: &objects, scratch: dir.path(), signer: None, known: &[], identities: None, jobs: 1, now: at(0) };
        let day = 24 * 60;
        // Minutes since something: when each was stored.
        let stored = [(&b"old"[..], 0), (b"a day before the newest", 9 * day), (b"young", 9 * day + 1), (b"newest", 10 * day)];
        let digests: Vec<Digest> = stored
            .iter()
            .map(|(bytes, minutes)| {
                let digest = objects.put_bytes(bytes).expect("stored").digest;
                let path = dir.path().join("place/sha256").join(&digest.hex()[..2]).join(&digest.hex()[2..]);
                let since = SystemTime::UNIX_EPOCH + Duration::from_micros(at(*minutes).micros().unsigned_abs());
                std::fs::File::open(path).and_then(|file| file.set_modified(since)).expect("dated");
                digest
            })
            .collect();
        let goes = |now: i64| -> BTreeSet<Digest> {
            unnamed(&place, &[], &BTreeSet::new(), at(now)).expect("read").objects.into_iter().collect()
        };
        let old: BTreeSet<Digest> = digests[..2].iter().copied().collect();
        assert_eq!(goes(10 * day), old);
        assert_eq!(goes(3650 * day), old, "the clock is ahead");
        assert_eq!(goes(day), BTreeSet::from([digests[0]]), "the clock is behind");
        assert_eq!(goes(0), BTreeSet::new());
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + minutes * 60_000_000)
    }
}

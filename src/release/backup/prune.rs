//! Removes the sets that no rule of their plan keeps, and what nobody names any more.
//!
//! Nothing is removed on the word of one clock: a set is old by the times in the manifests, and where the place's own times tell another
//! story, or the clock here is behind the newest set, somebody's clock is wrong and nothing goes.

use super::sets::{Listed, all, is_safety};
use super::{Place, mirror};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::config::BackupPlan;
use crate::domain::backup::manifest::SETS;
use crate::domain::backup::retention::{Fate, Keep, Kept, decide};
use crate::store::Store;
use crate::store::lock::{Hold, Matter};
use std::collections::BTreeSet;

/// How far the place's time of a manifest may be from its own.
const APART: i64 = 24 * 3_600_000_000;

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
}

/// Which sets go, and with `remove` their removal.
///
/// # Errors
/// When a clock is wrong, or the place cannot be read or written.
pub fn prune(store: &Store, place: &Place<'_>, plans: &[BackupPlan], remove: bool, waiting: &mut dyn FnMut(&str)) -> Result<Pruned> {
    let _alone = store.lock(Matter::Backup, Hold::Alone, "backup prune", waiting)?;
    let sets = all(place)?;
    clocks_agree(&sets, store.now())?;
    let (fates, left) = fates(&sets, plans);
    let gone: BTreeSet<&str> = fates.iter().filter(|(_, fate)| fate.goes()).map(|(_, fate)| fate.id.as_str()).collect();
    let (objects, bytes) = unnamed(place, &sets, &gone)?;
    let mut pruned =
        Pruned { objects: objects.len() as u64, bytes, done: remove && !store.is_dry_run(), sets: Vec::new(), left };
    if pruned.done && (!gone.is_empty() || !objects.is_empty()) {
        for id in &gone {
            place.objects.unpublish(&format!("{SETS}/{id}"))?;
        }
        for object in &objects {
            place.objects.trash(object, store.now())?;
        }
        place.objects.empty_trash(store.now().plus_micros(1))?;
        let removed: Vec<&str> = gone.iter().copied().collect();
        let event = Event::new("backup.pruned", Resource::new("backup", place.objects.describe()));
        store.write(|tx| Ok(tx.record(event.with("sets", removed).with("objects", pruned.objects).with("bytes", bytes))))?;
    }
    pruned.sets = fates;
    Ok(pruned)
}

fn clocks_agree(sets: &[Listed], now: Timestamp) -> Result<()> {
    let hint = "nothing was removed; set the clock right, here or where the backups are";
    for set in sets {
        let Ok(found) = &set.found else { continue };
        let began = found.manifest.began;
        if began > now.plus_micros(APART) {
            return Err(Error::new(format!("the clock says {now}, and the backup set {} was begun at {began}", set.id)).hint(hint));
        }
        if (set.since.micros() - found.manifest.ended.micros()).abs() > APART {
            let what = format!("the backup set {} says {}, and its place got it at {}", set.id, found.manifest.ended, set.since);
            return Err(Error::new(what).hint(hint));
        }
    }
    Ok(())
}

type Fates = (Vec<(Name, Fate)>, Vec<(String, String)>);

/// Each plan by its own rules; a set whose plan nobody knows any more, or whose manifest nobody can read, stays.
fn fates(sets: &[Listed], plans: &[BackupPlan]) -> Fates {
    let (mut fates, mut left) = (Vec::new(), Vec::new());
    for set in sets {
        match &set.found {
            Err(e) => left.push((set.id.clone(), e.to_string())),
            Ok(found) if !plans.iter().any(|plan| plan.name == found.manifest.plan) => {
                let why = match is_safety(found) {
                    true => "what was there before a restore; `[backup.plans.safety]` in mlops.toml would say how long it is kept".to_owned(),
                    false => format!("mlops.toml has no plan `{}`", found.manifest.plan),
                };
                left.push((set.id.clone(), why));
            }
            Ok(_) => {}
        }
    }
    for plan in plans {
        let of = |set: &Listed| {
            let found = set.found.as_ref().ok().filter(|found| found.manifest.plan == plan.name)?;
            Some(Kept { id: set.id.clone(), at: found.manifest.began, proven: set.proven.is_some() })
        };
        let kept: Vec<Kept> = sets.iter().filter_map(of).collect();
        fates.extend(decide(&kept, &keep(plan)).into_iter().map(|fate| (plan.name.clone(), fate)));
    }
    (fates, left)
}

/// The rules of a plan.
pub fn keep(plan: &BackupPlan) -> Keep {
    let [hourly, daily, weekly, monthly, yearly] = plan.keep_of;
    Keep { forever: plan.keep_forever, days: plan.keep_days, last: plan.keep_last, hourly, daily, weekly, monthly, yearly }
}

/// The objects that only sets name which go, or none at all. While there is a set that cannot be read nobody knows what it needs.
fn unnamed(place: &Place<'_>, sets: &[Listed], gone: &BTreeSet<&str>) -> Result<(Vec<Digest>, u64)> {
    let mut named = BTreeSet::new();
    for set in sets.iter().filter(|set| !gone.contains(set.id.as_str())) {
        let Ok(found) = &set.found else { return Ok((Vec::new(), 0)) };
        named.extend(found.manifest.components.iter().map(|part| part.stored.object));
        if let Some(all) = &found.manifest.artifacts {
            named.insert(all.index);
            match mirror::index(place.objects, all) {
                Ok(index) => named.extend(index.values().map(|stream| stream.object)),
                Err(_) => return Ok((Vec::new(), 0)),
            }
        }
    }
    let (mut objects, mut bytes) = (Vec::new(), 0);
    place.objects.list(&mut |digest, size, _| {
        if !named.contains(&digest) {
            objects.push(digest);
            bytes += size;
        }
        Ok(())
    })?;
    Ok((objects, bytes))
}

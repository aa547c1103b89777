//! The sets of a place, by their manifests.
//!
//! A place may have sixty thousand sets: seven years of hours. So the names are listed, which is cheap, and a manifest is read when it is
//! asked for; only what needs all of them reads all, several at a time.

use super::Place;
use super::proofs::Proofs;
use crate::base::digest::Digest;
use crate::base::error::{Error, Kind, Result};
use crate::base::random::Random;
use crate::base::text::did_you_mean;
use crate::base::time::Timestamp;
use crate::domain::backup::health::is_ahead;
use crate::domain::backup::manifest::{Found, Manifest, SETS, is_id, plan_of};
use crate::domain::backup::proof::Proof;
use crate::release::parallel;
use std::collections::{BTreeMap, BTreeSet};

/// Manifests that are read at once: an object store answers each after a while.
const READERS: usize = 16;

/// The newest sets of a plan that are looked at for what a new one need not do again.
pub(super) const LOOKED_AT: usize = 100;

/// A set, or what is in the place of its manifest.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// When the place got the manifest, by its own clock.
    pub since: Timestamp,
    /// The manifest; why there is none that can be read.
    pub found: std::result::Result<Found, Error>,
    /// The newest drill that restored it and found all right; known of [`all`] only.
    pub proven: Option<Proof>,
    /// True when somebody deleted or overwrote its manifest, and what is locked is still there.
    pub hidden: bool,
}

impl Listed {
    /// What orders sets of one second: when they were begun. Those that cannot be read are taken for the newest.
    fn began(&self) -> (bool, Option<Timestamp>) {
        (self.found.is_err(), self.found.as_ref().ok().map(|found| found.manifest.began))
    }

    /// Whether it is of a time that is yet to come: its clock, or the one here, was wrong.
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        self.found.as_ref().is_ok_and(|found| is_ahead(found.manifest.began, now))
    }

    /// The manifest, when it is one that may be relied on: where this host knows keys, one of them signed it. Whoever can write in the
    /// place could put a set there otherwise, as it is encrypted for public keys.
    pub fn usable(&self, place: &Place<'_>) -> Option<&Found> {
        self.found.as_ref().ok().filter(|found| place.trusts(found))
    }
}

/// The part of a name that tells the second.
fn second(id: &str) -> &str {
    id.split_once('-').map_or(id, |(second, _)| second)
}

/// The names of the sets of a place.
pub struct Sets<'a> {
    place: &'a Place<'a>,
    /// The newest first, each with when the place got it.
    names: Vec<(String, Timestamp)>,
    hidden: BTreeSet<String>,
}

impl<'a> Sets<'a> {
    /// Lists them.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn of(place: &'a Place<'a>) -> Result<Self> {
        let mut names = place.objects.names(SETS)?;
        // What a file manager or a sync left there is no set, and holds nothing back.
        names.retain(|(name, _)| is_id(name));
        names.sort_by(|a, b| b.cmp(a));
        Ok(Self { place, names, hidden: place.objects.hidden(SETS)?.into_iter().collect() })
    }

    /// The names, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(|(id, _)| id.as_str())
    }

    /// Names of sets that somebody deleted, and that are still there because they are locked.
    pub fn hidden(&self) -> impl Iterator<Item = &str> {
        self.hidden.iter().map(String::as_str)
    }

    /// The sets of a plan, or all, the newest first: each is read when it is its turn. Names tell the second; of those of one second all are
    /// read, since only their manifests tell which came first.
    pub fn newest<'s>(&'s self, plan: Option<&'s str>) -> impl Iterator<Item = Result<Listed>> + 's {
        let seconds = self.names.chunk_by(|(a, _), (b, _)| second(a) == second(b));
        seconds.flat_map(move |of| {
            let of = of.iter().filter(|(id, _)| plan.is_none() || plan_of(id) == plan);
            let mut sets: Vec<Result<Listed>> = of.filter_map(|name| self.read(name).transpose()).collect();
            sets.sort_by_key(|set| std::cmp::Reverse(set.as_ref().map_or((true, None), Listed::began)));
            sets
        })
    }

    /// The newest set of a plan, or of all, that may be relied on.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn newest_usable(&self, plan: Option<&str>) -> Result<Option<Found>> {
        for set in self.newest(plan) {
            let set = set?;
            if set.usable(self.place).is_some() {
                return set.found.map(Some);
            }
        }
        Ok(None)
    }

    /// The digest of the manifest of a set; `None` when there is none that can be read.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn digest(&self, id: &str) -> Result<Option<Digest>> {
        let Some(name) = self.names.iter().find(|(of, _)| of == id) else { return Ok(None) };
        Ok(self.read(name)?.and_then(|set| set.found.ok()).map(|found| found.digest))
    }

    /// A set; `None` when it is gone meanwhile.
    fn read(&self, (id, since): &(String, Timestamp)) -> Result<Option<Listed>> {
        let (place, name) = (self.place, format!("{SETS}/{id}"));
        let Some(bytes) = place.objects.published(&name)? else { return Ok(None) };
        let mut found = Manifest::read(id, &bytes, place.known);
        let mut hidden = self.hidden.contains(id);
        if place.objects.lockable() && !found.as_ref().is_ok_and(|found| place.trusts(found)) {
            let older = place.objects.older(&name)?;
            let mut before = older.iter().filter_map(|bytes| Manifest::read(id, bytes, place.known).ok());
            if let Some(before) = before.find(|found| place.trusts(found)) {
                (found, hidden) = (Ok(before), true);
            }
        }
        Ok(Some(Listed { id: id.clone(), since: *since, found, proven: None, hidden }))
    }
}

/// The newest so many sets, the newest first, with what proves them.
///
/// # Errors
/// When the place cannot be read.
pub fn some(place: &Place<'_>, most: usize) -> Result<Vec<Listed>> {
    let sets = Sets::of(place)?;
    let wanted = &sets.names[..sets.names.len().min(most)];
    let (mut all, mut failed) = (BTreeMap::new(), None);
    parallel::each(wanted, place.jobs.max(READERS), &|name| sets.read(name), &mut |_, set, _| match set {
        Ok(set) => all.extend(set.map(|set| (set.id.clone(), set))),
        Err(e) => failed = failed.take().or(Some(e)),
    });
    if let Some(e) = failed {
        return Err(e);
    }
    let proofs = Proofs::of(place)?;
    let mut all: Vec<Listed> = all.into_values().rev().collect();
    all.sort_by(|a, b| (second(&b.id), b.began()).cmp(&(second(&a.id), a.began())));
    for set in &mut all {
        if let Ok(found) = &set.found {
            set.proven = proofs.of_set(&set.id, &found.digest)?;
        }
    }
    Ok(all)
}

/// All sets, the newest first, with what proves them.
///
/// # Errors
/// When the place cannot be read.
pub fn all(place: &Place<'_>) -> Result<Vec<Listed>> {
    some(place, usize::MAX)
}

/// The plan of the sets of what a restore or a load replaced. No plan of `mlops.toml` removes them.
pub const SAFETY: &str = "safety";

/// The most sets that are looked at for the latest one.
const LATEST: usize = 1000;

/// Is told in words what was passed over, and why.
pub type Told<'a> = &'a mut dyn FnMut(&str);

/// The set of a name, or of the beginning of one, that may be relied on. `latest` is the newest that has this component, as an hourly set of
/// one thing is not the latest of another; what was kept before it was replaced is it only where there is nothing else. With `unsigned`
/// any will do.
///
/// # Errors
/// When there is none, its manifest cannot be read, or nobody who is known here signed it. What `latest` passes over is told.
pub fn trusted(place: &Place<'_>, named: &str, component: &str, unsigned: bool, told: Told<'_>) -> Result<Found> {
    let found = one(place, named, component, unsigned, told)?;
    if unsigned || place.trusts(&found) {
        return Ok(found);
    }
    let what = format!(
        "no key that is known here signed the backup set {}: anybody who can write there may have made it",
        found.manifest.id
    );
    Err(Error::of(Kind::Broken, what).hint("take one that is signed (`kf backup list`), or this one all the same: `--unsigned`"))
}

/// The same to look at, whoever signed it; `latest` is the newest with the state.
///
/// # Errors
/// When there is none, or its manifest cannot be read.
pub fn find(place: &Place<'_>, named: &str, told: Told<'_>) -> Result<Found> {
    one(place, named, STATE, true, told)
}

/// The component that the latest set has, unless another is asked for.
pub const STATE: &str = "state";

fn one(place: &Place<'_>, named: &str, component: &str, unsigned: bool, told: Told<'_>) -> Result<Found> {
    let sets = Sets::of(place)?;
    let none = || {
        let hint = did_you_mean(named, sets.ids());
        let hint = hint.unwrap_or_else(|| "`kf backup list` names them, `kf backup run` makes one".to_owned());
        Error::new(format!("there is no backup set `{named}` in {}", place.objects.describe())).hint(hint)
    };
    if named == "latest" {
        return latest(&sets, component, unsigned, told)?.ok_or_else(none);
    }
    let like: Vec<&(String, Timestamp)> =
        sets.names.iter().filter(|(id, _)| id.starts_with(named) || id.ends_with(named)).collect();
    match like[..] {
        [] => Err(none()),
        [one] => sets.read(one)?.ok_or_else(none)?.found,
        [..] => {
            let ids: Vec<&str> = like.iter().take(5).map(|(id, _)| id.as_str()).collect();
            Err(Error::usage(format!("`{named}` is the name of several backup sets")).hint(ids.join(", ")))
        }
    }
}

/// The newest set with a component that may be relied on, or else what comes nearest: one that has others, one that is of what was
/// replaced, one that may not be relied on, which is then refused with its name. One of a time yet to come is taken only where there is
/// no other: then it is the clock here that is behind.
fn latest(sets: &Sets<'_>, component: &str, unsigned: bool, told: Told<'_>) -> Result<Option<Found>> {
    let now = sets.place.now;
    let mut nearest: Option<(u8, Found)> = None;
    for set in sets.newest(None).take(LATEST) {
        let set = set?;
        let (trusted, ahead) = (unsigned || set.usable(sets.place).is_some(), set.is_ahead(now));
        let found = match set.found {
            Ok(found) => found,
            Err(e) => {
                told(&format!("the newer set {} is not taken for the latest: {}", set.id, e.chain().join(": ")));
                continue;
            }
        };
        let of = &found.manifest;
        if ahead && trusted {
            told(&format!(
                "the set {} says that it was begun at {}, and the clock here says {now}: it is the latest only where there is no other",
                set.id, of.began
            ));
        }
        let has = of.components.iter().any(|part| part.name.as_str() == component);
        let rank = match (trusted, of.plan.as_str() == SAFETY, has) {
            (true, false, true) if !ahead => return Ok(Some(found)),
            (true, false, true) => 1,
            _ if ahead => 0,
            (true, false, false) => 4,
            (true, true, _) => 3,
            (false, ..) => 2,
        };
        if nearest.as_ref().is_none_or(|(other, _)| rank > *other) {
            nearest = Some((rank, found));
        }
    }
    Ok(nearest.map(|(_, found)| found))
}

/// The newest set with a component that was begun at this time or before it, and may be relied on; with `unsigned` any will do. What was kept before it was
/// replaced is found by its own name only.
///
/// # Errors
/// When there is none.
pub fn at(place: &Place<'_>, time: Timestamp, component: &str, unsigned: bool) -> Result<Found> {
    let (sets, mut oldest) = (Sets::of(place)?, None);
    for set in sets.newest(None) {
        let set = set?;
        let trusted = unsigned || set.usable(place).is_some();
        let Ok(found) = set.found else { continue };
        let has = found.manifest.components.iter().any(|part| part.name.as_str() == component);
        if !trusted || !has || found.manifest.plan.as_str() == SAFETY {
            continue;
        }
        if found.manifest.began <= time {
            return Ok(found);
        }
        oldest = Some(found.manifest.began);
    }
    let hint = match oldest {
        Some(oldest) => format!("the oldest set was begun at {oldest}: `kf backup list`"),
        None => "`kf backup run` makes a set".to_owned(),
    };
    Err(Error::new(format!("no backup set in {} is as old as {time}", place.objects.describe())).hint(hint))
}

/// One of the sets that are older than this one and may be relied on, by chance; `None` when there is none.
///
/// # Errors
/// When the place cannot be read.
pub fn older(place: &Place<'_>, than: &Found, random: &Random) -> Result<Option<Found>> {
    let sets = Sets::of(place)?;
    let mut older: Vec<&(String, Timestamp)> = sets.names.iter().filter(|(id, _)| *id < than.manifest.id).collect();
    while !older.is_empty() {
        let at = usize::from(u16::from_be_bytes(random.bytes())) % older.len();
        let set = sets.read(older.swap_remove(at))?.filter(|set| set.usable(place).is_some());
        if let Some(Ok(found)) = set.map(|set| set.found) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[path = "sets_tests.rs"]
mod tests;

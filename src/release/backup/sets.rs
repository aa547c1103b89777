//! The sets of a place, by their manifests, and the proofs of drills beside them.

use super::Place;
use crate::base::error::{Error, Kind, Result};
use crate::base::text::did_you_mean;
use crate::base::time::Timestamp;
use crate::domain::backup::manifest::{Found, Manifest, SETS};
use crate::domain::backup::proof::{self, Proof};
use std::collections::BTreeMap;

/// A set, or what is in the place of its manifest.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// When the place got the manifest, by its own clock.
    pub since: Timestamp,
    /// The manifest; why there is none that can be read.
    pub found: std::result::Result<Found, Error>,
    /// The newest drill that restored it and found all right.
    pub proven: Option<Proof>,
    /// True when somebody deleted or overwrote its manifest, and what is locked is still there.
    pub hidden: bool,
}

impl Listed {
    /// The manifest, when it is one that may be relied on: where this host knows keys, one of them signed it. Whoever can write in the
    /// place could put a set there otherwise, as it is encrypted for public keys.
    pub fn usable(&self, place: &Place<'_>) -> Option<&Found> {
        self.found.as_ref().ok().filter(|found| place.trusts(found))
    }
}

/// All sets, the newest first.
///
/// # Errors
/// When the place cannot be read.
pub fn all(place: &Place<'_>) -> Result<Vec<Listed>> {
    let mut proofs: BTreeMap<String, Proof> = BTreeMap::new();
    for (name, _) in place.objects.names(proof::DRILLS)? {
        let Some(bytes) = place.objects.published(&format!("{}/{name}", proof::DRILLS))? else { continue };
        // A report that cannot be read proves nothing.
        let Ok(proof) = Proof::read(&bytes, place.known) else { continue };
        if proof.passed && proofs.get(&proof.set).is_none_or(|other| other.at < proof.at) {
            proofs.insert(proof.set.clone(), proof);
        }
    }
    let hidden = place.objects.hidden(SETS)?;
    let mut all = Vec::new();
    for (id, since) in place.objects.names(SETS)? {
        let Some(bytes) = place.objects.published(&format!("{SETS}/{id}"))? else { continue };
        let mut found = Manifest::read(&id, &bytes, place.known);
        let mut gone = hidden.contains(&id);
        if place.objects.lockable() && !found.as_ref().is_ok_and(|found| place.trusts(found)) {
            let older = place.objects.older(&format!("{SETS}/{id}"))?;
            let mut before = older.iter().filter_map(|bytes| Manifest::read(&id, bytes, place.known).ok());
            if let Some(before) = before.find(|found| place.trusts(found)) {
                (found, gone) = (Ok(before), true);
            }
        }
        let digest = found.as_ref().ok().map(|found| found.digest);
        let proven = proofs.get(&id).filter(|proof| Some(proof.manifest) == digest).cloned();
        all.push(Listed { id, since, found, proven, hidden: gone });
    }
    all.sort_by(|a, b| b.id.cmp(&a.id));
    Ok(all)
}

/// The set of a name, or of the beginning of one, that may be relied on; the newest such for `latest`. With `unsigned` any will do.
///
/// # Errors
/// When there is none, its manifest cannot be read, or nobody who is known here signed it.
pub fn trusted(place: &Place<'_>, named: &str, unsigned: bool) -> Result<Found> {
    let found = one(place, named, &|set| unsigned || set.usable(place).is_some())?;
    if unsigned || place.trusts(&found) {
        return Ok(found);
    }
    let what = format!(
        "no key that is known here signed the backup set {}: anybody who can write there may have made it",
        found.manifest.id
    );
    Err(Error::of(Kind::Broken, what).hint("take one that is signed (`kf backup list`), or this one all the same: `--unsigned`"))
}

/// The set of a name, or of the beginning of one; the newest for `latest`.
///
/// # Errors
/// When there is none, or its manifest cannot be read.
pub fn find(place: &Place<'_>, named: &str) -> Result<Found> {
    one(place, named, &|_| true)
}

fn one(place: &Place<'_>, named: &str, newest: &dyn Fn(&Listed) -> bool) -> Result<Found> {
    let mut sets = all(place)?;
    let readable = sets.iter().position(|set| set.found.is_ok());
    let at = match named {
        // One that may not be relied on is found when there is no other, to be refused with its name.
        "latest" => sets.iter().position(|set| set.found.is_ok() && newest(set)).or(readable),
        _ => {
            let mut like = sets.iter().enumerate().filter(|(_, set)| set.id.starts_with(named) || set.id.ends_with(named));
            let found = like.next().map(|(at, _)| at);
            if let Some((_, other)) = like.next() {
                let ids: Vec<&str> = found.iter().map(|at| sets[*at].id.as_str()).chain([other.id.as_str()]).collect();
                return Err(Error::usage(format!("`{named}` is the name of several backup sets")).hint(ids.join(", ")));
            }
            found
        }
    };
    match at {
        Some(at) => sets.swap_remove(at).found,
        None => {
            let hint = did_you_mean(named, sets.iter().map(|set| set.id.as_str()));
            let hint = hint.unwrap_or_else(|| "`kf backup list` names them, `kf backup run` makes one".to_owned());
            Err(Error::new(format!("there is no backup set `{named}` in {}", place.objects.describe())).hint(hint))
        }
    }
}

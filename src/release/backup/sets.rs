//! The sets of a place, by their manifests, and the proofs of drills beside them.

use super::Place;
use crate::base::error::{Error, Result};
use crate::base::random::Random;
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
}

/// The reports of all drills that can be read, the oldest first.
///
/// # Errors
/// When the place cannot be read.
pub fn proofs(place: &Place<'_>) -> Result<Vec<Proof>> {
    let mut all = Vec::new();
    for (name, _) in place.objects.names(proof::DRILLS)? {
        let Some(bytes) = place.objects.published(&format!("{}/{name}", proof::DRILLS))? else { continue };
        // A report that cannot be read proves nothing.
        all.extend(Proof::read(&bytes, place.known).ok());
    }
    all.sort_by(|a, b| (a.at, &a.set).cmp(&(b.at, &b.set)));
    Ok(all)
}

/// All sets, the newest first.
///
/// # Errors
/// When the place cannot be read.
pub fn all(place: &Place<'_>) -> Result<Vec<Listed>> {
    let passed = proofs(place)?.into_iter().filter(|proof| proof.passed);
    // The newest of each set comes last.
    let proofs: BTreeMap<String, Proof> = passed.map(|proof| (proof.set.clone(), proof)).collect();
    let mut all = Vec::new();
    for (id, since) in place.objects.names(SETS)? {
        let Some(bytes) = place.objects.published(&format!("{SETS}/{id}"))? else { continue };
        let found = Manifest::read(&id, &bytes, place.known);
        let digest = found.as_ref().ok().map(|found| found.digest);
        let proven = proofs.get(&id).filter(|proof| Some(proof.manifest) == digest).cloned();
        all.push(Listed { id, since, found, proven });
    }
    all.sort_by(|a, b| b.id.cmp(&a.id));
    Ok(all)
}

/// The set of a name, or of the beginning of one; the newest for `latest`.
///
/// # Errors
/// When there is none, or its manifest cannot be read.
pub fn find(place: &Place<'_>, named: &str) -> Result<Found> {
    let mut sets = all(place)?;
    let at = match named {
        // What was there before a restore is found by its own name only.
        "latest" => sets.iter().position(|set| set.found.as_ref().is_ok_and(|found| !is_safety(found))),
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

/// The plan of sets that a restore makes of what it takes the place of.
pub const SAFETY: &str = "safety";

/// Whether a restore made this set of what it took the place of.
pub fn is_safety(found: &Found) -> bool {
    found.manifest.plan.as_str() == SAFETY
}

/// The newest set that was begun at this time or before it.
///
/// # Errors
/// When there is none.
pub fn at(place: &Place<'_>, time: Timestamp) -> Result<Found> {
    let mut readable: Vec<Found> = all(place)?.into_iter().filter_map(|set| set.found.ok()).filter(|found| !is_safety(found)).collect();
    readable.sort_by_key(|found| std::cmp::Reverse(found.manifest.began));
    let oldest = readable.last().map(|found| found.manifest.began);
    readable.into_iter().find(|found| found.manifest.began <= time).ok_or_else(|| {
        let hint = match oldest {
            Some(oldest) => format!("the oldest set was begun at {oldest}: `kf backup list`"),
            None => "`kf backup run` makes a set".to_owned(),
        };
        Error::new(format!("no backup set in {} is as old as {time}", place.objects.describe())).hint(hint)
    })
}

/// One of the sets that are older than this one, by chance; `None` when there is none.
///
/// # Errors
/// When the place cannot be read.
pub fn older(place: &Place<'_>, than: &Found, random: &Random) -> Result<Option<Found>> {
    let readable = all(place)?.into_iter().filter_map(|set| set.found.ok());
    let mut older: Vec<Found> = readable.filter(|found| found.manifest.began < than.manifest.began).collect();
    if older.is_empty() {
        return Ok(None);
    }
    let at = usize::from(u16::from_be_bytes(random.bytes())) % older.len();
    Ok(Some(older.swap_remove(at)))
}

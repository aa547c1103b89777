//! The sets of a place, by their manifests, and the proofs of drills beside them.

use super::Place;
use crate::base::error::{Error, Result};
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

/// The plan of the sets of what a load replaced. No plan of `mlops.toml` removes them.
pub const BEFORE_LOAD: &str = "before-load";

/// The set of a name, or of the beginning of one; for `latest` the newest with the state, or the newest that there is.
///
/// # Errors
/// When there is none, or its manifest cannot be read.
pub fn find(place: &Place<'_>, named: &str) -> Result<Found> {
    find_with(place, named, "state")
}

/// The same, where `latest` is the newest that has this component: an hourly set of one thing is not the latest of another. What was kept
/// before it was replaced is never the latest while there is something else.
///
/// # Errors
/// As [`find`].
pub fn find_with(place: &Place<'_>, named: &str, component: &str) -> Result<Found> {
    let mut sets = all(place)?;
    let at = match named {
        "latest" => {
            let of = |set: &Listed, fits: &dyn Fn(&Manifest) -> bool| set.found.as_ref().is_ok_and(|found| fits(&found.manifest));
            let made = |of: &Manifest| of.plan.as_str() != BEFORE_LOAD;
            let has = |of: &Manifest| made(of) && of.components.iter().any(|part| part.name.as_str() == component);
            let ways: [&dyn Fn(&Manifest) -> bool; 3] = [&has, &made, &|_| true];
            ways.iter().find_map(|fits| sets.iter().position(|set| of(set, fits)))
        }
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

//! The reports of drills, which are beside the sets: each has the name of its set and the time in its own name.

use super::Place;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::domain::backup::manifest::plan_of;
use crate::domain::backup::proof::{DRILLS, Proof};

/// The reports of a place.
pub struct Proofs<'a> {
    place: &'a Place<'a>,
    /// Set and time of each, the newest report first.
    names: Vec<(String, String)>,
}

impl<'a> Proofs<'a> {
    /// Lists them.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn of(place: &'a Place<'a>) -> Result<Self> {
        let names = place.objects.names(DRILLS)?;
        let split = |(name, _): (String, _)| name.split_once('.').map(|(set, time)| (set.to_owned(), time.to_owned()));
        let mut names: Vec<(String, String)> = names.into_iter().filter_map(split).collect();
        names.sort_by(|a, b| b.1.cmp(&a.1));
        Ok(Self { place, names })
    }

    /// The newest report that this set came back whole, by its manifest's digest.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn of_set(&self, set: &str, manifest: &Digest) -> Result<Option<Proof>> {
        for name in self.names.iter().filter(|(of, _)| of == set) {
            if let Some(proof) = self.read(name)?.filter(|proof| proof.passed && proof.manifest == *manifest) {
                return Ok(Some(proof));
            }
        }
        Ok(None)
    }

    /// All reports that can be believed, the oldest first.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn all(&self) -> Result<Vec<Proof>> {
        let mut all = Vec::new();
        for name in &self.names {
            all.extend(self.read(name)?);
        }
        all.sort_by(|a, b| (a.at, &a.set).cmp(&(b.at, &b.set)));
        Ok(all)
    }

    /// The reports on sets of a plan that can be believed, the newest first: each is read when it is its turn.
    pub fn of_plan<'s>(&'s self, plan: &'s str) -> impl Iterator<Item = Result<Proof>> + 's {
        let of = self.names.iter().filter(move |(set, _)| plan_of(set) == Some(plan));
        of.filter_map(|name| self.read(name).transpose())
    }

    /// A report; one that cannot be read proves nothing.
    fn read(&self, (set, time): &(String, String)) -> Result<Option<Proof>> {
        let bytes = self.place.objects.published(&format!("{DRILLS}/{set}.{time}"))?;
        Ok(bytes.and_then(|bytes| Proof::read(&bytes, self.place.known).ok()).filter(|proof| proof.set == *set))
    }
}

//! Backups: sets that are made, read again, restored and removed, and drills that prove them.
//!
//! * [`run`]: makes a set; `pack`: a folder as one encrypted stream and back.
//! * [`sets`]: the sets of a place, [`proofs`]: the reports of drills beside them; [`verify`]: reads one again; [`restore`]: gets one back
//!   into a new folder; [`load`]: loads one component of a set into a server or folder; `audit`: the audit log as a component of its own.
//! * [`here`]: puts one in the place of what is in use; [`erasures`]: what was to be forgotten since is forgotten again.
//! * [`due`]: whether a plan's time has come; [`lock`]: what is locked, until when, and whether that holds; [`health`]: whether backups can
//!   be relied on.
//! * [`prune`]: removes sets that no rule keeps; [`drill`]: restores one where it harms nobody, and reports.
//!
//! Invariants: objects first, the manifest last, so a set that exists is whole; nothing in the place is ever changed; a set is removed
//! manifest first. So a kill anywhere leaves each set either there or not, and objects that nobody names for the next prune.

mod answers;
mod audit;
mod clocks;
pub mod drill;
pub mod due;
pub mod erasures;
pub mod health;
pub mod here;
pub mod load;
pub mod lock;
mod mirror;
mod pack;
pub mod parts;
pub mod proofs;
pub mod prune;
pub mod restore;
pub mod run;
mod scratch;
pub mod sets;
pub mod verify;

pub use scratch::{Room, room};

use crate::adapters::age::Identities;
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use crate::domain::audit::key::{SignerKey, VerifierKey};
use crate::domain::backup::manifest::Found;
use crate::store::objects::Objects;
use std::path::Path;

/// What backups are worked on with.
pub struct Place<'a> {
    /// Where they are.
    pub objects: &'a Objects,
    /// A folder of this machine for what is on its way; only we can read what is put there.
    pub scratch: &'a Path,
    /// The key that signs manifests, where there is one.
    pub signer: Option<&'a SignerKey>,
    /// The keys whose signatures count.
    pub known: &'a [VerifierKey],
    /// The key that reads them, where there is one.
    pub identities: Option<&'a Identities>,
    /// How many threads read and write.
    pub jobs: usize,
    /// The time by the clock here: what is of a time long after it counts for nothing.
    pub now: Timestamp,
}

impl Place<'_> {
    /// Whether a set may be relied on: where keys are known, one of them signed it.
    pub fn trusts(&self, found: &Found) -> bool {
        self.known.is_empty() || found.signed_by.is_some()
    }

    /// The key that reads backups.
    ///
    /// # Errors
    /// When this host has none.
    fn readable(&self) -> Result<&Identities> {
        self.identities.ok_or_else(|| {
            Error::usage("backups are encrypted, and there is no key here that reads them")
                .hint("name it: `--identity FILE`, or `backup.identity = \"file:PATH\"` in mlops.toml")
        })
    }
}

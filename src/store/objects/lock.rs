//! Locks of objects ("object lock", WORM): until a time nobody can remove a version of an object, whatever their credentials.
//!
//! Only S3 has them, in buckets that were made with them. Where they are, whatever was hidden by a plain deletion is still read:
//! deleting puts a mark over the versions and removes none of them.

use super::Objects;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
pub use crate::config::LockMode;

/// How long something is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Who may end it.
    pub mode: LockMode,
    /// Until when, in whole seconds.
    pub until: Timestamp,
}

impl Retention {
    /// A lock until a time, rounded up to a second.
    pub fn until(mode: LockMode, until: Timestamp) -> Self {
        let seconds = until.micros().div_euclid(1_000_000) + i64::from(until.micros().rem_euclid(1_000_000) > 0);
        Self { mode, until: Timestamp::from_micros(seconds.saturating_mul(1_000_000)) }
    }

    /// The lock that holds what both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { mode: self.mode.max(other.mode), until: self.until.max(other.until) }
    }
}

/// Something that can be locked.
#[derive(Clone, Copy, Debug)]
pub enum Of<'a> {
    /// An object.
    Object(&'a Digest),
    /// A name.
    Name(&'a str),
}

/// What a probe of the locks of a place showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// What is locked cannot be removed; whether a lock could be shortened.
    Enforced {
        /// True when it could.
        shortened: bool,
    },
    /// What was locked was removed all the same.
    NotEnforced,
    /// Nothing can be locked there; why.
    NoLocks(String),
}

impl Objects {
    /// True where locks are asked for and the place may have them.
    pub fn lockable(&self) -> bool {
        self.sealed.inner.lockable()
    }

    /// Locks something at least so long: a lock that is there is made longer or stricter, never shorter. Gives the lock as it is then.
    ///
    /// # Errors
    /// When it is not there or the place cannot lock it.
    pub fn retain(&self, of: Of<'_>, at_least: Retention) -> Result<Retention> {
        self.sealed.inner.retain(of, at_least)
    }

    /// The lock of something, as the place tells it.
    ///
    /// # Errors
    /// When it is not there or the place cannot be asked.
    pub fn retained(&self, of: Of<'_>) -> Result<Option<Retention>> {
        self.sealed.inner.retained(of)
    }

    /// [`Objects::publish`], locked from the first moment on.
    ///
    /// # Errors
    /// When it cannot be written or locked; then nothing has the name.
    pub fn publish_locked(&self, name: &str, bytes: &[u8], lock: Retention) -> Result<bool> {
        self.sealed.inner.publish_locked(name, bytes, lock)
    }

    /// Tries whether locks hold: locks something of this name for two minutes, and tries to remove it.
    ///
    /// # Errors
    /// When the place cannot be asked.
    pub fn probe_locks(&self, name: &str, mode: LockMode) -> Result<Probe> {
        self.sealed.inner.probe_locks(name, mode)
    }

    /// The names of a folder that somebody deleted and that are still there.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn hidden(&self, folder: &str) -> Result<Vec<String>> {
        self.sealed.inner.hidden(folder)
    }

    /// What a name had before it was overwritten or deleted, the newest first.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn older(&self, name: &str) -> Result<Vec<Vec<u8>>> {
        self.sealed.inner.older(name)
    }

    /// Removes every version of something for good; false when one of them is still locked, and then nothing is removed.
    ///
    /// # Errors
    /// When the place cannot be asked or changed.
    pub fn expunge(&self, of: Of<'_>) -> Result<bool> {
        self.sealed.inner.expunge(of)
    }
}

/// What a place without locks says.
pub(super) fn none(place: String) -> Error {
    Error::new(format!("{place} has no locks")).hint("only a bucket of S3 that was made with object lock has them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_only_ever_made_stricter() {
        let at = Timestamp::from_micros;
        let long = Retention::until(LockMode::Governance, at(2_500_001));
        let strict = Retention::until(LockMode::Compliance, at(1_000_000));
        assert_eq!((long.until, strict.until), (at(3_000_000), at(1_000_000)));
        assert_eq!(long.and(strict), Retention { mode: LockMode::Compliance, until: at(3_000_000) });
        assert_eq!(strict.and(long), long.and(strict));
    }

    #[test]
    fn files_have_no_locks() {
        let dir = tempfile::tempdir().expect("a folder");
        let objects = Objects::files(dir.path()).expect("objects");
        assert!(!objects.lockable() && objects.hidden("sets").expect("none").is_empty());
        let e = objects.publish_locked("sets/a", b"x", Retention::until(LockMode::Governance, Timestamp::from_micros(1)));
        assert!(e.expect_err("refused").to_string().contains("has no locks"));
    }
}

//! Locks of versions (Amazon S3 User Guide, "Locking objects with Object Lock"): put with what is written, made longer later, and tried.

use super::requests::{Answer, Ask};
use super::{Key, Remote};
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use crate::store::objects::lock::{LockMode, Of, Probe, Retention};

/// How long what is only a trial is locked.
const TRIAL: i64 = 120_000_000;
/// What the lock of a trial is shortened to.
const SHORTER: i64 = 60_000_000;

/// A version as the server describes it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    id: String,
    pub(super) lock: Option<Retention>,
    /// The server's time.
    now: Option<Timestamp>,
}

fn header_word(mode: LockMode) -> String {
    mode.word().to_ascii_uppercase()
}

fn lock_of(answer: &Answer) -> Option<Retention> {
    let mode = answer.header("x-amz-object-lock-mode")?.to_ascii_lowercase().parse().ok()?;
    let until = answer.header("x-amz-object-lock-retain-until-date")?.parse().ok()?;
    Some(Retention { mode, until })
}

impl Remote {
    pub(super) fn key_of(&self, of: Of<'_>) -> Key {
        match of {
            Of::Object(digest) => self.key(digest),
            Of::Name(name) => self.named(name),
        }
    }

    pub(super) fn gone(&self, key: &Key) -> Error {
        Error::new(format!("there is no {key} in {}", self.place))
    }

    /// A version of a key, or what a plain request finds, or else the newest that a deletion hides; `None` when there is none.
    pub(super) fn look(&self, key: &Key, version: Option<&str>) -> Result<Option<Seen>> {
        let what = "cannot look at the lock of an object";
        let query = version.map(|id| ("versionId", id.to_owned())).into_iter().collect();
        let answer = self.ask(&Ask { method: "HEAD", key: Some(key), query, ..Ask::default() }, what)?;
        if answer.status == 404 && version.is_none() {
            return match self.versions_of(key)?.first() {
                Some(hidden) => self.look(key, Some(&hidden.id)),
                None => Ok(None),
            };
        }
        if !answer.is_success() {
            return Err(self.refused(&answer, what));
        }
        let id = version.or_else(|| answer.header("x-amz-version-id")).unwrap_or_default().to_owned();
        Ok(Some(Seen { id, lock: lock_of(&answer), now: answer.date() }))
    }

    /// The lock of a key; of what is under it, when something else was written over it.
    pub(super) fn longest_lock(&self, key: &Key) -> Result<Option<Retention>> {
        let seen = self.look(key, None)?.ok_or_else(|| self.gone(key))?;
        if seen.lock.is_some() {
            return Ok(seen.lock);
        }
        let mut longest: Option<Retention> = None;
        for version in self.versions_of(key)? {
            let lock = self.look(key, Some(&version.id))?.and_then(|seen| seen.lock);
            longest = longest.map_or(lock, |other| Some(lock.map_or(other, |lock| lock.and(other))));
        }
        Ok(longest)
    }

    /// Locks a key at least so long.
    pub(super) fn lock_longer(&self, key: &Key, at_least: Retention) -> Result<Retention> {
        let seen = self.look(key, None)?.ok_or_else(|| self.gone(key))?;
        let lock = seen.lock.map_or(at_least, |lock| lock.and(at_least));
        if seen.lock != Some(lock) {
            let answer = self.set_lock(key, &seen.id, lock)?;
            if !answer.is_success() {
                return Err(self.refused(&answer, "cannot lock an object"));
            }
        }
        Ok(lock)
    }

    fn set_lock(&self, key: &Key, id: &str, lock: Retention) -> Result<Answer> {
        let body = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>",
            header_word(lock.mode),
            lock.until
        );
        let mut query = vec![("retention", String::new())];
        if !id.is_empty() {
            query.push(("versionId", id.to_owned()));
        }
        let ask = Ask { method: "PUT", key: Some(key), query, body: body.into_bytes(), ..Ask::default() };
        self.ask(&ask.with_checksum(), "cannot lock an object")
    }

    /// Writes a key that is free, locked; the version, or `None` when it is taken.
    pub(super) fn put_locked(&self, key: &Key, bytes: &[u8], lock: Retention) -> Result<Option<String>> {
        let answer = self.try_put_locked(key, bytes, lock)?;
        match answer.status {
            409 | 412 => Ok(None),
            _ if answer.is_success() => Ok(Some(answer.header("x-amz-version-id").unwrap_or_default().to_owned())),
            _ => Err(self.refused(&answer, &format!("cannot write {key}"))),
        }
    }

    fn try_put_locked(&self, key: &Key, bytes: &[u8], lock: Retention) -> Result<Answer> {
        let headers = vec![
            ("if-none-match", "*".to_owned()),
            ("x-amz-object-lock-mode", header_word(lock.mode)),
            ("x-amz-object-lock-retain-until-date", lock.until.to_string()),
        ];
        let ask = Ask { method: "PUT", key: Some(key), headers, body: bytes.to_vec(), ..Ask::default() };
        self.ask(&ask.with_checksum(), &format!("cannot write {key}"))
    }

    fn delete_version(&self, key: &Key, id: &str) -> Result<Answer> {
        let ask = Ask { method: "DELETE", key: Some(key), query: vec![("versionId", id.to_owned())], ..Ask::default() };
        self.ask(&ask, &format!("cannot remove {key}"))
    }

    /// Removes all versions of a key; false when one is locked by the server's own clock.
    pub(super) fn remove_versions(&self, key: &Key) -> Result<bool> {
        let mut all = self.versions(key.as_ref())?;
        all.retain(|version| version.key == key.as_ref());
        for version in all.iter().filter(|version| !version.marker) {
            let Some(seen) = self.look(key, Some(&version.id))? else { continue };
            let Some(lock) = seen.lock else { continue };
            // A server that does not tell the time is taken at its word when it refuses.
            if seen.now.is_none_or(|now| lock.until > now) {
                return Ok(false);
            }
        }
        // The marker last: what is left after an interruption stays hidden.
        all.sort_by_key(|version| version.marker);
        for version in &all {
            let answer = self.delete_version(key, &version.id)?;
            if !answer.is_success() && answer.status != 404 {
                return Err(self.refused(&answer, &format!("cannot remove {key}")));
            }
        }
        Ok(true)
    }

    /// Whether locks hold here.
    pub(super) fn probe(&self, name: &str, mode: LockMode) -> Result<Probe> {
        let folder = name.split_once('/').map_or("", |(folder, _)| folder);
        let dir = self.prefix.clone().join(folder);
        let list =
            Ask { method: "GET", query: vec![("versions", String::new()), ("prefix", format!("{dir}/"))], ..Ask::default() };
        let Some(now) = self.done(&list, "cannot list the versions of objects")?.date() else {
            return Ok(Probe::NoLocks(format!("{} does not tell the time", self.place)));
        };
        self.sweep_trials(&dir)?;
        let key = self.named(name);
        let lock = Retention::until(mode, now.plus_micros(TRIAL));
        let answer = self.try_put_locked(&key, b"whether locks hold\n", lock)?;
        if matches!(answer.status, 400 | 501) {
            return Ok(Probe::NoLocks(self.refused(&answer, "nothing can be locked").chain().join(": ")));
        }
        if !answer.is_success() {
            return Err(self.refused(&answer, "cannot lock something to try"));
        }
        let id = answer.header("x-amz-version-id").filter(|id| *id != "null").map(str::to_owned);
        let Some(id) = id else {
            self.delete(&key)?;
            return Ok(Probe::NoLocks(format!("{} keeps no versions", self.place)));
        };
        if self.delete_version(&key, &id)?.is_success() {
            return Ok(Probe::NotEnforced);
        }
        let shorter = Retention::until(mode, now.plus_micros(SHORTER));
        let told = self.set_lock(&key, &id, shorter)?.is_success();
        let shortened = told && self.look(&key, Some(&id))?.and_then(|seen| seen.lock).is_none_or(|now| now.until < lock.until);
        Ok(Probe::Enforced { shortened })
    }

    /// Removes what earlier trials left and nothing locks any more.
    fn sweep_trials(&self, dir: &Key) -> Result<()> {
        let mut keys: Vec<String> = self.versions(&format!("{dir}/"))?.into_iter().map(|version| version.key).collect();
        keys.dedup();
        for key in keys {
            self.remove_versions(&Key::from(key))?;
        }
        Ok(())
    }
}

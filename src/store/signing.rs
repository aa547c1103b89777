//! Whether the log may be signed on the way. Once a key has signed it, its newest checkpoint is that of the key: when there is
//! none any more, or it does not fit the head, somebody took away what would show that the log was rewritten. Signing it then
//! would vouch for whatever it says now, so a change is only appended, and a person decides after a full check.

use super::db::Db;
use super::log::Head;
use super::{Seal, Store};
use crate::base::error::Result;
use crate::values;

/// The action of the event that says that a key of the log was made.
pub const KEY_GENERATED: &str = "audit.key-generated";

/// The index of the newest entry that says that a key was made.
pub fn key_generated(db: &Db) -> Result<Option<u64>> {
    let sql = "SELECT MAX(ev.seq) FROM ev JOIN dict ON dict.id = ev.action WHERE dict.kind = 'action' AND dict.text = ?1";
    let mut index = None;
    db.each(sql, values![KEY_GENERATED], &mut |row| row.opt_int(0).map(|n| index = n))?;
    Ok(index.and_then(|n| u64::try_from(n).ok()))
}

/// Whether this key may sign what follows this head: the newest checkpoint is its own and fits, or it could not sign earlier,
/// because the log has only its first entry or the newest one is that of a new key.
pub(super) fn goes_on(db: &Db, head: &Head, seal: &dyn Seal) -> Result<bool> {
    let size = head.frontier.size();
    if size <= 1 {
        return Ok(true);
    }
    let mut newest = None;
    db.each("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1", &[], &mut |row| {
        newest = Some(String::from_utf8_lossy(row.text_bytes(0)?).into_owned());
        Ok(())
    })?;
    match newest.and_then(|note| seal.opened(&head.origin, &note)) {
        Some((at, root)) => Ok(at < size || (at == size && root == head.frontier.root())),
        None => Ok(key_generated(db)?.is_some_and(|index| index + 1 == size)),
    }
}

impl Store {
    /// Whether changes are signed as they are made; true as well on a host without the key, which is not asked to.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn signs_on(&self) -> Result<bool> {
        let Some(seal) = &self.settings.seal else { return Ok(true) };
        self.goes_on(seal.as_ref())
    }

    /// Whether this key may sign the log as it is now.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn goes_on(&self, seal: &dyn Seal) -> Result<bool> {
        self.read(|view| goes_on(view.db(), &super::log::head(view.db())?, seal))
    }
}

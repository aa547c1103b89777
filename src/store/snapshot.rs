//! A state as one SQLite file, whatever engine it is on: what a backup keeps, and any `sqlite3` opens.
//!
//! The copy is of one consistent read, and summed up by reading it again from the file.

use super::db::{Db, DbTarget, Mode};
use super::transfer::{TableSum, copy_all, read_log, sums, within};
use super::{Store, log, migrations, state_id};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use std::path::Path;
use std::time::Duration;

/// What is wrong with a copy that could be read.
#[derive(Debug)]
struct Damage(String);

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Damage {}

fn damaged<T>(why: impl Into<String>) -> Result<T> {
    Err(Damage(why.into())).context(|| "the copy of the state is damaged")
}

/// Whether an error says that what is stored is damaged, and not that it could not be read or copied now: a full disk, a failing one,
/// missing rights and a newer form say nothing of it.
pub fn is_damage(e: &Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match e.cause::<rusqlite::Error>().map(rusqlite::Error::sqlite_error_code) {
        Some(Some(code)) => matches!(code, DatabaseCorrupt | NotADatabase),
        // A value that is none of its column.
        Some(None) => true,
        None => e.kind() == Kind::Broken || e.cause::<Damage>().is_some(),
    }
}

/// What a copy holds, as it was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The id of the state.
    pub state_id: String,
    /// The origin of its log.
    pub origin: String,
    /// Entries in its log.
    pub log_size: u64,
    /// The log's root, recomputed from the entries.
    pub log_root: Digest,
    /// Every table, in sum.
    pub tables: Vec<TableSum>,
}

impl Store {
    /// Copies the state into a new file.
    ///
    /// # Errors
    /// When the state cannot be read or the file not be written, or the copy is not sound.
    pub fn snapshot(&self, to: &Path) -> Result<Snapshot> {
        let from = self.db();
        if let Db::Sqlite(_) = *from {
            from.keep_copy(to).context(|| "cannot copy the state")?;
        } else {
            let copy = open(to, Mode::Create)?;
            migrations::migrate(&copy, migrations::schema_of(&copy)?, None)?;
            from.begin_read()?;
            let copied = within(&copy, || copy_all(&from, &copy, &mut |_, _| {}).map(drop));
            from.rollback();
            copied.context(|| "cannot copy the state")?;
        }
        read(to)
    }
}

/// Reads the copy of a state again, and gives what it holds.
///
/// # Errors
/// When it is not sound, or no state.
pub fn read(path: &Path) -> Result<Snapshot> {
    let db = open(path, Mode::Read)?;
    migrations::refuse_newer(&db, migrations::schema_of(&db)?)?;
    if let Some(first) = db.check()?.first() {
        return damaged(first.as_str());
    }
    let (head, log) = (log::head(&db)?, read_log(&db)?);
    if log != head.frontier {
        return damaged("its audit log has another root than its head says");
    }
    Ok(Snapshot {
        state_id: state_id(&db)?,
        origin: head.origin,
        log_size: log.size(),
        log_root: Digest::from_bytes(log.root()),
        tables: sums(&db)?,
    })
}

fn open(path: &Path, mode: Mode) -> Result<Db> {
    Db::open(&DbTarget::Sqlite(path.to_owned()), mode, Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    /// A restore replaces what is damaged without keeping it as a set: nothing that may be sound must be taken for that.
    #[test]
    fn only_damage_is_taken_for_damage() {
        let of = |code: i32| {
            let failed: std::result::Result<(), _> = Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            failed.context(|| "cannot copy the state").expect_err("an error")
        };
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
            assert!(is_damage(&of(code)), "{code}");
        }
        let sound = [
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_PERM,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_NOMEM,
        ];
        for code in sound {
            assert!(!is_damage(&of(code)), "{code}");
        }
        assert!(is_damage(&damaged::<()>("row 3 is missing from index").expect_err("an error")));
        assert!(!is_damage(&Error::new("this state has schema 999, written by kf 9.9.9")));
        let io: std::result::Result<(), _> = Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert!(!is_damage(&io.context(|| "cannot make a folder").expect_err("an error")));
    }
}

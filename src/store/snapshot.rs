//! A state as one SQLite file, whatever engine it is on: what a backup keeps, and any `sqlite3` opens.
//!
//! The copy is of one consistent read, and summed up by reading it again from the file.

use super::db::{Db, DbTarget, Mode};
use super::transfer::{TableSum, copy_all, read_log, sums, within};
use super::{Store, log, migrations, state_id};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use std::path::Path;
use std::time::Duration;

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
        return Err(Error::new(format!("the copy of the state is damaged: {first}")));
    }
    let (head, log) = (log::head(&db)?, read_log(&db)?);
    if log != head.frontier {
        return Err(Error::new("the copy of the state is damaged: its audit log has another root than its head says"));
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

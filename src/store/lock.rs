//! Locks of what takes longer than a transaction, held where the state is, so that all who share it exclude each other: in
//! files beside a SQLite database, as advisory locks of a PostgreSQL session ("Explicit Locking", 13.3.5).
//!
//! The kernel or the server holds them, so a process that dies gives them up; the text in the file, or the name of the session,
//! only tells who has it. A session's lock is lost with its connection: [`Lock::check`] tells, before something is removed.

use super::db::{Db, DbTarget};
use super::{META_STATE_ID, Store, meta};
use crate::base::error::{Context, Error, Kind, Result};
use crate::values;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// How long somebody waits before being told for whom: most are done sooner.
const TOLD_AFTER: Duration = Duration::from_secs(1);
/// How long to sleep before trying again.
const NAP: Duration = Duration::from_millis(50);

/// What a lock protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// Long work: one process at a time collects garbage, moves the state or mends it.
    Work,
    /// Objects that no row names yet: those who publish them share it, and who removes objects holds it alone.
    Objects,
    /// What other engines still have to be told: one process at a time tells it.
    Outbox,
    /// Alerts that people still have to be told: one process at a time tells them.
    Alerts,
    /// Backups: one process at a time makes a set or removes some.
    Backup,
}

impl Matter {
    /// The file beside a SQLite database.
    fn file(self) -> &'static str {
        match self {
            Self::Work => "lock",
            Self::Objects => "objects.lock",
            Self::Outbox => "outbox.lock",
            Self::Alerts => "alerts.lock",
            Self::Backup => "backup.lock",
        }
    }

    /// The high half of the key of an advisory lock; the low half is the schema. Any numbers that nobody else uses will do.
    fn class(self) -> i64 {
        match self {
            Self::Work => 70_182,
            Self::Objects => 70_183,
            Self::Outbox => 70_184,
            Self::Alerts => 70_185,
            Self::Backup => 70_186,
        }
    }
}

/// Whether others may hold the same lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nobody else.
    Alone,
    /// Others who share it too.
    Shared,
}

/// How long to wait for a lock, and who is told for whom.
type Patience<'a> = (Duration, &'a mut dyn FnMut(&str));

/// Held while it lives.
#[derive(Debug)]
pub struct Lock(Held);

enum Held {
    File(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File),
    Session { db: Rc<Db>, key: i64, hold: Hold },
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(_) => f.write_str("File"),
            Self::Session { key, hold, .. } => write!(f, "Session({key}, {hold:?})"),
        }
    }
}

impl Store {
    /// Takes a lock for `what`, a command without `kf`, waiting up to the lock timeout; `waiting` is told once who holds it, when
    /// that takes longer than `TOLD_AFTER`.
    ///
    /// # Errors
    /// [`Kind::Locked`] when somebody else still holds it.
    pub fn lock(&self, matter: Matter, hold: Hold, what: &str, waiting: &mut dyn FnMut(&str)) -> Result<Lock> {
        self.lock_within(matter, hold, what, (self.settings.lock_timeout, waiting))
    }

    /// Takes a lock alone without waiting; `None` when somebody else holds it.
    ///
    /// # Errors
    /// When the file or the server that holds it cannot be reached.
    pub fn try_lock(&self, matter: Matter, what: &str) -> Result<Option<Lock>> {
        match self.lock_within(matter, Hold::Alone, what, (Duration::ZERO, &mut |_| {})) {
            Err(e) if e.kind() == Kind::Locked => Ok(None),
            taken => taken.map(Some),
        }
    }

    fn lock_within(&self, matter: Matter, hold: Hold, what: &str, (patience, waiting): Patience<'_>) -> Result<Lock> {
        match &self.settings.target {
            DbTarget::Sqlite(path) => {
                let file = lock_file(&path.with_file_name(matter.file()), hold, patience, waiting)?;
                // Those who share it do not say who they are, but clear away who had it alone before.
                let text = match hold {
                    Hold::Alone => format!("`kf {what}` (pid {}, since {})\n", std::process::id(), self.now()),
                    Hold::Shared => String::new(),
                };
                sign(&file, &text).context(|| format!("cannot write {}", path.with_file_name(matter.file()).display()))?;
                Ok(Lock(Held::File(file)))
            }
            DbTarget::Postgres(_) => {
                let db = self.db();
                let key = key_of(&db, matter)?;
                let name = format!("kf {what} (pid {} on {})", std::process::id(), self.identity().host);
                lock_session(&db, (key, hold), &name, (patience, waiting))?;
                Ok(Lock(Held::Session { db, key, hold }))
            }
        }
    }
}

impl Lock {
    /// Makes sure that it is still held.
    ///
    /// # Errors
    /// When the connection that held it is gone.
    pub fn check(&self) -> Result<()> {
        match &self.0 {
            Held::File(_) => Ok(()),
            Held::Session { db, .. } => meta(db, META_STATE_ID)
                .map(|_| ())
                .context(|| "the lock of the state was lost with the connection to the server")
                .hint(|| "run the command again: it goes on where it stopped".into()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Session { db, key, hold } = self {
            // A connection that is gone has given it up already.
            let _ = db.each(&format!("SELECT pg_advisory_unlock{}(?1)", suffix(*hold)), values![*key], &mut |_| Ok(()));
        }
    }
}

fn locked(holder: &str) -> Error {
    Error::of(Kind::Locked, format!("the state is locked by {holder}"))
        .hint("try again later, or wait longer with `--lock-timeout 10m`")
}

fn lock_file(path: &Path, hold: Hold, patience: Duration, waiting: &mut dyn FnMut(&str)) -> Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .context(|| format!("cannot open the lock {}", path.display()))?;
    let mut left = patience;
    let mut told = false;
    loop {
        let tried = match hold {
            Hold::Alone => file.try_lock(),
            Hold::Shared => file.try_lock_shared(),
        };
        match tried {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(e).context(|| format!("cannot lock {}", path.display())),
        }
        let mut holder = String::new();
        let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
        // Who shares it writes nothing into the file.
        let holder = if holder.trim().is_empty() { "a command that registers something" } else { holder.trim() };
        if left.is_zero() {
            return Err(locked(holder));
        }
        if !told && patience - left >= TOLD_AFTER {
            told = true;
            waiting(holder);
        }
        let nap = NAP.min(left);
        std::thread::sleep(nap);
        left -= nap;
    }
}

fn sign(mut file: &File, text: &str) -> std::io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

fn suffix(hold: Hold) -> &'static str {
    match hold {
        Hold::Alone => "",
        Hold::Shared => "_shared",
    }
}

fn key_of(db: &Db, matter: Matter) -> Result<i64> {
    let mut schema = 0;
    db.each("SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema()", &[], &mut |row| {
        schema = row.int(0)?;
        Ok(())
    })?;
    Ok((matter.class() << 32) | schema)
}

/// The server lets those who wait take turns, so that who wants it alone is not starved by those who share it.
fn lock_session(db: &Db, (key, hold): (i64, Hold), name: &str, (patience, waiting): Patience<'_>) -> Result<()> {
    db.each("SELECT set_config('application_name', ?1, false)", values![name], &mut |_| Ok(()))?;
    let sql = format!("SELECT pg_try_advisory_lock{}(?1)::int::bigint", suffix(hold));
    // The server cannot be interrupted to tell somebody that it waits: it is only asked to once that was told.
    let mut waited = Duration::ZERO;
    loop {
        let mut taken = false;
        db.each(&sql, values![key], &mut |row| row.flag(0).map(|yes| taken = yes))?;
        if taken {
            return Ok(());
        }
        if patience.is_zero() {
            return Err(locked(&holder_of(db, key)?));
        }
        if waited >= TOLD_AFTER || patience <= TOLD_AFTER {
            break;
        }
        std::thread::sleep(NAP);
        waited += NAP;
    }
    if patience > TOLD_AFTER {
        waiting(&holder_of(db, key)?);
    }
    match db.each(&format!("SELECT pg_advisory_lock{}(?1)", suffix(hold)), values![key], &mut |_| Ok(())) {
        Err(e) if e.kind() == Kind::Locked => Err(locked(&holder_of(db, key)?)),
        done => done,
    }
}

/// Who has it, as far as this user may see.
fn holder_of(db: &Db, key: i64) -> Result<String> {
    let mut holder = None;
    let sql = "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
               WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
               AND (l.classid::bigint << 32) | l.objid::bigint = ?1 AND l.objsubid = 1 ORDER BY a.backend_start LIMIT 1";
    db.each(sql, values![key], &mut |row| {
        holder = row.opt_text(0)?.filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(())
    })?;
    Ok(match holder.as_deref().map(|name| name.split_once(" (").ok_or(name)) {
        None => "another session".to_owned(),
        Some(Ok((command, who))) => format!("`{command}` ({who}"),
        Some(Err(name)) => format!("`{name}`"),
    })
}

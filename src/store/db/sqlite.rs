//! SQLite: bundled, in WAL mode, every commit synced.
//!
//! SQLite 3.51.3 or newer is required: older ones have the WAL-reset race, which can corrupt a database that two
//! connections write (the bundled one is newer; checked when a database is opened).

pub(super) mod query;

use super::{Engine, Mode, Row, Value, lost_state};
use crate::base::error::{Context, Error, Kind, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};
use std::path::Path;
use std::time::Duration;

/// The longest wait that SQLite can be told, in its 31 bits of milliseconds.
const BUSY_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// `kf` in the file's header, so that `file` and other tools know whose it is.
const APPLICATION_ID: i32 = 0x6b66_0001;

/// The first version without the WAL-reset race.
const OLDEST_VERSION: i32 = 3_051_003;

pub(super) fn open(path: &Path, mode: Mode, lock_timeout: Duration) -> Result<Connection> {
    if rusqlite::version_number() < OLDEST_VERSION {
        crate::fail!(
            "SQLite {} is too old: 3.51.3 or newer is needed, older ones can corrupt a shared file",
            rusqlite::version()
        );
    }
    if mode != Mode::Create && !path.exists() {
        return Err(lost_state(path));
    }
    let base = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let writable = match mode {
        Mode::Create => base | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Mode::Read | Mode::Write => base | OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let opened = connect(&path.display().to_string(), writable, lock_timeout);
    match opened {
        Ok(db) => Ok(db),
        // On read-only media WAL mode cannot make its shared-memory file: nobody else can be writing either.
        // A write-ahead log that cannot be read would be left out in silence, so then the error stands.
        Err(e) if mode == Mode::Read && is_read_only(&e) && !has_wal(path) => {
            unchanging(path, lock_timeout).context(|| format!("cannot open {}", path.display()))
        }
        Err(e) => Err(e).context(|| format!("cannot open {}", path.display())),
    }
}

/// A file that nobody can be writing, on media that take no shared-memory file.
fn unchanging(path: &Path, lock_timeout: Duration) -> Result<Connection> {
    let uri = url::Url::from_file_path(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
        .map_err(|()| Error::new(format!("{} cannot be written as a URL", path.display())))?;
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_READ_ONLY;
    connect(&format!("{uri}?immutable=1"), flags, lock_timeout)
}

/// A file of anybody's, for reading only.
fn read_only(path: &Path, lock_timeout: Duration) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_ONLY;
    match connect(&path.display().to_string(), flags, lock_timeout) {
        Err(e) if is_read_only(&e) && !has_wal(path) => unchanging(path, lock_timeout),
        opened => opened,
    }
}

/// True when changes lie beside the file that are not in it yet.
fn has_wal(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).is_ok_and(|m| m.len() > 0)
}

fn is_read_only(e: &Error) -> bool {
    matches!(
        e.cause::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
    )
}

fn connect(name: &str, flags: OpenFlags, lock_timeout: Duration) -> Result<Connection> {
    let db = Connection::open_with_flags(name, flags).map_err(|e| worded(e, "open"))?;
    set_lock_timeout(&db, lock_timeout)?;
    // What is taken out is overwritten: documents may hold personal data.
    let setup = "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL; \
        PRAGMA secure_delete = ON;";
    db.execute_batch(setup).map_err(|e| worded(e, setup))?;
    let journal: String = db.query_row("PRAGMA journal_mode", [], |r| r.get(0)).map_err(|e| worded(e, "PRAGMA journal_mode"))?;
    if journal != "wal" && !flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        let setup = format!("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID};");
        db.execute_batch(&setup).map_err(|e| worded(e, &setup))?;
    }
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

pub(super) fn set_lock_timeout(db: &Connection, lock_timeout: Duration) -> Result<()> {
    db.busy_timeout(lock_timeout.min(BUSY_MAX)).map_err(|e| worded(e, "busy_timeout"))
}

pub(super) fn each(db: &Connection, sql: &str, values: &[Value], each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
    let mut statement = db.prepare_cached(sql).map_err(|e| worded(e, sql))?;
    let mut rows = statement.query(params_from_iter(values)).map_err(|e| worded(e, sql))?;
    while let Some(row) = rows.next().map_err(|e| worded(e, sql))? {
        each(&Row::of(Engine::Sqlite(row)))?;
    }
    Ok(())
}

pub(super) fn execute(db: &Connection, sql: &str, values: &[Value]) -> Result<u64> {
    let mut statement = db.prepare_cached(sql).map_err(|e| worded(e, sql))?;
    // A statement with RETURNING counts as a query; its rows are of no interest here.
    if statement.column_count() > 0 {
        let mut rows = statement.query(params_from_iter(values)).map_err(|e| worded(e, sql))?;
        let mut n = 0;
        while rows.next().map_err(|e| worded(e, sql))?.is_some() {
            n += 1;
        }
        return Ok(n);
    }
    statement.execute(params_from_iter(values)).map(|n| n as u64).map_err(|e| worded(e, sql))
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(i) => ValueRef::Integer(*i),
            Self::Real(r) => ValueRef::Real(*r),
            Self::Text(t) => ValueRef::Text(t.as_bytes()),
            Self::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

/// Words an error of SQLite so that a person knows what to do.
pub(super) fn worded(e: rusqlite::Error, sql: &str) -> Error {
    let code = e.sqlite_error_code();
    let extended = e.sqlite_error().map(|e| e.extended_code);
    let failed = Err::<(), _>(e);
    let hinted = |message: &str, hint: &str| (message.to_owned(), hint.to_owned());
    let (message, hint) = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            hinted("the state is locked by another process", "try again, or wait longer with `--lock-timeout 5m`")
        }
        Some(ErrorCode::DiskFull) => hinted("the disk is full", "free some space and run the command again: nothing was changed"),
        Some(ErrorCode::ReadOnly) => {
            hinted("the state is read-only", "make `.kf/` and `.kf/state.db` writable for this user, or set `state.url`")
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            hinted("the state file is damaged", "`kf fsck` tells what can be read and how to restore `.kf/state.db`")
        }
        // SQLite's shared-memory file could not grow.
        Some(ErrorCode::SystemIoFailure) if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => {
            hinted("the disk is full", "free some space and run the command again: nothing was changed")
        }
        Some(ErrorCode::SystemIoFailure) => {
            hinted("the disk failed while the state was read or written", "check the disk, then run `kf fsck`")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => hinted(
            "the state file cannot be opened",
            "check who may read and write `.kf/`, and that its file system is not read-only (`kf doctor` tells)",
        ),
        _ => (format!("SQLite refused `{}`", sql.split_whitespace().take(6).collect::<Vec<_>>().join(" ")), String::new()),
    };
    let e = match failed.context(|| message) {
        Err(e) => e,
        Ok(()) => unreachable!("made from an error"),
    };
    let e = if hint.is_empty() { e } else { e.hint(hint) };
    if matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) { e.kind_of(Kind::Locked) } else { e }
}

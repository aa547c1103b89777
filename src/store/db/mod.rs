//! One database interface over two engines: SQLite and PostgreSQL.
//!
//! Statements are shared text with `?1` placeholders. Values are 64-bit integers, doubles, text, bytes or null; text orders
//! bytewise on both. Nothing here knows what a table means.

mod foreign;
mod postgres;
mod sqlite;

pub use foreign::{EachPiece, Foreign, ForeignCell, Piece};
pub use postgres::PostgresTarget;

use super::fields::Reveal;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::text::ellipsis;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A value that goes into a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

macro_rules! value_from {
    ($($from:ty => $make:expr),+ $(,)?) => {
        $(impl From<$from> for Value { fn from(v: $from) -> Self { let make: fn($from) -> Self = $make; make(v) } })+
    };
}
value_from! {
    i64 => Self::Int, i32 => |v| Self::Int(v.into()), u32 => |v| Self::Int(v.into()), bool => |v| Self::Int(v.into()),
    f64 => Self::Real, String => Self::Text, &str => |v| Self::Text(v.to_owned()), &String => |v| Self::Text(v.clone()),
    Vec<u8> => Self::Blob, &[u8] => |v| Self::Blob(v.to_vec()),
    crate::base::digest::Digest => |v| Self::Blob(v.as_bytes().to_vec()),
    crate::base::time::Timestamp => |v| Self::Int(v.micros()),
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}

/// Makes the list of a statement's values: `values![name, 3]`.
#[macro_export]
macro_rules! values {
    ($($v:expr),* $(,)?) => { &[$($crate::store::Value::from($v)),*][..] };
}

/// A row of a result, borrowed while it is read. Columns count from 0.
pub struct Row<'r> {
    from: Engine<'r>,
    reveal: Option<&'r Reveal<'r>>,
}

/// A row of one of the engines.
#[derive(Clone, Copy)]
enum Engine<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl<'r> Row<'r> {
    fn of(from: Engine<'r>) -> Self {
        Self { from, reveal: None }
    }

    /// The same row, read with the keys of this host.
    pub(super) fn with<'s>(&'s self, reveal: &'s Reveal<'s>) -> Row<'s>
    where
        'r: 's,
    {
        Row { from: self.from, reveal: Some(reveal) }
    }
}

impl Row<'_> {
    /// A name that may be encrypted; its pseudonym where no key of this host reads it.
    pub fn name(&self, i: usize) -> Result<String> {
        let stored = self.text(i)?;
        Ok(self.reveal.map_or_else(|| stored.to_owned(), |reveal| reveal.name(stored)))
    }

    /// A text that may be encrypted or NULL; none where no key of this host reads it.
    pub fn opened(&self, i: usize) -> Result<Option<String>> {
        let Some(stored) = self.opt_text(i)? else { return Ok(None) };
        Ok(self.reveal.map_or_else(|| Some(stored.to_owned()), |reveal| reveal.text(stored)))
    }

    /// An integer.
    pub fn int(&self, i: usize) -> Result<i64> {
        self.opt_int(i)?.ok_or_else(|| null_in(i))
    }

    /// An integer or NULL.
    pub fn opt_int(&self, i: usize) -> Result<Option<i64>> {
        match self.from {
            Engine::Sqlite(row) => row.get(i).context(|| column(i)),
            Engine::Postgres(row) => row.try_get(i).context(|| column(i)),
        }
    }

    /// A double.
    pub fn real(&self, i: usize) -> Result<f64> {
        self.opt_real(i)?.ok_or_else(|| null_in(i))
    }

    /// A double or NULL.
    pub fn opt_real(&self, i: usize) -> Result<Option<f64>> {
        match self.from {
            Engine::Sqlite(row) => row.get(i).context(|| column(i)),
            Engine::Postgres(row) => row.try_get(i).context(|| column(i)),
        }
    }

    /// Text.
    pub fn text(&self, i: usize) -> Result<&str> {
        self.opt_text(i)?.ok_or_else(|| null_in(i))
    }

    /// Text or NULL.
    pub fn opt_text(&self, i: usize) -> Result<Option<&str>> {
        match self.from {
            Engine::Sqlite(row) => row.get_ref(i).context(|| column(i))?.as_str_or_null().context(|| column(i)),
            Engine::Postgres(row) => row.try_get(i).context(|| column(i)),
        }
    }

    /// The bytes of a text, for who must read what may have been altered: in SQLite they need not be UTF-8 any more.
    pub fn text_bytes(&self, i: usize) -> Result<&[u8]> {
        match self.from {
            Engine::Sqlite(row) => row.get_ref(i).context(|| column(i))?.as_bytes().context(|| column(i)),
            Engine::Postgres(_) => self.text(i).map(str::as_bytes),
        }
    }

    /// Bytes.
    pub fn blob(&self, i: usize) -> Result<&[u8]> {
        self.opt_blob(i)?.ok_or_else(|| null_in(i))
    }

    /// Bytes or NULL.
    pub fn opt_blob(&self, i: usize) -> Result<Option<&[u8]>> {
        match self.from {
            Engine::Sqlite(row) => row.get_ref(i).context(|| column(i))?.as_blob_or_null().context(|| column(i)),
            Engine::Postgres(row) => row.try_get(i).context(|| column(i)),
        }
    }

    /// A flag kept as 0 or 1.
    pub fn flag(&self, i: usize) -> Result<bool> {
        Ok(self.int(i)? != 0)
    }

    /// A digest kept as 32 bytes.
    pub fn digest(&self, i: usize) -> Result<crate::base::digest::Digest> {
        let bytes = self.blob(i)?.try_into().context(|| format!("column {i} holds no digest"))?;
        Ok(crate::base::digest::Digest::from_bytes(bytes))
    }

    /// A time kept as microseconds.
    pub fn time(&self, i: usize) -> Result<crate::base::time::Timestamp> {
        self.int(i).map(crate::base::time::Timestamp::from_micros)
    }

    /// A value of fixed words or another type that reads from its text.
    pub fn parsed<T>(&self, i: usize) -> Result<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        self.text(i)?.parse().map_err(|e| Error::new(format!("{}: {e}", column(i))))
    }
}

fn column(i: usize) -> String {
    format!("column {i} of the state does not hold what it should")
}

fn null_in(i: usize) -> Error {
    Error::new(format!("column {i} of the state is NULL where it must not be")).hint("run `kf fsck`")
}

/// The version of the SQLite that is built in.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// An open connection to one of the engines.
pub enum Db {
    /// A file of our own.
    Sqlite(rusqlite::Connection),
    /// A server.
    Postgres(postgres::Postgres),
}

/// Where the database is and how to reach it.
#[derive(Clone, Debug)]
pub enum DbTarget {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL schema.
    Postgres(PostgresTarget),
}

impl DbTarget {
    /// What it is, for people; never with a password.
    pub fn describe(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("SQLite {}", path.display()),
            Self::Postgres(target) => target.describe(),
        }
    }
}

/// Whether a connection will change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only reads.
    Read,
    /// Reads and writes.
    Write,
    /// Reads and writes, and makes the file or schema when it is missing.
    Create,
}

impl Db {
    /// Opens a connection.
    ///
    /// # Errors
    /// [`Kind::NoRepository`] when there is nothing there and `mode` does not create it.
    pub fn open(target: &DbTarget, mode: Mode, lock_timeout: Duration) -> Result<Self> {
        match target {
            DbTarget::Sqlite(path) => sqlite::open(path, mode, lock_timeout).map(Self::Sqlite),
            DbTarget::Postgres(target) => postgres::Postgres::open(target, mode, lock_timeout).map(Self::Postgres),
        }
    }

    /// How long statements wait for a lock from now on.
    pub(super) fn set_lock_timeout(&self, lock_timeout: Duration) -> Result<()> {
        match self {
            Self::Sqlite(db) => sqlite::set_lock_timeout(db, lock_timeout),
            Self::Postgres(db) => db.set_lock_timeout(lock_timeout),
        }
    }

    /// Calls `each` with every row of a query.
    pub fn each(&self, sql: &str, values: &[Value], each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        refuse_zero(values)?;
        match self {
            Self::Sqlite(db) => sqlite::each(db, sql, values, each),
            Self::Postgres(db) => db.each(sql, values, each),
        }
    }

    /// Runs a statement and says how many rows it changed.
    pub fn execute(&self, sql: &str, values: &[Value]) -> Result<u64> {
        refuse_zero(values)?;
        match self {
            Self::Sqlite(db) => sqlite::execute(db, sql, values),
            Self::Postgres(db) => db.execute(sql, values),
        }
    }

    /// Runs statements without values.
    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(db) => db.execute_batch(sql).map_err(|e| sqlite::worded(e, sql)),
            Self::Postgres(db) => db.batch(sql),
        }
    }

    /// Starts a transaction that takes the writer's lock first: whoever comes second waits, up to the lock timeout.
    pub(super) fn begin_write(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => self.batch("BEGIN IMMEDIATE"),
            Self::Postgres(_) => {
                self.batch("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")?;
                self.each("SELECT size FROM log_head WHERE id = 1 FOR UPDATE", &[], &mut |_| Ok(()))
                    .inspect_err(|_| self.rollback())
            }
        }
    }

    /// Starts a transaction that reads one consistent state.
    pub(super) fn begin_read(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => self.batch("BEGIN DEFERRED"),
            Self::Postgres(_) => self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        }
    }

    /// Makes the transaction's changes lasting.
    pub(super) fn commit(&self) -> Result<()> {
        self.batch("COMMIT")
    }

    /// Gives the transaction up. A connection that is gone has given it up already.
    pub(super) fn rollback(&self) {
        let _ = self.batch("ROLLBACK");
    }

    /// The engine's name and version.
    pub fn engine(&self) -> Result<String> {
        match self {
            Self::Sqlite(_) => Ok(format!("SQLite {}", rusqlite::version())),
            Self::Postgres(db) => db.version(),
        }
    }

    /// Bytes on disk, as the engine counts them.
    pub fn size(&self) -> Result<u64> {
        let sql = match self {
            Self::Sqlite(_) => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            Self::Postgres(_) => {
                "SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'"
            }
        };
        let mut size = 0;
        self.each(sql, &[], &mut |row| row.int(0).map(|n| size = n))?;
        Ok(u64::try_from(size).unwrap_or(0))
    }

    /// Problems the engine itself finds in its files; empty when sound.
    pub fn check(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        if let Self::Sqlite(_) = self {
            for sql in ["PRAGMA integrity_check(20)", "PRAGMA foreign_key_check"] {
                self.each(sql, &[], &mut |row| {
                    let line = row.text(0)?;
                    if line != "ok" {
                        found.push(line.to_owned());
                    }
                    Ok(())
                })?;
            }
        }
        Ok(found)
    }

    /// Copies a SQLite database to a new file; PostgreSQL has its own backups.
    pub(super) fn keep_copy(&self, to: &Path) -> Result<()> {
        match self {
            Self::Sqlite(_) => self.execute("VACUUM INTO ?1", &[to.display().to_string().into()]).map(|_| ()),
            Self::Postgres(_) => Ok(()),
        }
    }
}

/// PostgreSQL has no text with U+0000 (its manual, "Character Types"), so there is none on SQLite either.
fn refuse_zero(values: &[Value]) -> Result<()> {
    let zero = values.iter().find_map(|v| match v {
        Value::Text(text) => text.find('\0').map(|at| (text, at)),
        _ => None,
    });
    match zero {
        None => Ok(()),
        Some((text, at)) => Err(Error::new(format!(
            "the text `{}` holds the character U+0000 at byte {at}, which a state cannot keep",
            ellipsis(text, 60)
        ))
        .hint("take that character out where the text comes from and run the command again")),
    }
}

/// Folders beside the file of a state in which something is once it was used: files of versions, gateways, what was done past it.
const LEFT: [&str; 3] = ["objects", "gateway", "emergency"];

/// The error for a state that is not there.
fn no_state(what: &str) -> Error {
    Error::of(Kind::NoRepository, format!("no state here: {what} does not exist"))
        .hint("run `kf init` to start a new state here, or set `state.url` in mlops.toml to the state your team shares")
}

/// The same for a file, where what lies beside it says that there was one: to begin anew is then not what is wanted.
fn lost_state(path: &Path) -> Error {
    let beside = path.parent().unwrap_or(Path::new("."));
    let filled = |name: &&&str| std::fs::read_dir(beside.join(name)).is_ok_and(|mut found| found.next().is_some());
    let Some(left) = LEFT.iter().find(filled) else { return no_state(&path.display().to_string()) };
    Error::of(Kind::NoRepository, format!("no state here: {} is gone, while `{left}` beside it is there", path.display()))
        .hint("put the file back from a backup: what it says of versions, stages and rollouts is nowhere else")
        .hint("a bad release is taken back without it: `kf rollback NAME --emergency`")
        .hint("`kf init` starts a new state that knows nothing of the old one: only when there is no backup")
}

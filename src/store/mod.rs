//! Where state lives: the database, the objects, and the two doors through which they change.
//!
//! Governed state changes only inside [`Store::write`], whose [`Tx`] commits change and audit event together; telemetry is
//! appended only through [`Store::feed`]. A change without an event is refused as a bug. The rooms above bring their own SQL;
//! nothing here knows what a table means, except the audit log's.

pub mod age;
pub mod answers;
pub mod check;
pub mod db;
pub mod feed;
pub mod fields;
pub mod fulltext;
pub mod lock;
pub mod log;
pub mod migrations;
mod names;
pub mod objects;
pub mod outbox;
pub mod runtime;
pub mod schema;
mod settle;
pub mod signing;
pub mod snapshot;
pub mod transfer;
pub mod tx;
pub mod vectors;

pub use crate::values;
pub use db::{Db, DbTarget, Mode, PostgresTarget, Row, Value};
pub use feed::Feed;
pub use tx::{Tx, View};

use crate::base::digest::hex;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::event::{Event, Resource};
use crate::base::merkle::Hash;
use crate::base::random::Random;
use crate::base::time::{Clock, Timestamp};
use fields::Fields;
use names::Names;
use objects::Keys;
use settle::LastEvent;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Key in `meta` of the schema's number.
const META_SCHEMA: &str = "schema";
/// Key in `meta` of the kf version that wrote the schema.
const META_WRITER: &str = "writer";
/// Key in `meta` of the state's own id.
pub const META_STATE_ID: &str = "state-id";
/// Key in `meta` of the place a moved state went to; a state that has it is sealed.
pub const META_MOVED_TO: &str = "moved-to";
/// Key in `meta` of the id of the state that is being copied here; a copy that has it is not proven and cannot be used.
pub const META_INCOMING: &str = "incoming";

/// Every key of `meta`.
pub const META_KEYS: [&str; 5] = [META_SCHEMA, META_WRITER, META_STATE_ID, META_MOVED_TO, META_INCOMING];

/// Who acts, from where. The names never enter the hashed bytes of the log; pseudonyms do.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `user`, `ci` or `cron`.
    pub kind: String,
    /// The name, e-mail or job.
    pub name: String,
    /// The machine.
    pub host: String,
}

/// Signs the head of the log after a change.
pub trait Seal: Send {
    /// A signed checkpoint of this head.
    ///
    /// # Errors
    /// When the key cannot be used.
    fn seal(&self, origin: &str, size: u64, root: &Hash) -> Result<String>;

    /// The size and the root that a checkpoint of this log states, when this key signed it.
    fn opened(&self, origin: &str, note: &str) -> Option<(u64, Hash)>;
}

/// All that opening a state needs.
pub struct Settings {
    /// Where the database is.
    pub target: DbTarget,
    /// How long to wait for another writer.
    pub lock_timeout: Duration,
    /// Who acts.
    pub identity: Identity,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The source of ids and salts.
    pub random: Arc<Random>,
    /// Signs checkpoints, when this host has the log key.
    pub seal: Option<Box<dyn Seal>>,
    /// The name of the project, part of the log's origin when a state is made.
    pub project: String,
    /// Where a copy of a SQLite file goes before it is migrated.
    pub copies: PathBuf,
    /// Whom names and reasons are encrypted for, and what reads them.
    pub keys: Keys,
}

/// An open state.
pub struct Store {
    settings: Settings,
    fields: Fields,
    db: RefCell<Rc<Db>>,
    dry_run: Cell<bool>,
}

impl Store {
    /// Opens a state that exists.
    ///
    /// # Errors
    /// [`Kind::NoRepository`] when there is none or only an unfinished copy; a failed operation when a newer kf wrote it.
    pub fn open(settings: Settings, mode: Mode) -> Result<Self> {
        refuse_emptied(&settings)?;
        let db = Db::open(&settings.target, mode, settings.lock_timeout)?;
        let found = migrations::schema_of(&db)?;
        migrations::refuse_newer(&db, found)?;
        if found == 0 && mode != Mode::Create {
            return Err(Error::of(Kind::NoRepository, format!("no state here: {} is empty", settings.target.describe()))
                .hint("run `kf init` to start a new state here"));
        }
        if found < migrations::CURRENT {
            let copy = settings.copies.join(format!("state-schema-{found}.db"));
            migrations::migrate(&db, found, Some(&copy))?;
        }
        if let Some(id) = meta(&db, META_INCOMING)? {
            return Err(Error::of(
                Kind::NoRepository,
                format!("{} holds an unfinished copy of the state {id}", settings.target.describe()),
            )
            .hint("run `kf state move` again where the state is now: it finishes the copy or starts it again"));
        }
        Ok(Self::of(settings, db))
    }

    fn of(mut settings: Settings, db: Db) -> Self {
        let fields = Fields::new(std::mem::take(&mut settings.keys));
        Self { settings, fields, db: RefCell::new(Rc::new(db)), dry_run: Cell::new(false) }
    }

    /// Opens a state, making it when it is not there; true when it was made now.
    pub fn init(settings: Settings) -> Result<(Self, bool)> {
        let store = Self::open(settings, Mode::Create)?;
        let made = store.first_event()?;
        Ok((store, made))
    }

    /// Gives a new state its id and the log its first entry, once.
    fn first_event(&self) -> Result<bool> {
        let db = self.db();
        let clean = self.settings.project.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.', "-");
        // Two processes may start the same state at once: the row that `begin_write` locks must be there before it does.
        let id = hex(&self.settings.random.bytes::<8>());
        let sql = "INSERT INTO log_head (id, size, frontier, origin) VALUES (1, 0, ?1, ?2) ON CONFLICT DO NOTHING";
        db.execute(sql, values![Vec::<u8>::new(), format!("kf/{clean}/{id}")])?;
        self.write(|tx| {
            if meta(tx.view().db(), META_STATE_ID)?.is_some() {
                return Ok(false);
            }
            let origin = log::head(tx.view().db())?.origin;
            let id = origin.rsplit('/').next().unwrap_or_default().to_owned();
            tx.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", values![META_STATE_ID, &id])?;
            let event = Event::new("state.created", Resource::new("state", id));
            tx.record(event.with("origin", origin).with("schema", migrations::CURRENT));
            Ok(true)
        })
    }

    /// From now on transactions run to their end and are then given up, so that nothing changes.
    pub fn set_dry_run(&self, dry_run: bool) {
        self.dry_run.set(dry_run);
    }

    /// True when transactions are given up at their end: what cannot be given up must then not be done at all.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run.get()
    }

    /// The current connection.
    pub fn db(&self) -> Rc<Db> {
        Rc::clone(&self.db.borrow())
    }

    /// Where this state is, for people.
    pub fn describe(&self) -> String {
        self.settings.target.describe()
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    /// Who acts.
    pub fn identity(&self) -> &Identity {
        &self.settings.identity
    }

    /// The source of ids.
    pub fn random(&self) -> &Random {
        &self.settings.random
    }

    /// Reads one consistent state.
    pub fn read<T>(&self, read: impl FnOnce(View<'_>) -> Result<T>) -> Result<T> {
        let db = self.db();
        db.begin_read()?;
        let done = self.fields.load(&db).and_then(|reveal| read(View::new(&db, &reveal)));
        db.rollback();
        done
    }

    /// Changes the state: `change` runs under the writer's lock, and its changes and events commit together or not at all.
    ///
    /// # Errors
    /// [`Kind::Locked`] when another writer holds the lock for too long; [`Kind::Bug`] when a change recorded no event.
    pub fn write<T>(&self, change: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        let db = self.db();
        db.begin_write().context(|| "cannot start to write")?;
        match self.run(&db, change) {
            Ok((done, _)) if self.dry_run.get() => {
                db.rollback();
                Ok(done)
            }
            Ok((done, last_event)) => {
                db.commit().or_else(|e| self.settle(e, last_event))?;
                Ok(done)
            }
            Err(e) => {
                db.rollback();
                Err(e)
            }
        }
    }

    fn run<T>(&self, db: &Db, change: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<(T, Option<LastEvent>)> {
        refuse_moved(db)?;
        let mut head = log::head(db)?;
        let now = self.settings.clock.now();
        let names = Names::new(db, &self.settings.random, &self.fields, now);
        let reveal = self.fields.load(db)?;
        let tx = Tx {
            view: View::new(db, &reveal),
            now,
            random: &self.settings.random,
            who: &self.settings.identity,
            names: &names,
            first_event: i64::try_from(head.frontier.size()).context(|| "the audit log is full")?,
            events: RefCell::default(),
            changes: Cell::new(0),
        };
        let done = change(&tx)?;
        let (events, changes) = (tx.events.into_inner(), tx.changes.get());
        if (changes > 0 || names.has_made()) && events.is_empty() {
            return Err(Error::of(Kind::Bug, "a change of governed state recorded no event"));
        }
        let last = self.append(db, &names, &mut head, now, &events)?;
        Ok((done, last))
    }

    fn append(
        &self,
        db: &Db,
        names: &Names<'_>,
        head: &mut log::Head,
        now: Timestamp,
        events: &[Event],
    ) -> Result<Option<LastEvent>> {
        if events.is_empty() {
            return Ok(None);
        }
        let seal = match &self.settings.seal {
            Some(seal) => Some((seal, signing::goes_on(db, head, seal.as_ref())?)),
            None => None,
        };
        let appender = log::Appender { db, who: &self.settings.identity, names, random: &self.settings.random, now };
        let mut last = None;
        for event in events {
            let id = self.settings.random.uuid(now);
            appender.append(head, id, event)?;
            last = Some(LastEvent { id, action: event.action });
        }
        let size = i64::try_from(head.frontier.size()).context(|| "the audit log is full")?;
        let sql = "UPDATE log_head SET size = ?1, frontier = ?2 WHERE id = 1";
        db.execute(sql, values![size, head.frontier.to_bytes()])?;
        if let Some((seal, goes_on)) = seal {
            // A key that is not that of this log is told of in any case.
            let note = seal.seal(&head.origin, head.frontier.size(), &head.frontier.root())?;
            if !goes_on {
                return Ok(last);
            }
            db.execute("INSERT INTO checkpoint (size, note) VALUES (?1, ?2)", values![size, note])?;
        }
        Ok(last)
    }

    /// Signs the head of the log as it is now, when no checkpoint covers it yet: a host with the key signs what hosts without
    /// it appended. Gives the number of entries that the new checkpoint covers. It changes no governed state and appends no
    /// event: a checkpoint is a statement about the log, not an act of somebody.
    ///
    /// # Errors
    /// Those of `seal`, and [`Kind::Locked`] when another writer holds the lock for too long.
    pub fn sign_head(&self, seal: &dyn Seal) -> Result<Option<u64>> {
        let db = self.db();
        db.begin_write().context(|| "cannot start to write")?;
        match self.checkpoint(&db, seal) {
            Ok(Some(size)) if !self.dry_run.get() => db.commit().map(|()| Some(size)),
            done => {
                db.rollback();
                done
            }
        }
    }

    fn checkpoint(&self, db: &Db, seal: &dyn Seal) -> Result<Option<u64>> {
        let head = log::head(db)?;
        let size = i64::try_from(head.frontier.size()).context(|| "the audit log is full")?;
        if size == 0 {
            return Ok(None);
        }
        let note = seal.seal(&head.origin, head.frontier.size(), &head.frontier.root())?;
        let sql = "INSERT INTO checkpoint (size, note) VALUES (?1, ?2) ON CONFLICT (size) DO NOTHING";
        let made = db.execute(sql, values![size, note])?;
        Ok((made > 0).then_some(head.frontier.size()))
    }

    /// Takes the writer's lock and gives it back, to see whether this user may write here now.
    ///
    /// # Errors
    /// What a write would fail with.
    pub fn try_write(&self) -> Result<()> {
        let db = self.db();
        db.begin_write()?;
        let done = db.execute("UPDATE log_head SET size = size WHERE id = 1", &[]);
        db.rollback();
        done.map(|_| ())
    }

    /// Makes what was deleted unreadable in the files of the state too, as far as the engine can: SQLite overwrites it when it is
    /// deleted and here empties its write-ahead log, PostgreSQL gives the space of these tables free to be written over.
    ///
    /// # Errors
    /// When another process reads the state all the while, or the server refuses.
    pub fn scrub(&self, tables: &[&str]) -> Result<()> {
        let db = self.db();
        match &*db {
            _ if self.dry_run.get() => Ok(()),
            Db::Sqlite(_) => {
                let mut busy = false;
                db.each("PRAGMA wal_checkpoint(TRUNCATE)", &[], &mut |row| row.int(0).map(|n| busy = n != 0))?;
                match busy {
                    false => Ok(()),
                    true => {
                        Err(Error::new("another process reads the state, so its write-ahead log still holds what was deleted")
                            .hint("`sqlite3 .kf/state.db 'PRAGMA wal_checkpoint(TRUNCATE)'` empties it once nobody reads"))
                    }
                }
            }
            Db::Postgres(_) => tables.iter().try_for_each(|table| db.batch(&format!("VACUUM {table}"))),
        }
    }

    /// Writes a SQLite file anew without what was deleted in it, where nobody else has it open.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn compact(&self) -> Result<()> {
        let db = self.db();
        match &*db {
            Db::Sqlite(_) => {
                db.batch("VACUUM")?;
                self.scrub(&[])
            }
            Db::Postgres(_) => Ok(()),
        }
    }

    /// Appends telemetry and working rows in one transaction of their own.
    pub fn feed<T>(&self, append: impl FnOnce(&Feed<'_>) -> Result<T>) -> Result<T> {
        let db = self.db();
        db.begin_write().context(|| "cannot start to write")?;
        match refuse_moved(&db).and_then(|()| append(&Feed { db: &db })) {
            Ok(done) if !self.dry_run.get() => db.commit().inspect_err(|_| db.rollback()).map(|()| done),
            Ok(done) => {
                db.rollback();
                Ok(done)
            }
            Err(e) => {
                db.rollback();
                Err(e)
            }
        }
    }
}

/// A value of the `meta` table.
pub fn meta(db: &Db, key: &str) -> Result<Option<String>> {
    let mut value = None;
    db.each("SELECT value FROM meta WHERE key = ?1", values![key], &mut |row| {
        value = Some(row.text(0)?.to_owned());
        Ok(())
    })?;
    Ok(value)
}

/// The id of a state.
///
/// # Errors
/// When it has none.
pub fn state_id(db: &Db) -> Result<String> {
    meta(db, META_STATE_ID)?.ok_or_else(|| Error::new("the state has no id").hint("run `kf fsck`"))
}

/// A state file without a byte where changes of a state lie is one that was emptied, not a new one. Opening it would throw its
/// write-ahead log away. Whether objects of a state are somewhere is for the caller to ask, who knows where they would be.
fn refuse_emptied(settings: &Settings) -> Result<()> {
    let DbTarget::Sqlite(path) = &settings.target else { return Ok(()) };
    if !std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == 0) {
        return Ok(());
    }
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    match std::fs::metadata(wal).is_ok_and(|m| m.len() > 0) {
        true => Err(emptied(path, "changes that belong to it lie in its `-wal` file")),
        false => Ok(()),
    }
}

/// The error for a state file that was emptied; `beside` says by what that is known.
pub fn emptied(path: &Path, beside: &str) -> Error {
    Error::of(Kind::Broken, format!("the state is damaged: {} is empty, but {beside}", path.display()))
        .hint("restore the state from a backup: `kf fsck` tells how")
}

/// A state that was moved away is sealed: what were written here would be missing there.
fn refuse_moved(db: &Db) -> Result<()> {
    match meta(db, META_MOVED_TO)? {
        None => Ok(()),
        Some(place) => Err(Error::new(format!("this state was moved to {place} and takes no more changes"))
            .hint(format!("set `state.url = \"{place}\"` in mlops.toml"))),
    }
}

fn set_meta(db: &Db, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    db.execute(sql, values![key, value]).map(|_| ())
}

#[cfg(test)]
mod tests;

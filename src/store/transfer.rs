//! Carrying a whole state to another database: every table, in one consistent read, into an empty place, and proven there.
//!
//! Invariants. The source's last event (`state.sealed`) is part of what is carried, so the log of the copy only ever extends
//! the log of the source: there is never a second entry at the same index. Until everything is proven the copy carries the
//! mark [`META_INCOMING`] and [`Store::open`] refuses it; until the source has committed its seal it works as before. So
//! after a kill anywhere exactly one of the two takes changes, or, between the seal and the last step, none does and the
//! same call again takes that step.
//!
//! What a table holds is summed up as SHA-256 over its rows in the order of their primary key, each value as a tag and, for
//! text and bytes, a length of 8 bytes (big-endian): engines order keys alike, so the sums of both sides can be compared.

use super::db::{Db, Row, Value};
use super::feed::{VALUES_MAX, insert_sql};
use super::schema::{Column, Table, Type};
use super::tx::Tx;
use super::{META_INCOMING, META_MOVED_TO, META_STATE_ID, Settings, Store, log, meta, migrations, set_meta, state_id};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::event::{Event, Resource};
use crate::base::merkle::{Frontier, leaf_hash};
use crate::values;
use serde::Serialize;

/// Rows read at a time: with the largest log entries, 64 KiB each, some 32 MiB.
const ROWS_MAX: usize = 500;

/// What a table holds, in sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableSum {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// The digest of its rows in the order of their keys.
    pub digest: Digest,
}

/// What was proven about a copy by reading it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The id of the state.
    pub state_id: String,
    /// Entries in the log, the seal of the source included.
    pub log_size: u64,
    /// The log's root, recomputed from the entries of the copy.
    pub log_root: Digest,
    /// Every table, the same on both sides.
    pub tables: Vec<TableSum>,
}

/// A copy that is not proven yet: nobody else can open it.
pub struct Incoming {
    store: Store,
}

/// How far an earlier move to this place came.
pub enum Place {
    /// Nothing is there, or a copy that was given up: it can be filled.
    Empty(Incoming),
    /// The source is sealed and the copy is complete: only the last step is missing.
    Sealed(Incoming),
    /// The move was finished before.
    Done(Box<Store>),
}

/// Makes the place that a state goes to ready, or finds how far an earlier move to it came.
///
/// # Errors
/// When another state is there, or an unfinished copy of another one, or the source was moved elsewhere.
pub fn receive(source: &Store, target: Settings, place: &str) -> Result<Place> {
    let from = source.db();
    let id = state_id(&from)?;
    let moved_to = meta(&from, META_MOVED_TO)?;
    if let Some(other) = moved_to.as_deref().filter(|p| *p != place) {
        return Err(Error::new(format!("this state was moved to {other} already"))
            .hint(format!("set `state.url = \"{other}\"` in mlops.toml and move it on from there")));
    }
    let store = open(target)?;
    let db = store.db();
    let whose = meta(&db, META_STATE_ID)?;
    match (meta(&db, META_INCOMING)?, moved_to.is_some()) {
        (Some(other), _) if other != id => Err(occupied(&store, &format!("an unfinished copy of the state {other}"))),
        (Some(_), true) => Ok(Place::Sealed(Incoming { store })),
        (None, true) if whose.as_deref() == Some(id.as_str()) => Ok(Place::Done(Box::new(store))),
        (_, true) => Err(Error::new(format!("this state was moved to {place}, but it is not there"))
            .hint("check that `--to` names the same place as before; restore it there from a backup if it was lost")),
        (None, false) if whose.is_some() || is_used(&db)? => Err(occupied(&store, "a state")),
        (_, false) => {
            clear(&db, &id)?;
            Ok(Place::Empty(Incoming { store }))
        }
    }
}

fn occupied(store: &Store, by: &str) -> Error {
    Error::new(format!("{} holds {by} already", store.describe())).hint("move to an empty database or schema")
}

/// Opens the place without the check for an unfinished copy, and makes its tables.
fn open(settings: Settings) -> Result<Store> {
    let db = Db::open(&settings.target, super::Mode::Create, settings.lock_timeout)?;
    let found = migrations::schema_of(&db)?;
    migrations::refuse_newer(&db, found)?;
    migrations::migrate(&db, found, None)?;
    Ok(Store::of(settings, db))
}

fn is_used(db: &Db) -> Result<bool> {
    let mut rows = 0;
    db.each("SELECT count(*) FROM log_head", &[], &mut |row| row.int(0).map(|n| rows = n))?;
    Ok(rows > 0)
}

/// Marks the place as an unfinished copy of this state and takes out what an earlier try left there.
fn clear(db: &Db, id: &str) -> Result<()> {
    within(db, || {
        for table in migrations::tables().collect::<Vec<_>>().into_iter().rev() {
            if table.name != "meta" {
                db.execute(&format!("DELETE FROM {}", table.name), &[])?;
            }
        }
        set_meta(db, META_INCOMING, id)
    })
}

/// Runs changes in one transaction of this connection.
pub(super) fn within<T>(db: &Db, change: impl FnOnce() -> Result<T>) -> Result<T> {
    db.begin_write()?;
    match change() {
        Ok(done) => db.commit().map(|()| done),
        Err(e) => {
            db.rollback();
            Err(e)
        }
    }
}

impl Store {
    /// Seals this state and carries all its rows into the copy, holding the writer's lock all the while. `before_rows` runs
    /// under the lock first: what the rows name must be at its place before them. `step` is told each table and its rows.
    ///
    /// # Errors
    /// When the copy is not the same; the source then works as before.
    pub fn seal_into(
        &self,
        copy: &Incoming,
        place: &str,
        before_rows: &mut dyn FnMut() -> Result<()>,
        step: &mut dyn FnMut(&'static str, u64),
    ) -> Result<Proof> {
        let (from, to) = (self.db(), copy.store.db());
        let id = state_id(&from)?;
        from.begin_write().context(|| "cannot take the lock of the state that is to be moved")?;
        let sealed = (|| {
            before_rows()?;
            let ((), last) = self.run(&from, |tx| {
                tx.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", values![META_MOVED_TO, place])?;
                tx.record(Event::new("state.sealed", Resource::new("state", &id)).with("to", place));
                Ok(())
            })?;
            let sums = within(&to, || copy_all(&from, &to, step))
                .context(|| format!("cannot copy the state to {}", copy.store.describe()))?;
            Ok((prove(&from, &sums, copy)?, last))
        })();
        match sealed {
            Ok((proof, last)) => {
                from.commit().or_else(|e| self.settle(e, last))?;
                Ok(proof)
            }
            Err(e) => {
                from.rollback();
                Err(e)
            }
        }
    }
}

impl Store {
    /// Puts all rows of another state in the place of those of this one, and what `change` does then, in one transaction: who reads
    /// meanwhile reads what was there before, and a kill leaves that. `size` is what the log here must have, so that nothing is lost that
    /// came after somebody looked. `step` is told each table and its rows.
    ///
    /// # Errors
    /// When the log has another size, or one of the two cannot be read or written; then nothing has changed.
    pub fn replace<T>(
        &self,
        with: &Self,
        size: u64,
        step: &mut dyn FnMut(&'static str, u64),
        change: impl FnOnce(&Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        let (to, from) = (self.db(), with.db());
        to.begin_write().context(|| "cannot take the lock of the state that is to be replaced")?;
        let replaced = (|| {
            let found = log::head(&to)?.frontier.size();
            if found != size {
                let why = format!("the state was changed meanwhile: its log has {found} entries and had {size}");
                return Err(Error::of(Kind::Locked, why).hint("stop what writes to it, and run the command again"));
            }
            for table in migrations::tables().collect::<Vec<_>>().into_iter().rev().filter(|table| table.name != "meta") {
                to.execute(&format!("DELETE FROM {}", table.name), &[])?;
            }
            copy_all(&from, &to, step)?;
            self.run(&to, change)
        })();
        match replaced {
            Ok((done, _)) if self.is_dry_run() => {
                to.rollback();
                Ok(done)
            }
            Ok((done, last)) => {
                to.commit().or_else(|e| self.settle(e, last))?;
                Ok(done)
            }
            Err(e) => {
                to.rollback();
                Err(e)
            }
        }
    }
}

impl Incoming {
    /// Where the copy is, for people.
    pub fn describe(&self) -> String {
        self.store.describe()
    }

    /// Proves a copy again whose source is sealed.
    ///
    /// # Errors
    /// When it is not the same as the source.
    pub fn prove(&self, source: &Store) -> Result<Proof> {
        let from = source.db();
        from.begin_read()?;
        let proof = sums(&from).and_then(|sums| prove(&from, &sums, self));
        from.rollback();
        proof
    }

    /// Lets the copy take changes from now on; its log goes on with `state.moved`. `derive` first makes what is derived from
    /// the rows and differs between engines, such as indexes of words, in the same transaction.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub fn activate(self, moved: Event, derive: &mut dyn FnMut(&Tx<'_>) -> Result<()>) -> Result<Store> {
        self.store.write(|tx| {
            derive(tx)?;
            tx.execute("DELETE FROM meta WHERE key = ?1", values![META_INCOMING])?;
            tx.record(moved);
            Ok(())
        })?;
        Ok(self.store)
    }
}

/// Every table of a state in sum. Marks of a move are left out: they differ between the sides by design.
pub fn sums(db: &Db) -> Result<Vec<TableSum>> {
    migrations::tables().map(|table| walk(db, table, &mut |_| Ok(()))).collect()
}

pub(super) fn copy_all(from: &Db, to: &Db, step: &mut dyn FnMut(&'static str, u64)) -> Result<Vec<TableSum>> {
    to.execute("DELETE FROM meta WHERE key <> ?1", values![META_INCOMING])?;
    let mut sums = Vec::new();
    for table in migrations::tables() {
        let names: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
        let mut done = 0;
        let sum = walk(from, table, &mut |rows| {
            for batch in rows.chunks((VALUES_MAX / names.len()).max(1)) {
                to.execute(&insert_sql(table.name, &names, batch.len()), &batch.concat())
                    .context(|| format!("cannot insert into {}", table.name))?;
            }
            done += rows.len() as u64;
            step(table.name, done);
            Ok(())
        })?;
        sums.push(sum);
        continue_numbers(to, table)?;
    }
    Ok(sums)
}

/// PostgreSQL counts ids apart from the rows: its counter goes on after the highest one.
fn continue_numbers(to: &Db, table: &Table) -> Result<()> {
    let Some(id) = table.columns.iter().find(|c| c.kind == Type::Id) else { return Ok(()) };
    if let Db::Postgres(_) = to {
        let (table, id) = (table.name, id.name);
        to.batch(&format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{id}'), (SELECT COALESCE(MAX({id}), 1) FROM {table}), \
             EXISTS (SELECT 1 FROM {table}))"
        ))?;
    }
    Ok(())
}

/// Reads a copy again, through a connection of its own, and compares it with what the source holds.
fn prove(from: &Db, sums_from: &[TableSum], copy: &Incoming) -> Result<Proof> {
    let settings = &copy.store.settings;
    let db = Db::open(&settings.target, super::Mode::Read, settings.lock_timeout)?;
    let unlike = |what: String| {
        Error::new(format!("the copy at {} is not the same: {what}", copy.describe()))
            .hint("the state is unchanged where it was: run `kf fsck`, then `kf state move` again")
    };
    let there = sums(&db)?;
    for (a, b) in sums_from.iter().zip(&there) {
        if a != b {
            return Err(unlike(format!("{} has {} rows here and {} there, or others", a.table, a.rows, b.rows)));
        }
    }
    let (here, head) = (log::head(from)?, log::head(&db)?);
    let log = read_log(&db)?;
    if here.origin != head.origin || here.frontier != head.frontier || log != head.frontier {
        return Err(unlike("the audit log has another root".into()));
    }
    Ok(Proof { state_id: state_id(&db)?, log_size: log.size(), log_root: Digest::from_bytes(log.root()), tables: there })
}

/// The frontier recomputed from the entries themselves.
pub(super) fn read_log(db: &Db) -> Result<Frontier> {
    let mut log = Frontier::new();
    db.each("SELECT body FROM eb ORDER BY seq", &[], &mut |row| {
        log.push(leaf_hash(row.text(0)?.as_bytes()));
        Ok(())
    })?;
    Ok(log)
}

/// Reads a table in the order of its primary key, some rows at a time so that no query stays open, and sums it up.
fn walk(db: &Db, table: &'static Table, each: &mut dyn FnMut(&[Vec<Value>]) -> Result<()>) -> Result<TableSum> {
    let key = primary_key(table)?;
    let names: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
    let places: Vec<usize> = key.iter().filter_map(|k| names.iter().position(|n| n == k)).collect();
    let (columns, order) = (names.join(", "), key.join(", "));
    let marks: Vec<String> = (1..=key.len()).map(|i| format!("?{i}")).collect();
    let after = format!("WHERE ({order}) > ({})", marks.join(", "));
    let query = |filter: &str| format!("SELECT {columns} FROM {} {filter} ORDER BY {order} LIMIT {ROWS_MAX}", table.name);
    let (first, next) = (query(""), query(&after));
    let mut hasher = Hasher::new();
    let mut count = 0;
    let mut last: Option<Vec<Value>> = None;
    loop {
        let mut rows = Vec::with_capacity(ROWS_MAX);
        let sql = if last.is_some() { &next } else { &first };
        db.each(sql, last.as_deref().unwrap_or_default(), &mut |row| {
            rows.push(table.columns.iter().enumerate().map(|(i, c)| value(row, i, c)).collect::<Result<Vec<_>>>()?);
            Ok(())
        })
        .context(|| format!("cannot read {}", table.name))?;
        let Some(end) = rows.last() else { break };
        last = Some(places.iter().map(|&i| end[i].clone()).collect());
        let full = rows.len() == ROWS_MAX;
        rows.retain(|row| !(table.name == "meta" && is_mark(&row[0])));
        for value in rows.iter().flatten() {
            sum_up(&mut hasher, value);
        }
        count += rows.len() as u64;
        each(&rows)?;
        if !full {
            break;
        }
    }
    Ok(TableSum { table: table.name, rows: count, digest: hasher.finish() })
}

fn is_mark(key: &Value) -> bool {
    matches!(key, Value::Text(key) if key == META_INCOMING || key == META_MOVED_TO)
}

fn value(row: &Row<'_>, i: usize, column: &Column) -> Result<Value> {
    Ok(match column.kind {
        Type::Id | Type::Int => row.opt_int(i)?.into(),
        // SQLite keeps −0.0 as 0.
        Type::Real => row.opt_real(i)?.map(|v| v + 0.0).into(),
        Type::Text => row.opt_text(i)?.into(),
        Type::Blob => row.opt_blob(i)?.into(),
    })
}

fn sum_up(hasher: &mut Hasher, value: &Value) {
    let mut sized = |tag: &[u8], bytes: &[u8]| {
        hasher.update(tag);
        hasher.update(&(bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    match value {
        Value::Text(text) => sized(b"t", text.as_bytes()),
        Value::Blob(bytes) => sized(b"b", bytes),
        Value::Null => hasher.update(b"n"),
        Value::Int(i) => {
            hasher.update(b"i");
            hasher.update(&i.to_be_bytes());
        }
        Value::Real(r) => {
            hasher.update(b"r");
            hasher.update(&r.to_bits().to_be_bytes());
        }
    }
}

/// The columns of a table's primary key.
fn primary_key(table: &Table) -> Result<Vec<&'static str>> {
    if let Some(id) = table.columns.iter().find(|c| c.kind == Type::Id) {
        return Ok(vec![id.name]);
    }
    let keys = table.keys.iter().find_map(|k| k.strip_prefix("PRIMARY KEY (")?.strip_suffix(')'));
    let keys = keys.ok_or_else(|| Error::of(Kind::Bug, format!("table {} has no primary key to order by", table.name)))?;
    Ok(keys.split(", ").collect())
}

#[cfg(test)]
mod tests;

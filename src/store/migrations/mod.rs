//! Migrations: forward only, in one transaction each, never changed once released. The list is the schema's history.

mod m0001;
mod m0002;
mod m0003;
mod m0004;
mod m0005;
mod m0006;
mod m0007;
mod m0008;
mod m0009;

use super::db::Db;
use super::schema::{Index, Table};
use super::{META_SCHEMA, META_WRITER, meta, set_meta};
use crate::base::error::{Error, Kind, Result};
use std::path::Path;

/// One step of the schema's history.
pub struct Migration {
    /// Its number, counting from 1 without gaps.
    pub number: i64,
    /// Tables it makes.
    pub tables: &'static [Table],
    /// Indexes it makes.
    pub indexes: &'static [Index],
}

/// Every migration, in order.
pub const ALL: &[Migration] = &[
    m0001::MIGRATION,
    m0002::MIGRATION,
    m0003::MIGRATION,
    m0004::MIGRATION,
    m0005::MIGRATION,
    m0006::MIGRATION,
    m0007::MIGRATION,
    m0008::MIGRATION,
    m0009::MIGRATION,
];

/// The schema that this binary writes.
pub const CURRENT: i64 = ALL.len() as i64;

/// Every table of the current schema, in the order in which rows can be copied without breaking a foreign key.
pub fn tables() -> impl Iterator<Item = &'static Table> {
    ALL.iter().flat_map(|m| m.tables)
}

/// The schema number of an open state; 0 when it is empty.
pub(super) fn schema_of(db: &Db) -> Result<i64> {
    let mut exists = false;
    let sql = match db {
        Db::Sqlite(_) => "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'",
        Db::Postgres(_) => {
            "SELECT 1::bigint FROM pg_class WHERE relname = 'meta' AND relnamespace = current_schema()::regnamespace"
        }
    };
    db.each(sql, &[], &mut |_| {
        exists = true;
        Ok(())
    })?;
    if !exists {
        return Ok(0);
    }
    // The table and its number are made in one transaction: one without the other is damage, not a new state.
    let stored = meta(db, META_SCHEMA)?;
    stored.as_deref().and_then(|n| n.parse().ok()).filter(|n| *n > 0).ok_or_else(|| {
        let says = stored.map_or_else(|| "says no schema".to_owned(), |n| format!("says schema `{}`", n.escape_debug()));
        damaged(format!("the state is damaged: its table meta {says}"))
    })
}

fn damaged(what: String) -> Error {
    Error::of(Kind::Broken, what).hint("restore the state from a backup: `kf fsck` tells how")
}

/// Refuses a state that a newer kf wrote; this binary must not guess what it means.
pub(super) fn refuse_newer(db: &Db, found: i64) -> Result<()> {
    if found <= CURRENT {
        return Ok(());
    }
    let writer = meta(db, META_WRITER)?.unwrap_or_else(|| "a newer kf".into());
    if writer == env!("CARGO_PKG_VERSION") {
        return Err(damaged(format!(
            "the state is damaged: its table meta says schema `{found}`, and that this kf {writer} wrote it"
        )));
    }
    Err(Error::new(format!(
        "this state has schema {found}, written by kf {writer}; this kf {} knows up to {CURRENT}",
        env!("CARGO_PKG_VERSION")
    ))
    .hint(format!("install kf {writer} or newer")))
}

/// Brings an open state up to the current schema; `copy` is where a copy of a SQLite file is kept first.
pub(super) fn migrate(db: &Db, found: i64, copy: Option<&Path>) -> Result<()> {
    if found == CURRENT {
        return Ok(());
    }
    if let (true, Some(copy)) = (found > 0, copy) {
        db.keep_copy(copy)?;
    }
    for migration in ALL.iter().filter(|m| m.number > found) {
        apply(db, migration)?;
    }
    Ok(())
}

fn apply(db: &Db, migration: &Migration) -> Result<()> {
    match db {
        Db::Sqlite(_) => db.batch("BEGIN EXCLUSIVE")?,
        Db::Postgres(_) => db.batch("BEGIN; SELECT pg_advisory_xact_lock(7018200111)")?,
    }
    let done = (|| {
        // Another process may have migrated while this one waited for the lock.
        if schema_of(db)? >= migration.number {
            return Ok(());
        }
        for table in migration.tables {
            db.batch(&table.create(db))?;
        }
        for index in migration.indexes {
            db.batch(&index.create())?;
        }
        set_meta(db, META_SCHEMA, &migration.number.to_string())?;
        set_meta(db, META_WRITER, env!("CARGO_PKG_VERSION"))
    })();
    match done {
        Ok(()) => db.commit(),
        Err(e) => {
            db.rollback();
            Err(e)
        }
    }
}

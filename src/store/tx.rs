//! The first door: governed state changes here, together with the audit events that describe the change, or not at all.

use super::Identity;
use super::db::{Db, Row, Value};
use super::feed::{VALUES_MAX, insert_sql};
use super::fields::Reveal;
use super::names::Names;
use crate::base::error::Result;
use crate::base::event::Event;
use crate::base::random::Random;
use crate::base::time::Timestamp;
use std::cell::RefCell;

/// A consistent view of the state.
#[derive(Clone, Copy)]
pub struct View<'a> {
    db: &'a Db,
    reveal: &'a Reveal<'a>,
}

impl<'a> View<'a> {
    pub(super) fn new(db: &'a Db, reveal: &'a Reveal<'a>) -> Self {
        Self { db, reveal }
    }

    /// What reads encrypted names and reasons.
    pub fn reveal(&self) -> &'a Reveal<'a> {
        self.reveal
    }

    /// The connection, for rooms of `store` and for streaming reads.
    pub fn db(&self) -> &'a Db {
        self.db
    }

    /// Calls `each` with every row of a query. `each` must not query itself.
    pub fn each(&self, sql: &str, values: &[Value], mut each: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        self.db.each(sql, values, &mut |row| each(&row.with(self.reveal)))
    }

    /// All rows of a query.
    pub fn all<T>(&self, sql: &str, values: &[Value], mut map: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        let mut out = Vec::new();
        self.each(sql, values, |row| {
            out.push(map(row)?);
            Ok(())
        })?;
        Ok(out)
    }

    /// The first row of a query, if there is one.
    pub fn first<T>(&self, sql: &str, values: &[Value], mut map: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Option<T>> {
        let mut out = None;
        self.each(sql, values, |row| {
            if out.is_none() {
                out = Some(map(row)?);
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// The one integer that a query gives (a count); 0 when it gives none.
    pub fn count(&self, sql: &str, values: &[Value]) -> Result<i64> {
        Ok(self.first(sql, values, |row| row.int(0))?.unwrap_or(0))
    }
}

/// A transaction that holds the writer's lock. Events recorded here are appended when it commits.
pub struct Tx<'a> {
    pub(super) view: View<'a>,
    pub(super) now: Timestamp,
    pub(super) random: &'a Random,
    pub(super) who: &'a Identity,
    pub(super) names: &'a Names<'a>,
    pub(super) first_event: i64,
    pub(super) events: RefCell<Vec<Event>>,
    pub(super) changes: std::cell::Cell<u64>,
}

impl<'a> Tx<'a> {
    /// The state as this transaction sees it.
    pub fn view(&self) -> View<'a> {
        self.view
    }

    /// The time of this transaction, the same for every row and event in it.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who acts: the name, for people.
    pub fn actor(&self) -> &str {
        &self.who.name
    }

    /// Who acts: the pseudonym, for rows. A name stands nowhere but beside its pseudonym, where it can be forgotten.
    ///
    /// # Errors
    /// When the pseudonym cannot be read or made.
    pub fn pseudonym(&self) -> Result<String> {
        self.names.pseudonym(&self.who.kind, &self.who.name)
    }

    /// A new time-ordered id.
    pub fn uuid(&self) -> uuid::Uuid {
        self.random.uuid(self.now)
    }

    /// 32 random bytes: the key of a commitment to what may have to be forgotten.
    pub fn salt(&self) -> [u8; 32] {
        self.random.bytes::<32>()
    }

    /// The index that the next event recorded here will have.
    pub fn next_event(&self) -> i64 {
        self.first_event + i64::try_from(self.events.borrow().len()).unwrap_or(i64::MAX)
    }

    /// Runs a statement that changes governed state and says how many rows it changed.
    pub fn execute(&self, sql: &str, values: &[Value]) -> Result<u64> {
        let n = self.view.db.execute(sql, values)?;
        self.changes.set(self.changes.get() + n);
        Ok(n)
    }

    /// Inserts a row into a table with an `id` column and gives the new id.
    pub fn insert(&self, sql: &str, values: &[Value]) -> Result<i64> {
        let sql = format!("{sql} RETURNING id");
        let mut id = 0;
        self.view.db.each(&sql, values, &mut |row| row.int(0).map(|n| id = n))?;
        self.changes.set(self.changes.get() + 1);
        Ok(id)
    }

    /// Inserts many rows in few statements and says how many there were.
    pub fn insert_all(&self, table: &str, columns: &[&str], rows: impl IntoIterator<Item = Vec<Value>>) -> Result<u64> {
        let per_statement = (VALUES_MAX / columns.len().max(1)).max(1);
        let mut rows = rows.into_iter().peekable();
        let mut inserted = 0;
        while rows.peek().is_some() {
            let batch: Vec<Vec<Value>> = rows.by_ref().take(per_statement).collect();
            inserted += self.execute(&insert_sql(table, columns, batch.len()), &batch.concat())?;
        }
        Ok(inserted)
    }

    /// Records an event about this change and gives its index in the log, which holds once the transaction commits.
    pub fn record(&self, event: Event) -> i64 {
        let index = self.next_event();
        self.events.borrow_mut().push(event);
        index
    }
}

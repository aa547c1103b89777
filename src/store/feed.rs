//! The second door: telemetry and working rows, appended in batches, never changed. What they amount to is sealed by a digest
//! in the event that finishes the work. A row that only says what is left to do goes once that is done.

use super::db::{Db, Value};
use super::migrations;
use super::schema::Door;
use crate::base::error::{Error, Kind, Result};

/// Appends to the tables of the feed, and to no others.
pub struct Feed<'a> {
    pub(super) db: &'a Db,
}

/// How many values one statement carries at most; SQLite allows 32,766, PostgreSQL 65,535.
pub(super) const VALUES_MAX: usize = 8_000;

impl Feed<'_> {
    /// Appends rows to a table of the feed; rows that are there already (a retry) stay as they are.
    ///
    /// # Errors
    /// [`Kind::Bug`] when the table is not one of the feed's.
    pub fn append(&self, table: &str, columns: &[&str], rows: impl IntoIterator<Item = Vec<Value>>) -> Result<u64> {
        own(table)?;
        let per_statement = (VALUES_MAX / columns.len().max(1)).max(1);
        let mut rows = rows.into_iter().peekable();
        let mut appended = 0;
        while rows.peek().is_some() {
            let batch: Vec<Vec<Value>> = rows.by_ref().take(per_statement).collect();
            let sql = format!("{} ON CONFLICT DO NOTHING", insert_sql(table, columns, batch.len()));
            appended += self.db.execute(&sql, &batch.concat())?;
        }
        Ok(appended)
    }

    /// The one integer that a query gives, as things stand for this writer alone; `None` when it gives none.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn asked(&self, sql: &str, values: &[Value]) -> Result<Option<i64>> {
        let mut found = None;
        self.db.each(sql, values, &mut |row| row.opt_int(0).map(|n| found = n))?;
        Ok(found)
    }

    /// Takes out the rows that meet a condition: what they say is left to do is done.
    ///
    /// # Errors
    /// [`Kind::Bug`] when the table is not one of the feed's.
    pub fn finish(&self, table: &str, condition: &str, values: &[Value]) -> Result<()> {
        own(table)?;
        self.db.execute(&format!("DELETE FROM {table} WHERE {condition}"), values).map(|_| ())
    }
}

/// Refuses a table that is not the feed's.
fn own(table: &str) -> Result<()> {
    if migrations::tables().any(|t| t.name == table && t.door == Door::Feed) {
        return Ok(());
    }
    Err(Error::of(Kind::Bug, format!("table {table} is not written through the feed")))
}

/// The statement that inserts so many rows at once.
pub(super) fn insert_sql(table: &str, columns: &[&str], rows: usize) -> String {
    let mut next = 0;
    let row = |_| {
        let marks: Vec<String> = columns
            .iter()
            .map(|_| {
                next += 1;
                format!("?{next}")
            })
            .collect();
        format!("({})", marks.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("INSERT INTO {table} ({}) VALUES {}", columns.join(", "), rows.join(", "))
}

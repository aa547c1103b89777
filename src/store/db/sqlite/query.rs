//! Rows of a query on an SQLite file that is not the state's, opened for reading only.

use super::read_only;
use crate::base::digest::hex;
use crate::base::error::{Error, Result};
use crate::store::db::foreign::{EachPiece, ForeignCell, Piece};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode};
use std::path::Path;
use std::time::Duration;

/// How long to wait for a program that writes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hands out the names and rows of a query.
pub(in crate::store::db) fn rows(path: &Path, sql: &str, each: EachPiece<'_>) -> Result<()> {
    if !path.is_file() {
        return Err(Error::new(format!("there is no file {}", path.display())).hint("name one: `sqlite:PATH`"));
    }
    let db = read_only(path, PATIENCE).map_err(|e| match e.cause::<rusqlite::Error>() {
        Some(cause) => Error::new(format!("cannot open it: {cause}")).hint("is it an SQLite database that this user may read?"),
        None => e,
    })?;
    all(&db, sql, each)
}

fn all(db: &Connection, sql: &str, each: EachPiece<'_>) -> Result<()> {
    let mut statement = db.prepare(sql).map_err(refused)?;
    if statement.column_count() == 0 || !statement.readonly() {
        return Err(Error::new("the query writes, or gives no rows by its kind").hint("write one `SELECT …`"));
    }
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    each(Piece::Names(&names))?;
    let mut rows = statement.query([]).map_err(refused)?;
    let mut texts = vec![String::new(); names.len()];
    while let Some(row) = rows.next().map_err(refused)? {
        // Twice, because a cell borrows the text that was written for it.
        for (at, written) in texts.iter_mut().enumerate() {
            *written = match value(row, at)? {
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => format!("{number:?}"),
                ValueRef::Blob(bytes) => hex(bytes),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Null => continue,
            };
        }
        let mut cells = Vec::with_capacity(names.len());
        for (at, written) in texts.iter().enumerate() {
            cells.push(match value(row, at)? {
                ValueRef::Null => ForeignCell::Absent,
                ValueRef::Integer(_) | ValueRef::Real(_) => ForeignCell::Bare(written),
                // SQLite has no type for vectors: they are texts of JSON there.
                ValueRef::Text(text) if text.starts_with(b"[") => ForeignCell::Bare(written),
                ValueRef::Text(_) | ValueRef::Blob(_) => ForeignCell::Quoted(written),
            });
        }
        each(Piece::Row(&cells))?;
    }
    Ok(())
}

fn value<'r>(row: &'r rusqlite::Row<'_>, at: usize) -> Result<ValueRef<'r>> {
    row.get_ref(at).map_err(refused)
}

/// What SQLite says of a query that it does not run, with what to do.
fn refused(e: rusqlite::Error) -> Error {
    let hint = match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "somebody writes to the file: run the command again",
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "the file is damaged, or no database: take a copy that is whole"
        }
        _ => "try the query with `sqlite3`",
    };
    Error::new(format!("SQLite refused the query: {e}")).hint(hint)
}

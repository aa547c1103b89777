//! Vectors in PostgreSQL: a table `vectors_N` of the extension `vector` for each collection that asked for it, scanned exactly.
//!
//! Rows come and go in the transactions that change the truth, so the table never lags behind it, and a table that is there is
//! complete. It is derived: it is made again from the truth, and never carried to another server. The scan is exact, so its
//! answers are those of the truth; an approximate index would save time only where one server scans millions.
//!
//! The extension may live in any schema, and kf's connections look only into their own: its types and operators are always
//! written with their schema. Values go as text, in the shortest form that reads back as the same 32-bit number.

use super::{Index, Truth, literal, widen};
use crate::base::error::{Context, Error, Result};
use crate::store::db::{Db, Value};
use crate::store::schema::Made;
use crate::store::tx::{Tx, View};
use crate::values;
use std::collections::HashMap;

/// How many vectors one statement adds, removes or compares.
const AT_ONCE: usize = 200;
/// The most dimensions that the type `vector` has (pgvector's README, "Vector Type").
const DIMENSIONS_MAX: usize = 16_000;
/// Up to so many dimensions a row fits a page of 8 KiB and is kept in it, where a scan reads it without a detour.
const INLINE_MAX: usize = 1_900;

/// The table of a collection.
pub struct Pgvector<'v> {
    view: View<'v>,
    table: String,
    /// The schema of the extension, quoted.
    schema: String,
    held: usize,
    last: i64,
}

fn table(collection: i64) -> String {
    format!("vectors_{collection}")
}

/// What the catalogue may hold of the vectors of a collection: only some collections have a table.
pub(in crate::store) fn made(collection: i64) -> Made {
    Made { kind: "table", name: table(collection), sql: None }
}

/// The schema of the extension in this database, quoted; `None` when it is not there.
fn extension(view: View<'_>) -> Result<Option<String>> {
    let sql = "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
        WHERE e.extname = 'vector'";
    view.first(sql, &[], |row| row.text(0).map(str::to_owned))
}

/// The schema of the extension, where the collection has a table of so many dimensions.
fn schema_of(view: View<'_>, collection: i64, dimensions: usize) -> Result<Option<String>> {
    if !matches!(view.db(), Db::Postgres(_)) {
        return Ok(None);
    }
    // `atttypmod` of the type `vector` is its dimensions.
    let sql = "SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relname = ?1 \
        AND c.relnamespace = current_schema()::regnamespace AND a.attname = 'vector' AND a.atttypmod = ?2::bigint";
    let width = i64::try_from(dimensions).context(|| "the vectors are too long for an index")?;
    if view.count(sql, values![table(collection), width])? == 0 {
        return Ok(None);
    }
    extension(view)
}

/// Whether a collection has a table here.
///
/// # Errors
/// Only those of the state.
pub fn is_there(view: View<'_>, collection: i64, dimensions: usize) -> Result<bool> {
    Ok(schema_of(view, collection, dimensions)?.is_some())
}

/// Makes the table of a collection, empty, in the place of the one it had.
///
/// # Errors
/// When the state is not on PostgreSQL, the server has no such extension, or the vectors are too long for it.
pub fn create(tx: &Tx<'_>, collection: i64, dimensions: usize) -> Result<()> {
    let (view, table) = (tx.view(), table(collection));
    let Db::Postgres(_) = view.db() else {
        return Err(Error::new("the engine `pgvector` needs a state on PostgreSQL, and this one is on SQLite")
            .hint("the engine `embedded` works everywhere; `kf state move --to postgres://…` moves the state"));
    };
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(Error::new(format!("the vectors have {dimensions} dimensions, and pgvector takes 1 to {DIMENSIONS_MAX}"))
            .hint("the engine `embedded` takes any"));
    }
    let schema = ensure_extension(view)?;
    let storage = if dimensions <= INLINE_MAX { "PLAIN" } else { "EXTERNAL" };
    view.db().batch(&format!(
        "DROP TABLE IF EXISTS {table}; \
         CREATE TABLE {table} (number BIGINT PRIMARY KEY, vector {schema}.vector({dimensions}) NOT NULL); \
         ALTER TABLE {table} ALTER COLUMN vector SET STORAGE {storage}"
    ))
}

/// The version of the extension in this database, or else of the one that the server could make there; `None` when it has none.
///
/// # Errors
/// Only those of the state.
pub fn version(view: View<'_>) -> Result<Option<String>> {
    let sql = "SELECT COALESCE(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector'";
    match view.db() {
        Db::Sqlite(_) => Ok(None),
        Db::Postgres(_) => view.first(sql, &[], |row| row.text(0).map(str::to_owned)),
    }
}

/// What is said of a server without the extension.
pub fn missing() -> Error {
    Error::new("this PostgreSQL server does not have the extension pgvector")
        .hint("install it on the server (Debian: postgresql-NN-pgvector), then run the command again")
        .hint(NEEDS_NOTHING)
}

/// What works without it.
const NEEDS_NOTHING: &str = "the engine `embedded` needs nothing on the server";

fn ensure_extension(view: View<'_>) -> Result<String> {
    if let Some(schema) = extension(view)? {
        return Ok(schema);
    }
    if version(view)?.is_none() {
        return Err(missing());
    }
    view.db()
        .batch("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
        .context(|| "cannot make the extension pgvector in this database")
        .hint(|| "let an administrator run `CREATE EXTENSION vector` in this database, then run the command again".into())?;
    extension(view)?.ok_or_else(|| Error::new("the extension pgvector is not there though it was made").hint(NEEDS_NOTHING))
}

/// Takes the table of a collection away.
///
/// # Errors
/// Only those of the state.
pub fn drop(tx: &Tx<'_>, collection: i64) -> Result<()> {
    match tx.view().db() {
        Db::Sqlite(_) => Ok(()),
        db @ Db::Postgres(_) => db.batch(&format!("DROP TABLE IF EXISTS {}", table(collection))),
    }
}

/// Adds vectors, where the collection has a table. A vector that holds something other than numbers is left out: it is near
/// nothing.
///
/// # Errors
/// Only those of the state.
pub fn add<'t>(tx: &Tx<'_>, collection: i64, dimensions: usize, vectors: impl Iterator<Item = (i64, &'t [f32])>) -> Result<()> {
    let Some(schema) = schema_of(tx.view(), collection, dimensions)? else { return Ok(()) };
    let sound = |v: &[f32]| v.len() == dimensions && v.iter().all(|x| x.is_finite());
    let vectors: Vec<(i64, &[f32])> = vectors.filter(|(_, v)| sound(v)).collect();
    for some in vectors.chunks(AT_ONCE) {
        let row = |i: usize| format!("(?{}, ?{}::text::{schema}.vector)", 2 * i + 1, 2 * i + 2);
        let rows: Vec<String> = (0..some.len()).map(row).collect();
        let values: Vec<Value> = some.iter().flat_map(|(n, v)| [Value::from(*n), Value::from(literal(v))]).collect();
        tx.execute(&format!("INSERT INTO {} (number, vector) VALUES {}", table(collection), rows.join(", ")), &values)?;
    }
    Ok(())
}

/// Takes vectors out, where the collection has a table.
///
/// # Errors
/// Only those of the state.
pub fn remove(tx: &Tx<'_>, collection: i64, dimensions: usize, numbers: &[i64]) -> Result<()> {
    if !is_there(tx.view(), collection, dimensions)? {
        return Ok(());
    }
    for some in numbers.chunks(AT_ONCE) {
        let marks: Vec<String> = (1..=some.len()).map(|i| format!("?{i}")).collect();
        let values: Vec<Value> = some.iter().copied().map(Value::from).collect();
        tx.execute(&format!("DELETE FROM {} WHERE number IN ({})", table(collection), marks.join(", ")), &values)?;
    }
    Ok(())
}

/// Makes the table of a collection again from the truth; how many vectors it holds.
///
/// # Errors
/// As [`create`].
pub fn fill(tx: &Tx<'_>, collection: i64, dimensions: usize, truth: &dyn Truth) -> Result<usize> {
    create(tx, collection, dimensions)?;
    let (mut last, mut filled) = (i64::MIN, 0);
    loop {
        let mut page: Vec<(i64, Vec<f32>)> = Vec::with_capacity(AT_ONCE);
        truth.after(last, AT_ONCE, &mut |number, bytes| {
            page.push((number, bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()));
            Ok(())
        })?;
        let Some((highest, _)) = page.last() else { return Ok(filled) };
        last = *highest;
        filled += page.len();
        add(tx, collection, dimensions, page.iter().map(|(n, v)| (*n, v.as_slice())))?;
    }
}

/// What is not as in the truth, which has `count` vectors: one line for each kind of difference.
///
/// # Errors
/// Only those of the state.
pub fn differences(view: View<'_>, collection: i64, dimensions: usize, truth: &dyn Truth, count: u64) -> Result<Vec<String>> {
    let Some(schema) = schema_of(view, collection, dimensions)? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT number, {schema}.vector_send(vector) FROM {} WHERE number > ?1 ORDER BY number LIMIT {AT_ONCE}",
        table(collection)
    );
    let (mut last, mut same, mut other, mut extra) = (i64::MIN, 0_u64, 0_u64, 0_u64);
    loop {
        let rows = view.all(&sql, values![last], |row| Ok((row.int(0)?, little_endian(row.blob(1)?))))?;
        let Some((highest, _)) = rows.last() else { break };
        last = *highest;
        let mut page: HashMap<i64, Vec<u8>> = rows.into_iter().collect();
        let numbers: Vec<i64> = page.keys().copied().collect();
        truth.these(&numbers, &mut |number, bytes| {
            let kept = page.remove(&number);
            if kept.is_some_and(|kept| kept == bytes) {
                same += 1
            } else {
                other += 1
            }
            Ok(())
        })?;
        extra += page.len() as u64;
    }
    let missing = count.saturating_sub(same + other);
    let found = [
        (missing, "vectors are not in it"),
        (other, "vectors of it are not those of their chunks"),
        (extra, "vectors of it have no chunk"),
    ];
    Ok(found.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect())
}

/// What `vector_send` gives (two 16-bit numbers, then 32-bit floats, big-endian), as vectors are kept: the floats alone,
/// little-endian.
fn little_endian(sent: &[u8]) -> Vec<u8> {
    let floats = sent.get(4..).unwrap_or_default().as_chunks::<4>().0;
    floats.iter().flat_map(|b| f32::from_be_bytes(*b).to_le_bytes()).collect()
}

impl<'v> Pgvector<'v> {
    /// The table of a collection, when it has one here of so many dimensions.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn find(view: View<'v>, collection: i64, dimensions: usize) -> Result<Option<Self>> {
        let Some(schema) = schema_of(view, collection, dimensions)? else { return Ok(None) };
        let table = table(collection);
        let sql = format!("SELECT count(*), COALESCE(max(number), {}) FROM {table}", i64::MIN);
        let found = view.first(&sql, &[], |row| Ok((row.int(0)?, row.int(1)?)))?;
        let (held, last) = found.map_or((0, i64::MIN), |(n, last)| (usize::try_from(n).unwrap_or(0), last));
        Ok(Some(Self { view, table, schema, held, last }))
    }
}

impl Index for Pgvector<'_> {
    fn last(&self) -> i64 {
        self.last
    }

    fn held(&self) -> usize {
        self.held
    }

    fn best(&self, query: &[f32], wanted: usize, keep: &dyn Fn(i64) -> bool) -> Result<Vec<i64>> {
        if query.iter().any(|x| !x.is_finite()) {
            return Ok(Vec::new());
        }
        // The operator gives the negative inner product, so that the nearest come first.
        let (table, schema) = (&self.table, &self.schema);
        let sql = format!(
            "SELECT number FROM {table} ORDER BY vector OPERATOR({schema}.<#>) ?1::text::{schema}.vector, number LIMIT ?2"
        );
        let asked = literal(query);
        widen(wanted, keep, &mut |limit| {
            let rows = i64::try_from(limit).unwrap_or(i64::MAX);
            self.view.all(&sql, values![asked.as_str(), rows], |row| row.int(0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_reads_back_as_it_was() {
        let vector = [0.1_f32, -0.0, f32::MIN_POSITIVE, 1.0 / 3.0, 16_777_216.0];
        let text = literal(&vector);
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).expect("in brackets");
        let back: Vec<u32> = inner.split(',').map(|x| x.parse::<f32>().expect("a number").to_bits()).collect();
        assert_eq!(back, vector.map(f32::to_bits));
    }

    #[test]
    fn what_the_server_sends_is_turned_round() {
        let sent = [&[0, 2, 0, 0][..], &1.5_f32.to_be_bytes(), &(-2.25_f32).to_be_bytes()].concat();
        assert_eq!(little_endian(&sent), [1.5_f32.to_le_bytes(), (-2.25_f32).to_le_bytes()].concat());
    }
}

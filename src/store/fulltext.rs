//! Full-text search over opaque numbers: which chunks of a collection hold the words of a query, best first.
//!
//! Each collection has an index of its own: frequencies of words in one never change ranks in another, and taking a
//! collection away takes its words away. SQLite: an FTS5 table `fulltext_N` without content (BM25 with k1 = 1.2, b = 0.75,
//! as FTS5 documents it), words folded by `unicode61` without diacritics. PostgreSQL: a table `fulltext_N` of `tsvector` with
//! a GIN index, words by the `simple` configuration, ranked by `ts_rank_cd` divided by the document's length.
//!
//! The index is derived: it is made again from the texts, never carried from one engine to the other.

use super::db::{Db, Value};
use super::schema::Made;
use super::tx::{Tx, View};
use crate::base::error::Result;
use crate::values;
use std::collections::BTreeSet;

/// How many chunks one statement adds.
const AT_ONCE: usize = 200;

fn table(collection: i64) -> String {
    format!("fulltext_{collection}")
}

/// Makes the index of a collection.
///
/// # Errors
/// Only those of the state.
pub fn create(tx: &Tx<'_>, collection: i64) -> Result<()> {
    let db = tx.view().db();
    db.batch(&statements(db, &table(collection)))
}

fn statements(db: &Db, table: &str) -> String {
    match db {
        Db::Sqlite(_) => format!(
            "CREATE VIRTUAL TABLE {table} USING fts5(words, content='', contentless_delete=1, tokenize=\"unicode61 remove_diacritics 2\")"
        ),
        Db::Postgres(_) => format!(
            "CREATE TABLE {table} (chunk BIGINT PRIMARY KEY, words TSVECTOR NOT NULL); \
             CREATE INDEX {table}_words_idx ON {table} USING GIN (words)"
        ),
    }
}

/// What the engine's catalogue holds of the index of a collection.
pub(super) fn made(db: &Db, collection: i64) -> Vec<Made> {
    let name = table(collection);
    match db {
        // FTS5 keeps what it needs in tables of its own, which its documentation lists ("FTS5 Data Structures") without their
        // statements; one without content has no `_content`.
        Db::Sqlite(_) => ["config", "data", "docsize", "idx"]
            .map(|part| Made { kind: "table", name: format!("{name}_{part}"), sql: None })
            .into_iter()
            .chain([Made { kind: "table", sql: Some(statements(db, &name)), name: name.clone() }])
            .collect(),
        Db::Postgres(_) => {
            vec![Made { kind: "index", name: format!("{name}_words_idx"), sql: None }, Made { kind: "table", name, sql: None }]
        }
    }
}

/// Takes the index of a collection away.
///
/// # Errors
/// Only those of the state.
pub fn drop(tx: &Tx<'_>, collection: i64) -> Result<()> {
    tx.view().db().batch(&format!("DROP TABLE IF EXISTS {}", table(collection)))
}

/// Adds chunks with their words.
///
/// # Errors
/// Only those of the state.
pub fn add<'t>(tx: &Tx<'_>, collection: i64, chunks: impl Iterator<Item = (i64, &'t str)>) -> Result<()> {
    let (db, table) = (tx.view().db(), table(collection));
    let chunks: Vec<(i64, &str)> = chunks.collect();
    for some in chunks.chunks(AT_ONCE) {
        let row = |i: usize| match db {
            Db::Sqlite(_) => format!("(?{}, ?{})", 2 * i + 1, 2 * i + 2),
            Db::Postgres(_) => format!("(?{}, to_tsvector('simple', ?{}))", 2 * i + 1, 2 * i + 2),
        };
        let rows: Vec<String> = (0..some.len()).map(row).collect();
        let id = if matches!(db, Db::Sqlite(_)) { "rowid" } else { "chunk" };
        let values: Vec<Value> = some.iter().flat_map(|(id, words)| [Value::from(*id), Value::from(folded(db, words))]).collect();
        tx.execute(&format!("INSERT INTO {table} ({id}, words) VALUES {}", rows.join(", ")), &values)?;
    }
    Ok(())
}

/// PostgreSQL's `simple` configuration keeps accents and refuses words over 2 kB; SQLite folds by itself.
fn folded(db: &Db, words: &str) -> String {
    match db {
        Db::Sqlite(_) => words.to_owned(),
        Db::Postgres(_) => terms(words).join(" "),
    }
}

/// Takes chunks out.
///
/// # Errors
/// Only those of the state.
pub fn remove(tx: &Tx<'_>, collection: i64, chunks: &[i64]) -> Result<()> {
    let (db, table) = (tx.view().db(), table(collection));
    let id = if matches!(db, Db::Sqlite(_)) { "rowid" } else { "chunk" };
    for chunk in chunks {
        tx.execute(&format!("DELETE FROM {table} WHERE {id} = ?1"), values![*chunk])?;
    }
    Ok(())
}

/// The chunks that hold words of the query and are to be kept, best first, with a score that only orders them.
///
/// # Errors
/// Only those of the state.
pub fn search(
    view: View<'_>,
    collection: i64,
    query: &str,
    wanted: usize,
    keep: &dyn Fn(i64) -> bool,
) -> Result<Vec<(i64, f64)>> {
    let terms: BTreeSet<String> = terms(query).into_iter().collect();
    if terms.is_empty() {
        return Ok(Vec::new());
    }
    let (db, table) = (view.db(), table(collection));
    let quoted = |quote: char, or: &str| terms.iter().map(|t| format!("{quote}{t}{quote}")).collect::<Vec<_>>().join(or);
    let (sql, asked) = match db {
        Db::Sqlite(_) => {
            let sql = format!("SELECT rowid, -bm25({table}) FROM {table} WHERE {table} MATCH ?1 ORDER BY 2 DESC, 1");
            (sql, quoted('"', " OR "))
        }
        Db::Postgres(_) => {
            let sql = format!(
                "SELECT f.chunk, ts_rank_cd(f.words, q, 1)::double precision FROM {table} f, to_tsquery('simple', ?1) q \
                 WHERE f.words @@ q ORDER BY 2 DESC, 1"
            );
            (sql, quoted('\'', " | "))
        }
    };
    let mut found = Vec::new();
    view.each(&sql, values![asked], |row| {
        let number = row.int(0)?;
        if found.len() < wanted && keep(number) {
            found.push((number, row.real(1)?));
        }
        Ok(())
    })?;
    Ok(found)
}

/// The numbers of the chunks that are in the index of a collection; empty when there is none.
///
/// # Errors
/// Only those of the state.
pub fn numbers(view: View<'_>, collection: i64) -> Result<BTreeSet<i64>> {
    let (db, table) = (view.db(), table(collection));
    let (there, numbers) = match db {
        Db::Sqlite(_) => ("SELECT count(*) FROM sqlite_schema WHERE name = ?1", format!("SELECT id FROM {table}_docsize")),
        Db::Postgres(_) => (
            "SELECT count(*) FROM pg_class WHERE relname = ?1 AND relnamespace = current_schema()::regnamespace",
            format!("SELECT chunk FROM {table}"),
        ),
    };
    if view.count(there, values![table.as_str()])? == 0 {
        return Ok(BTreeSet::new());
    }
    Ok(view.all(&numbers, &[], |row| row.int(0))?.into_iter().collect())
}

/// The words of a text: letters and digits, without case and accents, at most 64 characters long.
fn terms(text: &str) -> Vec<String> {
    use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};
    let plain: String = text.nfd().filter(|c| !is_combining_mark(*c)).collect::<String>().to_lowercase();
    plain.split(|c: char| !c.is_alphanumeric()).filter(|t| !t.is_empty() && t.chars().count() <= 64).map(str::to_owned).collect()
}

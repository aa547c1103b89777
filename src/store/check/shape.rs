//! What a state is made of, against what the migrations and the collections make: tables, indexes, and nothing that acts on its
//! own. A trigger or a view of somebody else changes what a write or a read means, without any row that could be compared.

use super::{Finding, altered, restore_fix};
use crate::base::error::Result;
use crate::store::schema::Made;
use crate::store::vectors::pgvector;
use crate::store::{Db, View, fulltext, migrations};
use crate::values;
use std::collections::BTreeMap;

/// What an object is known by: its kind and its name.
type Named = (String, String);

/// What may be in a state.
struct Expected {
    /// The statement that makes it, when this program writes it.
    sql: Option<String>,
    /// Whether it must be there.
    must: bool,
}

/// Compares the schema, and what belongs to the log but stands in no entry: more heads than one, words that nothing uses.
/// `collections` are the numbers of those that have indexes of their own here.
///
/// # Errors
/// When the schema cannot be read.
pub fn compare(view: View<'_>, collections: &[i64]) -> Result<Vec<Finding>> {
    let expected = expected(view.db(), collections);
    let found = stored(view, &expected)?;
    let mut findings = Vec::new();
    let mut say = |(kind, name): &Named, what: &str| {
        findings.push(Finding::new(format!("{kind} {}", name.escape_debug()), what, restore_fix(None)));
    };
    for (object, sql) in &found {
        match expected.get(object) {
            None => say(object, "kf did not make it: whoever can write the state did"),
            Some(Expected { sql: Some(made), .. }) if sql.as_ref().is_some_and(|sql| sql != made) => {
                say(object, "it is not as kf makes it: it was altered");
            }
            Some(_) => {}
        }
    }
    let missing = expected.iter().filter(|(object, e)| e.must && !found.contains_key(*object));
    for (object, _) in missing {
        say(object, "it is missing");
    }
    findings.extend(altered::compare(view)?);
    findings.extend(strays(view)?);
    Ok(findings)
}

fn expected(db: &Db, collections: &[i64]) -> BTreeMap<Named, Expected> {
    let of_migration = |m: &migrations::Migration| {
        let tables = m.tables.iter().map(|t| Made { kind: "table", name: t.name.into(), sql: Some(t.create(db)) });
        tables.chain(m.indexes.iter().map(|i| Made { kind: "index", name: i.name.into(), sql: Some(i.create()) })).collect()
    };
    let all: Vec<Vec<Made>> = migrations::ALL.iter().map(of_migration).collect();
    let needed = all.into_iter().flatten().chain(collections.iter().flat_map(|c| fulltext::made(db, *c)));
    let one = |made: Made, must: bool| ((made.kind.to_owned(), made.name), Expected { sql: made.sql, must });
    let mut expected: BTreeMap<Named, Expected> = needed.map(|made| one(made, true)).collect();
    if matches!(db, Db::Postgres(_)) {
        expected.extend(collections.iter().map(|c| one(pgvector::made(*c), false)));
    }
    expected
}

/// What the catalogue holds, with the statement that made it when the engine keeps it, and the table that it is on.
///
/// A schema of PostgreSQL may be shared: what is neither called as kf calls its own nor on a table of kf belongs to others. The
/// index of a key comes with its table.
fn stored(view: View<'_>, expected: &BTreeMap<Named, Expected>) -> Result<BTreeMap<Named, Option<String>>> {
    let (sql, shared) = match view.db() {
        Db::Sqlite(_) => {
            ("SELECT type, name, sql, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'", false)
        }
        Db::Postgres(_) => (POSTGRES, true),
    };
    let mut found = BTreeMap::new();
    view.each(sql, values![], |row| {
        let object = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
        let on_ours = || expected.contains_key(&("table".to_owned(), row.text(3).unwrap_or_default().to_owned()));
        let called_as_ours = object.0 == "table" && is_of_collection(&object.1);
        if !shared || expected.contains_key(&object) || called_as_ours || on_ours() {
            found.insert(object, row.opt_text(2)?.map(str::to_owned));
        }
        Ok(())
    })?;
    Ok(found)
}

const POSTGRES: &str = "SELECT 'table', c.relname::text, NULL::text, c.relname::text FROM pg_class c \
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') \
     UNION ALL SELECT 'index', i.relname::text, NULL, t.relname::text FROM pg_index x \
     JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid \
     WHERE t.relnamespace = current_schema()::regnamespace AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid) \
     UNION ALL SELECT 'trigger', t.tgname::text, NULL, c.relname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
     WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace \
     UNION ALL SELECT 'rule', r.rulename::text, NULL, c.relname::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class \
     WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace";

/// `fulltext_7`, `vectors_7`.
fn is_of_collection(name: &str) -> bool {
    let number = name.strip_prefix("fulltext_").or_else(|| name.strip_prefix("vectors_"));
    number.is_some_and(|n| n.parse::<i64>().is_ok())
}

fn strays(view: View<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let heads = view.count("SELECT COUNT(*) FROM log_head WHERE id <> 1", values![])?;
    if heads > 0 {
        findings.push(Finding::new("audit log", format!("it has {heads} more heads than its own"), restore_fix(None)));
    }
    let unused = "SELECT COUNT(*), MIN(id) FROM dict WHERE id NOT IN (SELECT actor FROM ev UNION SELECT action FROM ev \
                  UNION SELECT res FROM ev UNION SELECT ticket FROM ev WHERE ticket IS NOT NULL)";
    view.each(unused, values![], |row| {
        let (n, first) = (row.int(0)?, row.opt_int(1)?.unwrap_or(0));
        if n > 0 {
            let what = format!("no entry uses {n} of its words, the first with the id {first}");
            findings.push(Finding::new("audit log", what, restore_fix(None)));
        }
        Ok(())
    })?;
    Ok(findings)
}

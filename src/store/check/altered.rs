//! Whether the tables on PostgreSQL are as the migrations make them: columns with type, collation, NOT NULL, identity and default;
//! keys; and what changes which rows a query sees or a crash leaves. SQLite keeps the statement that made a table, and that is
//! compared instead.
//!
//! What is expected comes from the typed description that the tables are made from, not from another database. The names of types
//! are those of `format_type`, the words of keys those of `pg_get_constraintdef`, without blanks and quotes.

use super::{Finding, restore_fix};
use crate::base::error::Result;
use crate::store::schema::{Column, Table, Type};
use crate::store::{Db, View, migrations};
use crate::values;
use std::collections::{BTreeMap, BTreeSet};

/// What a table is made of.
type Parts = BTreeSet<String>;

/// The catalogue's parts of every table of the schema; the NOT NULL constraints that PostgreSQL 18 lists stand with the columns.
const PARTS: &str = "SELECT c.relname::text, 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) \
     || COALESCE(' collate ' || l.collname, '') || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END \
     || CASE WHEN a.attidentity = 'd' THEN ' identity' ELSE a.attidentity::text END \
     || COALESCE(' default ' || pg_get_expr(d.adbin, d.adrelid), '') \
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_collation l ON l.oid = a.attcollation \
     LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped \
     UNION ALL SELECT c.relname::text, 'key ' || translate(pg_get_constraintdef(k.oid), ' \"', '') \
     FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid \
     WHERE c.relnamespace = current_schema()::regnamespace AND k.contype <> 'n' \
     UNION ALL SELECT c.relname::text, w.word FROM pg_class c CROSS JOIN LATERAL (VALUES \
     (c.relpersistence = 'u', 'unlogged: a crash empties it'), (c.relrowsecurity, 'row security: queries do not see all rows'), \
     (c.relispartition, 'part of another table'), (EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = c.oid), 'rows of other tables'), (c.relkind = 'p', 'partitioned')) AS w(yes, word) \
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND w.yes";

/// Compares the tables that are there; one that is missing is found by its name.
///
/// # Errors
/// When the catalogue cannot be read.
pub(super) fn compare(view: View<'_>) -> Result<Vec<Finding>> {
    if matches!(view.db(), Db::Sqlite(_)) {
        return Ok(Vec::new());
    }
    let mut found: BTreeMap<String, Parts> = BTreeMap::new();
    view.each(PARTS, values![], |row| {
        found.entry(row.text(0)?.to_owned()).or_default().insert(row.text(1)?.to_owned());
        Ok(())
    })?;
    let told = |table: &Table| differences(&expected(table), found.get(table.name)?).map(|what| finding(table, &what));
    Ok(migrations::tables().filter_map(told).collect())
}

fn finding(table: &Table, what: &str) -> Finding {
    Finding::new(format!("table {}", table.name), format!("it is not as kf makes it: {what}"), restore_fix(None))
}

/// What was added and what is gone; `None` when nothing differs.
fn differences(expected: &Parts, found: &Parts) -> Option<String> {
    let listed = |word: &str, parts: Vec<&String>| {
        (!parts.is_empty()).then(|| format!("{word} {}", parts.iter().map(|p| format!("`{p}`")).collect::<Vec<_>>().join(", ")))
    };
    let added = listed("there is", found.difference(expected).collect());
    let gone = listed("kf makes", expected.difference(found).collect());
    let all: Vec<String> = added.into_iter().chain(gone).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn expected(table: &Table) -> Parts {
    let keys = table.keys.iter().map(|key| format!("key {}", key.replace(' ', "")));
    let ids = table.columns.iter().filter(|c| c.kind == Type::Id).map(|c| format!("key PRIMARYKEY({})", c.name));
    table.columns.iter().map(column).chain(keys).chain(ids).collect()
}

fn column(c: &Column) -> String {
    let kind = match c.kind {
        Type::Id => return format!("column {} bigint not null identity", c.name),
        Type::Int => "bigint",
        Type::Real => "double precision",
        Type::Text => "text collate C",
        Type::Blob => "bytea",
    };
    format!("column {} {kind}{}", c.name, if c.null { "" } else { " not null" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_what_is_gone_is_told() {
        let parts = |all: &[&str]| all.iter().map(|p| (*p).to_owned()).collect::<Parts>();
        assert_eq!(differences(&parts(&["a", "b"]), &parts(&["b", "a"])), None);
        assert_eq!(differences(&parts(&["a"]), &parts(&["a", "c"])).as_deref(), Some("there is `c`"));
        assert_eq!(differences(&parts(&["a", "b"]), &parts(&["a", "c"])).as_deref(), Some("there is `c`; kf makes `b`"));
    }
}

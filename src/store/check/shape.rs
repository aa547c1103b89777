//! What a state is made of, against what the migrations make: tables, indexes, and nothing that acts on its own. A trigger or
//! a view of somebody else changes what a write or a read means, without any row that could be compared.

use super::{Finding, restore_fix};
use crate::base::error::Result;
use crate::store::{Db, View, migrations};
use crate::values;
use std::collections::BTreeMap;

/// Objects by kind and name, with the statement that makes them when the engine keeps it.
type Shape = BTreeMap<(String, String), Option<String>>;

/// Compares the schema, and what belongs to the log but stands in no entry: more heads than one, words that nothing uses.
///
/// # Errors
/// When the schema cannot be read.
pub fn compare(view: View<'_>) -> Result<Vec<Finding>> {
    let (expected, found) = (expected(view.db()), stored(view)?);
    let mut findings = Vec::new();
    let mut say = |(kind, name): &(String, String), what: &str| {
        findings.push(Finding::new(format!("{kind} {}", name.escape_debug()), what, restore_fix(None)));
    };
    for (object, sql) in &found {
        match expected.get(object) {
            None => say(object, "kf did not make it: whoever can write the state did"),
            Some(made) if sql.is_some() && sql != made => say(object, "it is not as kf makes it: it was altered"),
            Some(_) => {}
        }
    }
    expected.keys().filter(|object| !found.contains_key(*object)).for_each(|object| say(object, "it is missing"));
    findings.extend(strays(view)?);
    Ok(findings)
}

fn expected(db: &Db) -> Shape {
    let table = |t: &migrations::Migration| t.tables.iter().map(|t| (("table", t.name), t.create(db))).collect::<Vec<_>>();
    let index = |m: &migrations::Migration| m.indexes.iter().map(|i| (("index", i.name), i.create())).collect::<Vec<_>>();
    let all = migrations::ALL.iter().flat_map(|m| [table(m), index(m)].concat());
    all.map(|((kind, name), sql)| ((kind.to_owned(), name.to_owned()), Some(sql))).collect()
}

fn stored(view: View<'_>) -> Result<Shape> {
    // PostgreSQL schemas may be shared with others: what hangs on other tables is theirs. It keeps no statements.
    let sql = match view.db() {
        Db::Sqlite(_) => "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        Db::Postgres(_) => {
            "SELECT CASE relkind WHEN 'i' THEN 'index' ELSE 'table' END, relname::text, NULL::text FROM pg_class \
             WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i') \
             UNION ALL SELECT 'trigger', c.relname || '.' || t.tgname, NULL FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
             WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace \
             UNION ALL SELECT 'rule', c.relname || '.' || r.rulename, NULL FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class \
             WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
        }
    };
    let shared = matches!(view.db(), Db::Postgres(_));
    let expected = expected(view.db());
    let mut found = Shape::new();
    view.each(sql, values![], |row| {
        let object = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
        let table = object.1.split('.').next().unwrap_or_default().to_owned();
        let acts = matches!(object.0.as_str(), "trigger" | "rule") && expected.contains_key(&("table".to_owned(), table));
        if !shared || acts || expected.contains_key(&object) {
            found.insert(object, row.opt_text(2)?.map(str::to_owned));
        }
        Ok(())
    })?;
    Ok(found)
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

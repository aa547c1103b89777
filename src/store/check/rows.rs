//! Rows as they are stored against rows as the audit log tells them: every column, both ways.
//!
//! Values are compared as texts, whatever they are, so that a row somebody edited into nonsense is still compared column by
//! column. Numbers that only the database knows (`id`) have no meaning of their own: whoever reads a table puts names in their
//! place, so that a row is known by what it is about.

use super::{Finding, restore_fix};
use crate::base::digest::{Digest, hex};
use crate::base::error::{Error, Kind, Result};
use crate::base::time::Timestamp;
use crate::store::schema::{Column, Table, Type};
use crate::store::{Row, Value, View, migrations};
use std::collections::BTreeMap;

/// A value for people; `None` is NULL.
pub type Cell = Option<String>;

/// A row without what it is known by: each column with its value.
pub type Cells = BTreeMap<&'static str, Cell>;

/// A row as the log tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The entry that made it, or changed it last.
    pub event: i64,
    /// What it says.
    pub cells: Cells,
}

/// Rows of some tables by what they are about: `version bot@1.2.0`, `tag new of bot@1.2.0`.
pub type Rows<T> = BTreeMap<String, T>;

/// Every row of a table, whatever is in it.
///
/// # Errors
/// When the table cannot be read at all.
pub fn stored(view: View<'_>, table: &str) -> Result<Vec<Cells>> {
    let Some(table) = migrations::tables().find(|t| t.name == table) else {
        return Err(Error::of(Kind::Bug, format!("there is no table {table}")));
    };
    view.all(&select(table), &[], |row| Ok(table.columns.iter().enumerate().map(|(i, c)| (c.name, cell(row, i, c))).collect()))
}

fn select(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
    format!("SELECT {} FROM {}", names.join(", "), table.name)
}

/// A value as text. What is not of its column's type cannot be what was recorded: it is called unreadable.
fn cell(row: &Row<'_>, i: usize, column: &Column) -> Cell {
    let unreadable = |_: Error| Some("unreadable".to_owned());
    match column.kind {
        Type::Id | Type::Int => row.opt_int(i).map_or_else(unreadable, |n| n.map(|n| n.to_string())),
        Type::Real => row.opt_real(i).map_or_else(unreadable, real),
        Type::Blob => row.opt_blob(i).map_or_else(unreadable, |b| b.map(blob)),
        // NULL is no text either, so it is asked for first.
        Type::Text => match row.opt_text(i) {
            Ok(text) => text.map(str::to_owned),
            Err(_) => row.text_bytes(i).map_or_else(unreadable, |b| Some(String::from_utf8_lossy(b).into_owned())),
        },
    }
}

/// A double as its shortest decimal text; the engines do not keep the sign of a zero.
pub fn real(value: Option<f64>) -> Cell {
    value.map(|v| (v + 0.0).to_string())
}

fn blob(bytes: &[u8]) -> String {
    bytes.try_into().map_or_else(|_| hex(bytes), |digest| Digest::from_bytes(digest).to_string())
}

/// Gives the bytes of some rows of a table to `add`, value by value with its kind and length, so that no two different lists
/// of rows give the same bytes. `filter` is what follows FROM TABLE; it must order the rows.
///
/// # Errors
/// When the table cannot be read at all; a value that is not of its column's type counts as such.
pub fn feed(
    view: View<'_>,
    (table, columns): (&str, &[&str]),
    filter: &str,
    values: &[Value],
    add: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let Some(found) = migrations::tables().find(|t| t.name == table) else {
        return Err(Error::of(Kind::Bug, format!("there is no table {table}")));
    };
    let kind = |name: &&str| found.columns.iter().find(|c| c.name == *name).map_or(Type::Text, |c| c.kind);
    let kinds: Vec<Type> = columns.iter().map(kind).collect();
    add(table.as_bytes());
    view.each(&format!("SELECT {} FROM {table} {filter}", columns.join(", ")), values, |row| {
        add(b"row");
        for (i, kind) in kinds.iter().enumerate() {
            feed_one(row, i, *kind, add);
        }
        Ok(())
    })
}

fn feed_one(row: &Row<'_>, i: usize, kind: Type, add: &mut dyn FnMut(&[u8])) {
    let mut sized = |tag: &[u8], bytes: &[u8]| {
        add(tag);
        add(&(bytes.len() as u64).to_be_bytes());
        add(bytes);
    };
    // The engines do not keep the sign of a zero.
    let bits = |r: f64| (r + 0.0).to_bits().to_be_bytes();
    let (int, real);
    let value: Result<Option<(&[u8], &[u8])>> = match kind {
        Type::Id | Type::Int => {
            int = row.opt_int(i).map(|n| n.map(i64::to_be_bytes));
            int.as_ref().map(|n| n.as_ref().map(|n| (&b"i"[..], &n[..]))).map_err(|_| unread())
        }
        Type::Real => {
            real = row.opt_real(i).map(|r| r.map(bits));
            real.as_ref().map(|r| r.as_ref().map(|r| (&b"r"[..], &r[..]))).map_err(|_| unread())
        }
        Type::Text => row.opt_text(i).map(|t| t.map(|t| (&b"t"[..], t.as_bytes()))),
        Type::Blob => row.opt_blob(i).map(|b| b.map(|b| (&b"b"[..], b))),
    };
    match value {
        Ok(Some((tag, bytes))) => sized(tag, bytes),
        Ok(None) => sized(b"n", &[]),
        Err(_) => sized(b"unreadable", &[]),
    }
}

fn unread() -> Error {
    Error::new("not of its column's type")
}

/// What is stored and what the log tells, as findings: rows without event, events without row, and columns that differ.
pub fn compare(stored: &Rows<Vec<Cells>>, told: &Rows<Told>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (subject, rows) in stored {
        let Some(told) = told.get(subject) else {
            findings.push(Finding::new(subject, "no event of the audit log tells of this row", restore_fix(None)));
            continue;
        };
        let fix = restore_fix(Some(told.event));
        if rows.len() > 1 {
            findings.push(Finding::new(subject, format!("there are {} rows of it", rows.len()), &fix));
        }
        for row in rows {
            let wrong = differences(row, &told.cells);
            if !wrong.is_empty() {
                let problem = format!("its row does not say what the audit log says: {}", wrong.join("; "));
                findings.push(Finding::new(subject, problem, &fix));
            }
        }
    }
    for (subject, told) in told.iter().filter(|(subject, _)| !stored.contains_key(*subject)) {
        let problem = format!("entry {} of the audit log made it, but its row is gone", told.event);
        findings.push(Finding::new(subject, problem, restore_fix(Some(told.event))));
    }
    findings
}

/// `COLUMN is A, recorded was B` for each column that differs.
pub fn differences(row: &Cells, told: &Cells) -> Vec<String> {
    let columns = told.iter().filter(|(column, value)| row.get(*column) != Some(*value));
    columns
        .map(|(c, value)| format!("{c} is {}, recorded was {}", worded(c, row.get(c).unwrap_or(&None)), worded(c, value)))
        .collect()
}

/// The same for a row of which only some columns were read.
pub fn differences_read(row: &Cells, told: &Cells) -> Vec<String> {
    let read = told.iter().filter(|(column, _)| row.contains_key(*column));
    differences(row, &read.map(|(column, value)| (*column, value.clone())).collect())
}

/// Columns that hold times, in microseconds.
const TIMES: &[&str] = &["created", "ts", "retired", "purged"];

/// The longest value that is told whole, in characters.
const SHOWN_MAX: usize = 100;

fn worded(column: &str, value: &Cell) -> String {
    let Some(text) = value else { return "nothing".into() };
    let time = TIMES.contains(&column).then(|| text.parse().ok()).flatten();
    let time = time.map(|micros| Timestamp::from_micros(micros).to_string());
    // A value may have any length: no more of it is escaped than is shown, and one that says that there is more.
    let shown: String = time.as_ref().unwrap_or(text).chars().take(SHOWN_MAX + 1).collect();
    crate::base::text::ellipsis(&shown.escape_debug().to_string(), SHOWN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::ellipsis;
    use proptest::prelude::*;

    proptest! {
        /// What is shown of a value is the beginning of all of it escaped, though not all of it is escaped.
        #[test]
        fn no_more_is_looked_at_than_is_shown(
            text in prop_oneof!["\\PC{0,120}", "[\\x00-\\x1fa'\"\\\\\u{301}]{0,220}", "a{98,102}"],
        ) {
            let whole = ellipsis(&text.escape_debug().to_string(), SHOWN_MAX);
            prop_assert_eq!(worded("author", &Some(text)), whole);
        }
    }
}

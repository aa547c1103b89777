//! Whether the rows of documents say what the audit log says: the log is replayed, and what comes out is compared with the
//! rows, both ways. A row below a document is held by the document's seal, which is computed again from what is stored.
//!
//! Covered: every column of `tenant` and `collection`, and of every table below a document but what `kf index verify` checks
//! (`chunk.vector`, `document.vectors`, `chunk.number`, which thing a mention or a relation is of). `embedding` is a cache, from
//! which nothing is told, and `outbox` says only what other engines have not been told yet.

use super::table::seal::seal;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::store::check::rows::{self, Cell, Cells, Rows, Told};
use crate::store::check::{Entry, Finding, restore_fix};
use crate::store::{View, values};
use serde_json::Value;
use std::collections::BTreeMap;

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["collection.", "document.", "privacy.erased"];

/// The documents as the log tells them.
#[derive(Debug, Default)]
pub struct Replay {
    told: Rows<Told>,
}

/// What checking the documents gave.
#[derive(Debug, Default)]
pub struct Checked {
    /// Documents compared, refused ones included.
    pub documents: u64,
    /// What does not agree.
    pub findings: Vec<Finding>,
}

fn document(uid: &str) -> String {
    format!("document {uid}")
}

fn collection(name: &str) -> String {
    format!("collection {name}")
}

fn text(value: impl ToString) -> Cell {
    Some(value.to_string())
}

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        match entry.action.as_str() {
            "collection.created" => self.created(entry),
            "collection.rebuilt" => self.rebuilt(entry),
            "collection.moved" => self.moved(entry),
            "collection.graph-moved" => {
                if let Some(told) = self.told.get_mut(&collection(&entry.res.name)) {
                    told.cells.insert("graph", entry.text("to").map(str::to_owned));
                }
            }
            "document.ingested" | "document.refused" => self.ingested(entry),
            "document.removed" => {
                self.told.remove(&document(&entry.res.name));
            }
            "privacy.erased" => self.erased(entry),
            _ => {}
        }
    }

    fn created(&mut self, entry: &Entry) {
        let tenant = entry.res.name.split('/').next().unwrap_or_default();
        let at = text(entry.at.micros());
        let key = entry.text("tenant-key").map(str::to_owned);
        let told = |cells: Vec<(&'static str, Cell)>| Told { event: entry.seq, cells: cells.into_iter().collect() };
        self.told.entry(format!("tenant {tenant}")).or_insert_with(|| told(vec![("salt", key.clone()), ("created", at.clone())]));
        let mut cells = vec![("created", at), ("event", text(entry.seq)), ("last_chunk", text(0)), ("graph", text("embedded"))];
        cells.push(("engine", entry.text("engine").map(str::to_owned)));
        cells.extend(model(entry));
        self.told.insert(collection(&entry.res.name), told(cells));
    }

    fn rebuilt(&mut self, entry: &Entry) {
        if let Some(told) = self.told.get_mut(&collection(&entry.res.name)).filter(|_| entry.text("embedder").is_some()) {
            told.cells.extend(model(entry));
        }
    }

    fn moved(&mut self, entry: &Entry) {
        if let Some(told) = self.told.get_mut(&collection(&entry.res.name)) {
            told.cells.insert("engine", entry.text("to").map(str::to_owned));
        }
    }

    fn ingested(&mut self, entry: &Entry) {
        if let Some(uid) = entry.text("replaces") {
            self.told.remove(&document(uid));
        }
        let named = format!("{}/{}", entry.text("tenant").unwrap_or_default(), entry.text("collection").unwrap_or_default());
        let chunks = entry.detail.get("chunks").and_then(Value::as_i64).unwrap_or(0);
        if let Some(cell) = self.told.get_mut(&collection(&named)).and_then(|c| c.cells.get_mut("last_chunk")) {
            let before: i64 = cell.as_deref().and_then(|n| n.parse().ok()).unwrap_or(0);
            *cell = text(before.saturating_add(chunks));
        }
        let cells = [("collection", text(named)), ("event", text(entry.seq)), ("seal", entry.text("seal").map(str::to_owned))];
        self.told.insert(document(&entry.res.name), Told { event: entry.seq, cells: cells.into() });
    }

    fn erased(&mut self, entry: &Entry) {
        if entry.text("scope") == Some("tenant") {
            let (tenant, below) = (format!("tenant {}", entry.res.name), format!("{}/", entry.res.name));
            self.told.retain(|subject, told| {
                let of = told.cells.get("collection").cloned().flatten();
                let of = of.as_deref().or_else(|| subject.strip_prefix("collection "));
                *subject != tenant && !of.is_some_and(|of| of.starts_with(&below))
            });
        }
        for uid in entry.detail.get("erased").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            self.told.remove(&document(uid));
        }
    }

    /// Compares the rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(self, view: View<'_>) -> Result<Checked> {
        let mut stored = heads(view)?;
        let documents = documents(view)?;
        let mut checked = Checked { documents: documents.len() as u64, findings: Vec::new() };
        stored.extend(documents);
        checked.findings = rows::compare(&stored, &self.told);
        checked.findings.extend(strays(view)?);
        Ok(checked)
    }
}

fn model(entry: &Entry) -> Vec<(&'static str, Cell)> {
    vec![
        ("embedder", entry.text("embedder").map(str::to_owned)),
        ("embedder_digest", entry.text("embedder-digest").map(str::to_owned)),
        ("dimensions", entry.detail.get("dimensions").and_then(Value::as_i64).map(|n| n.to_string())),
    ]
}

/// Tenants and collections by what they are about.
fn heads(view: View<'_>) -> Result<Rows<Vec<Cells>>> {
    let mut all: Rows<Vec<Cells>> = BTreeMap::new();
    let value = |row: &Cells, column: &str| row.get(column).cloned().flatten().unwrap_or_default();
    let mut tenants = BTreeMap::new();
    for mut row in rows::stored(view, "tenant")? {
        // The log knows the digest of the key.
        let salt: Cell = value(&row, "salt").parse::<Digest>().ok().map(|salt| Digest::of(salt.as_bytes()).to_string());
        row.insert("salt", salt);
        tenants.insert(value(&row, "id"), value(&row, "name"));
        all.entry(format!("tenant {}", value(&row, "name"))).or_default().push(row);
    }
    for row in rows::stored(view, "collection")? {
        let number = value(&row, "tenant");
        let tenant = tenants.get(&number).cloned().unwrap_or_else(|| format!("#{number}"));
        all.entry(collection(&format!("{tenant}/{}", value(&row, "name")))).or_default().push(row);
    }
    Ok(all)
}

/// Documents with their seals as they are now.
fn documents(view: View<'_>) -> Result<Rows<Vec<Cells>>> {
    let sql = "SELECT d.id, d.uid, d.salt, d.event, t.name, c.name FROM document d LEFT JOIN collection c ON c.id = d.collection \
        LEFT JOIN tenant t ON t.id = c.tenant ORDER BY d.id";
    let found = view.all(sql, &[], |row| {
        let named = format!("{}/{}", row.opt_text(4)?.unwrap_or("#"), row.opt_text(5)?.unwrap_or("#"));
        Ok((row.int(0)?, row.text(1)?.to_owned(), row.blob(2)?.to_vec(), row.int(3)?, named))
    })?;
    let mut all: Rows<Vec<Cells>> = BTreeMap::new();
    for (id, uid, salt, event, named) in found {
        let cells = [("collection", text(named)), ("event", text(event)), ("seal", Some(seal(view, &salt, id)?))];
        all.entry(document(&uid)).or_default().push(cells.into());
    }
    Ok(all)
}

/// Rows that hang on no document, or on one of another collection.
fn strays(view: View<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (table, placed) in [
        ("document_meta", false),
        ("document_text", false),
        ("chunk", true),
        ("mention", true),
        ("edge", true),
        ("signature", false),
        ("band", true),
    ] {
        let elsewhere = if placed { " OR d.collection <> r.collection" } else { "" };
        let sql =
            format!("SELECT count(*) FROM {table} r LEFT JOIN document d ON d.id = r.document WHERE d.id IS NULL{elsewhere}");
        let n = view.count(&sql, values![])?;
        if n > 0 {
            let problem = format!("{n} of its rows belong to no document, or to one of another collection");
            findings.push(Finding::new(format!("table {table}"), problem, restore_fix(None)));
        }
    }
    Ok(findings)
}

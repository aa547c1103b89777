//! What a tenant may ask for: everything that is kept of it, as files; and that it goes.
//!
//! An export is a folder that is there whole or not at all: it is written beside its place and renamed. Erasing also takes away
//! what this host keeps beside the state; other hosts' caches are keyed with the tenant's salt, and are of no use without it.

use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::domain::flag;
use crate::domain::ingest::table::{Erased, Scope, Tenant, Whom, concerned, erase as erase_rows};
use crate::release::folder::{Written, give_out, manifest};
use crate::release::index::index_words;
use crate::release::snapshot::rows::{For, Rows};
use crate::store::{META_STATE_ID, Store, View, meta};
use serde_json::json;
use std::path::Path;

/// The tenant of this name.
///
/// # Errors
/// When there is none. Only whoever works on the state as a whole asks for it, so a like name is told.
pub fn named(view: View<'_>, name: &Name) -> Result<Tenant> {
    if let Some(tenant) = Tenant::find(view, name)? {
        return Ok(tenant);
    }
    let names: Vec<String> = Tenant::all(view)?.into_iter().map(|t| t.name.to_string()).collect();
    let error = Error::new(format!("there is no tenant {name}"));
    Err(match did_you_mean(name.as_str(), names.iter().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error.hint("`kf tenant list` shows all tenants"),
    })
}

/// Writes everything that is kept of a tenant to a folder that is not there yet, and records that it was given out.
///
/// # Errors
/// When the folder is there, cannot be written, or a text is damaged.
pub fn export(store: &Store, name: &Name, dir: &Path) -> Result<Vec<Written>> {
    if dir.try_exists().context(|| format!("cannot write the export to {}", dir.display()))? {
        return Err(Error::new(format!("{} is there already", dir.display())).hint("name a folder that does not exist yet"));
    }
    let write = |to: Option<&Path>| {
        store.read(|view| {
            let files = write_all(view, &named(view, name)?, to)?;
            let head = json!({
                "schema": "kf.tenant-export/1",
                "tenant": name,
                "state": meta(view.db(), META_STATE_ID)?,
                "created": store.now(),
                "files": files,
            });
            manifest(to, &head)?;
            Ok(files)
        })
    };
    let record = |files: &Vec<Written>| {
        store.write(|tx| {
            named(tx.view(), name)?;
            let lines = |i: usize| files.get(i).map_or(0, |f| f.lines);
            let event = Event::new("privacy.exported", Resource::new("tenant", name.as_str()));
            tx.record(event.with("documents", lines(0)).with("chunks", lines(1)));
            Ok(())
        })
    };
    give_out(store, dir, write, record)
}

fn write_all(view: View<'_>, tenant: &Tenant, to: Option<&Path>) -> Result<Vec<Written>> {
    let mut rows = Rows::create(to, For::Tenant)?;
    Scope::all(view, &tenant.name)?.iter().try_for_each(|scope| rows.collection(view, scope))?;
    rows.finish()
}

/// The sources of the documents that would go.
///
/// # Errors
/// When there is no such tenant, or a text is damaged.
pub fn would_go(view: View<'_>, name: &Name, whom: Whom<'_>) -> Result<Vec<(String, String)>> {
    let tenant = named(view, name)?;
    let found = concerned(view, &tenant, whom)?.into_iter();
    Ok(found
        .flat_map(|(scope, documents)| {
            let collection = scope.collection.name.to_string();
            documents.into_iter().map(move |(_, _, source)| (collection.clone(), source))
        })
        .collect())
}

/// Tables from which documents go.
const TABLES: &[&str] = &[
    "document",
    "document_meta",
    "document_text",
    "chunk",
    "mention",
    "edge",
    "entity",
    "signature",
    "band",
    "embedding",
    "outbox",
    "collection",
    "tenant",
    "flag",
];

/// Erases everything of a tenant, its flags too, or what mentions a subject: rows, words of indexes, caches of this host.
///
/// # Errors
/// When the state cannot be written: nothing has gone then. When only something beside it cannot be removed the error says
/// what is left.
pub fn erase(store: &Store, name: &Name, whom: Whom<'_>, why: (Option<&str>, &str), cache: &Path) -> Result<Erased> {
    let erased = store.write(|tx| {
        let tenant = named(tx.view(), name)?;
        let erased = erase_rows(tx, &tenant, whom, why)?;
        if whom.is_all() {
            flag::record::remove_all(tx, name)?;
        } else {
            // An index of words keeps those of a removed chunk until it is made again.
            erased.collections.iter().try_for_each(|scope| index_words(tx, scope).map(drop))?;
        }
        Ok(erased)
    })?;
    if store.is_dry_run() {
        return Ok(erased);
    }
    let state = store.read(|view| meta(view.db(), META_STATE_ID))?.unwrap_or_default();
    let left = || "the rows are erased, but something beside the state is not".to_owned();
    for scope in &erased.collections {
        for folder in ["vectors", "seen"] {
            remove_named(&cache.join(folder), &scope.cache_name(&state)).context(left)?;
        }
    }
    store.scrub(TABLES).context(left)?;
    Ok(erased)
}

/// Removes the files of a folder whose names begin so.
fn remove_named(folder: &Path, begin: &str) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry.context(|| format!("cannot read {}", folder.display()))?;
        if entry.file_name().to_string_lossy().starts_with(begin) {
            std::fs::remove_file(entry.path()).context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

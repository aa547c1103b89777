//! What a tenant may ask for: everything that is kept of it, as files; and that it goes.
//!
//! An export is a folder that is there whole or not at all: it is written beside its place and renamed. Erasing also takes away
//! what this host keeps beside the state; other hosts' caches are keyed with the tenant's salt, and are of no use without it.

use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::domain::ingest::table::{Document, Erased, Listed, Scope, Tenant, Whom, concerned, erase as erase_rows};
use crate::release::index::index_words;
use crate::release::search::slice;
use crate::store::{META_STATE_ID, Store, View, meta};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its name in the folder.
    pub path: &'static str,
    /// Its lines.
    pub lines: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

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
    let trouble = || format!("cannot write the export to {}", dir.display());
    if dir.try_exists().context(trouble)? {
        return Err(Error::new(format!("{} is there already", dir.display())).hint("name a folder that does not exist yet"));
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = tempfile::Builder::new().prefix(".kf-export-").tempdir_in(parent).context(trouble)?;
    let files = store.read(|view| {
        let files = write_all(view, &named(view, name)?, scratch.path())?;
        let head = json!({
            "schema": "kf.tenant-export/1",
            "tenant": name,
            "state": meta(view.db(), META_STATE_ID)?,
            "created": store.now(),
            "files": files,
        });
        let text = serde_json::to_string_pretty(&head).context(|| "cannot write the manifest of an export")?;
        std::fs::write(scratch.path().join("manifest.json"), text + "\n").context(trouble)?;
        Ok(files)
    })?;
    store.write(|tx| {
        named(tx.view(), name)?;
        let lines = |i: usize| files.get(i).map_or(0, |f: &Written| f.lines);
        let event = Event::new("privacy.exported", Resource::new("tenant", name.as_str()));
        tx.record(event.with("documents", lines(0)).with("chunks", lines(1)));
        Ok(())
    })?;
    if !store.is_dry_run() {
        std::fs::rename(scratch.path(), dir).context(trouble)?;
        // The folder is where it belongs: there is nothing left to clean up.
        drop(scratch.keep());
    }
    Ok(files)
}

/// A file that is summed up while it is written.
struct Lines {
    path: &'static str,
    file: BufWriter<File>,
    hasher: Hasher,
    lines: u64,
    bytes: u64,
}

impl Lines {
    fn create(dir: &Path, path: &'static str) -> Result<Self> {
        let file = File::create(dir.join(path)).context(|| format!("cannot write {path}"))?;
        Ok(Self { path, file: BufWriter::new(file), hasher: Hasher::new(), lines: 0, bytes: 0 })
    }

    fn push(&mut self, value: &Value) -> Result<()> {
        let line = format!("{value}\n");
        self.hasher.update(line.as_bytes());
        self.lines += 1;
        self.bytes += line.len() as u64;
        self.file.write_all(line.as_bytes()).context(|| format!("cannot write {}", self.path))
    }

    fn finish(self) -> Result<Written> {
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error);
        file.and_then(|f| f.sync_all()).context(|| format!("cannot write {}", self.path))?;
        Ok(Written { path: self.path, lines: self.lines, bytes: self.bytes, digest: self.hasher.finish() })
    }
}

fn write_all(view: View<'_>, tenant: &Tenant, dir: &Path) -> Result<Vec<Written>> {
    let (mut documents, mut chunks) = (Lines::create(dir, "documents.jsonl")?, Lines::create(dir, "chunks.jsonl")?);
    let (mut mentions, mut relations) = (Lines::create(dir, "mentions.jsonl")?, Lines::create(dir, "relations.jsonl")?);
    for scope in Scope::all(view, &tenant.name)? {
        let mut all = Vec::new();
        scope.documents(view, Listed::default(), |d| {
            all.push(d);
            Ok(())
        })?;
        for d in all {
            let text = scope.text(view, d.id)?;
            for c in scope.chunks(view, d.id)? {
                chunks.push(&json!({
                    "collection": scope.collection.name, "document": d.uid, "chunk": c.uid, "start": c.start, "fresh": c.fresh,
                    "stop": c.stop, "tokens": c.tokens, "pages": c.pages.map(|(first, last)| [first, last]),
                    "heading": c.heading, "context": c.context, "text": slice(text.as_deref().unwrap_or_default(), c.start, c.stop)?,
                }))?;
            }
            let spoken = scope.spoken(view, d.id)?;
            spoken.mentions.iter().try_for_each(|m| mentions.push(&below(&scope, &d, m)?))?;
            spoken.relations.iter().try_for_each(|r| relations.push(&below(&scope, &d, r)?))?;
            documents.push(&document(view, &scope, &d, text.as_deref())?)?;
        }
    }
    [documents, chunks, mentions, relations].into_iter().map(Lines::finish).collect()
}

/// What hangs on a document, with the document that it hangs on.
fn below(scope: &Scope, d: &Document, what: &impl Serialize) -> Result<Value> {
    let mut value = serde_json::to_value(what).context(|| "cannot write what a document speaks of")?;
    value["collection"] = scope.collection.name.as_str().into();
    value["document"] = d.uid.as_str().into();
    Ok(value)
}

fn document(view: View<'_>, scope: &Scope, d: &Document, text: Option<&str>) -> Result<Value> {
    let checks: Value = serde_json::from_str(&d.checks).context(|| "the checks of a document are no JSON")?;
    let (reason, detail) = d.refused.as_ref().map_or((None, None), |(reason, detail)| (Some(reason.word()), Some(detail)));
    Ok(json!({
        "collection": scope.collection.name, "document": d.uid, "source": d.source, "format": d.format, "language": d.language,
        "title": d.title, "bytes": d.bytes, "characters": d.characters, "pages": d.pages, "quality": d.quality,
        "checks": checks, "warnings": d.warnings, "reason": reason, "detail": detail, "created": d.created, "event": d.event,
        "meta": scope.meta(view, d.id)?, "text": text,
    }))
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
];

/// Erases everything of a tenant, or what mentions a subject: rows, words of indexes, caches of this host.
///
/// # Errors
/// When the state cannot be written: nothing has gone then. When only something beside it cannot be removed the error says
/// what is left.
pub fn erase(store: &Store, name: &Name, whom: Whom<'_>, why: (Option<&str>, &str), cache: &Path) -> Result<Erased> {
    let erased = store.write(|tx| {
        let tenant = named(tx.view(), name)?;
        let erased = erase_rows(tx, &tenant, whom, why)?;
        if whom != Whom::Tenant {
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

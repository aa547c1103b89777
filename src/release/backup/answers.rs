//! What a drill asks a restored state, with answers that are known: versions in production, documents that are searched, the log.

use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::Stage;
use crate::base::text::count;
use crate::base::verdict::Verdict;
use crate::domain::audit::key::VerifierKey;
use crate::domain::audit::verify::{Anchor, verify};
use crate::domain::ingest::table::{Chunk, Listed, Scope};
use crate::domain::registry::table::{VersionRow, overview};
use crate::release::checkout::{check_out, manifest_of};
use crate::store::objects::Objects;
use crate::store::{Store, View, fulltext};
use std::path::Path;

/// So many documents of a collection are looked for.
const DOCUMENTS: usize = 3;
/// So many of the first hits may hold one.
const HITS: usize = 10;
/// So many words of a document are asked for.
const WORDS: usize = 12;

/// The log is the one that anchors from elsewhere state, as far as they are not newer than the set.
///
/// # Errors
/// When it is not.
pub(super) fn anchored(store: &Store, (keys, anchors): (&[VerifierKey], &[Anchor]), size: u64, jobs: usize) -> Result<String> {
    let older: Vec<Anchor> = anchors.iter().filter(|anchor| anchor.checkpoint().size <= size).cloned().collect();
    let found = store.read(|view| verify(view, keys, &older, jobs))?;
    if found.verdict() == Verdict::Fail {
        let why = found.findings.first().map_or_else(String::new, |finding| finding.what.clone());
        return Err(Error::of(Kind::Broken, format!("the audit log is not the one that is known here: {why}")));
    }
    Ok(match older.len() {
        0 => format!("{} entries; no checkpoint of that log is known here, so only the manifest vouches for it", found.entries),
        n => format!("{} entries, as {} known here state", found.entries, count(n, "checkpoint")),
    })
}

/// The names of people and machines and the reasons that they gave can be read.
///
/// # Errors
/// When some are sealed with keys that are not here, or damaged.
pub(super) fn named(store: &Store) -> Result<String> {
    let found = store.read(|view| view.sealed_fields())?;
    let of = format!("{} names and reasons", found.values);
    match (found.damaged, found.locked) {
        (0, 0) => Ok(format!("{of} can be read")),
        (0, locked) => Err(Error::of(
            Kind::Broken,
            format!(
                "{locked} of {of} are encrypted for `artifacts.encrypt`, and no key here reads them: name its private key in \
                 `artifacts.identity`, and keep it as long as the backups"
            ),
        )),
        (damaged, _) => Err(Error::of(Kind::Broken, format!("{damaged} of {of} are damaged"))),
    }
}

/// The files of each version in production are written out and are what its digest says.
///
/// # Errors
/// When one is not.
pub(super) fn production(store: &Store, objects: &Objects, scratch: &Path) -> Result<String> {
    let rows = store.read(overview)?;
    let served: Vec<&VersionRow> = rows.iter().filter(|row| row.stage == Stage::Production).collect();
    let mut files = 0;
    for row in &served {
        let what = || format!("{} cannot be checked out", row.reference());
        let dir = scratch.join(row.digest.hex());
        let manifest = manifest_of(objects, row).context(what)?;
        check_out(objects, &manifest, &dir, false).context(what)?;
        for file in manifest.files() {
            let path = dir.join(&file.path);
            let bytes = std::fs::read(&path).context(|| format!("cannot read {}", path.display()))?;
            if Digest::of(&bytes) != file.digest {
                return Err(Error::of(Kind::Broken, format!("{} of {} has other bytes", file.path, row.reference())));
            }
            files += 1;
        }
    }
    Ok(format!("{} in production, {}", count(served.len(), "version"), count(files, "file")))
}

/// Words of some documents of each collection lead back to them; `None` when nothing is searched.
///
/// # Errors
/// When one is not found again.
pub(super) fn searched(view: View<'_>) -> Result<Option<String>> {
    let (mut asked, mut collections) = (0, 0);
    for scope in Scope::everywhere(view)? {
        let found = of_collection(view, &scope)?;
        asked += found;
        collections += usize::from(found > 0);
    }
    Ok((asked > 0).then(|| format!("{} in {} found their documents", count(asked, "question"), count(collections, "collection"))))
}

fn of_collection(view: View<'_>, scope: &Scope) -> Result<usize> {
    let mut documents = Vec::new();
    scope.documents(view, Listed::default(), |document| {
        // The first, one in the middle and the last say more than three beside each other; which they are must not depend on chance.
        documents.push((document.id, document.uid));
        Ok(())
    })?;
    let step = (documents.len() / DOCUMENTS).max(1);
    let mut asked = 0;
    for (id, uid) in documents.iter().step_by(step).take(DOCUMENTS) {
        let (Some(text), Some(chunk)) = (scope.text(view, *id)?, scope.chunks(view, *id)?.into_iter().next()) else { continue };
        let query = query(&text, &chunk);
        if query.is_empty() {
            continue;
        }
        asked += 1;
        let hits = fulltext::search(view, scope.id(), &query, HITS, &|_| true)?;
        let mut found = false;
        for (number, _) in hits.iter().take(HITS) {
            found |= *number == chunk.number || same(view, scope, *number, &text)?;
        }
        if !found {
            let what =
                format!("a search in {}/{} does not find document {uid} any more", scope.tenant.name, scope.collection.name);
            return Err(Error::of(Kind::Broken, what));
        }
    }
    Ok(asked)
}

/// A copy of the document will do.
fn same(view: View<'_>, scope: &Scope, number: i64, text: &str) -> Result<bool> {
    let Some(chunk) = scope.chunk(view, number)? else { return Ok(false) };
    let Some(document) = scope.document_of(view, &chunk)? else { return Ok(false) };
    Ok(scope.text(view, document.id)?.as_deref() == Some(text))
}

/// The first words of a chunk.
fn query(text: &str, chunk: &Chunk) -> String {
    let (start, stop) = (usize::try_from(chunk.start).unwrap_or(0), usize::try_from(chunk.stop).unwrap_or(0));
    let piece: String = text.chars().skip(start).take(stop.saturating_sub(start)).collect();
    let words: Vec<&str> =
        piece.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 2).take(WORDS).collect();
    words.join(" ")
}

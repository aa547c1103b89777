//! Making what is derived again: the index of words, and with another embedder the vectors. The segment of vectors carries its
//! embedder in its name, so that of another one is never read.
//!
//! Costly vectors are made and kept before anything is locked or changed, a few hundred chunks at a time; then one transaction
//! puts all of them in place. So it may be killed at any moment: the collection is as it was or as it shall be, and what was
//! made is not made again. That transaction reads one document at a time; its log of changed pages grows to about the size
//! of all vectors twice, which is why collections beyond some 100,000 chunks are better ingested anew.

use crate::base::error::{Context, Result};
use crate::base::event::{Event, Resource};
use crate::domain::ingest::table::{Chunk, Listed, Scope, set_embedder, set_vectors};
use crate::release::embed::{kept_or_made, vectors};
use crate::release::search::slice;
use crate::seams::embedder::Embedder;
use crate::store::{Store, Tx, View, fulltext};

/// Chunks whose vectors are made together, at most one document more.
const GROUP: usize = 512;

/// What was made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Chunks that were indexed.
    pub chunks: usize,
}

/// Makes the indexes of a collection again, with new vectors when an embedder is given.
///
/// # Errors
/// When a text is damaged, or the embedder fails; nothing is changed then.
pub fn rebuild(store: &Store, scope: &Scope, embedder: Option<&dyn Embedder>) -> Result<Rebuilt> {
    if let Some(embedder) = embedder.filter(|e| e.is_costly() && !store.is_dry_run()) {
        make_ahead(store, scope, embedder)?;
    }
    store.write(|tx| in_place(tx, scope, embedder))
}

/// The documents that were taken, by number and source.
fn documents(view: View<'_>, scope: &Scope) -> Result<Vec<(i64, String)>> {
    let mut documents = Vec::new();
    scope.documents(view, Listed { refused: Some(false) }, |d| {
        documents.push((d.id, d.source));
        Ok(())
    })?;
    Ok(documents)
}

/// The chunks of a document and the words of each.
fn words(view: View<'_>, scope: &Scope, (id, source): &(i64, String)) -> Result<(Vec<Chunk>, Vec<String>)> {
    let text = scope.text(view, *id)?.unwrap_or_default();
    let chunks = scope.chunks(view, *id)?;
    let words = chunks.iter().map(|c| Ok(format!("{}\n{}", c.heading, slice(&text, c.start, c.stop)?))).collect::<Result<_>>();
    Ok((chunks, words.context(|| format!("a chunk of {source} is out of its text"))?))
}

/// Makes and keeps every vector that is not known yet.
fn make_ahead(store: &Store, scope: &Scope, embedder: &dyn Embedder) -> Result<()> {
    let mut group: Vec<String> = Vec::new();
    let make = |group: &mut Vec<String>| {
        let texts: Vec<&str> = group.iter().map(String::as_str).collect();
        vectors(store, &scope.tenant, embedder, &texts)?;
        group.clear();
        Ok(())
    };
    for document in store.read(|view| documents(view, scope))? {
        // One that was taken out meanwhile has no chunks.
        group.extend(store.read(|view| words(view, scope, &document))?.1);
        if group.len() >= GROUP {
            make(&mut group)?;
        }
    }
    make(&mut group)
}

fn in_place(tx: &Tx<'_>, scope: &Scope, embedder: Option<&dyn Embedder>) -> Result<Rebuilt> {
    let view = tx.view();
    fulltext::drop(tx, scope.id())?;
    fulltext::create(tx, scope.id())?;
    if let Some(embedder) = embedder {
        set_embedder(tx, scope, embedder.model())?;
    }
    let mut chunks = 0;
    for document in documents(view, scope)? {
        let (all, words) = words(view, scope, &document)?;
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        fulltext::add(tx, scope.id(), all.iter().map(|c| c.number).zip(texts.iter().copied()))?;
        if let Some(embedder) = embedder {
            set_vectors(tx, scope, &all, &kept_or_made(view, &scope.tenant, embedder, &texts)?)?;
        }
        chunks += all.len();
    }
    let named = format!("{}/{}", scope.tenant.name, scope.collection.name);
    let event = Event::new("collection.rebuilt", Resource::new("collection", named)).with("chunks", chunks);
    tx.record(match embedder {
        Some(e) => event.with("embedder", e.model().name.as_str()).with("embedder-digest", e.model().digest.to_string()),
        None => event,
    });
    Ok(Rebuilt { chunks })
}

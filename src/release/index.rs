//! What is derived from the chunks: made again, held to them, and moved from one engine to another. The file of vectors in the
//! cache carries its embedder in its name, so that of another one is never read.
//!
//! Costly vectors are made and kept before anything is locked or changed, a few hundred chunks at a time; then one transaction
//! puts all of them in place. So it may be killed at any moment: the collection is as it was or as it shall be, and what was
//! made is not made again. That transaction reads one document at a time; its log of changed pages grows to about the size
//! of all vectors twice, which is why collections beyond some 100,000 chunks are better ingested anew.

use crate::adapters::qdrant::Qdrant;
use crate::base::error::{Context, Result};
use crate::base::event::{Event, Resource};
use crate::config::{GraphEngine, VectorEngine};
use crate::domain::ingest::chunk::embed_text;
use crate::domain::ingest::table::{Chunk, Listed, Scope, Vectors, refill, set_embedder, set_engine, set_graph, set_vectors};
use crate::domain::ingest::verify::Finding;
use crate::release::embed::{kept_or_made, vectors};
use crate::release::remote;
use crate::release::search::slice;
use crate::seams::embedder::Embedder;
use crate::store::vectors::{Home, pgvector, segment};
use crate::store::{Store, Tx, View, fulltext};

/// Chunks whose vectors are made together, at most one document more.
const GROUP: usize = 512;

/// What was made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Chunks that were indexed.
    pub chunks: usize,
}

/// Makes the indexes of a collection again, with new vectors when an embedder is given; where its graph is shown is told all of it.
///
/// # Errors
/// When a text is damaged, or the embedder fails; nothing is changed then.
pub fn rebuild(store: &Store, scope: &Scope, embedder: Option<&dyn Embedder>, graph: GraphEngine) -> Result<Rebuilt> {
    if let Some(embedder) = embedder.filter(|e| e.is_costly() && !store.is_dry_run()) {
        make_ahead(store, scope, embedder)?;
    }
    store.write(|tx| {
        set_graph(tx, scope, graph)?;
        in_place(tx, scope, embedder)
    })
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
    let words = chunks.iter().map(|c| Ok(embed_text(&c.context, &slice(&text, c.start, c.stop)?))).collect::<Result<_>>();
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
    let chunks = index(tx, scope, embedder)?;
    refill(tx, scope, embedder.map(|e| e.model()))?;
    let named = format!("{}/{}", scope.tenant.name, scope.collection.name);
    let event = Event::new("collection.rebuilt", Resource::new("collection", named)).with("chunks", chunks);
    tx.record(match embedder {
        Some(e) => event
            .with("embedder", e.model().name.as_str())
            .with("embedder-digest", e.model().digest.to_string())
            .with("dimensions", e.model().dimensions),
        None => event,
    });
    Ok(Rebuilt { chunks })
}

/// Makes the indexes of words of every collection again, which the copy of a state comes without, and says how many there are.
///
/// # Errors
/// When a text is damaged.
pub fn index_all(tx: &Tx<'_>) -> Result<usize> {
    let scopes = Scope::everywhere(tx.view())?;
    for scope in &scopes {
        index(tx, scope, None)?;
    }
    Ok(scopes.len())
}

fn index(tx: &Tx<'_>, scope: &Scope, embedder: Option<&dyn Embedder>) -> Result<usize> {
    let view = tx.view();
    let engine = engine_of(view, scope)?;
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
    if engine == VectorEngine::Pgvector {
        let dimensions = embedder.map_or(scope.collection.dimensions, |e| e.model().dimensions);
        pgvector::fill(tx, scope.id(), dimensions, &Vectors { view, scope })?;
    }
    Ok(chunks)
}

/// Makes the index of words of one collection again, without an event of its own.
///
/// # Errors
/// When a text is damaged.
pub fn index_words(tx: &Tx<'_>, scope: &Scope) -> Result<usize> {
    index(tx, scope, None)
}

/// What finds the nearest vectors of a collection here: the table of pgvector does not come along when a state moves.
///
/// # Errors
/// Only those of the state.
pub fn engine_of(view: View<'_>, scope: &Scope) -> Result<VectorEngine> {
    if scope.collection.engine == VectorEngine::Qdrant {
        return Ok(VectorEngine::Qdrant);
    }
    let there = pgvector::is_there(view, scope.id(), scope.collection.dimensions)?;
    Ok(if there { VectorEngine::Pgvector } else { VectorEngine::Embedded })
}

/// Moves the index of vectors of a collection to another engine; the engine it was in.
///
/// # Errors
/// When the engine cannot be had here; nothing is changed then.
pub fn move_to(tx: &Tx<'_>, scope: &Scope, engine: VectorEngine) -> Result<VectorEngine> {
    let from = engine_of(tx.view(), scope)?;
    if from == engine {
        return Ok(from);
    }
    match engine {
        VectorEngine::Embedded | VectorEngine::Qdrant => pgvector::drop(tx, scope.id())?,
        VectorEngine::Pgvector => {
            pgvector::fill(tx, scope.id(), scope.collection.dimensions, &Vectors { view: tx.view(), scope })?;
        }
    }
    set_engine(tx, scope, engine)?;
    let named = format!("{}/{}", scope.tenant.name, scope.collection.name);
    tx.record(
        Event::new("collection.moved", Resource::new("collection", named)).with("from", from.word()).with("to", engine.word()),
    );
    Ok(from)
}

/// What the index of vectors says otherwise than the chunks; `count` is how many chunks there are.
///
/// # Errors
/// Only those of the state; a file that cannot be read is none, and is made again by the next search.
pub fn verify_vectors(
    view: View<'_>,
    scope: &Scope,
    (home, qdrant): (Home<'_>, Option<&Qdrant>),
    count: u64,
) -> Result<(VectorEngine, Vec<Finding>)> {
    let (engine, dimensions) = (engine_of(view, scope)?, scope.collection.dimensions);
    let truth = Vectors { view, scope };
    let problems = match engine {
        VectorEngine::Embedded => segment::differences(home, dimensions, &truth)?,
        VectorEngine::Pgvector => pgvector::differences(view, scope.id(), dimensions, &truth, count)?,
        VectorEngine::Qdrant => remote::differences(view, scope, qdrant)?,
    };
    let finding = |problem| Finding { subject: format!("index of vectors ({engine})"), problem };
    Ok((engine, problems.into_iter().map(finding).collect()))
}

//! Writing documents: each is put in or taken out whole, with the event that says so, in one transaction.
//!
//! The event names the document by its public id and commits to all that was kept of it by one seal (see [`super::seal`]) whose
//! key stands in the row and goes with it: what an entry is about can be guessed by nobody once the document is gone. Paths and titles may name people, so they are never hashed as they are.

use super::super::entities::Found;
use super::super::quality::duplicate::Signature;
use super::super::reason::Refused;
use super::alike::{Marks, appeared, went};
use super::graph;
use super::remote::refill;
use super::seal::seal;
use super::{Chunk, Collection, Scope, ensure_tenant};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Outcome as Ended, Resource};
use crate::base::name::Name;
use crate::config::{GraphEngine, VectorEngine};
use crate::seams::embedder::Model;
use crate::store::fulltext;
use crate::store::outbox::Act;
use crate::store::vectors::pgvector;
use crate::store::{Tx, Value, values};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::collections::BTreeMap;
use std::io::Write as _;

/// A chunk that is to be kept; offsets count characters.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChunk {
    /// Its public id.
    pub uid: String,
    /// Where it begins.
    pub start: usize,
    /// Where text begins that the chunk before does not hold.
    pub fresh: usize,
    /// Where it ends.
    pub stop: usize,
    /// Its tokens.
    pub tokens: u32,
    /// The pages it is on, first and last.
    pub pages: Option<(u32, u32)>,
    /// The headings above it, outermost first, in one line.
    pub heading: String,
    /// What stands before its slice in `words`; empty where nothing does.
    pub context: String,
    /// What is embedded and searched by its words: its context and its slice.
    pub words: String,
    /// Its vector.
    pub vector: Vec<f32>,
}

/// What became of a document that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was taken.
    Taken(Box<Made>),
    /// It was refused.
    Refused(Refused),
}

/// What was made of a document that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The canonical text.
    pub text: String,
    /// Characters in it.
    pub characters: usize,
    /// Its title.
    pub title: Option<String>,
    /// Its language; `None` when uncertain.
    pub language: Option<String>,
    /// Pages, slides or sheets.
    pub pages: Option<u32>,
    /// Its chunks, in order.
    pub chunks: Vec<NewChunk>,
    /// What it speaks of; `None` when nobody asked.
    pub graph: Option<Found>,
}

/// A document that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDocument {
    /// Where it came from.
    pub source: String,
    /// The tenant's digest of the file.
    pub content: Digest,
    /// What it was taken by.
    pub pipeline: Digest,
    /// What it was read as.
    pub format: Option<&'static str>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Its quality, 0 to 1.
    pub quality: Option<f64>,
    /// The checks as JSON.
    pub checks: String,
    /// What is noted of it.
    pub meta: BTreeMap<String, String>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// What copies of it are found by; `None` when it was refused before it was compared.
    pub marks: Option<Marks>,
    /// The source of the document that it was found to be a copy of, refused for it or not.
    pub copy_of: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// The collection of a tenant, both made when they are not there, with the event that says so.
///
/// # Errors
/// When the collection is there but its vectors come from another model, or `engine` cannot be had here.
pub fn open(
    tx: &Tx<'_>,
    tenant: &Name,
    collection: &Name,
    embedder: (&str, Digest, usize),
    engine: VectorEngine,
    salt: [u8; 32],
) -> Result<Scope> {
    let (model, digest, dimensions) = embedder;
    if let Some(found) = Scope::find(tx.view(), tenant, collection)? {
        return same_model(&found, model, digest).map(|()| found);
    }
    let tenant = ensure_tenant(tx, tenant, salt)?;
    let named = format!("{}/{collection}", tenant.name);
    let event = tx.record(
        Event::new("collection.created", Resource::new("collection", named))
            .with("embedder", model)
            .with("embedder-digest", digest.to_string())
            .with("dimensions", dimensions)
            .with("engine", engine.word())
            // The key itself is random, so its digest tells nothing.
            .with("tenant-key", Digest::of(&tenant.salt).to_string()),
    );
    let sql = "INSERT INTO collection (tenant, name, embedder, embedder_digest, dimensions, engine, graph, last_chunk, created, event) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9)";
    // Where it is shown is told when it is there.
    let graph = GraphEngine::Embedded;
    let width = i64::try_from(dimensions).context(|| "the vectors of this model are too long")?;
    let id = tx.insert(
        sql,
        values![tenant.id, collection.as_str(), model, digest, width, engine.word(), graph.word(), tx.now(), event],
    )?;
    fulltext::create(tx, id)?;
    let (name, embedder) = (collection.clone(), model.to_owned());
    let collection = Collection { id, name, embedder, embedder_digest: digest, dimensions, engine, graph, last_chunk: 0 };
    let scope = Scope { tenant, collection };
    match engine {
        VectorEngine::Embedded => {}
        VectorEngine::Pgvector => pgvector::create(tx, id, dimensions)?,
        VectorEngine::Qdrant => refill(tx, &scope, None)?,
    }
    Ok(scope)
}

/// Refuses vectors of two models in one collection: distances between them mean nothing.
pub fn same_model(scope: &Scope, model: &str, digest: Digest) -> Result<()> {
    let collection = &scope.collection;
    if collection.embedder_digest == digest {
        return Ok(());
    }
    Err(Error::new(format!(
        "the collection {} holds vectors of {}, and `[embedder]` now says {model}",
        collection.name, collection.embedder
    ))
    .hint(format!("`kf index rebuild --collection {} --reembed` embeds every chunk again with {model}", collection.name))
    .hint("or name another collection: `kf ingest PATH --collection NAME`"))
}

/// Puts a document in, in the place of what was known of its source, and records it.
///
/// # Errors
/// Only those of the state.
pub fn put(tx: &Tx<'_>, scope: &Scope, document: &NewDocument, replaces: Option<i64>) -> Result<i64> {
    let replaced = replaces.map(|old| take_out(tx, scope, old)).transpose()?.flatten();
    // The same file read in the same way stays the same document when it is judged anew.
    let same = replaced.as_ref().filter(|r| (r.content, r.pipeline) == (document.content, document.pipeline));
    let uid = same.map_or_else(|| tx.uuid().to_string(), |r| r.uid.clone());
    let salt = tx.salt();
    let id = insert(tx, scope, document, (&uid, &salt), tx.next_event())?;
    let meta = document.meta.iter().map(|(key, value)| vec![id.into(), key.as_str().into(), value.as_str().into()]);
    tx.insert_all("document_meta", &["document", "key", "value"], meta)?;
    if let Outcome::Taken(made) = &document.outcome {
        put_text(tx, id, &made.text)?;
        put_chunks(tx, scope, id, &made.chunks)?;
        if let Some(found) = &made.graph {
            graph::put(tx, scope, (id, &document.source), &made.chunks, found)?;
        }
        scope.note(tx, Act::Put, &uid)?;
        scope.note_graph(tx, Act::Put, &uid)?;
    }
    if let Some(signature) = document.marks.as_ref().and_then(|m| m.signature.as_ref()) {
        put_signature(tx, scope, id, signature)?;
    }
    let seal = seal(tx.view(), &salt, id)?;
    tx.record(event_of(scope, document, &uid, replaced.as_ref().map(|r| r.uid.as_str()), &seal));
    settle(tx, scope, document, replaced.and_then(|r| r.words))?;
    Ok(id)
}

/// Marks the documents whose standing changes with this one; none does when it says what was said before.
fn settle(tx: &Tx<'_>, scope: &Scope, document: &NewDocument, before: Option<Digest>) -> Result<()> {
    let now = document.marks.as_ref().filter(|_| matches!(document.outcome, Outcome::Taken(_)));
    if before == now.map(|m| m.words) {
        return Ok(());
    }
    if before.is_some() {
        went(tx, scope, &document.source)?;
    }
    now.map_or(Ok(()), |marks| appeared(tx, scope, &document.source, marks))
}

fn event_of(scope: &Scope, document: &NewDocument, uid: &str, replaces: Option<&str>, seal: &str) -> Event {
    let action = match document.outcome {
        Outcome::Taken(_) => "document.ingested",
        Outcome::Refused(_) => "document.refused",
    };
    let event = Event::new(action, Resource::new("document", uid))
        .with("tenant", scope.tenant.name.as_str())
        .with("collection", scope.collection.name.as_str())
        .with("seal", seal)
        .with("pipeline", document.pipeline.to_string());
    let event = match replaces {
        Some(uid) => event.with("replaces", uid),
        None => event,
    };
    match &document.outcome {
        Outcome::Taken(made) => event.with("chunks", made.chunks.len()),
        Outcome::Refused(refused) => event.outcome(Ended::Denied).with("refused", refused.reason.word()),
    }
}

impl Scope {
    /// What the log commits to about the chunks: their ids, which themselves commit to tenant, content, offsets and chunker.
    pub(in crate::domain::ingest) fn chunks_digest<'c>(&self, uids: impl Iterator<Item = &'c str>) -> Digest {
        self.tenant.digest(uids.collect::<Vec<_>>().join("\n").as_bytes())
    }
}

fn chunks_digest(scope: &Scope, chunks: &[NewChunk]) -> Digest {
    scope.chunks_digest(chunks.iter().map(|c| c.uid.as_str()))
}

/// The tenant's digest of the vectors of a document, in the order of its chunks.
fn vectors_digest<'v>(scope: &Scope, vectors: impl Iterator<Item = &'v [f32]>) -> Digest {
    let bytes: Vec<Vec<u8>> = vectors.map(vector_bytes).collect();
    scope.tenant.digest_of(bytes.iter().map(Vec::as_slice))
}

fn insert(tx: &Tx<'_>, scope: &Scope, document: &NewDocument, (uid, salt): (&str, &[u8]), event: i64) -> Result<i64> {
    let (made, refused) = match &document.outcome {
        Outcome::Taken(made) => (Some(made), None),
        Outcome::Refused(refused) => (None, Some(refused)),
    };
    let sql = "INSERT INTO document (uid, collection, source, content, words, pipeline, format, language, title, bytes, \
        characters, pages, chunks, chunks_digest, graph_digest, quality, checks, warnings, reason, detail, created, event, salt, \
        vectors, copy_of, stale) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
        ?20, ?21, ?22, ?23, ?24, ?25, 0)";
    let values = values![
        uid,
        scope.id(),
        &document.source,
        document.content,
        document.marks.as_ref().map(|m| m.words),
        document.pipeline,
        document.format,
        made.and_then(|m| m.language.clone()),
        made.and_then(|m| m.title.clone()),
        number(document.bytes),
        number(made.map_or(0, |m| m.characters)),
        made.and_then(|m| m.pages),
        number(made.map_or(0, |m| m.chunks.len())),
        made.map(|m| chunks_digest(scope, &m.chunks)),
        made.and_then(|m| m.graph.as_ref()).map(|found| graph::digest(scope, found)),
        document.quality,
        &document.checks,
        serde_json::to_string(&document.warnings).context(|| "cannot write the warnings of a document")?,
        refused.map(|r| r.reason.word()),
        refused.map(|r| r.detail.clone()),
        tx.now(),
        event,
        salt.to_vec(),
        made.map(|m| vectors_digest(scope, m.chunks.iter().map(|c| c.vector.as_slice()))),
        document.copy_of.clone(),
    ];
    tx.insert(sql, values)
}

/// A count as the state keeps it; none is ever near the limit.
pub(super) fn number(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

fn put_text(tx: &Tx<'_>, document: i64, text: &str) -> Result<()> {
    let mut packer = ZlibEncoder::new(Vec::with_capacity(text.len() / 2), Compression::fast());
    packer.write_all(text.as_bytes()).context(|| "cannot pack a text")?;
    let packed = packer.finish().context(|| "cannot pack a text")?;
    tx.execute("INSERT INTO document_text (document, body) VALUES (?1, ?2)", values![document, packed]).map(|_| ())
}

fn put_chunks(tx: &Tx<'_>, scope: &Scope, document: i64, chunks: &[NewChunk]) -> Result<()> {
    const COLUMNS: &[&str] = &[
        "collection",
        "number",
        "uid",
        "document",
        "pos",
        "start",
        "fresh",
        "stop",
        "tokens",
        "page_first",
        "page_last",
        "heading",
        "context",
        "vector",
    ];
    let first = take_numbers(tx, scope, number(chunks.len()))?;
    let rows = (first..).zip(chunks).enumerate().map(|(pos, (number_of, c))| {
        vec![
            scope.id().into(),
            number_of.into(),
            c.uid.as_str().into(),
            document.into(),
            number(pos).into(),
            number(c.start).into(),
            number(c.fresh).into(),
            number(c.stop).into(),
            c.tokens.into(),
            c.pages.map(|p| p.0).into(),
            c.pages.map(|p| p.1).into(),
            c.heading.as_str().into(),
            c.context.as_str().into(),
            vector_bytes(&c.vector).into(),
        ]
    });
    tx.insert_all("chunk", COLUMNS, rows)?;
    let vectors = (first..).zip(chunks.iter().map(|c| c.vector.as_slice()));
    pgvector::add(tx, scope.id(), scope.collection.dimensions, vectors)?;
    fulltext::add(tx, scope.id(), (first..).zip(chunks.iter().map(|c| c.words.as_str())))
}

/// The first of so many numbers that no chunk of the collection ever had.
fn take_numbers(tx: &Tx<'_>, scope: &Scope, n: i64) -> Result<i64> {
    let sql = "UPDATE collection SET last_chunk = last_chunk + ?2 WHERE id = ?1";
    tx.execute(sql, values![scope.id(), n])?;
    let last = tx.view().count("SELECT last_chunk FROM collection WHERE id = ?1", values![scope.id()])?;
    Ok(last - n + 1)
}

/// A vector as it is kept: 32-bit floats, little-endian.
pub fn vector_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn put_signature(tx: &Tx<'_>, scope: &Scope, document: i64, signature: &Signature) -> Result<()> {
    let sql = "INSERT INTO signature (document, minima) VALUES (?1, ?2)";
    tx.execute(sql, values![document, scope.tenant.masked(&signature.to_bytes())])?;
    let mut bands = signature.bands(scope.tenant.salt());
    bands.sort_unstable();
    let mut bands = bands.to_vec();
    bands.dedup();
    let rows = bands.iter().map(|band| vec![scope.id().into(), band.cast_signed().into(), Value::from(document)]);
    tx.insert_all("band", &["collection", "hash", "document"], rows).map(|_| ())
}

/// A document that was taken out.
struct TakenOut {
    uid: String,
    source: String,
    content: Digest,
    pipeline: Digest,
    /// Its words, when it had been taken.
    words: Option<Digest>,
}

/// Takes a document out whole, without an event of its own.
fn take_out(tx: &Tx<'_>, scope: &Scope, document: i64) -> Result<Option<TakenOut>> {
    let sql = "SELECT uid, source, content, pipeline, reason, words FROM document WHERE collection = ?1 AND id = ?2";
    let out = tx.view().first(sql, values![scope.id(), document], |row| {
        let taken = row.opt_text(4)?.is_none() && row.opt_blob(5)?.is_some();
        let words = if taken { Some(row.digest(5)?) } else { None };
        let (uid, source) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
        Ok(TakenOut { uid, source, content: row.digest(2)?, pipeline: row.digest(3)?, words })
    })?;
    let sql = "SELECT number FROM chunk WHERE collection = ?1 AND document = ?2";
    let chunks = tx.view().all(sql, values![scope.id(), document], |row| row.int(0))?;
    fulltext::remove(tx, scope.id(), &chunks)?;
    pgvector::remove(tx, scope.id(), scope.collection.dimensions, &chunks)?;
    let things = graph::take_out(tx, scope, document)?;
    if let Some(out) = out.as_ref().filter(|_| !chunks.is_empty()) {
        scope.note(tx, Act::Take, &out.uid)?;
        scope.note_graph(tx, Act::Take, &out.uid)?;
    }
    for table in ["chunk", "document_meta", "document_text", "signature", "band"] {
        tx.execute(&format!("DELETE FROM {table} WHERE document = ?1"), values![document])?;
    }
    tx.execute("DELETE FROM document WHERE collection = ?1 AND id = ?2", values![scope.id(), document])?;
    graph::sweep(tx, scope, &things)?;
    Ok(out)
}

/// Takes a document out for good, without an event of its own: what was a copy of it will be judged anew.
pub(super) fn drop_document(tx: &Tx<'_>, scope: &Scope, document: i64) -> Result<()> {
    match take_out(tx, scope, document)? {
        Some(out) if out.words.is_some() => went(tx, scope, &out.source),
        _ => Ok(()),
    }
}

/// Takes a document out and records why.
///
/// # Errors
/// Only those of the state.
pub fn forget(tx: &Tx<'_>, scope: &Scope, document: &super::Document, why: &str) -> Result<()> {
    drop_document(tx, scope, document.id)?;
    tx.record(
        Event::new("document.removed", Resource::new("document", &document.uid))
            .with("tenant", scope.tenant.name.as_str())
            .with("collection", scope.collection.name.as_str())
            .with("why", why),
    );
    Ok(())
}

/// Notes that the vectors of a collection come from another model from now on.
///
/// # Errors
/// Only those of the state.
pub fn set_embedder(tx: &Tx<'_>, scope: &Scope, model: &Model) -> Result<()> {
    let width = i64::try_from(model.dimensions).context(|| "the vectors of this model are too long")?;
    let sql = "UPDATE collection SET embedder = ?2, embedder_digest = ?3, dimensions = ?4 WHERE id = ?1";
    tx.execute(sql, values![scope.id(), &model.name, model.digest, width]).map(|_| ())
}

/// Replaces the vectors of all chunks of a document.
///
/// # Errors
/// Only those of the state.
pub fn set_vectors(tx: &Tx<'_>, scope: &Scope, chunks: &[Chunk], vectors: &[Vec<f32>]) -> Result<()> {
    for (chunk, vector) in chunks.iter().zip(vectors) {
        let sql = "UPDATE chunk SET vector = ?3 WHERE collection = ?1 AND number = ?2";
        tx.execute(sql, values![scope.id(), chunk.number, vector_bytes(vector)])?;
    }
    if let Some(chunk) = chunks.first() {
        let digest = vectors_digest(scope, vectors.iter().map(Vec::as_slice));
        let sql = "UPDATE document SET vectors = ?3 WHERE collection = ?1 AND id = ?2";
        tx.execute(sql, values![scope.id(), chunk.document, digest])?;
    }
    Ok(())
}

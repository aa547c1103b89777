//! Taking a snapshot in: one transaction, with the event of each document, after every byte was compared with the manifest.
//!
//! What is keyed by a tenant is made anew from the texts: ids, marks of copies, digests. The files are not there, so a document
//! is known by its text until its file is ingested again, which replaces it.

use super::read::{ReadChunk, ReadDocument, damaged, each_document, number, verify};
use super::{Embedder, Manifest};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::base::text::count;
use crate::config::VectorEngine;
use crate::domain::ingest::chunk::{ChunkId, embed_text};
use crate::domain::ingest::entities::{Found, Mention, Node, Relation};
use crate::domain::ingest::extract::Format;
use crate::domain::ingest::quality::duplicate;
use crate::domain::ingest::table::{Made, Marks, NewChunk, NewDocument, Outcome, Scope, Tenant, forget, known, open, put};
use crate::seams::embedder::Model;
use crate::seams::graph::{Mentioned, Named, Related};
use crate::store::{Store, Tx};
use std::path::Path;

/// Why a document leaves that the snapshot does not hold.
const NOT_IN_IT: &str = "not in the snapshot that was imported";

/// Where a snapshot goes, and how.
pub struct Import<'a> {
    /// Whose documents they become.
    pub tenant: &'a Name,
    /// Where they go.
    pub collection: &'a Name,
    /// What finds the nearest vectors, when the collection is new.
    pub engine: VectorEngine,
    /// What makes the vectors of queries here.
    pub model: &'a Model,
    /// The Jaccard index from which on two documents are near copies, 0 to 1.
    pub near: f64,
    /// Put it in the place of what the collection holds.
    pub replace: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// False when the collection was as the snapshot already.
    pub changed: bool,
    /// Documents of the snapshot.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
    /// Documents that left.
    pub removed: u64,
}

/// Takes a snapshot in.
///
/// # Errors
/// When it is no snapshot, damaged, of another model, or the collection holds something else; nothing is changed then.
pub fn import(store: &Store, dir: &Path, job: &Import<'_>) -> Result<Imported> {
    let manifest = Manifest::read(dir)?;
    same_model(&manifest.embedder, job.model)?;
    verify(dir, &manifest)?;
    let salt = store.random().bytes::<32>();
    store.write(|tx| take_in(tx, dir, &manifest, job, salt))
}

/// Refuses vectors that queries here cannot be compared with.
fn same_model(of: &Embedder, here: &Model) -> Result<()> {
    if (of.digest, of.dimensions) == (here.digest, here.dimensions) {
        return Ok(());
    }
    let same = if of.name == here.name { " of another version" } else { "" };
    Err(Error::new(format!("the snapshot holds vectors of {}{same}, and `[embedder]` says {}", of.name, here.name))
        .hint(format!("set `[embedder]` of mlops.toml to {} of digest {}", of.name, of.digest))
        .hint(format!("or take the documents themselves in with {}: `kf ingest PATH`", here.name)))
}

fn take_in(tx: &Tx<'_>, dir: &Path, manifest: &Manifest, job: &Import<'_>, salt: [u8; 32]) -> Result<Imported> {
    let lines = |i: usize| manifest.files.get(i).map_or(0, |f| f.lines);
    let mut done = Imported { changed: true, documents: lines(0), chunks: lines(1), removed: 0 };
    if let Some(scope) = Scope::find(tx.view(), job.tenant, job.collection)? {
        let there = Manifest::of(tx.view(), &scope)?;
        if (there.embedder.digest, &there.files) == (manifest.embedder.digest, &manifest.files) {
            return Ok(Imported { changed: false, ..done });
        }
        let documents = there.files.first().map_or(0, |f| f.lines);
        if documents > 0 && !job.replace {
            let what = count(usize::try_from(documents).unwrap_or(usize::MAX), "document");
            return Err(Error::new(format!("the collection {} holds {what} that are not those of the snapshot", job.collection))
                .hint("`--replace` puts the snapshot in their place")
                .hint("or name another collection: `--collection NAME`"));
        }
    }
    let model = &manifest.embedder;
    let scope = open(tx, job.tenant, job.collection, (&model.name, model.digest, model.dimensions), job.engine, salt)?;
    let mut left = known(tx.view(), &scope)?;
    each_document(dir, manifest, &mut |document| {
        let replaces = left.remove(&document.row.source).map(|k| k.id);
        put(tx, &scope, &new_document(&scope.tenant, document, job.near)?, replaces).map(drop)
    })?;
    let mut left: Vec<String> = left.into_iter().filter(|(_, k)| k.refused.is_none()).map(|(source, _)| source).collect();
    left.sort_unstable();
    for source in left {
        if let Some(document) = scope.document(tx.view(), &source)? {
            forget(tx, &scope, &document, NOT_IN_IT)?;
            done.removed += 1;
        }
    }
    let named = format!("{}/{}", scope.tenant.name, scope.collection.name);
    let event = Event::new("collection.imported", Resource::new("collection", named));
    tx.record(event.with("documents", done.documents).with("chunks", done.chunks).with("removed", done.removed));
    Ok(done)
}

fn new_document(tenant: &Tenant, read: ReadDocument, near: f64) -> Result<NewDocument> {
    let ReadDocument { row, text, chunks, mentions, relations } = read;
    // Its file is not there to be summed up; no file has this digest, so that ingesting it is seen as a change.
    let content = tenant.digest(&[b"text of a snapshot\n", &Digest::of(text.as_bytes()).as_bytes()[..]].concat());
    let format = row.format.as_deref().map(|word| {
        Format::of(word)
            .ok_or_else(|| Error::new(format!("this kf does not know the format `{word}`")).hint("import it with a newer kf"))
    });
    let marks = Marks { words: tenant.digest(duplicate::exact(&text).as_bytes()), signature: duplicate::signature(&text), near };
    let graph = row.graph.then(|| found(mentions, relations)).transpose()?;
    Ok(NewDocument {
        source: row.source,
        content,
        pipeline: row.pipeline,
        format: format.transpose()?.map(Format::word),
        bytes: row.bytes,
        quality: row.quality,
        checks: row.checks.get().to_owned(),
        meta: row.meta,
        warnings: row.warnings,
        marks: Some(marks),
        copy_of: row.copy_of,
        outcome: Outcome::Taken(Box::new(Made {
            characters: row.characters,
            title: row.title,
            language: row.language,
            pages: row.pages,
            chunks: chunks.into_iter().map(|c| new_chunk(tenant, &content, c)).collect(),
            graph,
            text,
        })),
    })
}

fn new_chunk(tenant: &Tenant, content: &Digest, ReadChunk { row, span, vector }: ReadChunk) -> NewChunk {
    NewChunk {
        uid: ChunkId::of(tenant.name.as_str(), content, &span).to_string(),
        start: row.start,
        fresh: row.fresh,
        stop: row.stop,
        tokens: row.tokens,
        pages: row.pages,
        words: embed_text(&row.context, &row.text),
        heading: row.heading,
        context: row.context,
        vector,
    }
}

fn found(mentions: Vec<Mentioned>, relations: Vec<Related>) -> Result<Found> {
    let node = |n: Named| Node { kind: n.kind.into(), key: n.key, name: n.name };
    let at = |n| number(n).ok_or_else(|| damaged("an offset is below zero"));
    let sure = |n: i64| {
        let sure = u8::try_from(n).ok().filter(|n| *n <= 100);
        sure.ok_or_else(|| damaged(format!("a confidence of {n} is not within 0 and 100")))
    };
    let mention = |m: Mentioned| {
        let span = at(m.start)?..at(m.stop)?;
        Ok(Mention { node: node(m.thing), span, method: m.method.into(), confidence: sure(m.confidence)? })
    };
    let relation = |r: Related| {
        Ok(Relation {
            subject: node(r.subject),
            relation: r.relation.into(),
            object: node(r.object),
            evidence: at(r.start)?..at(r.stop)?,
            method: r.method.into(),
            confidence: sure(r.confidence)?,
        })
    };
    Ok(Found {
        mentions: mentions.into_iter().map(mention).collect::<Result<_>>()?,
        relations: relations.into_iter().map(relation).collect::<Result<_>>()?,
        dropped: 0,
    })
}

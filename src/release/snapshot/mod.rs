//! The snapshot of an index: everything that is searched of one collection, as a folder that can be versioned and restored.
//!
//! - `manifest.json`: the model of the vectors, and of each other file its lines, bytes and SHA-256.
//! - `documents.jsonl`: the taken documents in the order of their sources (by bytes of UTF-8), with text, notes and quality.
//! - `chunks.jsonl`: their chunks in order; offsets count characters of the document's text.
//! - `vectors.f32`: the vector of each line of `chunks.jsonl`, 32-bit floats, little-endian, nothing between.
//! - `mentions.jsonl`, `relations.jsonl`: what the documents speak of.
//!
//! Invariants: the same documents, taken in the same way, give the same bytes in every state; so there is no time, no id and
//! nothing that is keyed in it, and ids are made anew where it is restored. Refused documents are not in it: nothing of them is
//! searched. Writing and reading hold one document at a time.

pub mod import;
mod read;
pub mod rows;

use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Resource};
use crate::domain::ingest::table::Scope;
use crate::release::folder::{MANIFEST, Written, give_out, manifest, refuse_foreign};
use crate::store::{Store, View};
use rows::{For, Rows};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What a manifest says that it is.
const SCHEMA: &str = "kf.index-snapshot/1";
/// The largest manifest that is read, in bytes; a real one has about a thousand.
const MANIFEST_MAX: u64 = 1 << 20;

/// The model that vectors come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedder {
    /// Its name.
    pub name: String,
    /// What makes vectors comparable.
    pub digest: Digest,
    /// Numbers in a vector.
    pub dimensions: usize,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::release) struct Entry {
    path: String,
    lines: u64,
    bytes: u64,
    digest: Digest,
}

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    schema: String,
    /// The model of its vectors.
    pub embedder: Embedder,
    files: Vec<Entry>,
}

impl Manifest {
    fn new(scope: &Scope, files: &[Written]) -> Self {
        let c = &scope.collection;
        let embedder = Embedder { name: c.embedder.clone(), digest: c.embedder_digest, dimensions: c.dimensions };
        let entry = |w: &Written| Entry { path: w.path.to_owned(), lines: w.lines, bytes: w.bytes, digest: w.digest };
        Self { schema: SCHEMA.to_owned(), embedder, files: files.iter().map(entry).collect() }
    }

    /// What a collection's snapshot would say, without writing it.
    fn of(view: View<'_>, scope: &Scope) -> Result<Self> {
        Ok(Self::new(scope, &write(view, scope, None)?))
    }

    /// The manifest of a folder.
    ///
    /// # Errors
    /// When there is none, or the folder is no snapshot that this kf knows.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let foreign = || format!("{} is no snapshot of an index", dir.display());
        let hint = || "`kf index export DIR` writes one; `kf checkout REF DIR` brings a registered one back".to_owned();
        let mut text = String::new();
        let read = File::open(&path).and_then(|f| f.take(MANIFEST_MAX).read_to_string(&mut text));
        read.context(|| format!("cannot read {}", path.display())).context(foreign).hint(hint)?;
        let found: Self =
            serde_json::from_str(&text).context(|| format!("cannot read {}", path.display())).context(foreign).hint(hint)?;
        if found.schema != SCHEMA {
            let said = crate::base::text::ellipsis(&found.schema, 60);
            return Err(Error::new(format!("{} says `{said}`, not `{SCHEMA}`", path.display()))
                .hint("a newer kf may have written it: import it with that one"));
        }
        Ok(found)
    }
}

/// What was written.
pub struct Exported {
    /// Its files but the manifest.
    pub files: Vec<Written>,
    /// The SHA-256 of the manifest, which has those of all other files in it.
    pub digest: Digest,
}

/// Writes the snapshot of a collection to a folder, in the stead of an older one, and records that it was given out.
///
/// # Errors
/// When something else than a snapshot is there, it cannot be written, or a text is damaged.
pub fn export(store: &Store, find: &dyn Fn(View<'_>) -> Result<Scope>, dir: &Path) -> Result<Exported> {
    let hint = "name a folder that does not exist yet, or the one of an older snapshot";
    refuse_foreign(dir, |dir| Manifest::read(dir).is_ok(), hint)?;
    let write = |to: Option<&Path>| {
        store.read(|view| {
            let scope = find(view)?;
            let files = write(view, &scope, to)?;
            let digest = manifest(to, &Manifest::new(&scope, &files))?;
            Ok(Exported { files, digest })
        })
    };
    let record = |done: &Exported| {
        store.write(|tx| {
            // It may have gone while it was written, and then nothing of it is given out.
            let scope = find(tx.view())?;
            let lines = |i: usize| done.files.get(i).map_or(0, |f| f.lines);
            let event = Event::new(
                "collection.exported",
                Resource::new("collection", format!("{}/{}", scope.tenant.name, scope.collection.name)),
            );
            tx.record(event.with("documents", lines(0)).with("chunks", lines(1)));
            Ok(())
        })
    };
    give_out(store, dir, write, record)
}

/// Writes the files of a snapshot, or only sums them up.
fn write(view: View<'_>, scope: &Scope, dir: Option<&Path>) -> Result<Vec<Written>> {
    let mut rows = Rows::create(dir, For::Snapshot)?;
    rows.collection(view, scope)?;
    rows.finish()
}

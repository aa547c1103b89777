//! The chunks of an index as data: a row for each, documents by the bytes of their source, chunks in their order.
//!
//! They are written to a temporary file as lines of JSON, one document in memory at a time. Their digest enters the audit log, where
//! nobody may recognise a document that was erased: it is keyed with the tenant's salt, which goes with the tenant.

use crate::base::digest::Hasher;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::data::{EachBytes, Input};
use crate::domain::ingest::table::{Document, Listed, Scope};
use crate::release::snapshot::rows::Cut;
use crate::store::{Store, View};
use serde::Serialize;

/// A chunk. The names are those of the columns.
#[derive(Serialize)]
struct Row<'a> {
    document: &'a str,
    format: Option<&'a str>,
    language: &'a str,
    heading: Option<&'a str>,
    text: &'a str,
    characters: usize,
    tokens: i64,
    /// Vectors of two models are not comparable, also where they are as wide: another one shows here.
    embedder: &'a str,
    embedding: &'a [f32],
}

/// The chunks of a collection, all of one moment; `named` is what a person wrote for it.
///
/// # Errors
/// When the tenant has no such collection or it has no chunks, a text is damaged, or there is no room for the rows.
pub fn chunks(store: &Store, tenant: &Name, collection: &Name, named: &str) -> Result<Input> {
    store.read(|view| {
        let scope = Scope::named(view, tenant, collection, "name one as `index:COLLECTION`, of another tenant with `--tenant`")?;
        Input::made(named, &mut |write| {
            let mut rows = Rows { write, hasher: Hasher::new(), any: false };
            let embedder = format!("{} {}", scope.collection.embedder, scope.collection.embedder_digest.short());
            scope.each_document(view, Listed { refused: Some(false) }, |d| rows.document(view, &scope, &d, &embedder))?;
            if !rows.any {
                return Err(Error::new(format!("the collection {collection} of the tenant {tenant} has no chunks"))
                    .hint(Scope::taken_in(tenant, collection)));
            }
            Ok(scope.tenant.digest(rows.hasher.finish().as_bytes()))
        })
    })
}

/// Writes rows and sums them up.
struct Rows<'a> {
    write: EachBytes<'a>,
    hasher: Hasher,
    any: bool,
}

impl Rows<'_> {
    fn document(&mut self, view: View<'_>, scope: &Scope, d: &Document, embedder: &str) -> Result<()> {
        let text = scope.text(view, d.id)?.unwrap_or_default();
        let mut cut = Cut::of(&text);
        for (chunk, vector) in scope.chunks(view, d.id)?.iter().zip(scope.vectors(view, d.id)?) {
            let text = cut.chunk(chunk).context(|| format!("a chunk of {} is not as it was made", d.source))?;
            let embedding: Vec<f32> = vector.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            self.push(&Row {
                document: &d.source,
                format: d.format.as_deref(),
                language: d.language.as_deref().unwrap_or("uncertain"),
                heading: Some(chunk.heading.as_str()).filter(|heading| !heading.is_empty()),
                text,
                characters: text.chars().count(),
                tokens: chunk.tokens,
                embedder,
                embedding: &embedding,
            })?;
        }
        Ok(())
    }

    fn push(&mut self, row: &Row<'_>) -> Result<()> {
        let mut line = serde_json::to_vec(row).context(|| "cannot write a chunk as JSON")?;
        line.push(b'\n');
        self.hasher.update(&line);
        self.any = true;
        (self.write)(&line)
    }
}

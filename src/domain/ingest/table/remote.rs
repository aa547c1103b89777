//! Collections whose nearest vectors are found by a Qdrant server: what it is told of them, and by which names.
//!
//! The server holds a projection. No name that means anything to a person leaves the state: a collection is called by digests
//! under the tenant's key there, and so is the tenant, so that erasing the tenant here leaves nothing there to recognise.

use super::{Scope, Tenant};
use crate::base::error::Result;
use crate::config::VectorEngine;
use crate::seams::embedder::Model;
use crate::store::outbox::{self, Act, Place};
use crate::store::{Tx, View, state_id, values};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// What notes for the server are kept under.
pub const QDRANT: &str = "qdrant";

/// The space of the names of points (RFC 9562 §5.5): random, and never changed.
const POINTS: [u8; 16] = *b"\x6b\x66\x1d\x9e\x2c\x53\x4f\x07\x9a\x41\x8e\x6d\x70\xc2\x35\xb8";

/// A vector as the state keeps it, with what a point of the server needs beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The number of the chunk.
    pub number: i64,
    /// The public id of its document.
    pub document: String,
    /// The name of its point: a UUID made from the ids of document and chunk, so that telling it again changes nothing.
    pub point: String,
    /// The vector.
    pub vector: Vec<f32>,
}

impl Tenant {
    /// What the tenant is called on servers that others can read.
    pub fn alias(&self) -> String {
        let alias = self.digest(b"alias of the tenant").hex();
        alias.get(..32).unwrap_or(&alias).to_owned()
    }
}

impl Scope {
    /// What its files in the cache of a host and its places on servers are called: never as those of another state, another
    /// collection or another embedder.
    pub fn place_name(&self, state: &str) -> String {
        format!("{}-{}", self.cache_name(state), self.collection.embedder_digest.short())
    }

    /// What the Qdrant server calls the collection.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn remote_name(&self, view: View<'_>) -> Result<String> {
        Ok(format!("kf-{}", self.place_name(&state_id(view.db())?)))
    }

    /// Notes a change for the server, when the collection is there.
    pub(super) fn note(&self, tx: &Tx<'_>, act: Act, item: &str) -> Result<()> {
        if self.collection.engine != VectorEngine::Qdrant {
            return Ok(());
        }
        let name = self.remote_name(tx.view())?;
        outbox::note(tx, Place { engine: QDRANT, collection: self.id(), name: &name }, act, item)
    }

    /// Vectors with numbers above `after`, in the order of the numbers, `most` at most: those of one document, or all.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn kept(&self, view: View<'_>, document: Option<&str>, after: i64, most: usize) -> Result<Vec<Kept>> {
        let of = if document.is_some() { "d.uid = ?4" } else { "?4 = ''" };
        let sql = format!(
            "SELECT c.number, d.uid, c.uid, c.vector FROM chunk c JOIN document d ON d.id = c.document \
             WHERE c.collection = ?1 AND c.number > ?2 AND {of} ORDER BY c.number LIMIT ?3"
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        view.all(&sql, values![self.id(), after, most, document.unwrap_or_default()], |row| {
            let (number, document) = (row.int(0)?, row.text(1)?.to_owned());
            let point = point(&document, row.text(2)?);
            let vector = row.blob(3)?.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            Ok(Kept { number, document, point, vector })
        })
    }

    /// The lowest number among the chunks of these documents, and how many chunks they have.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn numbers(&self, view: View<'_>, documents: &[String]) -> Result<(Option<i64>, u64)> {
        let (mut first, mut chunks) = (None, 0);
        for document in documents {
            let sql = "SELECT c.number FROM chunk c JOIN document d ON d.id = c.document WHERE d.collection = ?1 AND d.uid = ?2";
            view.each(sql, values![self.id(), document.as_str()], |row| {
                let number = row.int(0)?;
                first = Some(first.map_or(number, |least: i64| least.min(number)));
                chunks += 1;
                Ok(())
            })?;
        }
        Ok((first, chunks))
    }

    /// How many chunks it has.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn size(&self, view: View<'_>) -> Result<u64> {
        let n = view.count("SELECT count(*) FROM chunk WHERE collection = ?1", values![self.id()])?;
        Ok(u64::try_from(n).unwrap_or(0))
    }
}

/// A UUID of version 5 (RFC 9562 §5.5).
fn point(document: &str, chunk: &str) -> String {
    let bytes = [&POINTS[..], document.as_bytes(), b"/", chunk.as_bytes()].concat();
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let mut first = [0; 16];
    first.copy_from_slice(&sum.as_ref()[..16]);
    uuid::Builder::from_sha1_bytes(first).into_uuid().to_string()
}

/// Notes that the server is to be given the whole collection in the stead of whatever it has, with vectors of another model when
/// one is named: these have a place of their own.
///
/// # Errors
/// Only those of the state.
pub fn refill(tx: &Tx<'_>, scope: &Scope, model: Option<&Model>) -> Result<()> {
    let mut now = scope.clone();
    if let Some(model) = model.filter(|m| m.digest != scope.collection.embedder_digest) {
        scope.note(tx, Act::Drop, "")?;
        now.collection.embedder_digest = model.digest;
    }
    now.note(tx, Act::Fill, "")
}

/// Notes what finds the nearest vectors of a collection from now on. The engine that it leaves is told that it is gone, the one
/// that it goes to is told all of it.
///
/// # Errors
/// Only those of the state.
pub fn set_engine(tx: &Tx<'_>, scope: &Scope, engine: VectorEngine) -> Result<()> {
    scope.note(tx, Act::Drop, "")?;
    let mut moved = scope.clone();
    moved.collection.engine = engine;
    refill(tx, &moved, None)?;
    tx.execute("UPDATE collection SET engine = ?2 WHERE id = ?1", values![scope.id(), engine.word()]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value is that of CPython's `uuid.uuid5`.
    #[test]
    fn a_point_has_a_uuid_of_version_5_that_is_always_the_same() {
        let one = point("01968b2e-0000-7000-8000-000000000001", "c1");
        assert_eq!(one, "5738e878-bd9f-5738-ae08-371f026fab83");
        let parsed: uuid::Uuid = one.parse().expect("a UUID");
        assert_eq!((parsed.get_version_num(), parsed.get_variant()), (5, uuid::Variant::RFC4122));
        assert_ne!(one, point("01968b2e-0000-7000-8000-000000000001", "c2"));
        assert_ne!(one, point("01968b2e-0000-7000-8000-000000000002", "c1"));
    }
}

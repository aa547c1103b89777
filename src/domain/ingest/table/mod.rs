//! The tables of documents. Nobody else queries them, and every query goes through a [`Scope`], which only a tenant's name
//! opens: there is no way to ask for "all documents".
//!
//! Digests of content are keyed with the tenant's salt (HMAC-SHA-256), so that equal documents of two tenants cannot be
//! recognised as equal by anybody who reads the state or the audit log.

mod alike;
mod embedded;
mod embedding;
mod erase;
mod find;
pub(in crate::domain::ingest) mod graph;
mod outward;
mod read;
mod remote;
pub mod seal;
mod spoken;
mod write;

pub use alike::{Alike, Marks};
pub use embedded::Embedded;
pub use embedding::{aged, expire, keep, kept};
pub use erase::{Documents, Erased, Whom, concerned, erase};
pub use find::{Filter, Position, Vectors};
pub use graph::GraphTotals;
pub use outward::{NEO4J, set_graph};
pub use read::{Chunk, Document, Lengths, Listed, Totals};
pub use remote::{Kept, QDRANT, refill, set_engine};
pub use write::{Made, NewChunk, NewDocument, Outcome, forget, open, put, same_model, set_embedder, set_vectors, vector_bytes};

use super::reason::Refusal;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::config::{GraphEngine, VectorEngine};
use crate::store::{Row, Tx, View, values};
use ring::hmac;
use std::collections::HashMap;

/// A tenant, the wall around its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    id: i64,
    /// Its name.
    pub name: Name,
    salt: Vec<u8>,
}

impl Tenant {
    /// Its number in the state; the same for nobody else.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// A digest of some bytes that means nothing outside this tenant.
    pub fn digest(&self, bytes: &[u8]) -> Digest {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.salt);
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&key, bytes).as_ref());
        Digest::from_bytes(out)
    }

    /// The same of bytes that come in pieces.
    pub(in crate::domain::ingest) fn digest_of<'b>(&self, pieces: impl Iterator<Item = &'b [u8]>) -> Digest {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.salt));
        pieces.for_each(|piece| context.update(piece));
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        Digest::from_bytes(out)
    }

    /// Makes bytes that are compared place by place mean nothing outside this tenant, and meant again by the same call.
    fn masked(&self, bytes: &[u8]) -> Vec<u8> {
        let mask = self.digest(b"mask of signatures");
        bytes.iter().zip(mask.as_bytes().iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
    }

    /// All tenants, by name: for what works on the state as a whole, never for what answers one of them.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn all(view: View<'_>) -> Result<Vec<Self>> {
        view.all("SELECT id, name, salt FROM tenant ORDER BY name", &[], tenant_of)
    }

    /// The tenant of this name.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn find(view: View<'_>, name: &Name) -> Result<Option<Self>> {
        view.first("SELECT id, name, salt FROM tenant WHERE name = ?1", values![name.as_str()], tenant_of)
    }

    /// Keys hashes that are compared within this tenant only.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }
}

/// A collection of documents of one tenant, embedded by one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    id: i64,
    /// Its name.
    pub name: Name,
    /// The name of the model that its vectors come from.
    pub embedder: String,
    /// What makes vectors comparable: only the same digest is the same model.
    pub embedder_digest: Digest,
    /// Numbers in a vector.
    pub dimensions: usize,
    /// What finds its nearest vectors; where that is pgvector, its table may not be on this server.
    pub engine: VectorEngine,
    /// Where its graph is shown; in the state it is in any case.
    pub graph: GraphEngine,
    /// The highest number that a chunk of it ever had.
    pub last_chunk: i64,
}

/// A collection of a tenant: what every query needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The tenant.
    pub tenant: Tenant,
    /// The collection.
    pub collection: Collection,
}

impl Scope {
    /// The number of the collection, for rooms of `store` that keep indexes by number.
    pub fn id(&self) -> i64 {
        self.collection.id
    }

    /// What its files in the cache of a host are called: never what another collection's are, also not those of an erased one
    /// whose number was given again.
    pub fn cache_name(&self, state: &str) -> String {
        let place = format!("cache of {}", self.id());
        format!("{state}-{}", self.tenant.digest(place.as_bytes()).hex().get(..24).unwrap_or_default())
    }

    /// The collection of a tenant, when both are there.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn find(view: View<'_>, tenant: &Name, collection: &Name) -> Result<Option<Self>> {
        let Some(tenant) = Tenant::find(view, tenant)? else { return Ok(None) };
        Ok(collection_named(view, &tenant, collection)?.map(|collection| Self { tenant, collection }))
    }

    /// The collection of a tenant.
    ///
    /// # Errors
    /// When there is none; names of this tenant's collections are suggested, those of other tenants never.
    pub fn get(view: View<'_>, tenant: &Name, collection: &Name) -> Result<Self> {
        Self::named(view, tenant, collection, "name one with `--collection`, or set `collection` in `[ingest]` of mlops.toml")
    }

    /// The same where a collection is named in another way, which `how` tells.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn named(view: View<'_>, tenant: &Name, collection: &Name, how: &str) -> Result<Self> {
        if let Some(found) = Self::find(view, tenant, collection)? {
            return Ok(found);
        }
        let names: Vec<String> = Self::all(view, tenant)?.into_iter().map(|s| s.collection.name.to_string()).collect();
        let error = Error::new(format!("the tenant {tenant} has no collection {collection}"));
        let error = match did_you_mean(collection.as_str(), names.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint).hint(how),
            None => error,
        };
        Err(error.hint(Self::taken_in(tenant, collection)))
    }

    /// What to type so that a collection has documents: without its name they would go to another one.
    pub fn taken_in(tenant: &Name, collection: &Name) -> String {
        let tenant = if tenant.as_str() == "default" { String::new() } else { format!(" --tenant {tenant}") };
        format!("take documents in with `kf ingest PATH{tenant} --collection {collection}`")
    }

    /// All collections of a tenant, by name.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn all(view: View<'_>, tenant: &Name) -> Result<Vec<Self>> {
        let Some(tenant) = Tenant::find(view, tenant)? else { return Ok(Vec::new()) };
        let sql = format!("{COLLECTION} WHERE tenant = ?1 ORDER BY name");
        let collections = view.all(&sql, values![tenant.id], collection_of)?;
        Ok(collections.into_iter().map(|collection| Self { tenant: tenant.clone(), collection }).collect())
    }

    /// Every collection of every tenant: only for what looks after the state as a whole.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn everywhere(view: View<'_>) -> Result<Vec<Self>> {
        let mut scopes = Vec::new();
        for tenant in Tenant::all(view)? {
            scopes.extend(Self::all(view, &tenant.name)?);
        }
        Ok(scopes)
    }
}

const COLLECTION: &str = "SELECT id, name, embedder, embedder_digest, dimensions, engine, graph, last_chunk FROM collection";

fn collection_of(row: &Row<'_>) -> Result<Collection> {
    Ok(Collection {
        id: row.int(0)?,
        name: row.parsed(1)?,
        embedder: row.text(2)?.to_owned(),
        embedder_digest: row.digest(3)?,
        dimensions: usize::try_from(row.int(4)?).unwrap_or(0),
        engine: row.parsed(5)?,
        graph: row.parsed(6)?,
        last_chunk: row.int(7)?,
    })
}

fn tenant_of(row: &Row<'_>) -> Result<Tenant> {
    Ok(Tenant { id: row.int(0)?, name: row.parsed(1)?, salt: row.blob(2)?.to_vec() })
}

fn collection_named(view: View<'_>, tenant: &Tenant, name: &Name) -> Result<Option<Collection>> {
    view.first(&format!("{COLLECTION} WHERE tenant = ?1 AND name = ?2"), values![tenant.id, name.as_str()], collection_of)
}

/// The tenant, made when it is not there yet.
fn ensure_tenant(tx: &Tx<'_>, name: &Name, salt: [u8; 32]) -> Result<Tenant> {
    if let Some(found) = Tenant::find(tx.view(), name)? {
        return Ok(found);
    }
    let sql = "INSERT INTO tenant (name, salt, created) VALUES (?1, ?2, ?3)";
    let id = tx.insert(sql, values![name.as_str(), salt.to_vec(), tx.now()])?;
    Ok(Tenant { id, name: name.clone(), salt: salt.to_vec() })
}

/// What is known of a source that was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The document's number.
    pub id: i64,
    /// The tenant's digest of the file.
    pub content: Digest,
    /// What it was taken by.
    pub pipeline: Digest,
    /// Why it was refused, when it was.
    pub refused: Option<Refusal>,
    /// What it was compared with has changed since, so that it must be judged anew though its file is the same.
    pub stale: bool,
}

const KNOWN: &str = "SELECT source, id, content, pipeline, reason, stale FROM document";

fn known_of(row: &Row<'_>) -> Result<Known> {
    Ok(Known {
        id: row.int(1)?,
        content: row.digest(2)?,
        pipeline: row.digest(3)?,
        refused: row.opt_text(4)?.and_then(Refusal::of),
        stale: row.int(5)? != 0,
    })
}

impl Scope {
    /// What is known of one source.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn known(&self, view: View<'_>, source: &str) -> Result<Option<Known>> {
        view.first(&format!("{KNOWN} WHERE collection = ?1 AND source = ?2"), values![self.id(), source], known_of)
    }
}

/// Every source of a collection and what is known of it.
///
/// # Errors
/// Only those of the state.
pub fn known(view: View<'_>, scope: &Scope) -> Result<HashMap<String, Known>> {
    known_where(view, scope, "")
}

/// The same of the documents that must be judged anew.
///
/// # Errors
/// Only those of the state.
pub fn stale(view: View<'_>, scope: &Scope) -> Result<HashMap<String, Known>> {
    known_where(view, scope, " AND stale <> 0")
}

fn known_where(view: View<'_>, scope: &Scope, and: &str) -> Result<HashMap<String, Known>> {
    let mut found = HashMap::new();
    view.each(&format!("{KNOWN} WHERE collection = ?1{and}"), values![scope.id()], |row| {
        found.insert(row.text(0)?.to_owned(), known_of(row)?);
        Ok(())
    })?;
    Ok(found)
}

/// What was found in each refused document of a collection, by its number.
///
/// # Errors
/// Only those of the state.
pub fn details(view: View<'_>, scope: &Scope) -> Result<HashMap<i64, String>> {
    let sql = "SELECT id, detail FROM document WHERE collection = ?1 AND reason IS NOT NULL";
    let details = view.all(sql, values![scope.id()], |row| Ok((row.int(0)?, row.opt_text(1)?.unwrap_or_default().to_owned())))?;
    Ok(details.into_iter().collect())
}

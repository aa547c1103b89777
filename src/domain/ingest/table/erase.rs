//! Erasing what the law says must go: everything of a tenant, or the documents that mention a person.
//!
//! What goes goes in one transaction with one event, `privacy.erased`, that tells how much and the public ids, which name
//! nothing, and no word of what was erased. Entries of the log stay: they hold seals whose keys went with the rows.

use super::write::drop_document;
use super::{Listed, Scope, Tenant};
use crate::base::error::Result;
use crate::base::event::{Event, Resource};
use crate::store::outbox::Act;
use crate::store::vectors::pgvector;
use crate::store::{Tx, View, fulltext, values};

/// What is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom<'s> {
    /// Everything of the tenant.
    Tenant,
    /// Documents in whose text, title, path or notes this stands, whatever the case.
    Subject(&'s str),
    /// What the log of another state says was erased: those of these public ids that are there, or everything.
    Again {
        /// The ids; `None` for everything.
        documents: Option<&'s [String]>,
        /// The id of the entry there.
        again: &'s str,
    },
}

impl Whom<'_> {
    /// True when nothing of the tenant is left.
    pub fn is_all(self) -> bool {
        matches!(self, Self::Tenant | Self::Again { documents: None, .. })
    }
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Public ids of the documents.
    pub documents: Vec<String>,
    /// Their chunks.
    pub chunks: i64,
    /// Vectors that were kept so that nothing is embedded twice.
    pub embeddings: u64,
    /// The collections that were touched, for what is kept of them beside the state.
    pub collections: Vec<Scope>,
    /// The audit event; `None` when there was nothing to erase.
    pub event: Option<i64>,
}

/// Documents of a collection: number, public id and source of each.
pub type Documents = (Scope, Vec<(i64, String, String)>);

/// Documents that are to go, by number, of each collection of a tenant.
///
/// # Errors
/// When the state cannot be read, a damaged text included: nothing may be left behind unseen.
pub fn concerned(view: View<'_>, tenant: &Tenant, whom: Whom<'_>) -> Result<Vec<Documents>> {
    let mut all = Vec::new();
    for scope in Scope::all(view, &tenant.name)? {
        let mut documents = Vec::new();
        scope.documents(view, Listed::default(), |d| {
            documents.push(d);
            Ok(())
        })?;
        let mut found = Vec::new();
        for d in documents {
            let goes = match whom {
                Whom::Tenant => true,
                Whom::Again { documents, .. } => documents.is_none_or(|all| all.contains(&d.uid)),
                Whom::Subject(subject) => mentions(view, &scope, &d, &subject.to_lowercase())?,
            };
            if goes {
                found.push((d.id, d.uid, d.source));
            }
        }
        all.push((scope, found));
    }
    Ok(all)
}

fn mentions(view: View<'_>, scope: &Scope, d: &super::Document, subject: &str) -> Result<bool> {
    let has = |text: &str| text.to_lowercase().contains(subject);
    let refused = d.refused.as_ref().is_some_and(|(_, detail)| has(detail));
    let beside = refused || has(&d.source) || d.title.as_deref().is_some_and(has) || d.warnings.iter().any(|w| has(w));
    Ok(beside
        || scope.meta(view, d.id)?.iter().any(|(key, value)| has(key) || has(value))
        || scope.text(view, d.id)?.as_deref().is_some_and(has)
        // A gazetteer knows names that are not those that stand in the text.
        || scope.spoken(view, d.id)?.things().any(|t| has(&t.key) || has(&t.name)))
}

/// Erases, and records it.
///
/// # Errors
/// Only those of the state.
pub fn erase(tx: &Tx<'_>, tenant: &Tenant, whom: Whom<'_>, (ticket, reason): (Option<&str>, &str)) -> Result<Erased> {
    let mut erased = Erased::default();
    for (scope, documents) in concerned(tx.view(), tenant, whom)? {
        for (id, uid, _) in &documents {
            erased.chunks += tx.view().count("SELECT count(*) FROM chunk WHERE document = ?1", values![*id])?;
            drop_document(tx, &scope, *id)?;
            erased.documents.push(uid.clone());
        }
        if whom.is_all() {
            fulltext::drop(tx, scope.id())?;
            tx.execute("DELETE FROM entity WHERE collection = ?1", values![scope.id()])?;
            pgvector::drop(tx, scope.id())?;
            scope.note(tx, Act::Drop, "")?;
            scope.note_graph(tx, Act::Drop, "")?;
            tx.execute("DELETE FROM collection WHERE id = ?1", values![scope.id()])?;
        }
        if whom.is_all() || !documents.is_empty() {
            erased.collections.push(scope);
        }
    }
    if !whom.is_all() && erased.documents.is_empty() {
        return Ok(erased);
    }
    // Whose text a kept vector is of cannot be told from it, so all of the tenant go.
    erased.embeddings = tx.execute("DELETE FROM embedding WHERE tenant = ?1", values![tenant.id()])?;
    let event = Event::new("privacy.erased", Resource::new("tenant", tenant.name.as_str()))
        .with("documents", erased.documents.len())
        .with("chunks", erased.chunks)
        .with("embeddings", erased.embeddings);
    let event = if whom.is_all() {
        tx.execute("DELETE FROM tenant WHERE id = ?1", values![tenant.id()])?;
        event.with("scope", "tenant").with("collections", erased.collections.len())
    } else {
        event.with("scope", "subject").with("erased", erased.documents.clone())
    };
    let event = match whom {
        Whom::Again { again, .. } => event.with("again", again),
        _ => event,
    };
    erased.event = Some(tx.record(event.because(ticket, Some(reason))));
    Ok(erased)
}

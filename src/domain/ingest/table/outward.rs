//! Collections whose graph is also shown by Neo4j: what it is told of them, and by which names.

use super::{Scope, Tenant};
use crate::base::error::Result;
use crate::base::event::{Event, Resource};
use crate::config::GraphEngine;
use crate::seams::graph::Shown;
use crate::store::outbox::{self, Act, Place};
use crate::store::{Tx, View, state_id, values};
use std::collections::BTreeMap;

/// What notes for the engine are kept under.
pub const NEO4J: &str = "neo4j";

impl Scope {
    /// What Neo4j calls the graph of the collection: as no other of any state, and nothing that means anything to a person.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn graph_name(&self, view: View<'_>) -> Result<String> {
        Ok(format!("kf-{}", self.cache_name(&state_id(view.db())?)))
    }

    /// Notes a change for the engine, when the graph is shown there.
    pub(super) fn note_graph(&self, tx: &Tx<'_>, act: Act, item: &str) -> Result<()> {
        if self.collection.graph != GraphEngine::Neo4j {
            return Ok(());
        }
        let name = self.graph_name(tx.view())?;
        outbox::note(tx, Place { engine: NEO4J, collection: self.id(), name: &name }, act, item)
    }

    /// The collection that Neo4j knows by this name, when it is still there and shown there.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn shown_as(view: View<'_>, name: &str) -> Result<Option<Self>> {
        for tenant in Tenant::all(view)? {
            for scope in Self::all(view, &tenant.name)? {
                if scope.collection.graph == GraphEngine::Neo4j && scope.graph_name(view)? == name {
                    return Ok(Some(scope));
                }
            }
        }
        Ok(None)
    }

    /// A document as Neo4j is to show it; `None` when it is not there, or was refused.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn shown(&self, view: View<'_>, uid: &str) -> Result<Option<Shown>> {
        let sql = "SELECT id, source, graph_digest FROM document WHERE collection = ?1 AND uid = ?2 AND reason IS NULL";
        let of = |row: &crate::store::Row<'_>| Ok((row.int(0)?, row.text(1)?.to_owned(), row.opt_blob(2)?.is_some()));
        let Some((id, source, has_graph)) = view.first(sql, values![self.id(), uid], of)? else { return Ok(None) };
        let spoken = if has_graph { Some(self.spoken(view, id)?) } else { None };
        let mut linked = BTreeMap::new();
        for thing in spoken.iter().flat_map(|s| s.things()).filter(|t| t.kind == "document") {
            let sql = "SELECT uid FROM document WHERE collection = ?1 AND source = ?2 AND reason IS NULL";
            let there = view.first(sql, values![self.id(), thing.key.as_str()], |row| Ok(row.text(0)?.to_owned()))?;
            linked.extend(there.map(|uid| (thing.key.clone(), uid)));
        }
        Ok(Some(Shown { uid: uid.to_owned(), source, spoken, linked }))
    }

    /// Public ids of the documents that are things of the graph, by source.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn graph_documents(&self, view: View<'_>) -> Result<BTreeMap<String, String>> {
        let sql = "SELECT d.source, d.uid FROM document d JOIN entity e ON e.collection = d.collection AND e.key = d.source \
            WHERE d.collection = ?1 AND d.reason IS NULL AND e.kind = 'document'";
        let all = view.all(sql, values![self.id()], |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())))?;
        Ok(all.into_iter().collect())
    }
}

/// Notes where the graph of a collection is shown from now on, and that all of it is to be told there anew. The engine that it
/// leaves is told that it is gone.
///
/// # Errors
/// Only those of the state.
pub fn set_graph(tx: &Tx<'_>, scope: &Scope, engine: GraphEngine) -> Result<()> {
    let from = scope.collection.graph;
    let mut moved = scope.clone();
    moved.collection.graph = engine;
    if from != engine {
        scope.note_graph(tx, Act::Drop, "")?;
        tx.execute("UPDATE collection SET graph = ?2 WHERE id = ?1", values![scope.id(), engine.word()])?;
    }
    moved.note_graph(tx, Act::Fill, "")?;
    if from != engine {
        let named = format!("{}/{}", scope.tenant.name, scope.collection.name);
        let event = Event::new("collection.graph-moved", Resource::new("collection", named));
        tx.record(event.with("from", from.word()).with("to", engine.word()));
    }
    Ok(())
}

//! Collections whose graph Neo4j shows: telling it what changed, and holding it to the state.
//!
//! The server is a projection: it is told after the change is committed, in the order of the changes, each document in a
//! transaction of the server, so that a document is there whole or not at all, and its old version goes after the new one.

use crate::adapters::neo4j::{Neo4j, Spot};
use crate::base::error::{Error, Result};
use crate::config::GraphEngine;
use crate::domain::ingest::table::{Listed, NEO4J, Scope, set_graph};
use crate::domain::ingest::verify::Finding;
use crate::seams::graph::Projection;
use crate::store::outbox::{self, Act, Note};
use crate::store::{Store, View};

/// The graph of a collection on the server.
///
/// # Errors
/// When the state cannot be read, the server not asked, or the collection is not there.
pub fn open<'n>(neo4j: &'n Neo4j, view: View<'_>, scope: &Scope) -> Result<Spot<'n>> {
    let spot = neo4j.at(&scope.tenant.alias(), &scope.graph_name(view)?);
    if scope.collection.graph == GraphEngine::Neo4j && spot.is_there()? {
        return Ok(spot);
    }
    Err(Error::new(format!("the graph of {} is not in Neo4j", scope.collection.name)).hint(refill(scope)))
}

fn refill(scope: &Scope) -> String {
    format!("`kf index rebuild --tenant {} --collection {}` fills it", scope.tenant.name, scope.collection.name)
}

/// The collection, its graph shown where `mlops.toml` says; what changes is noted and recorded.
///
/// # Errors
/// Only those of the state.
pub fn adopt(store: &Store, scope: Scope, engine: GraphEngine) -> Result<Scope> {
    if scope.collection.graph == engine {
        return Ok(scope);
    }
    store.write(|tx| set_graph(tx, &scope, engine))?;
    store.read(|view| Scope::get(view, &scope.tenant.name, &scope.collection.name))
}

/// Tells the server all that waits for it, and how many changes those were.
///
/// # Errors
/// When no server is configured, or it is not reached or refuses: what it has not confirmed waits.
pub fn tell(store: &Store, neo4j: Option<&Neo4j>) -> Result<u64> {
    outbox::tell(store, NEO4J, &mut |notes| {
        let neo4j = neo4j.ok_or_else(|| {
            Error::new("the graph of a collection is in Neo4j, and `graph.engine` is not `neo4j`")
                .hint("set `engine` and `url` in `[graph]` of mlops.toml until this is told")
        })?;
        notes.iter().try_for_each(|note| tell_one(store, neo4j, note))
    })
}

/// Tells one change. What is about a collection that is no longer there is told by a later note that drops it.
fn tell_one(store: &Store, neo4j: &Neo4j, note: &Note) -> Result<()> {
    if note.act == Act::Drop {
        return neo4j.at("", &note.place).clear();
    }
    let Some(scope) = store.read(|view| Scope::shown_as(view, &note.place))? else { return Ok(()) };
    let spot = neo4j.at(&scope.tenant.alias(), &note.place);
    let put = |uid: &str| match store.read(|view| scope.shown(view, uid))? {
        Some(shown) => spot.put(&shown),
        None => Ok(()),
    };
    match note.act {
        Act::Put => put(&note.item),
        Act::Take => spot.take(&note.item),
        Act::Fill | Act::Drop => {
            spot.clear()?;
            store.read(|view| taken(view, &scope))?.iter().try_for_each(|(uid, _)| put(uid))?;
            spot.finish()
        }
    }
}

/// Documents that were taken, by public id and source.
fn taken(view: View<'_>, scope: &Scope) -> Result<Vec<(String, String)>> {
    let mut taken = Vec::new();
    scope.documents(view, Listed { refused: Some(false) }, |d| {
        taken.push((d.uid, d.source));
        Ok(())
    })?;
    Ok(taken)
}

/// What the server shows otherwise than the state.
///
/// # Errors
/// When the state or the server cannot be read.
pub fn differences(view: View<'_>, scope: &Scope, neo4j: &Neo4j) -> Result<Vec<Finding>> {
    let spot = neo4j.at(&scope.tenant.alias(), &scope.graph_name(view)?);
    let finding = |subject: &str, problem: String| Finding { subject: subject.to_owned(), problem };
    let whole = |problem: String| finding("graph (neo4j)", problem);
    if scope.collection.graph != GraphEngine::Neo4j || !spot.is_there()? {
        return Ok(vec![whole("it is not there".to_owned())]);
    }
    let mut findings = Vec::new();
    let (mut mentions, mut relations) = (0, 0);
    for (uid, source) in taken(view, scope)? {
        let spoken = scope.shown(view, &uid)?.and_then(|shown| shown.spoken).unwrap_or_default();
        mentions += spoken.mentions.len();
        relations += spoken.relations.len();
        if spot.spoken(&uid)? != spoken {
            findings.push(finding(&source, "Neo4j shows other mentions or relations of it".to_owned()));
        }
    }
    let held = spot.held()?;
    let counts = [
        ("mentions", held.mentions, mentions),
        ("relations", held.relations, relations),
        ("things on which nothing hangs", held.strays, 0),
    ];
    for (what, found, wanted) in counts {
        if usize::try_from(found).ok() != Some(wanted) {
            findings.push(whole(format!("it has {found} {what}, {wanted} are right")));
        }
    }
    if held.documents != scope.graph_documents(view)? {
        findings.push(whole("the documents that it shows are not those that are there".to_owned()));
    }
    Ok(findings)
}

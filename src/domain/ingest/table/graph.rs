//! What documents of a collection speak of, and how it hangs together: written with a document, taken out with it.
//!
//! Nothing is stored that follows from other rows: that a document speaks of a thing follows from its mentions, that two
//! things stand together from the chunks of these, and whether a document that is linked to is there, from the documents.

use super::super::entities::{Found, Mention, Node, Relation};
use super::write::number;
use super::{NewChunk, Scope};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::seams::graph::{Mentioned, Related, Spoken};
use crate::store::{Tx, Value, View, values};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many things one statement names.
pub(super) const AT_ONCE: usize = 300;

/// What the audit log commits to: every mention and relation, in order.
pub(super) fn digest(scope: &Scope, found: &Found) -> Digest {
    let mentions = found.mentions.iter().map(mention_line);
    let relations = found.relations.iter().map(relation_line);
    digest_of(scope, mentions.chain(relations).collect())
}

fn digest_of(scope: &Scope, mut lines: Vec<String>) -> Digest {
    lines.sort();
    scope.tenant.digest(lines.join("\n").as_bytes())
}

fn mention_line(m: &Mention) -> String {
    line(&["m", &m.node.kind, &m.node.key, &m.method], [m.span.start, m.span.end, usize::from(m.confidence)])
}

fn relation_line(r: &Relation) -> String {
    let things = ["r", &r.subject.kind, &r.subject.key, &r.relation, &r.object.kind, &r.object.key, &r.method];
    line(&things, [r.evidence.start, r.evidence.end, usize::from(r.confidence)])
}

fn kept_mention_line(m: &Mentioned) -> String {
    line(&["m", &m.thing.kind, &m.thing.key, &m.method], [m.start, m.stop, m.confidence])
}

fn kept_relation_line(r: &Related) -> String {
    let things = ["r", &r.subject.kind, &r.subject.key, &r.relation, &r.object.kind, &r.object.key, &r.method];
    line(&things, [r.start, r.stop, r.confidence])
}

fn line(words: &[&str], numbers: [impl ToString; 3]) -> String {
    let numbers = numbers.map(|n| n.to_string());
    words.iter().copied().chain(numbers.iter().map(String::as_str)).collect::<Vec<_>>().join("\t")
}

/// Writes what a document speaks of.
pub(super) fn put(tx: &Tx<'_>, scope: &Scope, document: (i64, &str), chunks: &[NewChunk], found: &Found) -> Result<()> {
    let (document, source) = document;
    let ids = entities(tx, scope, source, found)?;
    let id = |node: &Node| {
        ids.get(&(node.kind.to_string(), node.key.clone()))
            .copied()
            .ok_or_else(|| Error::new(format!("the {} `{}` was not kept", node.kind, node.key)))
    };
    let mut rows = Vec::with_capacity(found.mentions.len());
    for m in &found.mentions {
        // Chunks cover all that is no white space, and `fresh` rises: the last one that begins at or before it holds it.
        let pos = chunks.partition_point(|c| c.fresh <= m.span.start).saturating_sub(1);
        rows.push(vec![
            scope.id().into(),
            document.into(),
            number(m.span.start).into(),
            number(m.span.end).into(),
            number(pos).into(),
            id(&m.node)?.into(),
            m.method.as_ref().into(),
            i64::from(m.confidence).into(),
        ]);
    }
    tx.insert_all("mention", &["collection", "document", "start", "stop", "chunk_pos", "entity", "method", "confidence"], rows)?;
    let mut rows: Vec<Vec<Value>> = Vec::with_capacity(found.relations.len());
    for r in &found.relations {
        rows.push(vec![
            scope.id().into(),
            document.into(),
            id(&r.subject)?.into(),
            r.relation.as_ref().into(),
            id(&r.object)?.into(),
            number(r.evidence.start).into(),
            number(r.evidence.end).into(),
            r.method.as_ref().into(),
            i64::from(r.confidence).into(),
        ]);
    }
    let columns = ["collection", "document", "subject", "relation", "object", "start", "stop", "method", "confidence"];
    tx.insert_all("edge", &columns, rows).map(|_| ())
}

/// The numbers of a document and of all things that it speaks of, made where they are new.
fn entities(tx: &Tx<'_>, scope: &Scope, source: &str, found: &Found) -> Result<HashMap<(String, String), i64>> {
    let own = Node::document(source);
    let mut wanted: BTreeMap<(String, String), &str> = BTreeMap::new();
    let related = found.relations.iter().flat_map(|r| [&r.subject, &r.object]);
    for node in found.mentions.iter().map(|m| &m.node).chain(related).chain([&own]) {
        wanted.entry((node.kind.to_string(), node.key.clone())).or_insert(&node.name);
    }
    let mut ids = known(tx.view(), scope, wanted.keys())?;
    let new: Vec<_> = wanted.iter().filter(|(thing, _)| !ids.contains_key(*thing)).collect();
    if new.is_empty() {
        return Ok(ids);
    }
    let rows = new.iter().map(|((kind, key), name)| vec![scope.id().into(), kind.into(), key.into(), Value::from(**name)]);
    tx.insert_all("entity", &["collection", "kind", "key", "name"], rows)?;
    ids.extend(known(tx.view(), scope, new.into_iter().map(|(thing, _)| thing))?);
    Ok(ids)
}

fn known<'k>(
    view: View<'_>,
    scope: &Scope,
    things: impl Iterator<Item = &'k (String, String)>,
) -> Result<HashMap<(String, String), i64>> {
    let things: Vec<_> = things.collect();
    let mut found = HashMap::new();
    for some in things.chunks(AT_ONCE) {
        let keys: BTreeSet<&str> = some.iter().map(|(_, key)| key.as_str()).collect();
        let sql = format!("SELECT id, kind, key FROM entity WHERE collection = ?1 AND key IN ({})", marks(2, keys.len()));
        let values: Vec<Value> = std::iter::once(scope.id().into()).chain(keys.into_iter().map(Value::from)).collect();
        view.each(&sql, &values, |row| {
            found.insert((row.text(1)?.to_owned(), row.text(2)?.to_owned()), row.int(0)?);
            Ok(())
        })?;
    }
    Ok(found)
}

/// `?2, ?3, …`.
pub(super) fn marks(first: usize, n: usize) -> String {
    (first..first + n).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ")
}

/// Takes out what a document speaks of, and gives the things that [`sweep`] is to look at once the document is gone.
pub(super) fn take_out(tx: &Tx<'_>, scope: &Scope, document: i64) -> Result<Vec<i64>> {
    let sql = "SELECT entity FROM mention WHERE collection = ?1 AND document = ?2 \
        UNION SELECT subject FROM edge WHERE collection = ?1 AND document = ?2 \
        UNION SELECT object FROM edge WHERE collection = ?1 AND document = ?2 \
        UNION SELECT e.id FROM entity e JOIN document d ON d.collection = e.collection AND d.source = e.key \
        WHERE e.collection = ?1 AND e.kind = 'document' AND d.id = ?2";
    let things = tx.view().all(sql, values![scope.id(), document], |row| row.int(0))?;
    for table in ["mention", "edge"] {
        tx.execute(&format!("DELETE FROM {table} WHERE collection = ?1 AND document = ?2"), values![scope.id(), document])?;
    }
    Ok(things)
}

/// Takes out those of the things that nothing speaks of any more.
pub(super) fn sweep(tx: &Tx<'_>, scope: &Scope, things: &[i64]) -> Result<()> {
    for some in things.chunks(AT_ONCE) {
        let sql = format!("DELETE FROM entity WHERE collection = ?1 AND id IN ({}) AND {UNUSED}", marks(2, some.len()));
        let values: Vec<Value> = std::iter::once(scope.id()).chain(some.iter().copied()).map(Value::from).collect();
        tx.execute(&sql, &values)?;
    }
    Ok(())
}

/// That nothing speaks of a thing, and it is no document that is there.
const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM mention m WHERE m.collection = ?1 AND m.entity = entity.id) \
    AND NOT EXISTS (SELECT 1 FROM edge s WHERE s.collection = ?1 AND s.subject = entity.id) \
    AND NOT EXISTS (SELECT 1 FROM edge o WHERE o.collection = ?1 AND o.object = entity.id) \
    AND NOT (entity.kind = 'document' AND EXISTS (SELECT 1 FROM document d WHERE d.collection = ?1 AND d.source = entity.key))";

/// What is wrong with the graph of one document, whose text has so many characters.
pub(in crate::domain::ingest) fn problems(view: View<'_>, scope: &Scope, document: i64, characters: i64) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let spoken = scope.spoken(view, document)?;
    let within = |start, stop, least| 0 <= start && start + least <= stop && stop <= characters;
    let held = "SELECT count(*) FROM mention m LEFT JOIN chunk c ON c.document = m.document AND c.pos = m.chunk_pos \
        AND c.fresh <= m.start AND m.start < c.stop WHERE m.collection = ?1 AND m.document = ?2 AND c.pos IS NULL";
    let homeless = usize::try_from(view.count(held, values![scope.id(), document])?).unwrap_or(usize::MAX);
    let odd = homeless
        + spoken.mentions.iter().filter(|m| !within(m.start, m.stop, 1)).count()
        + spoken.relations.iter().filter(|r| !within(r.start, r.stop, 0)).count();
    let lines = spoken.mentions.iter().map(kept_mention_line).chain(spoken.relations.iter().map(kept_relation_line)).collect();
    if odd > 0 {
        problems.push(format!("{odd} of its mentions and relations are not within its text or its chunks"));
    }
    let sql = "SELECT graph_digest FROM document WHERE collection = ?1 AND id = ?2 AND graph_digest IS NOT NULL";
    match view.first(sql, values![scope.id(), document], |row| row.digest(0))? {
        None if spoken == Spoken::default() => {}
        None => problems.push("it has mentions or relations, and its row knows of none".to_owned()),
        Some(recorded) if recorded == digest_of(scope, lines) => {}
        Some(_) => problems.push("its mentions and relations are not those that the audit log recorded".to_owned()),
    }
    Ok(problems)
}

/// Things, mentions and relations in the collection, and what of them hangs in the air.
pub(in crate::domain::ingest) fn strays(view: View<'_>, scope: &Scope) -> Result<(GraphTotals, Vec<String>)> {
    let count = |sql: &str| view.count(sql, values![scope.id()]);
    let totals = scope.graph_totals(view)?;
    let mut problems = Vec::new();
    let unused = count(&format!("SELECT count(*) FROM entity WHERE collection = ?1 AND {UNUSED}"))?;
    if unused > 0 {
        problems.push(format!("{unused} things that no document speaks of"));
    }
    for table in ["mention", "edge"] {
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE collection = ?1 AND document NOT IN (SELECT id FROM document WHERE collection = ?1)"
        );
        let n = count(&sql)?;
        if n > 0 {
            problems.push(format!("{n} rows of {table} belong to no document"));
        }
    }
    Ok((totals, problems))
}

impl Scope {
    /// How large the collection's graph is.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn graph_totals(&self, view: View<'_>) -> Result<GraphTotals> {
        let count = |table: &str| view.count(&format!("SELECT count(*) FROM {table} WHERE collection = ?1"), values![self.id()]);
        Ok(GraphTotals { entities: count("entity")?, mentions: count("mention")?, relations: count("edge")? })
    }
}

/// How large a graph is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct GraphTotals {
    /// Things.
    pub entities: i64,
    /// Where documents speak of them.
    pub mentions: i64,
    /// What documents say of two of them.
    pub relations: i64,
}

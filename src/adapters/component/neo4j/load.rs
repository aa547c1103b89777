//! A dump into an empty database, in batches. While it is under way every node has a label and its old id, by which relationships find
//! their ends; whoever looks in between sees that it is not whole. Both go at the end, and all of it goes when something fails.

use super::api::{list, map, typed};
use super::{CONSTRAINTS, COUNT_RELATIONSHIPS, INDEXES, NODES, Neo4j, Node, RELATIONSHIPS, Relationship, lines, schema};
use super::{COUNT_NODES, api::number, api::text};
use crate::base::error::{Error, Result};
use crate::seams::backup::Counts;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of a statement, and their bytes.
const ROWS: usize = 1_000;
const BYTES: usize = 4 << 20;

/// The index by which relationships find their ends.
const MARK: &str = "CREATE RANGE INDEX kf_restoring IF NOT EXISTS FOR (n:KfRestoring) ON (n.kf_restoring)";
const AWAIT: &str = "CALL db.awaitIndexes(600)";
const UNMARK: &str = "DROP INDEX kf_restoring IF EXISTS";
const UNMARK_NODES: &str = "MATCH (n:KfRestoring) WITH n LIMIT 10000 REMOVE n:KfRestoring, n.kf_restoring RETURN count(n)";
const TAKE_OUT: &str = "MATCH (n) WITH n LIMIT 10000 DETACH DELETE n RETURN count(n)";
const TAKE_OUT_MARKED: &str = "MATCH (n:KfRestoring) WITH n LIMIT 10000 DETACH DELETE n RETURN count(n)";

const BY_LABEL: &str = "MATCH (n) UNWIND labels(n) AS label RETURN label, count(n)";
const BY_TYPE: &str = "MATCH ()-[r]->() RETURN type(r), count(r)";

pub(super) fn load(neo4j: &Neo4j, files: &Path, over: bool) -> Result<Counts> {
    if over {
        clear(neo4j)?;
    }
    if let Err(e) = fill(neo4j, files) {
        let undone = repeat(neo4j, TAKE_OUT_MARKED).and_then(|()| tell(neo4j, UNMARK));
        let hint = match undone {
            Ok(()) => "what had been loaded of it was taken out again",
            Err(_) => "a part of it is there, with the label `KfRestoring`: `--force` loads it anew",
        };
        return Err(e.hint(hint));
    }
    counted(neo4j)
}

fn tell(neo4j: &Neo4j, statement: &str) -> Result<()> {
    neo4j.api.ask(statement, &json!({})).map(drop)
}

/// Does a statement until it finds nothing more to do.
fn repeat(neo4j: &Neo4j, statement: &str) -> Result<()> {
    while neo4j.api.number(statement)? > 0 {}
    Ok(())
}

fn clear(neo4j: &Neo4j) -> Result<()> {
    for (what, of) in [("CONSTRAINT", CONSTRAINTS), ("INDEX", INDEXES)] {
        for (name, _) in neo4j.schema(of)? {
            tell(neo4j, &format!("DROP {what} {} IF EXISTS", quoted(&name)))?;
        }
    }
    repeat(neo4j, TAKE_OUT)
}

fn fill(neo4j: &Neo4j, files: &Path) -> Result<()> {
    tell(neo4j, MARK)?;
    tell(neo4j, AWAIT)?;
    let mut batches = Batches::new(neo4j);
    lines(&files.join(NODES), &mut |node: Node, size| {
        let labels: String = node.labels.iter().map(|label| format!(":{}", quoted(label))).collect();
        let row = map(json!({"id": typed(&node.id), "properties": map(Value::Object(node.properties))}));
        let statement = format!(
            "UNWIND $rows AS row CREATE (n:KfRestoring{labels}) SET n = row.properties, n.kf_restoring = row.id RETURN count(n)"
        );
        batches.add(statement, row, size)
    })?;
    batches.end()?;
    let mut batches = Batches::new(neo4j);
    lines(&files.join(RELATIONSHIPS), &mut |one: Relationship, size| {
        let row = map(json!({"a": typed(&one.from), "b": typed(&one.to), "properties": map(Value::Object(one.properties))}));
        let statement = format!(
            "UNWIND $rows AS row MATCH (a:KfRestoring {{kf_restoring: row.a}}), (b:KfRestoring {{kf_restoring: row.b}}) \
             CREATE (a)-[r:{}]->(b) SET r = row.properties RETURN count(r)",
            quoted(&one.kind)
        );
        batches.add(statement, row, size)
    })?;
    batches.end()?;
    let schema = schema(files)?;
    // Before the marks go: where one of them is refused, all that was loaded is still known by its mark.
    schema.constraints.iter().chain(&schema.indexes).try_for_each(|statement| tell(neo4j, statement))?;
    repeat(neo4j, UNMARK_NODES)?;
    tell(neo4j, UNMARK)
}

/// Rows that wait, by the statement that takes them: labels and types are part of its text.
struct Batches<'a> {
    neo4j: &'a Neo4j,
    waiting: BTreeMap<String, (Vec<Value>, usize)>,
    bytes: usize,
}

impl<'a> Batches<'a> {
    fn new(neo4j: &'a Neo4j) -> Self {
        Self { neo4j, waiting: BTreeMap::new(), bytes: 0 }
    }

    fn add(&mut self, statement: String, row: Value, size: usize) -> Result<()> {
        self.bytes += size;
        let (rows, bytes) = self.waiting.entry(statement.clone()).or_default();
        rows.push(row);
        *bytes += size;
        if rows.len() >= ROWS || *bytes >= BYTES {
            return self.send(&statement);
        }
        // However many combinations of labels there are, what waits is bounded.
        if self.bytes >= 8 * BYTES { self.end() } else { Ok(()) }
    }

    fn send(&mut self, statement: &str) -> Result<()> {
        let Some((rows, bytes)) = self.waiting.remove(statement) else { return Ok(()) };
        self.bytes -= bytes;
        let wanted = rows.len() as u64;
        let done = self.neo4j.api.ask(statement, &json!({"rows": list(rows)}))?;
        match done.first().and_then(|row| number(row.first()?)) {
            Some(n) if n == wanted => Ok(()),
            n => Err(Error::new(format!("Neo4j took {} of {wanted} nodes or relationships", n.unwrap_or(0)))),
        }
    }

    fn end(&mut self) -> Result<()> {
        let all: Vec<String> = self.waiting.keys().cloned().collect();
        all.iter().try_for_each(|statement| self.send(statement))
    }
}

/// A name as Cypher writes it.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What a database holds, by the names of [`super::counted`].
fn counted(neo4j: &Neo4j) -> Result<Counts> {
    let mut counts = Counts::new();
    counts.insert("nodes".into(), neo4j.api.number(COUNT_NODES)?);
    counts.insert("relationships".into(), neo4j.api.number(COUNT_RELATIONSHIPS)?);
    for (what, statement) in [("nodes", BY_LABEL), ("relationships", BY_TYPE)] {
        for row in neo4j.api.ask(statement, &json!({}))? {
            let n = row.get(1).and_then(number).unwrap_or(0);
            counts.insert(format!("{what} of {}", text(row.first())?), n);
        }
    }
    counts.insert("constraints".into(), neo4j.schema(CONSTRAINTS)?.len() as u64);
    counts.insert("indexes".into(), neo4j.schema(INDEXES)?.len() as u64);
    Ok(counts)
}

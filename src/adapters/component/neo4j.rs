//! A Neo4j database over HTTP: its nodes and relationships as lines of JSON, with indexes and constraints, while it runs.
//!
//! Every value is kept as the Query API gives it with its type, and given back so: numbers, texts, byte arrays, times of all kinds,
//! durations, points, vectors and lists of them. A type that it has no form for stops the export. Neo4j reads what is committed, also
//! within a transaction, so an export during which something changed is found out by its numbers and taken again.

mod api;
mod load;
mod rows;

use crate::base::error::{Context, Error, Result};
use crate::config::secret::Secret;
use crate::seams::backup::{Component, Counted, Counts, Dumped, Kind};
use api::{Api, Reading, text, texts};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

const NODES: &str = "nodes.jsonl";
const RELATIONSHIPS: &str = "relationships.jsonl";
const SCHEMA: &str = "schema.json";
/// How often an export is tried while somebody writes.
const TRIES: u32 = 3;
/// The types of properties that are carried exactly (Neo4j documentation, "Typed JSON").
const TYPES: [&str; 13] = [
    "Boolean",
    "Integer",
    "Float",
    "String",
    "Base64",
    "Date",
    "Time",
    "LocalTime",
    "OffsetDateTime",
    "ZonedDateTime",
    "LocalDateTime",
    "Duration",
    "Point",
];

const COUNT_NODES: &str = "MATCH (n) RETURN count(n)";
const COUNT_RELATIONSHIPS: &str = "MATCH ()-[r]->() RETURN count(r)";
const ALL_NODES: &str = "MATCH (n) RETURN elementId(n), labels(n), properties(n)";
const ALL_RELATIONSHIPS: &str = "MATCH (a)-[r]->(b) RETURN elementId(a), elementId(b), type(r), properties(r)";
const CONSTRAINTS: &str = "SHOW CONSTRAINTS YIELD name, createStatement RETURN name, createStatement";
const INDEXES: &str = "SHOW INDEXES YIELD name, type, owningConstraint, createStatement WHERE type <> 'LOOKUP' AND owningConstraint IS NULL \
                       RETURN name, createStatement";

/// A database of a Neo4j server.
pub struct Neo4j {
    named: String,
    api: Api,
}

/// A line of [`NODES`].
#[derive(Serialize, Deserialize)]
struct Node {
    id: String,
    labels: Vec<String>,
    properties: Map<String, Value>,
}

/// A line of [`RELATIONSHIPS`].
#[derive(Serialize, Deserialize)]
struct Relationship {
    from: String,
    to: String,
    #[serde(rename = "type")]
    kind: String,
    properties: Map<String, Value>,
}

/// What makes the constraints and indexes again, each a statement of Cypher.
#[derive(Default, Serialize, Deserialize)]
struct Schema {
    constraints: Vec<String>,
    indexes: Vec<String>,
}

impl Neo4j {
    /// A database of the server at a URL.
    ///
    /// # Errors
    /// When the address is none, or TLS cannot be set up.
    pub fn new(url: &str, database: &str, user: &str, password: Option<&Secret>) -> Result<Self> {
        Ok(Self { named: format!("{}/{database}", url.trim_end_matches('/')), api: Api::new(url, database, user, password)? })
    }

    /// The names and the statements of constraints or indexes.
    fn schema(&self, of: &str) -> Result<Vec<(String, String)>> {
        let row = |row: Vec<Value>| Ok((text(row.first())?, text(row.get(1))?));
        let mut all: Vec<(String, String)> = self.api.ask(of, &json!({}))?.into_iter().map(row).collect::<Result<_>>()?;
        all.sort();
        Ok(all)
    }

    fn export(&self, scratch: &Path) -> Result<Option<Counts>> {
        let reading = self.api.reading()?;
        let numbers =
            |reading: &Reading<'_>| Ok::<_, Error>((reading.number(COUNT_NODES)?, reading.number(COUNT_RELATIONSHIPS)?));
        let before = numbers(&reading)?;
        write(&scratch.join(NODES), &mut |to| reading.each(ALL_NODES, &mut |row| to(&json!(node(&row)?))))?;
        write(&scratch.join(RELATIONSHIPS), &mut |to| {
            reading.each(ALL_RELATIONSHIPS, &mut |row| to(&json!(relationship(&row)?)))
        })?;
        let after = numbers(&reading)?;
        let of = |name: &str| name.to_owned();
        let still = |found: &Counts| {
            (found.get(&of("nodes")).copied(), found.get(&of("relationships")).copied()) == (Some(before.0), Some(before.1))
        };
        match counted(scratch) {
            Ok(found) if before == after && still(&found) => Ok(Some(found)),
            Err(e) if before == after => Err(e),
            _ => Ok(None),
        }
    }
}

/// A column with properties, whose types are all known.
fn properties(value: Option<&Value>) -> Result<Map<String, Value>> {
    let map = value.filter(|v| v["$type"] == "Map").and_then(|v| v["_value"].as_object());
    let map = map.ok_or_else(|| Error::new("Neo4j gave no properties"))?;
    for (name, value) in map {
        known(value).context(|| format!("the property `{name}` cannot be carried"))?;
    }
    Ok(map.clone())
}

fn known(value: &Value) -> Result<()> {
    match value["$type"].as_str().unwrap_or("none") {
        "List" => value["_value"].as_array().into_iter().flatten().try_for_each(known),
        // From version 1.1 of the form.
        "Vector" => Ok(()),
        name if TYPES.contains(&name) => Ok(()),
        name => Err(Error::new(format!("it has the type `{name}`, which the Query API does not take back"))
            .hint("keep the database with `kind = \"command\"` and `neo4j-admin database dump`")),
    }
}

fn node(row: &[Value]) -> Result<Node> {
    let mut labels = texts(row.get(1))?;
    labels.sort();
    let id = text(row.first())?;
    let properties = properties(row.get(2)).context(|| format!("node {id}"))?;
    Ok(Node { id, labels, properties })
}

fn relationship(row: &[Value]) -> Result<Relationship> {
    let (from, to, kind) = (text(row.first())?, text(row.get(1))?, text(row.get(2))?);
    let properties = properties(row.get(3)).context(|| format!("a relationship {kind} from {from}"))?;
    Ok(Relationship { from, to, kind, properties })
}

/// A function that writes one line.
type Line<'a> = &'a mut dyn FnMut(&Value) -> Result<()>;

fn write(path: &Path, fill: &mut dyn FnMut(Line<'_>) -> Result<()>) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut to = BufWriter::new(File::create(path).context(failed)?);
    fill(&mut |line| {
        serde_json::to_writer(&mut to, line).context(failed)?;
        to.write_all(b"\n").context(failed)
    })?;
    to.flush().context(failed)
}

/// Gives out each line of a file.
fn lines<T: for<'de> Deserialize<'de>>(path: &Path, each: &mut dyn FnMut(T, usize) -> Result<()>) -> Result<()> {
    let failed = || format!("cannot read {}", path.display());
    for line in BufReader::new(File::open(path).context(failed)?).lines() {
        let line = line.context(failed)?;
        each(serde_json::from_str(&line).context(failed)?, line.len())?;
    }
    Ok(())
}

/// What is in the files of a dump; every relationship has the nodes at both of its ends.
fn counted(files: &Path) -> Result<Counts> {
    let (mut counts, hasher) = (Counts::from([("nodes".into(), 0), ("relationships".into(), 0)]), RandomState::new());
    let mut more = |name: String| *counts.entry(name).or_default() += 1;
    // A node takes eight bytes here, not its long name.
    let mut ids = HashSet::new();
    lines(&files.join(NODES), &mut |node: Node, _| {
        more("nodes".into());
        node.labels.iter().for_each(|label| more(format!("nodes of {label}")));
        ids.insert(hasher.hash_one(&node.id));
        Ok(())
    })?;
    lines(&files.join(RELATIONSHIPS), &mut |r: Relationship, _| {
        more("relationships".into());
        more(format!("relationships of {}", r.kind));
        let missing = [&r.from, &r.to].into_iter().find(|id| !ids.contains(&hasher.hash_one(id)));
        missing.map_or(Ok(()), |id| Err(Error::new(format!("a relationship {} has no node at an end: {id}", r.kind))))
    })?;
    let schema = schema(files)?;
    counts.insert("constraints".into(), schema.constraints.len() as u64);
    counts.insert("indexes".into(), schema.indexes.len() as u64);
    Ok(counts)
}

fn schema(files: &Path) -> Result<Schema> {
    let path = files.join(SCHEMA);
    let failed = || format!("cannot read {}", path.display());
    serde_json::from_slice(&std::fs::read(&path).context(failed)?).context(failed)
}

impl Component for Neo4j {
    fn kind(&self) -> Kind {
        Kind { kind: "neo4j".into(), place: self.named.clone() }
    }

    fn dump(&self, scratch: &Path) -> Result<Dumped> {
        let statements = |of: &str| Ok::<_, Error>(self.schema(of)?.into_iter().map(|(_, statement)| statement).collect());
        let schema = Schema { constraints: statements(CONSTRAINTS)?, indexes: statements(INDEXES)? };
        let text = serde_json::to_vec_pretty(&schema).context(|| "a schema has no JSON")?;
        std::fs::write(scratch.join(SCHEMA), text).context(|| format!("cannot write {}", scratch.display()))?;
        for _ in 0..TRIES {
            if let Some(counts) = self.export(scratch)? {
                return Ok(Dumped { root: scratch.to_owned(), counts, tool: None });
            }
        }
        Err(Error::new(format!("{} was written to each of the {TRIES} times that it was read", self.named))
            .hint("back it up when nobody writes, or with `kind = \"command\"` and the tools of Neo4j"))
    }

    fn count(&self, files: &Path, _: &Path) -> Result<Option<Counted>> {
        let by = "read from the dump: no Neo4j server has loaded it".into();
        Ok(Some(Counted { counts: counted(files)?, by }))
    }

    fn occupied(&self) -> Result<Option<String>> {
        let (nodes, constraints, indexes) =
            (self.api.number(COUNT_NODES)?, self.schema(CONSTRAINTS)?.len(), self.schema(INDEXES)?.len());
        let empty = nodes == 0 && constraints == 0 && indexes == 0;
        Ok((!empty).then(|| format!("{nodes} nodes, {constraints} constraints, {indexes} indexes")))
    }

    fn load(&self, files: &Path, _: &Path, over: bool) -> Result<Counts> {
        load::load(self, files, over)
    }
}

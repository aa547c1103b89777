//! What is asked of the graph in Neo4j. Each statement names tenant and place of all that it touches.

use super::{Spot, count, number, text};
use crate::base::error::Result;
use crate::seams::graph::{Edge, Graph, Id, Link, Place, SEEN_MAX, TOGETHER_MIN, Thing, Together, mention_word};
use serde_json::{Value, json};

/// That a thing is shown: a document that is only linked to is not.
const THERE: &str = "(n.kind <> 'document' OR n.document IS NOT NULL)";

/// What a thing is told by, behind a match of `n`.
const THING: &str = "OPTIONAL MATCH (:KfThing {tenant: $tenant, place: $place})-[m:KF_MENTION {tenant: $tenant, place: $place}]->(n) \
    RETURN n.node AS node, n.kind AS kind, n.key AS key, n.name AS name, count(DISTINCT m.document) AS documents, \
    count(m) AS mentions";

fn thing(row: &[Value]) -> Result<Thing> {
    let id = Id(text(row, 0)?);
    let (kind, key, name) = (text(row, 1)?, text(row, 2)?, text(row, 3)?);
    Ok(Thing { id, kind, key, name, documents: number(row, 4)?, mentions: number(row, 5)? })
}

fn place(row: &[Value]) -> Result<Place> {
    Ok(Place {
        document: text(row, 0)?,
        source: text(row, 1)?,
        start: number(row, 2)?,
        stop: number(row, 3)?,
        method: text(row, 4)?,
        confidence: number(row, 5)?,
    })
}

impl Spot<'_> {
    fn all<T>(&self, statement: &str, parameters: Value, read: impl Fn(&[Value]) -> Result<T>) -> Result<Vec<T>> {
        self.ask(statement, parameters)?.iter().map(|row| read(row)).collect()
    }
}

/// A thing with its place.
macro_rules! at {
    ($name:literal) => {
        concat!("(", $name, ":KfThing {tenant: $tenant, place: $place})")
    };
    ($name:literal, $key:literal) => {
        concat!("(", $name, ":KfThing {tenant: $tenant, place: $place, node: ", $key, "})")
    };
}

/// A relationship with its place.
macro_rules! along {
    ($name:literal, $kind:literal) => {
        concat!("[", $name, ":", $kind, " {tenant: $tenant, place: $place}]")
    };
}

impl Graph for Spot<'_> {
    fn most(&self, kind: Option<&str>, limit: usize) -> Result<Vec<Thing>> {
        let of_kind = if kind.is_some() { "WHERE n.kind = $kind " } else { "" };
        let statement = format!(
            "MATCH {}-{}->{} {of_kind}RETURN n.node AS node, n.kind AS kind, n.key AS key, n.name AS name, \
            count(DISTINCT m.document) AS documents, count(m) AS mentions \
            ORDER BY documents DESC, mentions DESC, kind, key LIMIT {limit}",
            at!("d"),
            along!("m", "KF_MENTION"),
            at!("n")
        );
        self.all(&statement, json!({"kind": kind}), thing)
    }

    fn named(&self, kind: Option<&str>, name: &str) -> Result<Vec<Thing>> {
        let also = if kind.is_some() { ") AND n.kind = $kind" } else { " OR n.name = $name)" };
        let statement =
            format!("MATCH {} WHERE (n.key = $name OR n.key = $lower{also} AND {THERE} {THING} ORDER BY kind", at!("n"));
        self.all(&statement, json!({"kind": kind, "name": name, "lower": name.to_lowercase()}), thing)
    }

    fn names(&self, limit: usize) -> Result<Vec<String>> {
        let statement = format!("MATCH {} WHERE {THERE} RETURN n.name AS name ORDER BY name LIMIT {limit}", at!("n"));
        self.all(&statement, json!({}), |row| text(row, 0))
    }

    fn things(&self, ids: &[Id]) -> Result<Vec<Thing>> {
        let ids: Vec<&str> = ids.iter().map(|id| id.0.as_str()).collect();
        let statement = format!("UNWIND $ids AS id MATCH {} WHERE {THERE} {THING}", at!("n", "id"));
        self.all(&statement, json!({"ids": ids}), thing)
    }

    fn links(&self, here: &[Id]) -> Result<Vec<Link>> {
        let here: Vec<&str> = here.iter().map(|id| id.0.as_str()).collect();
        let mut links = Vec::new();
        for (kind, said) in [("KF_SAYS", "r.relation"), ("KF_MENTION", "")] {
            for forward in [true, false] {
                let (begin, end) = if forward { ("-", "->") } else { ("<-", "-") };
                // What a mention reads as hangs on what is mentioned: the far end, or the near one.
                let word = if kind == "KF_SAYS" {
                    said
                } else if forward {
                    "f.kind"
                } else {
                    "n.kind"
                };
                let statement = format!(
                    "UNWIND $here AS id MATCH {}{begin}[r:{kind} {{tenant: $tenant, place: $place}}]{end}{} \
                    RETURN n.node, f.node, {word}, count(r), max(r.confidence)",
                    at!("n", "id"),
                    at!("f")
                );
                links.extend(self.all(&statement, json!({"here": here}), |row| {
                    let word = text(row, 2)?;
                    let relation = if kind == "KF_SAYS" { word } else { mention_word(&word).to_owned() };
                    let edge = Edge { relation, forward, times: number(row, 3)?, confidence: Some(number(row, 4)?), pmi: None };
                    Ok(Link { near: Id(text(row, 0)?), far: Id(text(row, 1)?), edge })
                })?);
            }
        }
        Ok(links)
    }

    fn together(&self, thing: &Id) -> Result<Together> {
        let mention = along!("m", "KF_MENTION");
        let (any, one) = (at!("d"), at!("n", "$id"));
        let chunks = "WITH DISTINCT m.document AS document, m.chunk AS chunk RETURN count(*)";
        let parameters = || json!({"id": thing.0});
        let own = count(&self.ask(&format!("MATCH {any}-{mention}->{one} {chunks}"), parameters())?)?;
        let all = count(&self.ask(&format!("MATCH {any}-{mention}->{} {chunks}", at!("n")), parameters())?)?;
        let statement = format!(
            "MATCH {one}<-{mention}-{any}-{}->{} WHERE o.document = m.document AND o.chunk = m.chunk AND f.node <> $id \
            WITH DISTINCT f, o.document AS document, o.chunk AS chunk WITH f, count(*) AS both WHERE both >= {TOGETHER_MIN} \
            WITH f, both ORDER BY f.node LIMIT {SEEN_MAX} MATCH {}-{}->(f) \
            WITH DISTINCT f, both, x.document AS document, x.chunk AS chunk RETURN f.node, both, count(*)",
            along!("o", "KF_MENTION"),
            at!("f"),
            at!("e"),
            along!("x", "KF_MENTION")
        );
        let others = self.all(&statement, parameters(), |row| Ok((Id(text(row, 0)?), number(row, 1)?, number(row, 2)?)))?;
        Ok(Together { own, all, others })
    }

    fn places(&self, thing: &Id, limit: usize) -> Result<Vec<Place>> {
        let statement = format!(
            "MATCH {}-{}->{} RETURN m.document, d.key AS source, m.start AS start, m.stop, m.method, m.confidence \
            ORDER BY source, start LIMIT {limit}",
            at!("d"),
            along!("m", "KF_MENTION"),
            at!("n", "$id")
        );
        self.all(&statement, json!({"id": thing.0}), place)
    }

    fn evidence(&self, a: &Id, b: &Id, limit: usize) -> Result<Vec<Place>> {
        let statement = format!(
            "MATCH {}-{}-{} RETURN r.document, r.source AS source, r.start AS start, r.stop, r.method, r.confidence \
            ORDER BY source, start LIMIT {limit}",
            at!("n", "$a"),
            along!("r", "KF_SAYS"),
            at!("f", "$b")
        );
        self.all(&statement, json!({"a": a.0, "b": b.0}), place)
    }
}

//! The graph of a collection as it is kept in the state: the truth, which other engines only show.

use super::Scope;
use super::graph::{AT_ONCE, marks};
use crate::base::error::{Error, Result};
use crate::seams::graph::{Edge, Graph, Id, Link, Place, SEEN_MAX, TOGETHER_MIN, Thing, Together, mention_word};
use crate::store::{Row, Value, View, values};

/// The graph of a collection in the state.
#[derive(Clone, Copy)]
pub struct Embedded<'a> {
    /// The collection.
    pub scope: &'a Scope,
    /// What is read.
    pub view: View<'a>,
}

const THING: &str = "SELECT e.id, e.kind, e.key, e.name, \
    (SELECT count(DISTINCT m.document) FROM mention m WHERE m.collection = e.collection AND m.entity = e.id), \
    (SELECT count(*) FROM mention m WHERE m.collection = e.collection AND m.entity = e.id) FROM entity e";

/// A document that is only linked to is no thing that can be shown.
const THERE: &str = "(e.kind <> 'document' OR EXISTS (SELECT 1 FROM document d WHERE d.collection = e.collection \
    AND d.source = e.key AND d.reason IS NULL))";

fn thing_of(row: &Row<'_>) -> Result<Thing> {
    let text = |i| row.text(i).map(str::to_owned);
    Ok(Thing { id: id_of(row, 0)?, kind: text(1)?, key: text(2)?, name: text(3)?, documents: row.int(4)?, mentions: row.int(5)? })
}

fn id_of(row: &Row<'_>, i: usize) -> Result<Id> {
    Ok(Id(row.int(i)?.to_string()))
}

fn number(id: &Id) -> Result<i64> {
    id.0.parse().map_err(|_| Error::new(format!("`{}` is no thing of the state", id.0)))
}

fn place_of(row: &Row<'_>) -> Result<Place> {
    Ok(Place {
        document: row.text(0)?.to_owned(),
        source: row.text(1)?.to_owned(),
        start: row.int(2)?,
        stop: row.int(3)?,
        method: row.text(4)?.to_owned(),
        confidence: row.int(5)?,
    })
}

impl Embedded<'_> {
    /// The collection and these things, as the values of a statement.
    fn values(&self, ids: &[i64]) -> Vec<Value> {
        std::iter::once(self.scope.id()).chain(ids.iter().copied()).map(Value::from).collect()
    }

    /// What documents say of two things, one of which is here.
    fn said(&self, here: &[i64], links: &mut Vec<Link>) -> Result<()> {
        let marks = marks(2, here.len());
        for (near, far, forward) in [("subject", "object", true), ("object", "subject", false)] {
            let sql = format!(
                "SELECT {near}, {far}, relation, count(*), max(confidence) FROM edge WHERE collection = ?1 AND {near} IN ({marks}) \
                GROUP BY {near}, {far}, relation"
            );
            self.view.each(&sql, &self.values(here), |row| {
                let relation = row.text(2)?.to_owned();
                let edge = Edge { relation, forward, times: row.int(3)?, confidence: row.opt_int(4)?, pmi: None };
                links.push(Link { near: id_of(row, 0)?, far: id_of(row, 1)?, edge });
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Which documents speak of which things, one of which is here.
    fn spoken_of(&self, here: &[i64], links: &mut Vec<Link>) -> Result<()> {
        let marks = marks(2, here.len());
        for (near, far, forward) in [("e.id", "m.entity", true), ("m.entity", "e.id", false)] {
            let sql = format!(
                "SELECT {near}, {far}, count(*), max(m.confidence), t.kind FROM mention m \
                JOIN document d ON d.id = m.document JOIN entity t ON t.id = m.entity \
                JOIN entity e ON e.collection = m.collection AND e.kind = 'document' AND e.key = d.source \
                WHERE m.collection = ?1 AND {near} IN ({marks}) GROUP BY {near}, {far}, t.kind"
            );
            self.view.each(&sql, &self.values(here), |row| {
                let relation = mention_word(row.text(4)?).to_owned();
                let edge = Edge { relation, forward, times: row.int(2)?, confidence: row.opt_int(3)?, pmi: None };
                links.push(Link { near: id_of(row, 0)?, far: id_of(row, 1)?, edge });
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Graph for Embedded<'_> {
    fn most(&self, kind: Option<&str>, limit: usize) -> Result<Vec<Thing>> {
        let mut values = values![self.scope.id()].to_vec();
        values.extend(kind.map(Value::from));
        let of_kind = if kind.is_some() { " AND e.kind = ?2" } else { "" };
        let sql = format!(
            "SELECT e.id, e.kind, e.key, e.name, count(DISTINCT m.document), count(*) FROM entity e \
            JOIN mention m ON m.collection = e.collection AND m.entity = e.id WHERE e.collection = ?1{of_kind} \
            GROUP BY e.id, e.kind, e.key, e.name ORDER BY 5 DESC, 6 DESC, e.kind, e.key LIMIT {limit}"
        );
        self.view.all(&sql, &values, thing_of)
    }

    fn named(&self, kind: Option<&str>, name: &str) -> Result<Vec<Thing>> {
        let mut values = values![self.scope.id(), name, &name.to_lowercase()].to_vec();
        values.extend(kind.map(Value::from));
        let also = if kind.is_some() { ") AND e.kind = ?4" } else { " OR e.name = ?2)" };
        let sql = format!("{THING} WHERE e.collection = ?1 AND (e.key = ?2 OR e.key = ?3{also} AND {THERE} ORDER BY e.kind");
        self.view.all(&sql, &values, thing_of)
    }

    fn names(&self, limit: usize) -> Result<Vec<String>> {
        let sql = format!("SELECT e.name FROM entity e WHERE e.collection = ?1 AND {THERE} ORDER BY e.name LIMIT {limit}");
        self.view.all(&sql, values![self.scope.id()], |row| row.text(0).map(str::to_owned))
    }

    fn things(&self, ids: &[Id]) -> Result<Vec<Thing>> {
        let ids: Vec<i64> = ids.iter().map(number).collect::<Result<_>>()?;
        let mut things = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let sql = format!("{THING} WHERE e.collection = ?1 AND e.id IN ({}) AND {THERE}", marks(2, some.len()));
            things.extend(self.view.all(&sql, &self.values(some), thing_of)?);
        }
        Ok(things)
    }

    fn links(&self, here: &[Id]) -> Result<Vec<Link>> {
        let here: Vec<i64> = here.iter().map(number).collect::<Result<_>>()?;
        let mut links = Vec::new();
        for some in here.chunks(AT_ONCE) {
            self.said(some, &mut links)?;
            self.spoken_of(some, &mut links)?;
        }
        Ok(links)
    }

    fn together(&self, thing: &Id) -> Result<Together> {
        let thing = number(thing)?;
        let own =
            "SELECT count(*) FROM (SELECT DISTINCT document, chunk_pos FROM mention WHERE collection = ?1 AND entity = ?2) x";
        let own = self.view.count(own, values![self.scope.id(), thing])?;
        let sql = "SELECT count(*) FROM (SELECT DISTINCT document, chunk_pos FROM mention WHERE collection = ?1) x";
        let all = self.view.count(sql, values![self.scope.id()])?;
        let sql = format!(
            "SELECT x.entity, count(*), (SELECT count(*) FROM (SELECT DISTINCT n.document, n.chunk_pos FROM mention n \
                WHERE n.collection = ?1 AND n.entity = x.entity) y) \
            FROM (SELECT DISTINCT b.entity, b.document, b.chunk_pos FROM mention a JOIN mention b ON b.document = a.document \
                AND b.chunk_pos = a.chunk_pos AND b.entity <> a.entity WHERE a.collection = ?1 AND a.entity = ?2) x \
            GROUP BY x.entity HAVING count(*) >= {TOGETHER_MIN} ORDER BY x.entity LIMIT {SEEN_MAX}"
        );
        let of = |row: &Row<'_>| Ok((id_of(row, 0)?, row.int(1)?, row.int(2)?));
        let others = self.view.all(&sql, values![self.scope.id(), thing], of)?;
        Ok(Together { own, all, others })
    }

    fn places(&self, thing: &Id, limit: usize) -> Result<Vec<Place>> {
        let sql = format!(
            "SELECT d.uid, d.source, m.start, m.stop, m.method, m.confidence FROM mention m JOIN document d ON d.id = m.document \
            WHERE m.collection = ?1 AND m.entity = ?2 ORDER BY d.source, m.start LIMIT {limit}"
        );
        self.view.all(&sql, values![self.scope.id(), number(thing)?], place_of)
    }

    fn evidence(&self, a: &Id, b: &Id, limit: usize) -> Result<Vec<Place>> {
        let sql = format!(
            "SELECT d.uid, d.source, g.start, g.stop, g.method, g.confidence FROM edge g JOIN document d ON d.id = g.document \
            WHERE g.collection = ?1 AND ((g.subject = ?2 AND g.object = ?3) OR (g.subject = ?3 AND g.object = ?2)) \
            ORDER BY d.source, g.start LIMIT {limit}"
        );
        self.view.all(&sql, values![self.scope.id(), number(a)?, number(b)?], place_of)
    }
}

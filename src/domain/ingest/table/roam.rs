//! Walking the graph of one collection: things by name, what they hang together with, and the shortest way between two.
//!
//! A walk goes outwards layer by layer, a few statements each, and sees each thing once, so that its cost is bounded by
//! `SEEN_MAX` and not by the number of ways, which grows beyond all bounds in a graph where documents share dates.

use super::Scope;
use super::graph::{AT_ONCE, marks};
use crate::base::error::{Error, Result};
use crate::base::text::did_you_mean;
use crate::store::{Row, Value, View, values};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Things that one walk sees at most.
const SEEN_MAX: usize = 5_000;
/// Chunks in which two things must stand together.
const TOGETHER_MIN: i64 = 3;
/// How much more often than chance they must, in bits (pointwise mutual information; Church and Hanks, 1990).
const PMI_MIN: f64 = 1.0;
/// Names that are compared for a slip of the keyboard.
const NAMES_MAX: usize = 20_000;

/// A thing that documents speak of, or a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thing {
    #[serde(skip)]
    id: i64,
    /// What it is.
    pub kind: String,
    /// What makes it the same thing.
    pub key: String,
    /// As it was written first.
    pub name: String,
    /// Documents that speak of it.
    pub documents: i64,
    /// Places where they do.
    pub mentions: i64,
}

/// A place where a document speaks of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The document's number.
    pub document: i64,
    /// Where it came from.
    pub source: String,
    /// Characters of its text.
    pub start: i64,
    /// Characters of its text.
    pub stop: i64,
    /// What found it.
    pub method: String,
    /// 0 to 100.
    pub confidence: i64,
}

/// How two things hang together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edge {
    /// `mentions`, `cites`, `together-with`, or what a document says: `part-of` …
    pub relation: String,
    /// True when it leads from the nearer thing to the farther one.
    pub forward: bool,
    /// How often it is said.
    pub times: i64,
    /// How likely it is right, 0 to 100; of several places the highest.
    pub confidence: Option<i64>,
    /// In bits, where it is known only that the two stand together.
    pub pmi: Option<f64>,
}

/// A thing that a walk came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Roamed {
    /// The thing.
    pub thing: Thing,
    /// Steps from the beginning.
    pub distance: usize,
    /// Where the walk came from, as an index, and how the two hang together; `None` at the beginning.
    pub from: Option<(usize, Edge)>,
}

struct Link {
    near: i64,
    far: i64,
    edge: Edge,
}

const THING: &str = "SELECT e.id, e.kind, e.key, e.name, \
    (SELECT count(DISTINCT m.document) FROM mention m WHERE m.collection = e.collection AND m.entity = e.id), \
    (SELECT count(*) FROM mention m WHERE m.collection = e.collection AND m.entity = e.id) FROM entity e";

/// A document that is only linked to is no thing that can be shown.
const THERE: &str = "(e.kind <> 'document' OR EXISTS (SELECT 1 FROM document d WHERE d.collection = e.collection \
    AND d.source = e.key AND d.reason IS NULL))";

fn thing_of(row: &Row<'_>) -> Result<Thing> {
    let text = |i| row.text(i).map(str::to_owned);
    Ok(Thing { id: row.int(0)?, kind: text(1)?, key: text(2)?, name: text(3)?, documents: row.int(4)?, mentions: row.int(5)? })
}

impl Scope {
    /// The things that most documents speak of, of one kind or of all.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn things(&self, view: View<'_>, kind: Option<&str>, limit: usize) -> Result<Vec<Thing>> {
        let mut values = values![self.id()].to_vec();
        values.extend(kind.map(Value::from));
        let of_kind = if kind.is_some() { " AND e.kind = ?2" } else { "" };
        let sql = format!(
            "SELECT e.id, e.kind, e.key, e.name, count(DISTINCT m.document), count(*) FROM entity e \
            JOIN mention m ON m.collection = e.collection AND m.entity = e.id WHERE e.collection = ?1{of_kind} \
            GROUP BY e.id, e.kind, e.key, e.name ORDER BY 5 DESC, 6 DESC, e.kind, e.key LIMIT {limit}"
        );
        view.all(&sql, &values, thing_of)
    }

    /// The thing of this name, `KIND:NAME` where several kinds have it; capitals do not count. Documents go by their source.
    ///
    /// # Errors
    /// When there is none, with the nearest name, or when there are several.
    pub fn thing(&self, view: View<'_>, named: &str) -> Result<Thing> {
        let lower = named.to_lowercase();
        let sql =
            format!("{THING} WHERE e.collection = ?1 AND (e.key = ?2 OR e.key = ?3 OR e.name = ?2) AND {THERE} ORDER BY e.kind");
        let mut found = view.all(&sql, values![self.id(), named, &lower], thing_of)?;
        if let Some((kind, key)) = named.split_once(':').filter(|_| found.is_empty()) {
            let sql = format!("{THING} WHERE e.collection = ?1 AND e.kind = ?2 AND (e.key = ?3 OR e.key = ?4) AND {THERE}");
            found = view.all(&sql, values![self.id(), kind, key, key.to_lowercase()], thing_of)?;
        }
        match found.len() {
            0 => Err(self.unknown(view, named)?),
            1 => Ok(found.remove(0)),
            _ => {
                let ways: Vec<String> = found.iter().map(|t| format!("`{}:{}`", t.kind, t.key)).collect();
                Err(Error::usage(format!("`{named}` names several things: {}", ways.join(", "))).hint("write one of these"))
            }
        }
    }

    fn unknown(&self, view: View<'_>, named: &str) -> Result<Error> {
        let sql = format!("SELECT e.name FROM entity e WHERE e.collection = ?1 AND {THERE} ORDER BY e.name LIMIT {NAMES_MAX}");
        let names = view.all(&sql, values![self.id()], |row| row.text(0).map(str::to_owned))?;
        let error = Error::new(format!("no document of {} speaks of `{named}`", self.collection.name));
        Ok(match did_you_mean(named, names.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None => error.hint("take documents in with `kf ingest PATH --skeleton`, or set `ingest.skeleton = true`"),
        })
    }

    /// Where documents speak of a thing, by source.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn places(&self, view: View<'_>, thing: &Thing, limit: usize) -> Result<Vec<Place>> {
        let sql = format!(
            "SELECT d.id, d.source, m.start, m.stop, m.method, m.confidence FROM mention m JOIN document d ON d.id = m.document \
            WHERE m.collection = ?1 AND m.entity = ?2 ORDER BY d.source, m.start LIMIT {limit}"
        );
        view.all(&sql, values![self.id(), thing.id], place_of)
    }

    /// Where documents say that two things hang together, by source.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn evidence(&self, view: View<'_>, a: &Thing, b: &Thing, limit: usize) -> Result<Vec<Place>> {
        let sql = format!(
            "SELECT d.id, d.source, g.start, g.stop, g.method, g.confidence FROM edge g JOIN document d ON d.id = g.document \
            WHERE g.collection = ?1 AND ((g.subject = ?2 AND g.object = ?3) OR (g.subject = ?3 AND g.object = ?2)) \
            ORDER BY d.source, g.start LIMIT {limit}"
        );
        view.all(&sql, values![self.id(), a.id, b.id], place_of)
    }

    /// What is at most `depth` steps away, nearest first, beginning with the thing itself; true when there is more than that.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn neighbors(&self, view: View<'_>, start: &Thing, depth: usize) -> Result<(Vec<Roamed>, bool)> {
        let mut walk = Walk::new(self, view, start);
        let together = walk.together(start)?;
        for _ in 0..depth {
            if !walk.step(&together, None)? {
                break;
            }
        }
        Ok((walk.seen, walk.cut))
    }

    /// The shortest way from one thing to another with at most so many steps, both ends included; none when there is none, and
    /// true when the walk was cut short.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn path(&self, view: View<'_>, from: &Thing, to: &Thing, depth: usize) -> Result<(Option<Vec<Roamed>>, bool)> {
        let mut walk = Walk::new(self, view, from);
        let mut steps = 0;
        while !walk.index.contains_key(&to.id) && steps < depth && walk.step(&[], Some(to.id))? {
            steps += 1;
        }
        let Some(mut at) = walk.index.get(&to.id).copied() else { return Ok((None, walk.cut)) };
        let mut way = vec![walk.seen[at].clone()];
        while let Some((before, _)) = walk.seen[at].from {
            at = before;
            way.push(walk.seen[at].clone());
        }
        way.reverse();
        for (i, step) in way.iter_mut().enumerate() {
            if let Some((from, _)) = &mut step.from {
                *from = i.saturating_sub(1);
            }
        }
        Ok((Some(way), walk.cut))
    }
}

fn place_of(row: &Row<'_>) -> Result<Place> {
    Ok(Place {
        document: row.int(0)?,
        source: row.text(1)?.to_owned(),
        start: row.int(2)?,
        stop: row.int(3)?,
        method: row.text(4)?.to_owned(),
        confidence: row.int(5)?,
    })
}

struct Walk<'a> {
    scope: &'a Scope,
    view: View<'a>,
    seen: Vec<Roamed>,
    index: HashMap<i64, usize>,
    /// Where the outermost layer begins in `seen`.
    edge: usize,
    cut: bool,
}

impl<'a> Walk<'a> {
    fn new(scope: &'a Scope, view: View<'a>, start: &Thing) -> Self {
        let seen = vec![Roamed { thing: start.clone(), distance: 0, from: None }];
        Self { scope, view, seen, index: HashMap::from([(start.id, 0)]), edge: 0, cut: false }
    }

    /// Goes one layer outwards; false when there is nothing new. `extra` links count in the first layer; `wanted` is never
    /// left out.
    fn step(&mut self, extra: &[Link], wanted: Option<i64>) -> Result<bool> {
        let layer: Vec<i64> = self.seen[self.edge..].iter().map(|r| r.thing.id).collect();
        let mut links = Vec::new();
        for some in layer.chunks(AT_ONCE) {
            self.said(some, &mut links)?;
            self.spoken(some, &mut links)?;
        }
        let mut new: Vec<(i64, usize, Edge)> = Vec::new();
        let mut met: HashSet<i64> = HashSet::new();
        let first = if self.edge == 0 { extra } else { &[] };
        for link in links.iter().chain(first) {
            if !self.index.contains_key(&link.far) && met.insert(link.far) {
                if self.seen.len() + new.len() >= SEEN_MAX && wanted != Some(link.far) {
                    self.cut = true;
                    continue;
                }
                new.push((link.far, self.index[&link.near], link.edge.clone()));
            }
        }
        let mut things = HashMap::new();
        let ids: Vec<i64> = new.iter().map(|(id, ..)| *id).collect();
        for some in ids.chunks(AT_ONCE) {
            let sql = format!("{THING} WHERE e.collection = ?1 AND e.id IN ({}) AND {THERE}", marks(2, some.len()));
            let found = self.view.all(&sql, &self.values(some), thing_of)?;
            things.extend(found.into_iter().map(|t| (t.id, t)));
        }
        self.edge = self.seen.len();
        for (id, from, edge) in new {
            let Some(thing) = things.remove(&id) else { continue };
            self.index.insert(id, self.seen.len());
            let distance = self.seen[from].distance + 1;
            self.seen.push(Roamed { thing, distance, from: Some((from, edge)) });
        }
        Ok(self.seen.len() > self.edge)
    }

    fn values(&self, ids: &[i64]) -> Vec<Value> {
        std::iter::once(self.scope.id()).chain(ids.iter().copied()).map(Value::from).collect()
    }

    /// What documents say of two things, one of which is here.
    fn said(&self, here: &[i64], links: &mut Vec<Link>) -> Result<()> {
        let marks = marks(2, here.len());
        for (near, far, forward) in [("subject", "object", true), ("object", "subject", false)] {
            let sql = format!(
                "SELECT {near}, {far}, relation, count(*), max(confidence) FROM edge WHERE collection = ?1 AND {near} IN ({marks}) \
                GROUP BY {near}, {far}, relation ORDER BY {near}, relation, {far}"
            );
            self.view.each(&sql, &self.values(here), |row| {
                let relation = row.text(2)?.to_owned();
                let edge = Edge { relation, forward, times: row.int(3)?, confidence: row.opt_int(4)?, pmi: None };
                links.push(Link { near: row.int(0)?, far: row.int(1)?, edge });
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Documents that speak of what is here, and what documents that are here speak of.
    fn spoken(&self, here: &[i64], links: &mut Vec<Link>) -> Result<()> {
        let marks = marks(2, here.len());
        for (near, far, forward) in [("e.id", "m.entity", true), ("m.entity", "e.id", false)] {
            let sql = format!(
                "SELECT {near}, {far}, count(*), max(m.confidence), t.kind FROM mention m \
                JOIN document d ON d.id = m.document JOIN entity t ON t.id = m.entity \
                JOIN entity e ON e.collection = m.collection AND e.kind = 'document' AND e.key = d.source \
                WHERE m.collection = ?1 AND {near} IN ({marks}) GROUP BY {near}, {far}, t.kind ORDER BY {near}, 3 DESC, {far}"
            );
            self.view.each(&sql, &self.values(here), |row| {
                let cites = matches!(row.text(4)?, "standard" | "law" | "doi" | "cve");
                let relation = if cites { "cites" } else { "mentions" }.to_owned();
                let edge = Edge { relation, forward, times: row.int(2)?, confidence: row.opt_int(3)?, pmi: None };
                links.push(Link { near: row.int(0)?, far: row.int(1)?, edge });
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Things that stand in the same chunks as this one more often than by chance, the most telling first.
    fn together(&self, thing: &Thing) -> Result<Vec<Link>> {
        let own =
            "SELECT count(*) FROM (SELECT DISTINCT document, chunk_pos FROM mention WHERE collection = ?1 AND entity = ?2) x";
        let own = self.view.count(own, values![self.scope.id(), thing.id])?;
        let sql = "SELECT count(*) FROM (SELECT DISTINCT document, chunk_pos FROM mention WHERE collection = ?1) x";
        let all = self.view.count(sql, values![self.scope.id()])?;
        let sql = format!(
            "SELECT x.entity, count(*), (SELECT count(*) FROM (SELECT DISTINCT n.document, n.chunk_pos FROM mention n \
                WHERE n.collection = ?1 AND n.entity = x.entity) y) \
            FROM (SELECT DISTINCT b.entity, b.document, b.chunk_pos FROM mention a JOIN mention b ON b.document = a.document \
                AND b.chunk_pos = a.chunk_pos AND b.entity <> a.entity WHERE a.collection = ?1 AND a.entity = ?2) x \
            GROUP BY x.entity HAVING count(*) >= {TOGETHER_MIN} ORDER BY x.entity LIMIT {SEEN_MAX}"
        );
        let mut links = Vec::new();
        self.view.each(&sql, values![self.scope.id(), thing.id], |row| {
            let (far, both, theirs) = (row.int(0)?, row.int(1)?, row.int(2)?);
            let pmi = pmi(both, own, theirs, all);
            if pmi >= PMI_MIN {
                let relation = "together-with".to_owned();
                let edge = Edge { relation, forward: true, times: both, confidence: None, pmi: Some(pmi) };
                links.push(Link { near: thing.id, far, edge });
            }
            Ok(())
        })?;
        links.sort_by(|a, b| b.edge.pmi.partial_cmp(&a.edge.pmi).unwrap_or(std::cmp::Ordering::Equal).then(a.far.cmp(&b.far)));
        Ok(links)
    }
}

/// How much more often than chance two things stand together, in bits: `log2(both · all / (one · other))`.
fn pmi(both: i64, one: i64, other: i64, all: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of chunks are far below 2^52")]
    let [both, one, other, all] = [both, one, other, all].map(|n| n as f64);
    ((both * all) / (one * other)).log2()
}

#[cfg(test)]
mod tests {
    use super::pmi;

    #[test]
    fn chance_is_no_bit() {
        assert!((pmi(10, 20, 50, 100) - 0.0).abs() < 1e-12);
        assert!((pmi(20, 20, 20, 100) - 5.0_f64.log2()).abs() < 1e-12);
    }
}

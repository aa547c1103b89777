//! Walking a graph: things by name, what they hang together with, and the shortest way between two.
//!
//! A walk goes outwards layer by layer, a few questions each, and sees each thing once, so that its cost is bounded by
//! [`SEEN_MAX`] and not by the number of ways, which grows beyond all bounds in a graph where documents share dates. In which
//! order it goes hangs on what is said, not on which engine answers.

use crate::base::error::{Error, Result};
use crate::base::text::did_you_mean;
use crate::seams::graph::{Edge, Graph, Id, Link, SEEN_MAX, Thing};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// How much more often than chance two things must stand together, in bits (pointwise mutual information; Church and Hanks,
/// 1990).
const PMI_MIN: f64 = 1.0;
/// Names that are compared for a slip of the keyboard.
const NAMES_MAX: usize = 20_000;

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

/// The thing of this name, `KIND:NAME` where several kinds have it; capitals do not count. Documents go by their source.
///
/// # Errors
/// When there is none, with the nearest name, or when there are several.
pub fn thing(graph: &dyn Graph, collection: &str, named: &str) -> Result<Thing> {
    let mut found = graph.named(None, named)?;
    if let Some((kind, key)) = named.split_once(':').filter(|_| found.is_empty()) {
        found = graph.named(Some(kind), key)?;
    }
    match found.len() {
        0 => Err(unknown(graph, collection, named)?),
        1 => Ok(found.remove(0)),
        _ => {
            let ways: Vec<String> = found.iter().map(|t| format!("`{}:{}`", t.kind, t.key)).collect();
            Err(Error::usage(format!("`{named}` names several things: {}", ways.join(", "))).hint("write one of these"))
        }
    }
}

fn unknown(graph: &dyn Graph, collection: &str, named: &str) -> Result<Error> {
    let names = graph.names(NAMES_MAX)?;
    let error = Error::new(format!("no document of {collection} speaks of `{named}`"));
    Ok(match did_you_mean(named, names.iter().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error.hint("take documents in with `kf ingest PATH --skeleton`, or set `ingest.skeleton = true`"),
    })
}

/// What is at most `depth` steps away, nearest first, beginning with the thing itself; true when there is more than that.
///
/// # Errors
/// When the graph cannot be asked.
pub fn neighbors(graph: &dyn Graph, start: &Thing, depth: usize) -> Result<(Vec<Roamed>, bool)> {
    let mut walk = Walk::new(graph, start);
    let together = together(graph, start)?;
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
/// When the graph cannot be asked.
pub fn path(graph: &dyn Graph, from: &Thing, to: &Thing, depth: usize) -> Result<(Option<Vec<Roamed>>, bool)> {
    let mut walk = Walk::new(graph, from);
    let mut steps = 0;
    while !walk.index.contains_key(&to.id) && steps < depth && walk.step(&[], Some(&to.id))? {
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

struct Walk<'a> {
    graph: &'a dyn Graph,
    seen: Vec<Roamed>,
    index: HashMap<Id, usize>,
    /// Where the outermost layer begins in `seen`.
    edge: usize,
    cut: bool,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a dyn Graph, start: &Thing) -> Self {
        let seen = vec![Roamed { thing: start.clone(), distance: 0, from: None }];
        Self { graph, seen, index: HashMap::from([(start.id.clone(), 0)]), edge: 0, cut: false }
    }

    /// Goes one layer outwards; false when there is nothing new. `extra` links count in the first layer; `wanted` is never
    /// left out.
    fn step(&mut self, extra: &[Link], wanted: Option<&Id>) -> Result<bool> {
        let layer: Vec<Id> = self.seen[self.edge..].iter().map(|r| r.thing.id.clone()).collect();
        let mut links = self.graph.links(&layer)?;
        links.extend_from_slice(if self.edge == 0 { extra } else { &[] });
        let new = self.new_things(&links, wanted)?;
        // What documents say comes before what they speak of, and that before what stands together; one wins for each thing.
        links.retain(|link| new.contains_key(&link.far));
        links.sort_by_cached_key(|link| {
            let class =
                (link.edge.pmi.is_some(), is_mention(&link.edge), !link.edge.forward, self.index.get(&link.near).copied());
            let bits = Reverse(link.edge.pmi.map_or(0, f64::to_bits));
            let said = (link.edge.relation.clone(), Reverse(link.edge.times));
            let far = new.get(&link.far).map(|t| (t.kind.clone(), t.key.clone()));
            (class, bits, said, far)
        });
        self.edge = self.seen.len();
        for link in links {
            if let (Some(thing), Some(from)) = (new.get(&link.far), self.index.get(&link.near).copied())
                && !self.index.contains_key(&link.far)
            {
                self.index.insert(link.far, self.seen.len());
                let distance = self.seen[from].distance + 1;
                self.seen.push(Roamed { thing: thing.clone(), distance, from: Some((from, link.edge)) });
            }
        }
        Ok(self.seen.len() > self.edge)
    }

    /// The things at the far ends that were not met yet, as many as may still be seen.
    fn new_things(&mut self, links: &[Link], wanted: Option<&Id>) -> Result<HashMap<Id, Thing>> {
        let mut met: HashSet<&Id> = HashSet::new();
        let mut ids: Vec<Id> = Vec::new();
        for far in links.iter().map(|link| &link.far).filter(|far| !self.index.contains_key(*far)) {
            if !met.insert(far) {
                continue;
            }
            if self.seen.len() + ids.len() >= SEEN_MAX && wanted != Some(far) {
                self.cut = true;
                continue;
            }
            ids.push(far.clone());
        }
        Ok(self.graph.things(&ids)?.into_iter().map(|t| (t.id.clone(), t)).collect())
    }
}

/// True when it follows from a mention, false when a document says it.
fn is_mention(edge: &Edge) -> bool {
    matches!(edge.relation.as_str(), "mentions" | "cites")
}

/// Things that stand in the same chunks as this one more often than by chance.
fn together(graph: &dyn Graph, thing: &Thing) -> Result<Vec<Link>> {
    let counted = graph.together(&thing.id)?;
    let link = |(far, both, theirs): &(Id, i64, i64)| {
        let pmi = pmi(*both, counted.own, *theirs, counted.all);
        let relation = "together-with".to_owned();
        let edge = Edge { relation, forward: true, times: *both, confidence: None, pmi: Some(pmi) };
        (pmi >= PMI_MIN).then(|| Link { near: thing.id.clone(), far: far.clone(), edge })
    };
    Ok(counted.others.iter().filter_map(link).collect())
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

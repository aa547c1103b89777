//! Collections whose nearest vectors a Qdrant server finds: telling it what changed, asking it, and holding it to the state.
//!
//! The server is a projection, and the state can do without it: whatever it does not answer, or answers too little of, is
//! answered from the state, which says the same, and a note tells why and what to type. So a search never depends on how far
//! the server has come, and never silently on less than everything.

use crate::adapters::qdrant::{Place, Point, Qdrant, is_missing};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::config::VectorEngine;
use crate::domain::ingest::table::{Kept, QDRANT, Scope, Tenant, vector_bytes};
use crate::store::outbox::{self, Act, Note};
use crate::store::vectors::{self, Index, Query, Truth, widen};
use crate::store::{Store, View};
use std::collections::{BTreeMap, HashMap};

/// Up to so many points the server looks at each; beyond, it goes by its graph, as [`vectors`] goes by signs.
const EXACT_MAX: u64 = 200_000;
/// Documents whose changes wait that a search looks up one by one; beyond, it does not ask the server at all.
const WAITING_MAX: usize = 500;
/// What to do about a server that does not answer.
const AWAY: &str = "`kf doctor` tells whether it is reached, `kf index move --to embedded` does without it";

/// The place of a collection on the server.
fn place_of(view: View<'_>, scope: &Scope) -> Result<Place> {
    Ok(Place { name: scope.remote_name(view)?, tenant: scope.tenant.alias(), dimensions: scope.collection.dimensions })
}

/// Tells the server all that waits for it, and how many changes those were.
///
/// # Errors
/// When no server is configured, or it is not reached or refuses: what it has not confirmed waits.
pub fn tell(store: &Store, qdrant: Option<&Qdrant>) -> Result<u64> {
    outbox::tell(store, QDRANT, &mut |notes| {
        let qdrant = qdrant.ok_or_else(unset)?;
        let scopes = store.read(scopes)?;
        for some in notes.chunk_by(|a, b| a.act == b.act && a.place == b.place) {
            tell_some(store, qdrant, scopes.get(&some[0].place), some)?;
        }
        Ok(())
    })
}

fn unset() -> Error {
    Error::new("a collection is in Qdrant, and `vectors.url` is not set")
        .hint("set `url` in `[vectors]` of mlops.toml, or move the collection: `kf index move --to embedded`")
}

/// All collections that are on the server, by the names of their places.
fn scopes(view: View<'_>) -> Result<HashMap<String, (Scope, Place)>> {
    let mut found = HashMap::new();
    for tenant in Tenant::all(view)? {
        for scope in Scope::all(view, &tenant.name)? {
            if scope.collection.engine == VectorEngine::Qdrant {
                let place = place_of(view, &scope)?;
                found.insert(place.name.clone(), (scope, place));
            }
        }
    }
    Ok(found)
}

/// Tells changes of one kind in one place. A place that no collection has any more is dropped by a later note, if it was not.
fn tell_some(store: &Store, qdrant: &Qdrant, at: Option<&(Scope, Place)>, notes: &[Note]) -> Result<()> {
    match (notes[0].act, at) {
        (Act::Drop, _) => qdrant.drop(&notes[0].place),
        (_, None) => Ok(()),
        (Act::Fill, Some((scope, place))) => {
            qdrant.drop(&place.name)?;
            qdrant.make(place)?;
            Sender { store, qdrant, scope, place, ready: Vec::new() }.send(&[None])
        }
        (Act::Put, Some((scope, place))) => {
            let documents: Vec<Option<&str>> = notes.iter().map(|n| Some(n.item.as_str())).collect();
            let sent = Sender { store, qdrant, scope, place, ready: Vec::new() }.send(&documents);
            sent.map_err(|e| if is_missing(&e) { e.hint(rebuild(scope)) } else { e })
        }
        (Act::Take, Some((_, place))) => {
            let documents: Vec<&str> = notes.iter().map(|n| n.item.as_str()).collect();
            qdrant.take(place, &documents)
        }
    }
}

/// What fills the server again.
fn rebuild(scope: &Scope) -> String {
    let tenant = &scope.tenant.name;
    format!("`kf index rebuild --tenant {tenant} --collection {}` fills it again", scope.collection.name)
}

/// Reads vectors from the state in pieces and sends them in requests that are as full as they may be.
struct Sender<'a> {
    store: &'a Store,
    qdrant: &'a Qdrant,
    scope: &'a Scope,
    place: &'a Place,
    ready: Vec<Kept>,
}

impl Sender<'_> {
    /// Sends the vectors of these documents, `None` for all; what has gone from the state meanwhile is not sent.
    fn send(mut self, documents: &[Option<&str>]) -> Result<()> {
        let most = Qdrant::batch(self.place.dimensions);
        for document in documents {
            let mut after = i64::MIN;
            loop {
                let some = self.store.read(|view| self.scope.kept(view, *document, after, most))?;
                let Some(last) = some.last() else { break };
                after = last.number;
                let all = some.len() < most;
                self.ready.extend(some);
                if self.ready.len() >= most {
                    self.qdrant.put(self.place, &std::mem::take(&mut self.ready))?;
                }
                if all {
                    break;
                }
            }
        }
        self.qdrant.put(self.place, &self.ready)
    }
}

/// The server as a search asks it.
struct Remote<'a> {
    qdrant: &'a Qdrant,
    place: &'a Place,
    /// The number up to which nothing waits.
    last: i64,
    held: u64,
}

impl Index for Remote<'_> {
    fn last(&self) -> i64 {
        self.last
    }

    fn held(&self) -> usize {
        usize::try_from(self.held).unwrap_or(usize::MAX)
    }

    fn best(&self, query: &[f32], wanted: usize, keep: &dyn Fn(i64) -> bool) -> Result<Vec<i64>> {
        widen(wanted, keep, &mut |limit| self.qdrant.best(self.place, query, limit, self.held <= EXACT_MAX))
    }
}

/// What the server says of a query.
pub enum Asked {
    /// Numbers with their cosine, best first.
    Found(Vec<(i64, f32)>),
    /// It cannot answer, or not for everything: why, and what to type.
    Not(String),
}

/// Asks the server for the nearest vectors. All that waits for it is scored from the state.
///
/// # Errors
/// Those of the state.
pub fn nearest(view: View<'_>, scope: &Scope, qdrant: Option<&Qdrant>, truth: &dyn Truth, query: &Query<'_>) -> Result<Asked> {
    let Some(qdrant) = qdrant else {
        return Ok(Asked::Not("`vectors.url` is not set; set it, or `kf index move --to embedded`".into()));
    };
    if let Some(why) = qdrant.given_up() {
        return Ok(Asked::Not(format!("{why}; {AWAY}")));
    }
    let notes = outbox::of(view, QDRANT, scope.id())?;
    let told = "the next `kf ingest` or `kf index rebuild` tells it";
    if notes.len() > WAITING_MAX || notes.iter().any(|n| n.act == Act::Fill) {
        return Ok(Asked::Not(format!("{} has not been told all of it yet; {told}", qdrant.describe())));
    }
    let put: Vec<String> = notes.into_iter().filter(|n| n.act == Act::Put).map(|n| n.item).collect();
    let (first, waiting) = scope.numbers(view, &put)?;
    let (size, place) = (scope.size(view)?, place_of(view, scope)?);
    let away = |e: Error| {
        let why = format!("{} does not answer: {}", qdrant.describe(), e.chain().join(": "));
        qdrant.give_up(&why);
        Ok(Asked::Not(format!("{why}; {AWAY}")))
    };
    let held = match qdrant.count(&place) {
        Err(e) => return away(e),
        Ok(held) => held.unwrap_or(0),
    };
    if held < size.saturating_sub(waiting) {
        let lost = format!("{} holds {held} of {size} vectors", qdrant.describe());
        return Ok(Asked::Not(format!("{lost}; {}", rebuild(scope))));
    }
    let last = first.map_or(i64::MAX, |n| n - 1);
    match vectors::nearest_by(&Remote { qdrant, place: &place, last, held }, truth, query) {
        Ok(Some(found)) => Ok(Asked::Found(found)),
        Ok(None) => Ok(Asked::Not(format!("{} has not been told all of it yet; {told}", qdrant.describe()))),
        Err(e) => away(e),
    }
}

/// What the server holds otherwise than the state: one line for each kind of difference.
///
/// # Errors
/// Those of the state; a server that cannot be read is a difference.
pub fn differences(view: View<'_>, scope: &Scope, qdrant: Option<&Qdrant>) -> Result<Vec<String>> {
    let Some(qdrant) = qdrant else { return Ok(vec!["it cannot be read: `vectors.url` is not set".into()]) };
    let place = place_of(view, scope)?;
    let mut held = BTreeMap::new();
    let mut strange = Strange::default();
    let read = qdrant.each(&place, &mut |points| {
        points.into_iter().for_each(|point| strange.sort(point, &place, &mut held));
        Ok(())
    });
    match read {
        Err(e) => return Ok(vec![format!("it cannot be read: {}", e.chain().join(": "))]),
        Ok(false) => return Ok(vec![format!("{} has no collection {}", qdrant.describe(), place.name)]),
        Ok(true) => {}
    }
    let (mut missing, mut other, mut after) = (0, 0, i64::MIN);
    loop {
        let some = scope.kept(view, None, after, Qdrant::batch(place.dimensions))?;
        let Some(last) = some.last() else { break };
        after = last.number;
        for kept in some {
            match held.remove(&kept.point) {
                None => missing += 1,
                Some(sum) if sum != summed(kept.number, &kept.document, &kept.vector) => other += 1,
                Some(_) => {}
            }
        }
    }
    let found = [
        (missing, "vectors are not in it"),
        (other, "vectors of it are not those of their chunks"),
        (held.len() as u64 + strange.nobodys, "vectors of it have no chunk"),
        (strange.others, "vectors of it belong to another tenant"),
    ];
    Ok(found.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect())
}

/// Points that kf did not put there.
#[derive(Default)]
struct Strange {
    nobodys: u64,
    others: u64,
}

impl Strange {
    fn sort(&mut self, point: Point, place: &Place, held: &mut BTreeMap<String, Digest>) {
        let payload = point.payload.unwrap_or_default();
        if payload.tenant.as_deref().is_some_and(|tenant| tenant != place.tenant) {
            self.others += 1;
            return;
        }
        match (point.id.as_str(), payload.tenant) {
            (Some(id), Some(_)) => {
                let document = payload.document.unwrap_or_default();
                let sum = summed(payload.number.unwrap_or(i64::MIN), &document, &point.vector.unwrap_or_default());
                held.insert(id.to_owned(), sum);
            }
            _ => self.nobodys += 1,
        }
    }
}

/// What is compared of a point: a digest, so that what is remembered of each does not grow with its vector.
fn summed(number: i64, document: &str, vector: &[f32]) -> Digest {
    let vector = vector_bytes(vector);
    Digest::of(&[&number.to_le_bytes()[..], document.as_bytes(), b"\0", &vector].concat())
}

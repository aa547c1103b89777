//! Answering a query from a collection: by meaning, by words, or by both, each hit with where it stands.
//!
//! Both rankings are joined by reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009): a chunk's score is the sum of
//! weight / (60 + rank) over the rankings it is in, which needs no common scale.

use crate::adapters::qdrant::Qdrant;
use crate::base::error::{Context, Error, Result};
use crate::config::VectorEngine;
use crate::domain::ingest::table::{Chunk, Filter, Scope, Vectors, same_model};
use crate::release::remote::{self, Asked};
use crate::seams::embedder::{Embedder, Purpose};
use crate::store::vectors::{self, Home, Query};
use crate::store::{View, fulltext};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The constant of reciprocal rank fusion, as its authors chose it.
const RRF: f64 = 60.0;
/// How deep each ranking is read for each hit that is wanted.
const DEEP: usize = 5;

/// What is asked.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// The words of the query.
    pub query: &'r str,
    /// How many hits are wanted.
    pub k: usize,
    /// Conditions on the documents.
    pub filters: &'r [Filter],
    /// The weight of words beside meaning, 0 to 1: 0 is meaning alone, 1 words alone.
    pub words: f64,
}

/// A stretch of a document that answers the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The chunk.
    pub chunk: Chunk,
    /// The document's public id.
    pub document: String,
    /// Where the document came from.
    pub source: String,
    /// Its title.
    pub title: Option<String>,
    /// Its language.
    pub language: Option<String>,
    /// The text of the chunk: exactly the characters `start..stop` of the document's canonical text.
    pub text: String,
    /// Orders the hits of one answer and means nothing beyond it.
    pub score: f64,
    /// The cosine to the query, where the ranking by meaning was asked.
    pub cosine: Option<f64>,
}

/// What answers a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The best hits, best first.
    pub hits: Vec<Hit>,
    /// What a person should know of the engine that was asked, and what to type.
    pub note: Option<String>,
}

/// Where nearest vectors are found beside the state.
#[derive(Clone, Copy)]
pub struct Engines<'e> {
    /// Where files of indexes are kept.
    pub cache: &'e Path,
    /// The id of the state that they are made from.
    pub state: &'e str,
    /// The Qdrant server, when one is configured.
    pub qdrant: Option<&'e Qdrant>,
}

/// The best hits, best first.
///
/// # Errors
/// When the query is empty, the collection was embedded by another model, or the state cannot be read.
pub fn search(
    view: View<'_>,
    scope: &Scope,
    embedder: &dyn Embedder,
    engines: Engines<'_>,
    request: &Request<'_>,
) -> Result<Found> {
    if request.query.trim().is_empty() {
        return Err(Error::usage("the query is empty").hint("write what you look for: `kf search \"how do I …\"`"));
    }
    same_model(scope, &embedder.model().name, embedder.model().digest)?;
    let kept = scope.filtered(view, request.filters)?;
    let keep = |number: i64| kept.as_ref().is_none_or(|kept| kept.contains(&number));
    let deep = request.k.saturating_mul(DEEP).max(50);
    let (mut cosines, mut note) = (HashMap::new(), None);
    let mut scores: BTreeMap<i64, f64> = BTreeMap::new();
    if request.words < 1.0 {
        let found;
        (found, note) = by_meaning(view, scope, embedder, engines, request.query, deep, &keep)?;
        add_ranks(&mut scores, found.iter().map(|f| f.0), 1.0 - request.words);
        cosines = found.into_iter().collect();
    }
    if request.words > 0.0 {
        let found = fulltext::search(view, scope.id(), request.query, deep, &keep)?;
        add_ranks(&mut scores, found.into_iter().map(|f| f.0), request.words);
    }
    let mut best: Vec<(i64, f64)> = scores.into_iter().collect();
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    best.truncate(request.k);
    Ok(Found { hits: hits(view, scope, &best, &cosines)?, note })
}

/// Numbers of chunks with their cosine, best first.
type Ranked = Vec<(i64, f64)>;

fn by_meaning(
    view: View<'_>,
    scope: &Scope,
    embedder: &dyn Embedder,
    engines: Engines<'_>,
    query: &str,
    k: usize,
    keep: &dyn Fn(i64) -> bool,
) -> Result<(Ranked, Option<String>)> {
    let mut vectors = embedder.embed(&[query], Purpose::Query)?;
    let vector = vectors.pop().ok_or_else(|| Error::new("the embedder gave no vector for the query"))?;
    let truth = Vectors { view, scope };
    let wanted = Query { vector: &vector, k, keep };
    let mut note = None;
    let mut found = None;
    if scope.collection.engine == VectorEngine::Qdrant {
        match remote::nearest(view, scope, engines.qdrant, &truth, &wanted)? {
            Asked::Found(nearest) => found = Some(nearest),
            Asked::Not(why) => note = Some(why),
        }
    }
    let found = match found {
        Some(found) => found,
        None => {
            let name = scope.place_name(engines.state);
            vectors::nearest(view, &truth, scope.id(), Home { folder: engines.cache, name: &name }, &wanted)?
        }
    };
    Ok((found.into_iter().map(|(number, cosine)| (number, f64::from(cosine))).collect(), note))
}

#[expect(clippy::cast_precision_loss, reason = "a rank")]
fn add_ranks(scores: &mut BTreeMap<i64, f64>, ranked: impl Iterator<Item = i64>, weight: f64) {
    for (rank, number) in ranked.enumerate() {
        *scores.entry(number).or_default() += weight / (RRF + rank as f64 + 1.0);
    }
}

fn hits(view: View<'_>, scope: &Scope, best: &[(i64, f64)], cosines: &HashMap<i64, f64>) -> Result<Vec<Hit>> {
    // Several hits of one document unpack its text once.
    let mut texts: HashMap<i64, String> = HashMap::new();
    let mut hits = Vec::with_capacity(best.len());
    for (number, score) in best {
        let Some(chunk) = scope.chunk(view, *number)? else { continue };
        let Some(document) = scope.document_of(view, &chunk)? else { continue };
        let id = document.id;
        if let std::collections::hash_map::Entry::Vacant(empty) = texts.entry(id) {
            let text = scope.text(view, id)?;
            empty.insert(
                text.ok_or_else(|| Error::new(format!("the text of {} is gone", document.source)).hint("run `kf index verify`"))?,
            );
        }
        let text = slice(&texts[&id], chunk.start, chunk.stop)
            .context(|| format!("a chunk of {} is out of its text", document.source))?;
        hits.push(Hit {
            document: document.uid,
            source: document.source,
            title: document.title,
            language: document.language,
            text,
            score: *score,
            cosine: cosines.get(number).copied(),
            chunk,
        });
    }
    Ok(hits)
}

/// The characters `start..stop` of a text.
///
/// # Errors
/// When the text is shorter than that.
pub fn slice(text: &str, start: i64, stop: i64) -> Result<String> {
    let count = |n: i64| usize::try_from(n).context(|| "a chunk has a negative offset");
    let (start, stop) = (count(start)?, count(stop)?);
    let cut: String = text.chars().skip(start).take(stop.saturating_sub(start)).collect();
    if cut.chars().count() != stop.saturating_sub(start) {
        return Err(Error::new(format!("the text ends before character {stop}")).hint("run `kf index verify`"));
    }
    Ok(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_joined_by_their_reciprocals() {
        let mut scores = BTreeMap::new();
        add_ranks(&mut scores, [7, 8].into_iter(), 0.5);
        add_ranks(&mut scores, [8, 9].into_iter(), 0.5);
        assert!(scores[&8] > scores[&7] && scores[&7] > scores[&9]);
        assert!((scores[&7] - 0.5 / 61.0).abs() < 1e-12);
    }

    #[test]
    fn offsets_count_characters() {
        assert_eq!(slice("añb", 1, 3).expect("within"), "ñb");
        assert!(slice("añb", 1, 4).is_err());
    }
}

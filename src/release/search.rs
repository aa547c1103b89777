//! Answering a query from a collection: by meaning, by words, or by both, each hit with where it stands.
//!
//! Both rankings are joined by reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009): a chunk's score is the sum of
//! weight / (60 + rank) over the rankings it is in, which needs no common scale.

use crate::adapters::qdrant::Qdrant;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::config::VectorEngine;
use crate::domain::ingest::table::{Chunk, Filter, Position, Scope, Vectors, same_model};
use crate::release::remote::{self, Asked};
use crate::seams::embedder::{Embedder, Purpose};
use crate::store::vectors::{self, Home, Query};
use crate::store::{Store, View, fulltext, state_id};
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

/// Where is searched, and with what.
#[derive(Clone, Copy)]
pub struct Searcher<'s> {
    /// The state.
    pub store: &'s Store,
    /// Makes the vector of a query.
    pub embedder: &'s dyn Embedder,
    /// Where indexes of this state are kept.
    pub cache: &'s Path,
    /// The Qdrant server, when one is configured.
    pub qdrant: Option<&'s Qdrant>,
    /// Whose documents are searched.
    pub tenant: &'s Name,
    /// Which of them.
    pub collection: &'s Name,
}

/// Numbers of chunks with their score, best first.
type Ranked = Vec<(i64, f64)>;

impl Searcher<'_> {
    /// The best hits, best first; equal ones in the order of their sources, so that answers do not depend on when a document
    /// came in.
    ///
    /// # Errors
    /// When the query is empty, there is no such collection, it was embedded by another model, or the state cannot be read.
    pub fn search(&self, request: &Request<'_>) -> Result<Found> {
        if request.query.trim().is_empty() {
            return Err(Error::usage("the query is empty").hint("write what you look for: `kf search \"how do I …\"`"));
        }
        self.store.read(|view| self.scope(view))?;
        // A service may take its time, and no transaction waits for it.
        let vector = if request.words < 1.0 { Some(self.vector(request.query)?) } else { None };
        self.store.read(|view| self.found(view, &self.scope(view)?, vector.as_deref(), request))
    }

    /// The collection, when its vectors can be compared with those of the embedder.
    fn scope(&self, view: View<'_>) -> Result<Scope> {
        let scope = Scope::get(view, self.tenant, self.collection)?;
        same_model(&scope, &self.embedder.model().name, self.embedder.model().digest).map(|()| scope)
    }

    fn vector(&self, query: &str) -> Result<Vec<f32>> {
        let mut vectors = self.embedder.embed(&[query], Purpose::Query)?;
        vectors.pop().ok_or_else(|| Error::new("the embedder gave no vector for the query"))
    }

    fn found(&self, view: View<'_>, scope: &Scope, vector: Option<&[f32]>, request: &Request<'_>) -> Result<Found> {
        let kept = scope.filtered(view, request.filters)?;
        let keep = |number: i64| kept.as_ref().is_none_or(|kept| kept.contains(&number));
        let k = request.k.saturating_mul(DEEP).max(50);
        let (near, note) = match vector {
            None => (Vec::new(), None),
            Some(vector) => self.near(view, scope, &Query { vector, k, keep: &keep })?,
        };
        let named = match request.words > 0.0 {
            true => fulltext::search(view, scope.id(), request.query, k, &keep)?,
            false => Vec::new(),
        };
        let numbers: Vec<i64> = near.iter().chain(&named).map(|(number, _)| *number).collect();
        let positions = scope.positions(view, &numbers)?;
        let mut scores: BTreeMap<i64, f64> = BTreeMap::new();
        add_ranks(&mut scores, ordered(near.clone(), &positions), 1.0 - request.words);
        add_ranks(&mut scores, ordered(named, &positions), request.words);
        let mut best = ordered(scores.into_iter().collect(), &positions);
        best.truncate(request.k);
        Ok(Found { hits: hits(view, scope, &best, &near.into_iter().collect())?, note })
    }

    /// The nearest by meaning, by the collection's engine; from the state, with a note, when the engine cannot be asked.
    fn near(&self, view: View<'_>, scope: &Scope, wanted: &Query<'_>) -> Result<(Ranked, Option<String>)> {
        let truth = Vectors { view, scope };
        let mut note = None;
        let mut found = None;
        if scope.collection.engine == VectorEngine::Qdrant {
            match remote::nearest(view, scope, self.qdrant, &truth, wanted)? {
                Asked::Found(nearest) => found = Some(nearest),
                Asked::Not(why) => note = Some(why),
            }
        }
        let found = match found {
            Some(found) => found,
            None => {
                let name = scope.place_name(&state_id(view.db())?);
                vectors::nearest(view, &truth, scope.id(), Home { folder: self.cache, name: &name }, wanted)?
            }
        };
        Ok((found.into_iter().map(|(number, cosine)| (number, f64::from(cosine))).collect(), note))
    }
}

/// Numbers with their scores, the highest first and equal ones by their positions.
fn ordered(mut scored: Ranked, positions: &HashMap<i64, Position>) -> Ranked {
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| positions.get(&a.0).cmp(&positions.get(&b.0))));
    scored
}

#[expect(clippy::cast_precision_loss, reason = "a rank")]
fn add_ranks(scores: &mut BTreeMap<i64, f64>, ranked: Vec<(i64, f64)>, weight: f64) {
    for (rank, (number, _)) in ranked.into_iter().enumerate() {
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
        add_ranks(&mut scores, vec![(7, 0.9), (8, 0.8)], 0.5);
        add_ranks(&mut scores, vec![(8, 3.0), (9, 2.0)], 0.5);
        assert!(scores[&8] > scores[&7] && scores[&7] > scores[&9]);
        assert!((scores[&7] - 0.5 / 61.0).abs() < 1e-12);
    }

    #[test]
    fn equal_scores_are_ordered_by_place_not_by_number() {
        let positions = HashMap::from([(1, ("b".to_owned(), 0)), (2, ("a".to_owned(), 1)), (3, ("a".to_owned(), 0))]);
        let numbers = |scored| ordered(scored, &positions).into_iter().map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!(numbers(vec![(1, 0.5), (2, 0.5), (3, 0.5)]), [3, 2, 1]);
        assert_eq!(numbers(vec![(1, 0.5), (2, 0.4), (3, 0.6)]), [3, 1, 2]);
    }

    #[test]
    fn offsets_count_characters() {
        assert_eq!(slice("añb", 1, 3).expect("within"), "ñb");
        assert!(slice("añb", 1, 4).is_err());
    }
}

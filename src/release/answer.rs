//! The built-in way to answer: what `kf search` finds by a version's retrieval settings, quoted.
//!
//! The answer is the sentences of the passages that are nearest to the question, word for word, each with the source that it
//! stands in; no model writes anything. So the scores of retrieval are those of what was found, and scores of the answer's
//! words are those of quoting. Contexts are the texts of the passages, best first; their ids are the sources of the documents.

use crate::adapters::qdrant::Qdrant;
use crate::base::error::{Context, Result};
use crate::base::name::Name;
use crate::config::Project;
use crate::domain::ingest::chunk::sentences_of;
use crate::domain::ingest::quality::language;
use crate::domain::ingest::table::{Filter, Scope};
use crate::domain::registry::parts::{Layout, parse_parts};
use crate::domain::registry::retrieval::Retrieval;
use crate::domain::registry::table::VersionRow;
use crate::release::register::layout_of;
use crate::release::search::{Engines, Hit, Request, search};
use crate::seams::answerer::{Answer, Answered, Answerer, Question};
use crate::seams::embedder::{Embedder, Purpose};
use crate::store::{META_STATE_ID, Store, meta};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// Sentences that an answer quotes at most.
const QUOTED: usize = 2;
/// What is answered when nothing was found; `refusal-correct` knows the phrase.
const NOTHING: &str = "I could not find an answer in the documents.";

/// Gives the Qdrant server for a collection, when it is there.
pub type QdrantOf<'q> = &'q dyn Fn(&Scope) -> Result<Option<Qdrant>>;

/// Answers from the documents of one tenant.
pub struct Builtin<'a> {
    store: &'a Store,
    embedder: &'a dyn Embedder,
    tenant: Name,
    collection: Name,
    retrieval: Retrieval,
    cache: PathBuf,
    qdrant: Option<Qdrant>,
    /// What the first answer said of the engine that finds the nearest vectors.
    note: OnceCell<String>,
}

/// The built-in system for a version whose files are unpacked in `files`.
///
/// # Errors
/// When the version's retrieval settings cannot be used.
pub fn builtin<'a>(
    store: &'a Store,
    embedder: &'a dyn Embedder,
    project: &Project,
    version: &VersionRow,
    files: &Path,
    (cache, qdrant): (PathBuf, QdrantOf<'_>),
) -> Result<Builtin<'a>> {
    let layout = project.models.iter().find(|m| m.name == version.name).map_or_else(|| Ok(Layout::default()), layout_of)?;
    let mut read = Vec::new();
    read_files(files, files, &mut read)?;
    let borrowed: Vec<(&str, &[u8])> = read.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let parts = parse_parts(version.kind, &layout, &borrowed).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        crate::base::error::Error::new(format!("the files of {} cannot be read:\n{}", version.reference(), lines.join("\n")))
    })?;
    let retrieval = Retrieval::of(&parts)?;
    let collection = retrieval.collection.clone().unwrap_or_else(|| project.ingest.collection.clone());
    let tenant = project.ingest.tenant.clone();
    let scope = store.read(|view| Scope::find(view, &tenant, &collection))?;
    let qdrant = scope.as_ref().map_or(Ok(None), qdrant)?;
    Ok(Builtin { store, embedder, tenant, collection, retrieval, cache, qdrant, note: OnceCell::new() })
}

fn read_files(root: &Path, folder: &Path, into: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in std::fs::read_dir(folder).context(|| format!("cannot read {}", folder.display()))? {
        let path = entry.context(|| format!("cannot read {}", folder.display()))?.path();
        if path.is_dir() {
            read_files(root, &path, into)?;
        } else {
            let bytes = std::fs::read(&path).context(|| format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            into.push((name, bytes));
        }
    }
    Ok(())
}

impl Answerer for Builtin<'_> {
    fn answer(&self, questions: &[Question], each: &mut dyn FnMut(Answered) -> Result<()>) -> Result<()> {
        for question in questions {
            // A question that cannot be asked, an empty one, is its outcome; a state that cannot be read ends the work.
            let outcome = match question.question.trim().is_empty() {
                true => Err("the question is empty".to_owned()),
                false => Ok(self.one(&question.question)?),
            };
            each(Answered { id: question.id.clone(), outcome })?;
        }
        Ok(())
    }

    fn kind(&self) -> &'static str {
        "builtin"
    }
}

impl Builtin<'_> {
    /// What a person should know of the engine that finds the nearest vectors, and what to type.
    pub fn note(&self) -> Option<&str> {
        self.note.get().map(String::as_str)
    }

    fn one(&self, question: &str) -> Result<Answer> {
        let filters = self.filters(question);
        let request = Request { query: question, k: self.retrieval.k, filters: &filters, words: self.retrieval.words };
        let found = self.store.read(|view| {
            let scope = Scope::get(view, &self.tenant, &self.collection)?;
            let state = meta(view.db(), META_STATE_ID)?.unwrap_or_default();
            let engines = Engines { cache: &self.cache, state: &state, qdrant: self.qdrant.as_ref() };
            search(view, &scope, self.embedder, engines, &request)
        })?;
        if let Some(note) = found.note {
            self.note.get_or_init(|| note);
        }
        let hits = found.hits;
        let mut ids: Vec<String> = Vec::new();
        for hit in &hits {
            if !ids.contains(&hit.source) {
                ids.push(hit.source.clone());
            }
        }
        Ok(Answer {
            text: self.quote(question, &hits)?,
            contexts: Some(hits.into_iter().map(|h| h.text).collect()),
            context_ids: Some(ids),
            ..Answer::default()
        })
    }

    /// `language: question` asks for documents in the language of the question; where that is uncertain it asks for nothing.
    fn filters(&self, question: &str) -> Vec<Filter> {
        let of_question = || language::of_text(&[question]).filter(|l| l.certain).map(|l| l.code.to_owned());
        let filters = self.retrieval.filters.iter().filter_map(|(key, value)| {
            let value = if key == "language" && value == "question" { of_question()? } else { value.clone() };
            Some(Filter { key: key.clone(), value })
        });
        filters.collect()
    }

    /// The sentences nearest to the question, in the order of the passages they stand in.
    fn quote(&self, question: &str, hits: &[Hit]) -> Result<String> {
        let sentences: Vec<(usize, &str)> =
            hits.iter().enumerate().flat_map(|(i, hit)| sentences_of(&hit.text).into_iter().map(move |s| (i, s))).collect();
        if sentences.is_empty() {
            return Ok(NOTHING.to_owned());
        }
        let texts: Vec<&str> = sentences.iter().map(|(_, text)| *text).collect();
        let vectors = self.embedder.embed(&texts, Purpose::Document)?;
        let asked = self.embedder.embed(&[question], Purpose::Query)?;
        let near = |v: &Vec<f32>| asked.first().map_or(0.0, |q| q.iter().zip(v).map(|(a, b)| a * b).sum::<f32>());
        let mut ranked: Vec<(usize, f32)> = vectors.iter().map(near).enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        // Chunks overlap, so the same sentence may stand in two of them.
        let mut best: Vec<usize> = Vec::new();
        for (at, _) in ranked {
            if best.len() < QUOTED && !best.iter().any(|b| texts[*b] == texts[at]) {
                best.push(at);
            }
        }
        best.sort_unstable();
        let quoted = best.iter().map(|at| format!("{} [{}]", texts[*at], hits[sentences[*at].0].source));
        Ok(quoted.collect::<Vec<_>>().join(" "))
    }
}

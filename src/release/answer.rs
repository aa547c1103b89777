//! The built-in way to answer: what `kf search` finds by a version's retrieval settings, quoted.
//!
//! Without `[llm]` the answer is the sentences of the passages that are nearest to the question, word for word, each with the source
//! that it stands in; no model writes anything. So the scores of retrieval are those of what was found, and scores of the answer's
//! words are those of quoting. With `[llm]` a model writes the answer by the version's prompt; time and cost are the model's.
//! Contexts are the texts of the passages, best first; their ids are the sources of the documents.

pub mod forecast;
pub mod writer;

use crate::adapters::qdrant::Qdrant;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::Name;
use crate::base::quantity::PicoUsd;
use crate::config::{self, Project};
use crate::domain::ingest::chunk::sentences_of;
use crate::domain::ingest::quality::language;
use crate::domain::ingest::table::{Filter, Scope};
use crate::domain::registry::parts::{Layout, Parts, parse_parts};
use crate::domain::registry::retrieval::Retrieval;
use crate::domain::registry::table::VersionRow;
use crate::release::register::layout_of;
use crate::release::search::{Request, Searcher};
use crate::seams::answerer::{Answer, Answered, Answerer, Kept, Question};
use crate::seams::embedder::{Embedder, Purpose};
use crate::seams::model::{self, Completion, Failure, FailureKind, Outcome};
use crate::store::Store;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use writer::{Script, Writer};

/// Sentences that an answer quotes at most.
const QUOTED: usize = 2;
/// What is answered when nothing was found; `refusal-correct` knows the phrase.
const NOTHING: &str = "I could not find an answer in the documents.";

/// A text that an answer may rest on, and where it stands.
pub(super) struct Passage {
    source: String,
    text: String,
}

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
    /// The model that writes, with the version's prompt.
    writer: Option<(Writer, Script)>,
    /// The most tokens of the passages of a question, where a service has a part in finding them.
    elsewhere: Option<u64>,
    /// Whether a service makes the vectors of questions.
    embeds_elsewhere: bool,
    /// What the first answer said of the engine that finds the nearest vectors.
    note: OnceCell<String>,
}

/// The built-in system for a version whose files are unpacked in `files`.
///
/// # Errors
/// When the version's retrieval settings cannot be used, or its prompt where a model writes.
pub fn builtin<'a>(
    store: &'a Store,
    embedder: &'a dyn Embedder,
    project: &Project,
    version: &VersionRow,
    files: &Path,
    (cache, qdrant): (PathBuf, QdrantOf<'_>),
    writer: Option<Writer>,
) -> Result<Builtin<'a>> {
    let layout = project.models.iter().find(|m| m.name == version.name).map_or_else(|| Ok(Layout::default()), layout_of)?;
    let mut read = Vec::new();
    read_files(files, files, &mut read)?;
    let borrowed: Vec<(&str, &[u8])> = read.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let parts = parse_parts(version.kind, &layout, &borrowed).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::new(format!("the files of {} cannot be read:\n{}", version.reference(), lines.join("\n")))
    })?;
    let retrieval = Retrieval::of(&parts)?;
    let writer = match writer {
        Some(writer) => {
            let script = Script::of(&parts, &borrowed).context(|| format!("{} cannot answer", version.reference()))?;
            Some((writer, script))
        }
        None => None,
    };
    let collection = collection(project, &retrieval);
    let tenant = project.ingest.tenant.clone();
    let scope = store.read(|view| Scope::find(view, &tenant, &collection))?;
    let qdrant = scope.as_ref().map_or(Ok(None), qdrant)?;
    let embeds_elsewhere = matches!(project.embedder, config::Embedder::Endpoint(_));
    let most = retrieval.k as u64 * u64::from(project.ingest.chunk_tokens);
    let elsewhere = (embeds_elsewhere || qdrant.is_some()).then_some(most);
    let note = OnceCell::new();
    Ok(Builtin { store, embedder, tenant, collection, retrieval, cache, qdrant, writer, elsewhere, embeds_elsewhere, note })
}

/// Where a version finds its documents.
fn collection(project: &Project, retrieval: &Retrieval) -> Name {
    retrieval.collection.clone().unwrap_or_else(|| project.ingest.collection.clone())
}

/// Refuses a version whose documents were never taken in, before it is asked anything.
///
/// # Errors
/// When there is no such collection, with what to type, or its settings cannot be used.
pub fn searchable(store: &Store, project: &Project, parts: &Parts) -> Result<()> {
    let retrieval = Retrieval::of(parts)?;
    store.read(|view| Scope::get(view, &project.ingest.tenant, &collection(project, &retrieval))).map(drop)
}

/// An answer with what the model said and took.
fn said(found: Answer, completion: Completion) -> Answer {
    Answer {
        text: completion.content.text(),
        latency_ms: Some(completion.latency_ms),
        cost: completion.cost.map(PicoUsd::micro),
        tokens: completion.tokens,
        ..found
    }
}

fn lost() -> Error {
    Error::of(Kind::Bug, "a question to the language model was lost")
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
        if let Some((writer, script)) = &self.writer {
            return self.written(writer, script, questions, each);
        }
        for question in questions {
            // A question that cannot be asked, an empty one, is its outcome; a state that cannot be read ends the work.
            let outcome = match question.question.trim().is_empty() {
                true => Err("the question is empty".to_owned()),
                false => Ok(self.one(question)?),
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

    /// Lets the model write every answer. Passages are looked for on this thread while the model writes about others.
    fn written(
        &self,
        writer: &Writer,
        script: &Script,
        questions: &[Question],
        each: &mut dyn FnMut(Answered) -> Result<()>,
    ) -> Result<()> {
        let most = writer.model.about().concurrency.saturating_mul(2).max(1);
        let (sender, answers) = channel();
        let mut open: HashMap<String, (Answer, Digest)> = HashMap::new();
        let mut take = |(id, outcome): (String, Outcome), open: &mut HashMap<String, (Answer, Digest)>| {
            let Some((found, digest)) = open.remove(&id) else { return Ok(()) };
            let outcome = match outcome {
                Ok(completion) => {
                    writer.cache.keep(writer.model.about(), &digest, &completion)?;
                    Ok(said(found, completion))
                }
                Err(failure) if failure.kind == FailureKind::Misconfigured => return Err(failure.into_error()),
                Err(failure) => Err(failure.reason),
            };
            each(Answered { id, outcome })
        };
        for question in questions {
            let asked = match question.question.trim().is_empty() {
                true => Err("the question is empty".to_owned()),
                false if writer.dry && self.embeds_elsewhere => {
                    Err("nobody was asked, nor for the vector of the question".to_owned())
                }
                false => self.prompt((writer, script), question)?,
            };
            let (found, request) = match asked {
                Ok(asked) => asked,
                Err(why) => {
                    open.insert(question.id.clone(), (Answer::default(), Digest::of(b"")));
                    take((question.id.clone(), Err(Failure::new(FailureKind::Rejected, why))), &mut open)?;
                    continue;
                }
            };
            let digest = request.digest()?;
            open.insert(question.id.clone(), (found, digest));
            if let Some((completion, at)) = writer.cache.given(writer.model.about(), &digest)? {
                open.entry(question.id.clone()).and_modify(|(found, _)| found.kept = Some(Kept { at }));
                take((question.id.clone(), Ok(completion)), &mut open)?;
            } else if writer.cache.is_all() {
                let why = Failure::new(FailureKind::NotAsked, "nobody was asked: it is not in the cache");
                take((question.id.clone(), Err(why)), &mut open)?;
            } else {
                let (sender, id) = (sender.clone(), question.id.clone());
                writer.model.begin(request, Box::new(move |outcome| drop(sender.send((id, outcome)))))?;
            }
            while open.len() >= most {
                take(answers.recv().map_err(|_| lost())?, &mut open)?;
            }
        }
        while !open.is_empty() {
            take(answers.recv().map_err(|_| lost())?, &mut open)?;
        }
        Ok(())
    }

    /// What is found for a question, and what the model is asked about it; or why no prompt can be made of it.
    fn prompt(
        &self,
        (writer, script): (&Writer, &Script),
        question: &Question,
    ) -> Result<Result<(Answer, model::Request), String>> {
        let (found, hits) = self.found(question)?;
        let request = script.request(&question.question, &hits, &writer.settings);
        Ok(request
            .map(|r| (found, model::Request { sample: question.sample, ..r }))
            .map_err(|why| format!("the prompt cannot be rendered: {why}")))
    }

    fn one(&self, question: &Question) -> Result<Answer> {
        let (found, passages) = self.found(question)?;
        Ok(Answer { text: self.quote(&question.question, &passages)?, ..found })
    }

    /// What a question is answered from: an answer without its text, and the passages. Those that come with the question take the place
    /// of what would be looked for, and have no source but their place.
    fn found(&self, question: &Question) -> Result<(Answer, Vec<Passage>)> {
        if let Some(given) = &question.contexts {
            let passage = |(i, text): (usize, &String)| Passage { source: format!("passage {}", i + 1), text: text.clone() };
            let passages = given.iter().enumerate().map(passage).collect();
            return Ok((Answer { contexts: Some(given.clone()), ..Answer::default() }, passages));
        }
        self.looked_up(&question.question)
    }

    fn looked_up(&self, question: &str) -> Result<(Answer, Vec<Passage>)> {
        let filters = self.filters(question);
        let request = Request { query: question, k: self.retrieval.k, filters: &filters, words: self.retrieval.words };
        let searcher = Searcher {
            store: self.store,
            embedder: self.embedder,
            cache: &self.cache,
            qdrant: self.qdrant.as_ref(),
            tenant: &self.tenant,
            collection: &self.collection,
        };
        let found = searcher.search(&request)?;
        if let Some(note) = found.note {
            self.note.get_or_init(|| note);
        }
        let hits: Vec<Passage> = found.hits.into_iter().map(|h| Passage { source: h.source, text: h.text }).collect();
        let mut ids: Vec<String> = Vec::new();
        for hit in &hits {
            if !ids.contains(&hit.source) {
                ids.push(hit.source.clone());
            }
        }
        let contexts = Some(hits.iter().map(|h| h.text.clone()).collect());
        Ok((Answer { contexts, context_ids: Some(ids), ..Answer::default() }, hits))
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
    fn quote(&self, question: &str, hits: &[Passage]) -> Result<String> {
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

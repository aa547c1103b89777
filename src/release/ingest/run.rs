//! One run: what is met is prepared by many threads and taken in by one, in the order of the sources, in batches that are
//! visible whole or not at all.
//!
//! A run that dies loses the batch it was in and nothing else: the next run finds what was committed by source and digest and
//! goes on behind it. Which of several equal documents is kept depends on their sources alone, not on threads, on the order of
//! runs or on where one ended: see `settle`.
//!
//! What a document says is never lost: the file of a document that is gone leaves in the transaction that takes its copy, or at
//! the end, and what was refused as a copy is judged anew once the other one is gone. What cannot be read for a reason that may
//! pass keeps the version that was taken before.

use super::flow;
use super::open::Stat;
use super::prepare::{Made, Prepared, Work, prepare};
use super::seen::Seen;
use super::settle::settle;
use super::take::{GONE, Taking};
use super::told::{Fate, Step, Sum, Tally, Told};
use super::walk::{Met, Walked, again, walk};
use crate::adapters::extractor::Extractor;
use crate::base::canonical;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::config::{GraphEngine, Ingest, VectorEngine};
use crate::domain::ingest::entities::Gazetteer;
use crate::domain::ingest::quality::Rules;
use crate::domain::ingest::table::{self, Known, NewChunk, Scope, forget};
use crate::release::embed::vectors;
use crate::release::graph::adopt;
use crate::seams::embedder::{Embedder, SentenceVectors, Tokens};
use crate::store::{META_STATE_ID, Store, Tx, View, meta};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Documents that are committed together, at most.
const BATCH_DOCUMENTS: usize = 64;
/// Bytes of files that are committed together, at most one file more.
const BATCH_BYTES: u64 = 8 << 20;
/// Bytes in flight between reading and committing, counted by [`weight`].
const FLIGHT: u64 = 192 << 20;

/// What is to be taken in, from where, and how.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The state.
    pub store: &'a Store,
    /// The repository.
    pub root: &'a Path,
    /// Which files.
    pub which: Which<'a>,
    /// Whose documents these are.
    pub tenant: &'a Name,
    /// Where they go.
    pub collection: &'a Name,
    /// What finds the nearest vectors, when the collection is new.
    pub engine: VectorEngine,
    /// Where the graph of the collection is shown.
    pub graph: GraphEngine,
    /// How each document is taken in.
    pub how: How<'a>,
    /// Noted of every document of this run.
    pub meta: &'a BTreeMap<String, String>,
    /// Where what was seen is kept.
    pub cache: &'a Path,
    /// Threads.
    pub jobs: usize,
    /// Read every file though it looks as it did.
    pub rehash: bool,
    /// Keep documents whose files are gone.
    pub keep_missing: bool,
}

/// Which files a run reads.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// Files and folders; of what is known, only what changed is read.
    Paths(&'a [PathBuf]),
    /// Documents by their sources, read also when nothing changed.
    Again(&'a [String]),
}

/// How each document is taken in; shared by all threads.
#[derive(Clone, Copy)]
pub struct How<'a> {
    /// `[ingest]`.
    pub settings: &'a Ingest,
    /// What the tenant asks of documents.
    pub rules: &'a Rules,
    /// Makes vectors.
    pub embedder: &'a dyn Embedder,
    /// Counts tokens.
    pub tokens: &'a dyn Tokens,
    /// Tells where a long section changes its subject.
    pub sentences: &'a dyn SentenceVectors,
    /// Reads files.
    pub extractor: &'a Extractor,
    /// Names to find; `None` when nobody asks what documents speak of.
    pub graph: Option<&'a Gazetteer>,
}

/// Takes documents in.
///
/// # Errors
/// When a path is not there, the collection was embedded by another model, or the state cannot be written. A file that cannot
/// be used is never an error.
pub fn run(job: &Job<'_>, step: &mut dyn FnMut(Step<'_>)) -> Result<Sum> {
    let (walked, anew) = match job.which {
        Which::Paths(paths) => (walk(job.root, paths)?, false),
        Which::Again(sources) => (again(job.root, sources)?, true),
    };
    let total = walked.files.iter().map(|m| m.found.as_ref().map_or(0, |s| s.size)).sum();
    step(Step::Met(walked.files.len(), total));
    let scope = scope(job)?;
    let known = job.store.read(|view| table::known(view, &scope))?;
    let pipeline = pipeline(job)?;
    let gone = if job.keep_missing { BTreeSet::new() } else { gone(job, &walked, &known)? };
    let mut seen = load_seen(job, &scope, pipeline)?;
    let details = job.store.read(|view| table::details(view, &scope))?;
    let mut tally = Tally::default();
    let mut tell = |mut told: Told| {
        tally.count(&mut told);
        step(Step::Done(&told));
    };
    let mut noted = Vec::new();
    let round = Round { job, scope: &scope, pipeline, gone: &gone, details: &details };
    let looks = (!job.rehash && !anew).then_some(&seen);
    let done = round.run(&walked.files, &known, (looks, anew), &mut noted, &mut tell);
    let done = done.and_then(|()| remove(job, &scope, &gone, &mut tell));
    let done = done.and_then(|()| settle(&round, &walked.files, &mut tally, &mut noted, step));
    noted.into_iter().for_each(|n| seen.note(&n.source, n.stat, n.content, n.now));
    gone.iter().for_each(|source| seen.drop(source));
    // What was committed need not be read again, also when the run ends early.
    let saved = if job.store.is_dry_run() { Ok(()) } else { seen.save() };
    done.and(saved).map(|()| tally.sum())
}

/// What is known and would have been met, were its file still there.
fn gone(job: &Job<'_>, walked: &Walked, known: &HashMap<String, Known>) -> Result<BTreeSet<String>> {
    let root = job.root.canonicalize().context(|| format!("cannot find the repository {}", job.root.display()))?;
    let met: HashSet<&str> = walked.files.iter().map(|m| m.source.as_str()).collect();
    Ok(known.keys().filter(|s| !met.contains(s.as_str()) && walked.covers(&root, s)).cloned().collect())
}

/// The collection, made when it is not there.
fn scope(job: &Job<'_>) -> Result<Scope> {
    let model = job.how.embedder.model();
    if let Some(scope) = job.store.read(|view| Scope::find(view, job.tenant, job.collection))? {
        table::same_model(&scope, &model.name, model.digest)?;
        return adopt(job.store, scope, job.graph);
    }
    let salt = job.store.random().bytes::<32>();
    let embedder = (model.name.as_str(), model.digest, model.dimensions);
    let scope = job.store.write(|tx| table::open(tx, job.tenant, job.collection, embedder, job.engine, salt))?;
    if job.store.is_dry_run() { Ok(scope) } else { adopt(job.store, scope, job.graph) }
}

/// What a document is taken by: a change of it makes every document new.
pub(super) fn pipeline(job: &Job<'_>) -> Result<Digest> {
    let rules = job.how.rules;
    let parts = json!({
        "pipeline": super::PIPELINE,
        "embedder": job.how.embedder.model().digest.to_string(),
        "chunk": [job.how.settings.chunk_tokens, job.how.settings.chunk_overlap],
        "limits": [job.how.settings.max_file.to_string(), job.how.settings.max_pages.to_string()],
        "rules": {
            "languages": rules.languages,
            "min-chars": rules.min_chars,
            "min-readability": rules.min_flesch.to_string(),
            "pii-limit": rules.max_pii.to_string(),
            "warn-below": rules.warn_below.to_string(),
            "reject": rules.strict.iter().map(|c| c.word()).collect::<Vec<_>>(),
        },
        "meta": job.meta,
        "graph": job.how.graph.map(Gazetteer::lines),
    });
    canonical::to_string(&parts).map(|text| Digest::of(text.as_bytes())).context(|| "cannot sum up how documents are taken in")
}

fn load_seen(job: &Job<'_>, scope: &Scope, pipeline: Digest) -> Result<Seen> {
    let state = job.store.read(|view| meta(view.db(), META_STATE_ID))?;
    let state = state.ok_or_else(|| Error::new("the state has no id").hint("run `kf fsck`"))?;
    let path = job.cache.join("seen").join(format!("{}.jsonl", scope.cache_name(&state)));
    Ok(Seen::load(path, format!("kf-seen/1 {state} {} {}", scope.id(), pipeline.hex())))
}

/// What a file takes while it is in flight: itself, its text, its blocks and its vectors.
fn weight(met: &Met) -> u64 {
    met.found.as_ref().map_or(0, |stat| stat.size.saturating_mul(4)) + (64 << 10)
}

/// What all files of a run have in common.
pub(super) struct Round<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) scope: &'a Scope,
    pub(super) pipeline: Digest,
    pub(super) gone: &'a BTreeSet<String>,
    /// What was found in each document that was refused before the run, by its number.
    pub(super) details: &'a HashMap<i64, String>,
}

impl Round<'_> {
    /// Prepares and takes files. `seen` is what they looked like, `None` when looks are not to be trusted.
    pub(super) fn run(
        &self,
        files: &[Met],
        known: &HashMap<String, Known>,
        (seen, anew): (Option<&Seen>, bool),
        noted: &mut Vec<Noted>,
        told: &mut dyn FnMut(Told),
    ) -> Result<()> {
        let mut batch = Batch { round: self, items: Vec::new(), bytes: 0 };
        let work = Work { how: &self.job.how, scope: self.scope, known, pipeline: self.pipeline, seen, anew };
        let mut consume = |done: Option<(&Met, Prepared)>| {
            // Nothing comes for a while: what is there need not wait for a file that takes long.
            let Some((met, prepared)) = done else { return batch.flush(noted, told) };
            // What was gathered is not lost with the file that ends the run.
            let ends = matches!(prepared.made, Made::Failed(_));
            if ends {
                batch.flush(noted, told)?;
            }
            batch.bytes += prepared.bytes;
            batch.items.push((met.clone(), prepared));
            if ends || batch.items.len() >= BATCH_DOCUMENTS || batch.bytes >= BATCH_BYTES {
                batch.flush(noted, told)?;
            }
            Ok(())
        };
        flow::ordered(files, self.job.jobs, FLIGHT, &weight, &|met| prepare(&work, met), &mut consume)?;
        batch.flush(noted, told)
    }
}

/// What a file looked like when it was taken or found unchanged.
pub(super) struct Noted {
    source: String,
    stat: Stat,
    content: Digest,
    now: i128,
}

struct Batch<'a> {
    round: &'a Round<'a>,
    items: Vec<(Met, Prepared)>,
    bytes: u64,
}

impl Batch<'_> {
    /// Gives the chunks that are gathered their vectors. Nothing is locked meanwhile, however long it takes.
    fn embed(&self, items: &mut [(Met, Prepared)]) -> Result<()> {
        let made = items.iter_mut().filter_map(|(_, prepared)| match &mut prepared.made {
            Made::Ready(ready) => Some(ready.chunks.iter_mut()),
            _ => None,
        });
        let mut chunks: Vec<&mut NewChunk> = made.flatten().collect();
        let texts: Vec<&str> = chunks.iter().map(|c| c.words.as_str()).collect();
        let vectors = vectors(self.round.job.store, &self.round.scope.tenant, self.round.job.how.embedder, &texts)?;
        chunks.iter_mut().zip(vectors).for_each(|(chunk, vector)| chunk.vector = vector);
        Ok(())
    }

    /// Commits what is gathered, with an event for each document, and tells it.
    fn flush(&mut self, noted: &mut Vec<Noted>, told: &mut dyn FnMut(Told)) -> Result<()> {
        let mut items = std::mem::take(&mut self.items);
        self.bytes = 0;
        if self.round.job.how.embedder.is_costly() && !self.round.job.store.is_dry_run() {
            self.embed(&mut items)?;
        }
        let Round { job, scope, pipeline, gone, details } = *self.round;
        let taking = Taking { scope, pipeline, rules: job.how.rules, meta: job.meta, gone, details };
        let each = |view: View<'_>, tx: Option<&Tx<'_>>| {
            items.iter().map(|(met, prepared)| taking.take(view, tx, met, prepared)).collect::<Result<Vec<_>>>()
        };
        let fates = match items.iter().any(|(_, p)| p.changes()) {
            // Nothing is asked about what is as it was, so a run over many such files costs the state nothing.
            false => items.iter().filter_map(|(met, prepared)| taking.as_before(met, prepared)).collect(),
            true if job.store.is_dry_run() => job.store.read(|view| each(view, None))?,
            true => job.store.write(|tx| each(tx.view(), Some(tx)))?,
        };
        let now = i128::from(job.store.now().micros()) * 1_000;
        for ((met, prepared), fate) in items.into_iter().zip(fates) {
            let again = matches!(fate.fate, Fate::Refused(reason, _) if reason.may_pass_later());
            if let (Some((stat, content)), false) = (prepared.looks, again) {
                noted.push(Noted { source: met.source, stat, content, now });
            }
            told(fate);
        }
        Ok(())
    }
}

/// Takes out documents whose files are gone.
fn remove(job: &Job<'_>, scope: &Scope, gone: &BTreeSet<String>, told: &mut dyn FnMut(Told)) -> Result<()> {
    for some in gone.iter().collect::<Vec<_>>().chunks(BATCH_DOCUMENTS) {
        job.store.write(|tx| {
            for source in some {
                if let Some(document) = scope.document(tx.view(), source)? {
                    forget(tx, scope, &document, GONE)?;
                }
            }
            Ok(())
        })?;
        for source in some {
            told(Told {
                source: (*source).clone(),
                fate: Fate::Removed,
                bytes: 0,
                chunks: 0,
                quality: None,
                warnings: Vec::new(),
            });
        }
    }
    Ok(())
}

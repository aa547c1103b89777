//! One run: what is met is prepared by many threads and taken in by one, in the order of the sources, in batches that are
//! visible whole or not at all.
//!
//! A run that dies loses the batch it was in and nothing else: the next run finds what was committed by source and digest and
//! goes on behind it. Because files are taken in the order of their sources, which of two equal documents is kept does not
//! depend on threads or on where an earlier run ended.

use super::flow;
use super::open::Stat;
use super::prepare::{Prepared, Work, prepare};
use super::seen::Seen;
use super::take::Taking;
use super::walk::{Met, is_below, walk};
use crate::adapters::extractor::Extractor;
use crate::base::canonical;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::config::Ingest;
use crate::domain::ingest::entities::Gazetteer;
use crate::domain::ingest::quality::Rules;
use crate::domain::ingest::reason::Refusal;
use crate::domain::ingest::table::{self, Known, Scope, forget};
use crate::seams::embedder::{Embedder, SentenceVectors, Tokens};
use crate::store::{META_STATE_ID, Store, Tx, View, meta};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Documents that are committed together, at most.
const BATCH_DOCUMENTS: usize = 64;
/// Bytes of files that are committed together, at most one file more.
const BATCH_BYTES: u64 = 8 << 20;
/// Bytes in flight between reading and committing, counted by [`weight`].
const FLIGHT: u64 = 192 << 20;

/// What is to be taken in, from where, and how.
pub struct Job<'a> {
    /// The state.
    pub store: &'a Store,
    /// The repository.
    pub root: &'a Path,
    /// What the person named.
    pub paths: &'a [PathBuf],
    /// Whose documents these are.
    pub tenant: &'a Name,
    /// Where they go.
    pub collection: &'a Name,
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

/// How each document is taken in; shared by all threads.
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

/// What became of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The file.
    pub source: String,
    /// What was done.
    pub fate: Fate,
    /// Its bytes.
    pub bytes: u64,
    /// Chunks made of it.
    pub chunks: usize,
    /// Its quality.
    pub quality: Option<f64>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What was done with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Added,
    /// It takes the place of what it was before.
    Replaced,
    /// It is as it was.
    Unchanged,
    /// It was refused, now or before, and what was found.
    Refused(Refusal, String),
    /// Its file is gone, so it was taken out.
    Removed,
}

/// A step of a run, for progress and for streams.
pub enum Step<'s> {
    /// So many files with so many bytes were met.
    Met(usize, u64),
    /// One is done.
    Done(&'s Told),
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// New documents.
    pub added: usize,
    /// Documents that took the place of earlier ones.
    pub replaced: usize,
    /// Documents that were as they had been.
    pub unchanged: usize,
    /// Documents whose files were gone.
    pub removed: usize,
    /// Documents that were refused, by reason, those of earlier runs included.
    pub refused: BTreeMap<Refusal, usize>,
    /// Documents with warnings.
    pub warned: usize,
    /// Chunks made.
    pub chunks: usize,
    /// Bytes of the files that were taken.
    pub bytes: u64,
}

/// Takes documents in.
///
/// # Errors
/// When a path is not there, the collection was embedded by another model, or the state cannot be written. A file that cannot
/// be used is never an error.
pub fn run(job: &Job<'_>, step: &mut dyn FnMut(Step<'_>)) -> Result<Sum> {
    let walked = walk(job.root, job.paths)?;
    let total = walked.files.iter().map(|m| m.found.as_ref().map_or(0, |s| s.size)).sum();
    step(Step::Met(walked.files.len(), total));
    let scope = scope(job)?;
    let known = job.store.read(|view| table::known(view, &scope))?;
    let pipeline = pipeline(job)?;
    let mut seen = load_seen(job, &scope, pipeline)?;
    let (mut sum, mut noted) = (Sum::default(), Vec::new());
    let mut tell = |told: Told| {
        count(&mut sum, &told);
        step(Step::Done(&told));
    };
    let done = taken(job, &scope, &known, pipeline, &walked.files, &seen, &mut noted, &mut tell);
    for Noted { source, stat, content, now } in noted {
        seen.note(&source, stat, content, now);
    }
    if done.is_ok() && !job.keep_missing {
        let met: HashSet<&str> = walked.files.iter().map(|m| m.source.as_str()).collect();
        let gone = known.keys().filter(|s| !met.contains(s.as_str()) && walked.folders.iter().any(|f| is_below(s, f)));
        let mut gone: Vec<String> = gone.cloned().collect();
        gone.sort();
        gone.iter().for_each(|source| seen.drop(source));
        remove(job, &scope, &gone, &mut tell)?;
    }
    // What was committed need not be read again, also when the run ends early.
    let saved = if job.store.is_dry_run() { Ok(()) } else { seen.save() };
    done.and(saved).map(|()| sum)
}

fn count(sum: &mut Sum, told: &Told) {
    match &told.fate {
        Fate::Added => sum.added += 1,
        Fate::Replaced => sum.replaced += 1,
        Fate::Unchanged => sum.unchanged += 1,
        Fate::Removed => sum.removed += 1,
        Fate::Refused(reason, _) => *sum.refused.entry(*reason).or_default() += 1,
    }
    if matches!(told.fate, Fate::Added | Fate::Replaced) {
        sum.bytes += told.bytes;
        sum.chunks += told.chunks;
    }
    sum.warned += usize::from(!told.warnings.is_empty());
}

/// The collection, made when it is not there.
fn scope(job: &Job<'_>) -> Result<Scope> {
    let model = job.how.embedder.model();
    if let Some(scope) = job.store.read(|view| Scope::find(view, job.tenant, job.collection))? {
        return table::same_model(&scope, &model.name, model.digest).map(|()| scope);
    }
    let salt = job.store.random().bytes::<32>();
    job.store.write(|tx| table::open(tx, job.tenant, job.collection, (&model.name, model.digest, model.dimensions), salt))
}

/// What a document is taken by: a change of it makes every document new.
fn pipeline(job: &Job<'_>) -> Result<Digest> {
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
    let path = job.cache.join("seen").join(format!("{state}-{}.jsonl", scope.id()));
    Ok(Seen::load(path, format!("kf-seen/1 {state} {} {}", scope.id(), pipeline.hex())))
}

/// What a file takes while it is in flight: itself, its text, its blocks and its vectors.
fn weight(met: &Met) -> u64 {
    met.found.as_ref().map_or(0, |stat| stat.size.saturating_mul(4)) + (64 << 10)
}

/// Prepares and takes every file.
fn taken(
    job: &Job<'_>,
    scope: &Scope,
    known: &HashMap<String, Known>,
    pipeline: Digest,
    files: &[Met],
    seen: &Seen,
    noted: &mut Vec<Noted>,
    told: &mut dyn FnMut(Told),
) -> Result<()> {
    let mut batch = Batch { scope, job, pipeline, items: Vec::new(), bytes: 0 };
    let work = Work { how: &job.how, scope, known, pipeline, seen: (!job.rehash).then_some(seen) };
    let mut consume = |met: &Met, prepared: Prepared| {
        batch.bytes += prepared.bytes;
        batch.items.push((met.clone(), prepared));
        if batch.items.len() >= BATCH_DOCUMENTS || batch.bytes >= BATCH_BYTES {
            batch.flush(noted, told)?;
        }
        Ok(())
    };
    flow::ordered(files, job.jobs, FLIGHT, &weight, &|met| prepare(&work, met), &mut consume)?;
    batch.flush(noted, told)
}

/// What a file looked like when it was taken or found unchanged.
struct Noted {
    source: String,
    stat: Stat,
    content: Digest,
    now: i128,
}

struct Batch<'a> {
    scope: &'a Scope,
    job: &'a Job<'a>,
    pipeline: Digest,
    items: Vec<(Met, Prepared)>,
    bytes: u64,
}

impl Batch<'_> {
    /// Commits what is gathered, with an event for each document, and tells it.
    fn flush(&mut self, noted: &mut Vec<Noted>, told: &mut dyn FnMut(Told)) -> Result<()> {
        let items = std::mem::take(&mut self.items);
        self.bytes = 0;
        let (job, taking) =
            (self.job, Taking { scope: self.scope, pipeline: self.pipeline, rules: self.job.how.rules, meta: self.job.meta });
        let each = |view: View<'_>, tx: Option<&Tx<'_>>| {
            items.iter().map(|(met, prepared)| taking.take(view, tx, met, prepared)).collect::<Result<Vec<_>>>()
        };
        let changes = items.iter().any(|(_, p)| p.changes());
        let fates = match changes && !job.store.is_dry_run() {
            true => job.store.write(|tx| each(tx.view(), Some(tx)))?,
            false => job.store.read(|view| each(view, None))?,
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
fn remove(job: &Job<'_>, scope: &Scope, gone: &[String], told: &mut dyn FnMut(Told)) -> Result<()> {
    for some in gone.chunks(BATCH_DOCUMENTS) {
        job.store.write(|tx| {
            for source in some {
                if let Some(document) = scope.document(tx.view(), source)? {
                    forget(tx, scope, &document, "its file is gone")?;
                }
            }
            Ok(())
        })?;
        for source in some {
            told(Told { source: source.clone(), fate: Fate::Removed, bytes: 0, chunks: 0, quality: None, warnings: Vec::new() });
        }
    }
    Ok(())
}

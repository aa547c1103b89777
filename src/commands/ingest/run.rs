//! `kf ingest PATH…`: the run itself.

use super::Where;
use crate::adapters::embedder::builtin::builtin;
use crate::adapters::extractor::{Bounds, Extractor};
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::text::{count, visible};
use crate::cli::cx::Cx;
use crate::cli::out::Out;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::commands::index::tell;
use crate::config::{Ingest, QualityCheck, QualityRules};
use crate::domain::ingest::entities::Gazetteer;
use crate::domain::ingest::quality::{CheckId, Rules};
use crate::release::ingest::run::{How, Job, Which, run as take_in};
use crate::release::ingest::told::{Fate, Step, Sum, Told};
use crate::seams::embedder::Embedder;
use crate::store::{Mode, Store};
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `kf ingest` is given without a subcommand.
#[derive(clap::Args, Debug)]
pub(crate) struct RunArgs {
    /// Files and folders of documents
    #[arg(required_unless_present = "watch_list", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Also the files and folders that this file names, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    watch_list: Option<PathBuf>,
    #[command(flatten)]
    place: Where,
    /// Noted of every document, for filters; again for more
    #[arg(long, value_name = "K=V", value_parser = pair_of)]
    meta: Vec<(String, String)>,
    /// Read every file, also those that look as they did
    #[arg(long)]
    rehash: bool,
    /// Keep documents whose files are gone
    #[arg(long)]
    keep_missing: bool,
    /// Also find what the documents speak of and how it hangs together, for `kf graph` (`ingest.skeleton`)
    #[arg(long)]
    skeleton: bool,
}

fn pair_of(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.parse::<Name>().is_ok() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// One document of the report.
#[derive(Serialize)]
struct Line {
    source: String,
    result: &'static str,
    reason: Option<&'static str>,
    detail: Option<String>,
    bytes: u64,
    chunks: usize,
    quality: Option<f64>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Ingested {
    tenant: Name,
    collection: Name,
    added: usize,
    replaced: usize,
    unchanged: usize,
    removed: usize,
    refused: BTreeMap<&'static str, usize>,
    chunks: usize,
    bytes: u64,
    /// Refused, warned or removed; the others only as numbers.
    documents: Vec<Line>,
    /// Some could not be read.
    #[serde(skip)]
    failed: bool,
    /// Every document was written as a line when it was done.
    #[serde(skip)]
    streamed: bool,
}

impl Report for Ingested {
    const SCHEMA: &'static str = "kf.ingest/1";

    fn blocks(&self) -> Vec<Block> {
        let mut lines = Vec::new();
        // Names of files come from strangers: one line each, whatever is in them.
        let mut line = |text: String| lines.push(visible(&text, usize::MAX));
        for d in &self.documents {
            match (d.reason, &d.detail) {
                (Some(reason), Some(detail)) => line(format!("{reason}: {}: {detail}", d.source)),
                _ if d.result == "removed" => line(format!("removed: {}: its file is gone", d.source)),
                _ => {}
            }
            d.warnings.iter().for_each(|w| line(format!("warning: {}: {w}", d.source)));
        }
        lines.push(self.summary());
        vec![lines.join("\n").into()]
    }

    fn summary(&self) -> String {
        let refused: usize = self.refused.values().sum();
        let mut parts = vec![format!("{} taken", count(self.added + self.replaced, "document"))];
        let counts = [(self.replaced, "of them new versions"), (self.unchanged, "unchanged"), (self.removed, "removed")];
        parts.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        if refused > 0 {
            let reasons: Vec<String> = self.refused.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
            parts.push(format!("{refused} refused ({})", reasons.join(", ")));
        }
        let made = format!("{} from {}", count(self.chunks, "chunk"), Bytes(self.bytes));
        format!("{}; {made} in {}", parts.join(", "), self.collection)
    }

    /// Documents that could not be read are a failure of part of the work; refused by policy is an answer.
    fn exit(&self) -> Exit {
        if self.failed { Exit::Partial } else { Exit::Ok }
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        let left = if self.streamed { &[][..] } else { &self.documents };
        Some(left.iter().filter_map(|d| serde_json::to_value(d).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &RunArgs) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let meta: BTreeMap<String, String> = args.meta.iter().cloned().collect();
    if meta.len() != args.meta.len() {
        return Err(Error::usage("a `--meta` key is given twice").hint("a document has one value for each key"));
    }
    let listed = args.watch_list.as_deref().map(|file| watched(cx, file)).transpose()?.unwrap_or_default();
    let paths: Vec<PathBuf> = args.paths.iter().map(|p| cx.cwd.join(p)).chain(listed).collect();
    let mut run = Run::new(cx, tenant, collection)?;
    run.rehash = args.rehash;
    run.keep_missing = args.keep_missing;
    if args.skeleton && run.graph.is_none() {
        run.graph = Some(gazetteer(cx, &run.tenant)?);
    }
    let store = cx.store(Mode::Write)?;
    run.take(&store, &meta, Which::Paths(&paths))?;
    run.emit(&store)
}

/// The paths of a list, one a line, relative to the directory that kf runs in.
fn watched(cx: &Cx, file: &Path) -> Result<Vec<PathBuf>> {
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin().lock()).context(|| "cannot read the list from standard input")?,
        false => {
            let path = cx.cwd.join(file);
            std::fs::read_to_string(&path).context(|| format!("cannot read the list {}", path.display()))?
        }
    };
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(|line| cx.cwd.join(line)).collect())
}

/// A run of documents, with what it tells while it goes and at its end.
pub(super) struct Run<'a> {
    cx: &'a Cx,
    tenant: Name,
    collection: Name,
    rules: Rules,
    embedder: Box<dyn Embedder>,
    extractor: Extractor,
    graph: Option<Gazetteer>,
    rehash: bool,
    keep_missing: bool,
    sum: Sum,
    /// By source, because a document that is judged twice is told of once.
    documents: BTreeMap<String, Line>,
}

impl<'a> Run<'a> {
    pub(super) fn new(cx: &'a Cx, tenant: Name, collection: Name) -> Result<Self> {
        let project = &cx.project()?.project;
        Ok(Self {
            rules: rules_of(&project.quality_of(tenant.as_str())),
            embedder: cx.embedder()?,
            extractor: extractor(&project.ingest)?,
            graph: project.ingest.skeleton.then(|| gazetteer(cx, &tenant)).transpose()?,
            cx,
            tenant,
            collection,
            rehash: false,
            keep_missing: false,
            sum: Sum::default(),
            documents: BTreeMap::new(),
        })
    }

    /// Takes documents in; called again, it adds to what is told at the end.
    pub(super) fn take(&mut self, store: &Store, meta: &BTreeMap<String, String>, which: Which<'_>) -> Result<()> {
        let loaded = self.cx.project()?;
        let job = Job {
            store,
            root: &loaded.root,
            which,
            tenant: &self.tenant,
            collection: &self.collection,
            engine: loaded.project.vectors.engine,
            graph: loaded.project.graph.engine(),
            how: How {
                settings: &loaded.project.ingest,
                rules: &self.rules,
                embedder: self.embedder.as_ref(),
                tokens: builtin(),
                sentences: builtin(),
                extractor: &self.extractor,
                graph: self.graph.as_ref(),
            },
            meta,
            cache: &self.cx.kf_dir()?.join("cache"),
            jobs: self.cx.jobs(),
            rehash: self.rehash,
            keep_missing: self.keep_missing,
        };
        let (out, documents, mut watch) = (&self.cx.out, &mut self.documents, Watch::default());
        let mut broken = Ok(());
        let done = take_in(&job, &mut |step| {
            let told = match step {
                Step::Met(files, bytes) => return watch.begin(out, files, bytes),
                Step::Done(told) => {
                    watch.done(told);
                    told
                }
                Step::Again(told) => told,
            };
            let line = line_of(told);
            if out.streams() && broken.is_ok() {
                broken = out.stream(&line);
            }
            // What was streamed is not held until the end.
            match line.is_worth_telling() && !out.streams() {
                true => documents.insert(line.source.clone(), line),
                false => documents.remove(&line.source),
            };
        });
        watch.end();
        self.sum.add(&done?);
        broken
    }

    pub(super) fn emit(self, store: &Store) -> Result<Exit> {
        let cx = self.cx;
        let told = tell(cx, store)?;
        Ok(cx.out.emit(&report(self, cx.out.streams()))?.and(told))
    }
}

/// The bar that a person watches: documents, those refused, bytes, time left.
#[derive(Default)]
struct Watch {
    bar: Option<ProgressBar>,
    files: usize,
    done: usize,
    refused: usize,
}

impl Watch {
    fn begin(&mut self, out: &Out, files: usize, bytes: u64) {
        self.files = files;
        self.bar = Some(progress::bytes(out, "ingesting", bytes));
    }

    fn done(&mut self, told: &Told) {
        self.done += 1;
        self.refused += usize::from(matches!(told.fate, Fate::Refused(..)));
        if let Some(bar) = self.bar.as_ref().filter(|bar| !bar.is_hidden()) {
            bar.set_message(format!("{} of {} documents, {} refused", self.done, self.files, self.refused));
            bar.inc(told.bytes);
        }
    }

    fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The names that `graph.gazetteer` lists for a tenant.
fn gazetteer(cx: &Cx, tenant: &Name) -> Result<Gazetteer> {
    let loaded = cx.project()?;
    let Some(file) = &loaded.project.graph.gazetteer else { return Ok(Gazetteer::default()) };
    let path = loaded.root.join(file);
    let failed = || format!("cannot read the names of `graph.gazetteer`: {}", path.display());
    let bytes = std::fs::read(&path).context(failed).hint(|| "write the file, or take `gazetteer` out of mlops.toml".into())?;
    Gazetteer::read(&bytes, tenant).context(failed)
}

/// The reader of files, with the limits of `mlops.toml`.
pub(super) fn extractor(settings: &Ingest) -> Result<Extractor> {
    let program = std::env::current_exe().context(|| "cannot find the program that runs")?;
    let bounds = Bounds { max_bytes: settings.max_file, max_pages: settings.max_pages, timeout: settings.timeout };
    Ok(Extractor::new(&program, bounds))
}

/// The rules of the checks, as `mlops.toml` says.
pub(in crate::commands) fn rules_of(rules: &QualityRules) -> Rules {
    let strict = |check: &QualityCheck| match check {
        QualityCheck::Length => CheckId::Length,
        QualityCheck::Language => CheckId::Language,
        QualityCheck::Encoding => CheckId::Encoding,
        QualityCheck::Readability => CheckId::Readability,
        QualityCheck::Unique => CheckId::Unique,
        QualityCheck::Pii => CheckId::Pii,
    };
    Rules {
        min_chars: usize::try_from(rules.min_chars).unwrap_or(usize::MAX),
        languages: rules.languages.iter().cloned().collect(),
        min_flesch: rules.min_readability,
        max_pii: rules.pii_limit,
        warn_below: rules.warn_below,
        strict: rules.reject.iter().map(strict).collect(),
        ..Rules::default()
    }
}

/// The line of a document.
fn line_of(told: &Told) -> Line {
    let (result, reason, detail) = match &told.fate {
        Fate::Added => ("added", None, None),
        Fate::Replaced => ("replaced", None, None),
        Fate::Unchanged => ("unchanged", None, None),
        Fate::Removed => ("removed", None, None),
        Fate::Refused(reason, detail) => ("refused", Some(reason.word()), Some(detail.clone())),
    };
    Line {
        source: told.source.clone(),
        result,
        reason,
        detail,
        bytes: told.bytes,
        chunks: told.chunks,
        quality: told.quality,
        warnings: told.warnings.clone(),
    }
}

impl Line {
    /// True when a person should know of the document by name.
    fn is_worth_telling(&self) -> bool {
        self.reason.is_some() || self.result == "removed" || !self.warnings.is_empty()
    }
}

fn report(run: Run<'_>, streamed: bool) -> Ingested {
    let sum = run.sum;
    Ingested {
        tenant: run.tenant,
        collection: run.collection,
        added: sum.added,
        replaced: sum.replaced,
        unchanged: sum.unchanged,
        removed: sum.removed,
        failed: sum.refused.iter().any(|(reason, n)| *n > 0 && !reason.is_by_rule()),
        refused: sum.refused.iter().map(|(reason, n)| (reason.word(), *n)).collect(),
        chunks: sum.chunks,
        bytes: sum.bytes,
        documents: run.documents.into_values().collect(),
        streamed,
    }
}

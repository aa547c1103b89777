//! `kf ingest PATH…`: the run itself.

use super::Where;
use crate::adapters::embedder::builtin::builtin;
use crate::adapters::extractor::{Bounds, Extractor};
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::config::{Ingest, QualityCheck, QualityRules};
use crate::domain::ingest::entities::Gazetteer;
use crate::domain::ingest::quality::{CheckId, Rules};
use crate::release::ingest::run::{Fate, How, Job, Step, Sum, Told, run as take_in};
use crate::store::Mode;
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `kf ingest` is given without a subcommand.
#[derive(clap::Args, Debug)]
pub(crate) struct RunArgs {
    /// Files and folders of documents
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
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
}

impl Report for Ingested {
    const SCHEMA: &'static str = "kf.ingest/1";

    fn blocks(&self) -> Vec<Block> {
        let mut lines = Vec::new();
        for d in &self.documents {
            match (d.reason, &d.detail) {
                (Some(reason), Some(detail)) => lines.push(format!("{reason}: {}: {detail}", d.source)),
                _ if d.result == "removed" => lines.push(format!("removed: {}: its file is gone", d.source)),
                _ => {}
            }
            lines.extend(d.warnings.iter().map(|w| format!("warning: {}: {w}", d.source)));
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
        let failed = self.refused.iter().any(|(reason, n)| *n > 0 && !BY_POLICY.contains(reason));
        if failed { Exit::Partial } else { Exit::Ok }
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.documents.iter().filter_map(|d| serde_json::to_value(d).ok()).collect())
    }
}

/// Reasons that are decisions of the rules, not failures.
const BY_POLICY: [&str; 3] = ["too-short", "duplicate", "quality"];

pub(crate) fn run(cx: &Cx, args: &RunArgs) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let loaded = cx.project()?;
    let settings = &loaded.project.ingest;
    let rules = rules_of(&loaded.project.quality_of(tenant.as_str()));
    let meta: BTreeMap<String, String> = args.meta.iter().cloned().collect();
    if meta.len() != args.meta.len() {
        return Err(Error::usage("a `--meta` key is given twice").hint("a document has one value for each key"));
    }
    let graph = match args.skeleton || settings.skeleton {
        true => Some(gazetteer(&loaded.root, loaded.project.graph.gazetteer.as_deref(), &tenant)?),
        false => None,
    };
    let embedder = cx.embedder()?;
    let extractor = extractor(settings)?;
    let paths: Vec<PathBuf> = args.paths.iter().map(|p| cx.cwd.join(p)).collect();
    let store = cx.store(Mode::Write)?;
    let job = Job {
        store: &store,
        root: &loaded.root,
        paths: &paths,
        tenant: &tenant,
        collection: &collection,
        how: How {
            settings,
            rules: &rules,
            embedder: embedder.as_ref(),
            tokens: builtin(),
            sentences: builtin(),
            extractor: &extractor,
            graph: graph.as_ref(),
        },
        meta: &meta,
        cache: &cx.kf_dir()?.join("cache"),
        jobs: cx.jobs(),
        rehash: args.rehash,
        keep_missing: args.keep_missing,
    };
    let mut documents = Vec::new();
    let mut bar: Option<ProgressBar> = None;
    let sum = take_in(&job, &mut |step| match step {
        Step::Met(_, bytes) => bar = Some(progress::bytes(&cx.out, "ingesting", bytes)),
        Step::Done(told) => {
            if let Some(bar) = &bar {
                bar.inc(told.bytes);
            }
            documents.extend(line(told));
        }
    })?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    cx.out.emit(&report(tenant, collection, &sum, documents))
}

/// The names that `graph.gazetteer` lists for a tenant.
fn gazetteer(root: &Path, file: Option<&Path>, tenant: &Name) -> Result<Gazetteer> {
    let Some(file) = file else { return Ok(Gazetteer::default()) };
    let path = root.join(file);
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
pub(super) fn rules_of(rules: &QualityRules) -> Rules {
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

/// The line of a document that a person should know of.
fn line(told: &Told) -> Option<Line> {
    let (result, reason, detail) = match &told.fate {
        Fate::Added => ("added", None, None),
        Fate::Replaced => ("replaced", None, None),
        Fate::Unchanged => ("unchanged", None, None),
        Fate::Removed => ("removed", None, None),
        Fate::Refused(reason, detail) => ("refused", Some(reason.word()), Some(detail.clone())),
    };
    let worth = reason.is_some() || told.fate == Fate::Removed || !told.warnings.is_empty();
    worth.then(|| Line {
        source: told.source.clone(),
        result,
        reason,
        detail,
        bytes: told.bytes,
        chunks: told.chunks,
        quality: told.quality,
        warnings: told.warnings.clone(),
    })
}

fn report(tenant: Name, collection: Name, sum: &Sum, documents: Vec<Line>) -> Ingested {
    Ingested {
        tenant,
        collection,
        added: sum.added,
        replaced: sum.replaced,
        unchanged: sum.unchanged,
        removed: sum.removed,
        refused: sum.refused.iter().map(|(reason, n)| (reason.word(), *n)).collect(),
        chunks: sum.chunks,
        bytes: sum.bytes,
        documents,
    }
}

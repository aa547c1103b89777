//! `kf index import`: a snapshot becomes searchable again.

use super::tell;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::{Where, rules_of};
use crate::release::snapshot::import::{Import, Imported, import};
use crate::store::Mode;
use serde::Serialize;
use std::path::PathBuf;

/// Take a snapshot of a collection in again, verified
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf index import build/handbook --collection handbook\n  kf checkout handbook-index@1.0.0 build/handbook && kf index import build/handbook --collection handbook --replace\n\nEvery digest, count, slice and vector is checked; a snapshot that is damaged, or of another model than `[embedder]` names, is refused and nothing changes. Each document is recorded in the audit log. A second import changes nothing."
)]
pub(crate) struct Args {
    /// The folder of the snapshot
    dir: PathBuf,
    #[command(flatten)]
    place: Where,
    /// Put it in the place of the documents that the collection holds
    #[arg(long)]
    replace: bool,
}

#[derive(Serialize)]
struct IndexImported {
    tenant: Name,
    collection: Name,
    /// False when the collection was as the snapshot already.
    changed: bool,
    documents: u64,
    chunks: u64,
    /// Documents that the snapshot does not hold, which left.
    removed: u64,
    #[serde(skip)]
    dry: bool,
}

impl Report for IndexImported {
    const SCHEMA: &'static str = "kf.index-import/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let what = format!("{} and {}", count(number(self.documents), "document"), count(number(self.chunks), "chunk"));
        if !self.changed {
            return format!("{} holds this snapshot already: {what}", self.collection);
        }
        let removed = if self.removed > 0 { format!(", {} removed", self.removed) } else { String::new() };
        let done = if self.dry { "would be taken into" } else { "taken into" };
        format!("{what} {done} {}{removed}", self.collection)
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let project = &cx.project()?.project;
    let embedder = cx.embedder()?;
    let store = cx.store(Mode::Write)?;
    let Imported { changed, documents, chunks, removed } = import(
        &store,
        &cx.cwd.join(&args.dir),
        &Import {
            tenant: &tenant,
            collection: &collection,
            engine: project.vectors.engine,
            graph: project.graph.engine(),
            model: embedder.model(),
            near: rules_of(&project.quality_of(tenant.as_str())).near_duplicate,
            replace: args.replace,
        },
    )?;
    let told = tell(cx, &store)?;
    let dry = cx.global.dry_run;
    let report = cx.out.emit(&IndexImported { tenant, collection, changed, documents, chunks, removed, dry })?;
    Ok(report.and(told))
}

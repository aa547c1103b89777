//! `kf index rebuild`: what is derived is made again from the chunks.

use super::{home_of, tell};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::Where;
use crate::domain::ingest::table::Scope;
use crate::release::index::{Rebuilt, rebuild};
use crate::store::Mode;
use crate::store::vectors::{Home, segment};
use serde::Serialize;

/// Make the indexes of a collection again from its chunks
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf index rebuild\n  kf index rebuild --collection manuals --reembed")]
pub(crate) struct Args {
    #[command(flatten)]
    place: Where,
    /// Embed every chunk again with the embedder that mlops.toml names now
    #[arg(long)]
    reembed: bool,
}

#[derive(Serialize)]
struct IndexRebuilt {
    tenant: Name,
    collection: Name,
    embedder: String,
    chunks: usize,
    reembedded: bool,
}

impl Report for IndexRebuilt {
    const SCHEMA: &'static str = "kf.index-rebuild/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let how = if self.reembedded { format!(", embedded again by {}", self.embedder) } else { String::new() };
        format!("the indexes of {} are made again from {}{how}", self.collection, count(self.chunks, "chunk"))
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let embedder = if args.reembed { Some(cx.embedder()?) } else { None };
    let store = cx.store(Mode::Write)?;
    let (scope, home) = store.read(|view| {
        let scope = Scope::get(view, &tenant, &collection)?;
        let home = home_of(cx, view, &scope)?;
        Ok((scope, home))
    })?;
    let Rebuilt { chunks } = rebuild(&store, &scope, embedder.as_deref(), cx.project()?.project.graph.engine())?;
    if !store.is_dry_run() {
        segment::forget(Home { folder: &home.0, name: &home.1 })?;
    }
    let embedder = embedder.map_or(scope.collection.embedder, |e| e.model().name.clone());
    let told = tell(cx, &store)?;
    let report = cx.out.emit(&IndexRebuilt { tenant, collection, embedder, chunks, reembedded: args.reembed })?;
    Ok(report.and(told))
}

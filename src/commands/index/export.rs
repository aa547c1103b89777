//! `kf index export`: what is searched of a collection, as a folder that can be versioned.

use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::Where;
use crate::domain::ingest::table::Scope;
use crate::release::folder::Written;
use crate::release::snapshot::{self, Exported};
use crate::store::Mode;
use serde::Serialize;
use std::path::PathBuf;

/// Write a snapshot of a collection to a folder: texts, chunks, vectors, notes and graph, with digests
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf index export build/handbook --collection handbook\n  kf register handbook-index build/handbook --type dataset\n\nThe same documents give the same bytes wherever they were ingested. `kf index import` brings a snapshot back. An older snapshot in the folder is replaced in one step, anything else there is refused. The export is recorded in the audit log."
)]
pub(crate) struct Args {
    /// The folder
    dir: PathBuf,
    #[command(flatten)]
    place: Where,
}

#[derive(Serialize)]
struct IndexExported {
    tenant: Name,
    collection: Name,
    dir: PathBuf,
    /// Of the manifest, which has those of all files.
    digest: Digest,
    files: Vec<Written>,
    #[serde(skip)]
    dry: bool,
}

impl Report for IndexExported {
    const SCHEMA: &'static str = "kf.index-export/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["file", ">lines", ">size", "sha256"]);
        for f in &self.files {
            t.row([f.path.to_owned(), f.lines.to_string(), Bytes(f.bytes).to_string(), f.digest.hex()]);
        }
        vec![t.into(), self.summary().into()]
    }

    fn summary(&self) -> String {
        let lines = |i: usize| self.files.get(i).map_or(0, |f| usize::try_from(f.lines).unwrap_or(usize::MAX));
        let (documents, chunks) = (count(lines(0), "document"), count(lines(1), "chunk"));
        let what = if self.dry { "would be written to" } else { "in" };
        format!("{documents} and {chunks} of {} {what} {}, {}", self.collection, self.dir.display(), self.digest)
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let dir = cx.output_path(&args.dir)?;
    let Exported { files, digest } =
        snapshot::export(&cx.store(Mode::Write)?, &|view| Scope::get(view, &tenant, &collection), &dir)?;
    cx.out.emit(&IndexExported { tenant, collection, dir: args.dir.clone(), digest, files, dry: cx.global.dry_run })
}

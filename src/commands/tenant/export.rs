//! `kf tenant export`: everything that is kept of a tenant, as files.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::release::folder::Written;
use crate::release::tenant;
use crate::store::Mode;
use serde::Serialize;
use std::path::PathBuf;

/// Write everything that is kept of a tenant to a folder: documents, texts, chunks, metadata, with digests
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf tenant export acme acme-export\n\nThe folder holds `documents.jsonl`, `chunks.jsonl`, `mentions.jsonl`, `relations.jsonl`, and `manifest.json` with their SHA-256. The export is recorded in the audit log."
)]
pub(crate) struct Args {
    /// The tenant
    tenant: Name,
    /// The folder, which must not be there yet
    dir: PathBuf,
}

#[derive(Serialize)]
struct Exported {
    tenant: Name,
    dir: PathBuf,
    files: Vec<Written>,
}

impl Report for Exported {
    const SCHEMA: &'static str = "kf.tenant-exported/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["file", ">lines", ">size", "sha256"]);
        for f in &self.files {
            t.row([f.path.to_owned(), f.lines.to_string(), Bytes(f.bytes).to_string(), f.digest.hex()]);
        }
        vec![t.into(), self.summary().into()]
    }

    fn summary(&self) -> String {
        let lines = self.files.first().map_or(0, |f| f.lines);
        let documents = count(usize::try_from(lines).unwrap_or(usize::MAX), "document");
        format!("{documents} of {} in {}", self.tenant, self.dir.display())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let files = tenant::export(&cx.store(Mode::Write)?, &args.tenant, &cx.output_path(&args.dir)?)?;
    cx.out.emit(&Exported { tenant: args.tenant.clone(), dir: args.dir.clone(), files })
}

//! `kf audit export`: carries the log out, byte by byte.

use super::entries;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::quantity::Bytes;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::audit::export::{self, Exported};
use crate::store::Mode;
use serde::Serialize;
use std::path::PathBuf;

/// Write the log to files: as a tree of tiles (c2sp.org/tlog-tiles), or one entry a line
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit export --format tiles public/log      for a web server; run it again to go on\n  kf audit export --format jsonl log.jsonl       the bytes that are hashed, one entry a line"
)]
pub(crate) struct Args {
    /// tiles or jsonl
    // Stands in for the global flag of this name, so it has its type: tiles are reported in a table.
    #[arg(long, value_name = "FORMAT", value_parser = kind, required = true)]
    format: Option<Format>,
    /// The directory for tiles, the file for lines
    path: PathBuf,
}

fn kind(text: &str) -> Result<Format, String> {
    match text {
        "tiles" => Ok(Format::Table),
        "jsonl" => Ok(Format::Jsonl),
        _ => Err("the log is exported as tiles or as jsonl".into()),
    }
}

#[derive(Serialize)]
struct Done {
    path: PathBuf,
    #[serde(flatten)]
    exported: Exported,
}

impl Report for Done {
    const SCHEMA: &'static str = "kf.audit-export/1";

    fn blocks(&self) -> Vec<Block> {
        let e = &self.exported;
        let mut lines = vec![self.summary(), format!("{} files written, {} were there already", e.written, e.kept)];
        match &e.checkpoint {
            Some(path) => lines.push(format!("{} covers the first {}", path.display(), entries(e.signed))),
            None => lines.push("Nothing is signed yet, so there is no checkpoint beside it: see `kf audit key`".into()),
        }
        sentences(lines)
    }

    fn summary(&self) -> String {
        format!(
            "{} ({}) of {}: in {}",
            entries(self.exported.entries),
            Bytes(self.exported.bytes),
            self.exported.origin,
            self.path.display()
        )
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let path = cx.output_path(&args.path)?;
    let store = cx.store(Mode::Read)?;
    let exported = store.read(|view| match args.format {
        Some(Format::Jsonl) => export::jsonl(view, &path),
        _ => export::tiles(view, &path),
    })?;
    cx.out.emit(&Done { path, exported })
}

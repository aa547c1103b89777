//! `kf checkout`: writes the files of a version out, verified.

use super::version_doc::VersionDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::reference::Reference;
use crate::base::text::count;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::registry::table;
use crate::release::checkout::{check_out, manifest_of};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;
use std::path::PathBuf;

/// Write the files of a version into a folder, verified
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf checkout support-bot@production build/bot\n  kf checkout support-bot@1.0.0 old --force"
)]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// The folder; made when it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct CheckedOut {
    version: VersionDoc,
    dir: PathBuf,
    files: usize,
    bytes: u64,
    #[serde(skip)]
    dry_run: bool,
}

impl Report for CheckedOut {
    const SCHEMA: &'static str = "kf.checkout/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let files = count(self.files, "file");
        format!(
            "{}: {files}, {} {} {}{}",
            self.version.reference(),
            Bytes(self.bytes),
            if self.dry_run { "would be written to" } else { "written to" },
            self.dir.display(),
            if self.dry_run { "" } else { ", every byte verified" },
        )
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let version = cx.store(Mode::Read)?.read(|view| table::resolve(view, &args.reference))?;
    let objects = cx.objects()?;
    let manifest = manifest_of(&objects, &version)?;
    let dir = cx.cwd.join(&args.folder);
    if !cx.global.dry_run {
        check_out(&objects, &manifest, &dir, args.force)?;
    }
    cx.out.emit(&CheckedOut {
        version: (&version).into(),
        dir: args.folder.clone(),
        files: manifest.files().len(),
        bytes: manifest.total_size(),
        dry_run: cx.global.dry_run,
    })
}

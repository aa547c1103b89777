//! `kf backup restore`: gets a set back into a new folder.

use super::{Desk, Key, Trust};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::release::backup::restore::restore;
use crate::release::backup::sets;
use serde::Serialize;
use std::path::PathBuf;

/// Restore a backup set into a new folder
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup restore latest --to /tmp/shop\n  kf backup restore latest --component state --to /tmp/state\n\nWhat is there is never overwritten. After an interruption the same command goes on."
)]
pub(crate) struct Args {
    /// The set, its beginning or end, or `latest`
    set: String,
    /// The folder, which must not be there yet
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Only this component
    #[arg(long, value_name = "NAME")]
    component: Vec<Name>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    trust: Trust,
}

#[derive(Serialize)]
struct Restored {
    set: String,
    to: PathBuf,
    components: Vec<Part>,
    objects: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Part {
    name: Name,
    at: PathBuf,
}

impl Report for Restored {
    const SCHEMA: &'static str = "kf.backup-restore/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["component", "at"]);
        for part in &self.components {
            t.row([part.name.to_string(), part.at.display().to_string()]);
        }
        let mut blocks: Vec<Block> = Vec::new();
        if !t.is_empty() {
            blocks.push(t.into());
        }
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let to = self.to.display();
        format!(
            "{} is in {to}: {}, {} objects, read again; `kf -C {to} fsck` checks it",
            self.set,
            Bytes(self.bytes),
            self.objects
        )
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, Some(&args.key))?;
    let place = desk.place();
    let set = sets::trusted(&place, &args.set, args.trust.unsigned)?;
    let bar = progress::things(&cx.out, "restoring", 0);
    let to = cx.cwd.join(&args.to);
    let done = restore(&place, &set, &args.component, &to, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let parts = done.components.into_iter().map(|(name, at)| Part { name, at }).collect();
    cx.out.emit(&Restored {
        set: set.manifest.id,
        to: args.to.clone(),
        components: parts,
        objects: done.objects,
        bytes: done.bytes,
    })
}

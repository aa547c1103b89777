//! `kf backup restore`: gets a set back into a new folder, or one component into a server.

use super::{Desk, Key, load};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::config::SecretRef;
use crate::release::backup::restore::restore;
use crate::release::backup::sets;
use serde::Serialize;
use std::path::PathBuf;

/// Restore a backup set into a new folder, or one component of it into a server or folder
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup restore latest --to /tmp/shop\n  kf backup restore latest --component state --to /tmp/state\n  kf backup restore latest --component answers --into postgres://ada@db.example.org/answers_back\n\nWhat is there is never overwritten: a place that is not empty is refused, and with `--force` it is backed up first. After an\ninterruption of a restore into a folder the same command goes on."
)]
pub(crate) struct Args {
    /// The set, its beginning or end, or `latest`
    pub(super) set: String,
    /// The folder, which must not be there yet
    #[arg(long, value_name = "FOLDER", required_unless_present = "into", conflicts_with = "into")]
    to: Option<PathBuf>,
    /// Only this component
    #[arg(long, value_name = "NAME")]
    pub(super) component: Vec<Name>,
    /// Load the component into this server or folder; for a cluster of Qdrant once for each node
    #[arg(long, value_name = "PLACE", requires = "component")]
    pub(super) into: Vec<String>,
    /// Replace what is there, after a set was made of it
    #[arg(long, requires = "into")]
    pub(super) force: bool,
    /// The password or key there, as `env:NAME` or `file:PATH` (default: that of the component, when it is the same server)
    #[arg(long, value_name = "REFERENCE", requires = "into")]
    pub(super) secret: Option<SecretRef>,
    #[command(flatten)]
    pub(super) key: Key,
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
    let Some(folder) = &args.to else { return load::run(cx, args) };
    let desk = Desk::open(cx, Some(&args.key))?;
    let place = desk.place();
    let set = sets::find(&place, &args.set)?;
    let bar = progress::things(&cx.out, "restoring", 0);
    let to = cx.cwd.join(folder);
    let done = restore(&place, &set, &args.component, &to, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let parts = done.components.into_iter().map(|(name, at)| Part { name, at }).collect();
    cx.out.emit(&Restored {
        set: set.manifest.id,
        to: folder.clone(),
        components: parts,
        objects: done.objects,
        bytes: done.bytes,
    })
}

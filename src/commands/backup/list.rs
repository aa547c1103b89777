//! `kf backup list` and `show`: the sets that there are, and what is in one.

use super::{Desk, SetDoc, Which};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::backup::manifest::Manifest;
use crate::release::backup::sets;
use serde::Serialize;
use serde_json::Value;

/// List the backup sets, the newest first
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf backup list\n  kf backup list --format jsonl")]
pub(crate) struct Args {}

/// Show what is in a backup set
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup show latest\n  kf backup show 20261121t --format json\n  kf backup show --point-in-time 2026-11-20T08:00:00Z"
)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct List {
    place: String,
    sets: Vec<SetDoc>,
    unreadable: Vec<String>,
}

impl Report for List {
    const SCHEMA: &'static str = "kf.backup-list/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["set", "plan", "began", "components", ">stored", "proven"]);
        for set in &self.sets {
            let proven = set.proven.map_or_else(|| "no".to_owned(), |at| at.to_string());
            let stored = Bytes(set.stored_bytes).to_string();
            t.row([set.set.clone(), set.plan.clone(), set.began.to_string(), set.components.join(", "), stored, proven]);
        }
        let mut blocks: Vec<Block> = Vec::new();
        if !t.is_empty() {
            blocks.push(t.into());
        }
        blocks.extend(self.unreadable.iter().map(|why| Block::from(format!("not a set: {why}"))));
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        format!("{} in {}", count(self.sets.len(), "set"), self.place)
    }

    fn items(&self) -> Option<Vec<Value>> {
        self.sets.iter().map(|set| serde_json::to_value(set).ok()).collect()
    }
}

pub(super) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, None)?;
    let mut list = List { place: desk.objects.describe(), sets: Vec::new(), unreadable: Vec::new() };
    for set in sets::all(&desk.place())? {
        match set.found {
            Ok(found) => list.sets.push(SetDoc::of(&found, set.proven.map(|proof| proof.at))),
            Err(e) => list.unreadable.push(e.chain().join(": ")),
        }
    }
    cx.out.emit(&list)
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    set: SetDoc,
    manifest: Manifest,
    /// Milliseconds from when it was begun to the time that was asked for.
    before_ms: Option<i64>,
    #[serde(skip)]
    distance: Option<String>,
}

impl Report for Shown {
    const SCHEMA: &'static str = "kf.backup-show/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["component", "what", "where", ">bytes", ">stored", "holds"]);
        for part in &self.manifest.components {
            let holds: Vec<String> = part.counts.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{n} {name}")).collect();
            let holds = match holds.len() {
                0..=3 => holds.join(", "),
                n => format!("{}, and {} more", holds[..3].join(", "), n - 3),
            };
            let sizes = [part.stored.plain_size, part.stored.size].map(|n| Bytes(n).to_string());
            let [bytes, stored] = sizes;
            t.row([part.name.to_string(), part.kind.clone(), part.place.clone(), bytes, stored, holds]);
        }
        if let Some(all) = &self.manifest.artifacts {
            let [bytes, stored] = [all.bytes, all.stored].map(|n| Bytes(n).to_string());
            t.row(["artifacts".into(), "objects".into(), String::new(), bytes, stored, format!("{} objects", all.objects)]);
        }
        let mut blocks: Vec<Block> = vec![t.into()];
        blocks.extend(self.distance.clone().map(Block::from));
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let signed = match &self.set.signed_by {
            Some(key) => format!("signed by {key}"),
            None => "not signed by a key that is known here".to_owned(),
        };
        format!("{} of the plan {}, {signed}, for {}", self.set.set, self.set.plan, self.manifest.recipients.join(", "))
    }
}

pub(super) fn show(cx: &Cx, args: &ShowArgs) -> Result<Exit> {
    let desk = Desk::open(cx, None)?;
    let found = args.which.find(&desk.place())?;
    let (before_ms, distance) = (args.which.before_ms(&found), args.which.distance(&found));
    cx.out.emit(&Shown { set: SetDoc::of(&found, None), manifest: found.manifest, before_ms, distance })
}

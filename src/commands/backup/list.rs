//! `kf backup list` and `show`: the sets that there are, and what is in one.

use super::{Desk, SetDoc, Which};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::{count, counted};
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::backup::manifest::{Manifest, SETS};
use crate::release::backup::sets::{self, STATE};
use crate::store::objects::lock::{LockMode, Of};
use serde::Serialize;
use serde_json::Value;

/// List the backup sets, the newest first
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf backup list\n  kf backup list --format jsonl --limit 100000")]
pub(crate) struct Args {
    /// At most this many, the newest
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

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
    /// Whose manifest somebody deleted or overwrote, and is still there as it was.
    hidden: Vec<String>,
    /// Which no key that is known here signed, where one is known.
    unsigned: Vec<String>,
    /// Whether there may be more than were asked for.
    limited: bool,
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
        let mut blocks = Block::filled(t);
        blocks.extend(self.unreadable.iter().map(|why| Block::from(format!("not a set: {why}"))));
        let hidden =
            |set| Block::from(format!("somebody deleted or overwrote the manifest of {set}; it is read as it was locked"));
        blocks.extend(self.hidden.iter().map(hidden));
        let unsigned =
            |set| Block::from(format!("no key that is known here signed {set}: anybody who can write there may have made it"));
        blocks.extend(self.unsigned.iter().map(unsigned));
        if self.limited {
            blocks.push("There may be older ones: ask for more with `--limit N`.".into());
        }
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

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, None)?;
    let place = desk.place();
    let (sets, unreadable, hidden, unsigned) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut list = List { place: desk.objects.describe(), sets, unreadable, hidden, unsigned, limited: false };
    let most = usize::try_from(args.limit).unwrap_or(usize::MAX);
    for set in sets::some(&place, most)? {
        list.hidden.extend(set.hidden.then(|| set.id.clone()));
        list.unsigned.extend(set.found.is_ok().then(|| set.id.clone()).filter(|_| set.usable(&place).is_none()));
        match set.found {
            Ok(found) => list.sets.push(SetDoc::of(&found, set.proven.map(|proof| proof.at))),
            Err(e) => list.unreadable.push(e.chain().join(": ")),
        }
    }
    list.limited = list.sets.len() + list.unreadable.len() == most;
    cx.out.emit(&list)
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    set: SetDoc,
    manifest: Manifest,
    lock: Option<LockDoc>,
    /// Milliseconds from when it was begun to the time that was asked for.
    before_ms: Option<i64>,
    #[serde(skip)]
    distance: Option<String>,
}

/// The lock of a manifest as its place tells it.
#[derive(Serialize)]
struct LockDoc {
    mode: Option<LockMode>,
    until: Option<Timestamp>,
}

impl Report for Shown {
    const SCHEMA: &'static str = "kf.backup-show/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["component", "what", "where", ">bytes", ">stored", "holds"]);
        for part in &self.manifest.components {
            let holds: Vec<String> = part.counts.iter().filter(|(_, n)| **n > 0).map(|(name, n)| counted(*n, name)).collect();
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
        let lock = match &self.lock {
            None => String::new(),
            Some(LockDoc { mode: Some(mode), until: Some(until) }) => format!(", locked until {until} ({mode})"),
            Some(_) => ", which should be locked and is not".to_owned(),
        };
        format!("{} of the plan {}, {signed}{lock}, for {}", self.set.set, self.set.plan, self.manifest.recipients.join(", "))
    }
}

pub(super) fn show(cx: &Cx, args: &ShowArgs) -> Result<Exit> {
    let desk = Desk::open(cx, None)?;
    let found = args.which.find(cx, &desk.place(), STATE, true)?;
    let (before_ms, distance) = (args.which.before_ms(&found), args.which.distance(&found));
    let name = format!("{SETS}/{}", found.manifest.id);
    let lock = match found.manifest.lock {
        None => None,
        // Without a plan that locks, the place is not asked.
        Some(lock) if !desk.objects.lockable() => Some(LockDoc { mode: Some(lock.mode), until: Some(lock.until) }),
        Some(_) => {
            let told = desk.objects.retained(Of::Name(&name))?;
            Some(LockDoc { mode: told.map(|lock| lock.mode), until: told.map(|lock| lock.until) })
        }
    };
    cx.out.emit(&Shown { set: SetDoc::of(&found, None), manifest: found.manifest, lock, before_ms, distance })
}

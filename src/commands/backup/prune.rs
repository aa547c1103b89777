//! `kf backup prune`: removes sets that no rule keeps.

use super::{Desk, configured};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::gc::waiting;
use crate::release::backup::prune::{How, Pruned, prune};
use crate::store::Mode;
use serde::Serialize;

/// Remove backup sets that no rule of their plan keeps; a dry run unless `--apply`
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup prune            tell what would go, and why the rest stays\n  kf backup prune --apply"
)]
pub(crate) struct Args {
    /// Do it, instead of telling what would be done
    #[arg(long)]
    apply: bool,
    /// The clocks were checked: remove what is old although they do not agree, or nothing was backed up for long
    #[arg(long)]
    clock_is_right: bool,
}

#[derive(Serialize)]
struct Outcome {
    removed: bool,
    sets: Vec<Fate>,
    objects: u64,
    bytes: u64,
    /// Why nothing can be removed now.
    clock: Option<String>,
    /// Sets because of which no object goes.
    held_back_by: Vec<Held>,
}

#[derive(Serialize)]
struct Held {
    set: String,
    because: String,
}

#[derive(Serialize)]
struct Fate {
    set: String,
    plan: Option<String>,
    kept: bool,
    because: String,
}

impl Outcome {
    fn of(pruned: Pruned) -> Self {
        let mut sets: Vec<Fate> = Vec::new();
        for (plan, fate) in pruned.sets {
            let (kept, because) = (!fate.goes(), fate.because.join(", "));
            sets.push(Fate { set: fate.id, plan: Some(plan.to_string()), kept, because });
        }
        sets.extend(pruned.left.into_iter().map(|(set, because)| Fate { set, plan: None, kept: true, because }));
        let held = pruned.held.into_iter().map(|(set, because)| Held { set, because }).collect();
        let (removed, objects, bytes) = (pruned.done, pruned.objects, pruned.bytes);
        Self { removed, sets, objects, bytes, clock: pruned.clock, held_back_by: held }
    }

    fn going(&self) -> usize {
        self.sets.iter().filter(|set| !set.kept).count()
    }
}

impl Report for Outcome {
    const SCHEMA: &'static str = "kf.backup-prune/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["set", "plan", "fate", "because"]);
        for set in &self.sets {
            let fate = if set.kept { "stays" } else { "goes" };
            let because = if set.kept { set.because.clone() } else { "no rule keeps it".to_owned() };
            t.row([set.set.clone(), set.plan.clone().unwrap_or_default(), fate.to_owned(), because]);
        }
        let mut blocks = Block::filled(t);
        blocks.extend(self.clock.iter().map(|why| Block::from(format!("nothing can be removed now: {why}"))));
        let held = |held: &Held| {
            Block::from(format!("no object is removed while nobody knows what {} needs: {}", held.set, held.because))
        };
        blocks.extend(self.held_back_by.iter().map(held));
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let (going, bytes) = (self.going(), Bytes(self.bytes));
        match (going, self.objects, self.removed) {
            (0, 0, _) => "there is nothing to remove".to_owned(),
            (_, objects, true) => format!("{going} sets and {objects} objects were removed, {bytes}"),
            (_, objects, false) if self.clock.is_some() => {
                let clock = self.clock.as_deref().unwrap_or_default();
                format!("{going} sets and {objects} objects would go, {bytes}, but nothing will be removed: {clock}")
            }
            (_, objects, false) => format!("{going} sets and {objects} objects would go, {bytes}: `--apply` removes them"),
        }
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, None)?;
    let store = cx.store(Mode::Write)?;
    let how = How { remove: args.apply, clock_is_right: args.clock_is_right };
    let pruned = prune(&store, &desk.place(), &configured(cx)?.plans, how, &mut waiting(cx))?;
    cx.out.emit(&Outcome::of(pruned))
}

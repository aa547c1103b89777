//! `kf backup drill`: restores a set where it harms nobody, and tells whether all of it is there.

use super::{Desk, Key, Planned, Trust, configured, copy_at, long};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::commands::audit::anchor;
use crate::domain::backup::anchors::of_state;
use crate::domain::backup::manifest::Found;
use crate::domain::backup::proof::Proof;
use crate::release::backup::Place;
use crate::release::backup::drill::{Drill, drill};
use crate::release::backup::lock::{self, Verdict, Worm};
use crate::release::backup::parts;
use crate::release::backup::sets::{self, STATE};
use crate::store::Mode;
use indicatif::ProgressBar;
use serde::Serialize;

/// Restore a backup set into a scratch folder, check all of it, and keep a signed report
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup drill\n  kf backup drill 20261121t --identity drill.key\n  kf backup drill --also-older     from cron, every month: the newest set and one that chance picks\n\nIt ends with 0 when all came back, and with 3 when something did not."
)]
pub(crate) struct Args {
    /// The set, its beginning or end, or `latest`
    #[arg(default_value = "latest")]
    set: String,
    /// Drill one of the older sets, too, which chance picks
    #[arg(long)]
    also_older: bool,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    trust: Trust,
}

#[derive(Serialize)]
struct Drilled {
    #[serde(flatten)]
    proof: Proof,
    worm: Option<Worm>,
    /// The same of an older set, when one was asked for and there is one.
    older: Option<Proof>,
}

/// How a set came back, in a line.
fn told(p: &Proof) -> String {
    let lost = p
        .lost_events
        .map_or_else(String::new, |n| format!(", {} lost", count(usize::try_from(n).unwrap_or(usize::MAX), "event")));
    let times = format!("recovery time {}, recovery point {} before the drill{lost}", long(p.rto_ms), long(p.rpo_ms));
    match p.passed {
        true => format!("{} was restored, and all of it is there: {times}", p.set),
        false => format!("{} does not come back whole: {times}", p.set),
    }
}

impl Report for Drilled {
    const SCHEMA: &'static str = "kf.backup-drill/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for proof in [&self.proof].into_iter().chain(&self.older) {
            let mut t = Table::new(&["step", "result", ">took", "found"]);
            for step in &proof.steps {
                let result = if step.failed.is_none() { "ok" } else { "failed" };
                let found = step.failed.clone().unwrap_or_else(|| step.found.clone());
                t.row([step.what.clone(), result.to_owned(), long(step.took_ms), found]);
            }
            blocks.extend([t.into(), told(proof).into()]);
        }
        blocks.extend(self.worm.iter().map(|worm| Block::from(format!("locks: {}", worm.found))));
        blocks
    }

    fn summary(&self) -> String {
        let all: Vec<String> = [&self.proof].into_iter().chain(&self.older).map(told).collect();
        all.join("; ")
    }

    fn exit(&self) -> Exit {
        let held = self.worm.as_ref().is_none_or(|worm| worm.verdict == Verdict::Enforced);
        let older = self.older.as_ref().is_none_or(|proof| proof.passed);
        if self.proof.passed && held && older { Exit::Ok } else { Exit::No }
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("set", self.proof.set.clone()),
            ("rto-ms", self.proof.rto_ms.to_string()),
            ("rpo-ms", self.proof.rpo_ms.to_string()),
        ]
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, Some(&args.key))?;
    let place = desk.place();
    let set = sets::trusted(&place, &args.set, STATE, args.trust.unsigned, &mut |why| cx.warn(why))?;
    if cx.global.dry_run {
        return cx.out.emit(&Planned::of(&set.manifest));
    }
    let older = args.also_older.then(|| sets::older(&place, &set, &cx.random)).transpose()?.flatten();
    let bar = progress::things(&cx.out, "drill", 0);
    let (proof, worm) = drilled(cx, &place, &set, &bar)?;
    let older = older.map(|set| drilled(cx, &place, &set, &bar)).transpose()?.map(|(proof, _)| proof);
    bar.finish_and_clear();
    cx.out.emit(&Drilled { proof, worm, older })
}

fn drilled(cx: &Cx, place: &Place<'_>, set: &Found, bar: &ProgressBar) -> Result<(Proof, Option<Worm>)> {
    let backup = configured(cx)?;
    let store = cx.store(Mode::Write)?;
    let root = &cx.project()?.root;
    let (mut all, mut worm) = (Vec::new(), None);
    for plan in backup.plans.iter().filter(|plan| plan.name == set.manifest.plan) {
        worm = plan.lock.map(|of| lock::probe(&store, place, of.mode)).transpose()?;
        all = parts::of(backup, plan, (root, cx.jobs()), &|reference| cx.secret(reference))?;
    }
    let mut anchors = anchor::all(cx, &store)?;
    if let Some(log) = &set.manifest.log {
        anchors.extend(store.read(|view| of_state(view, log.size, CHECKPOINTS))?);
        anchors.retain(|anchor| anchor.checkpoint().origin == log.origin);
    }
    let open = |file: &std::path::Path| copy_at(cx, file);
    let of = Drill { set, parts: &all, open: &open, smoke: backup.smoke.as_deref(), anchors: &anchors };
    Ok((drill(&store, place, &of, &mut |step| bar.set_message(step.to_owned()))?, worm))
}

/// So many checkpoints of the state in use are held against a restored log: the newest of them imply the others.
const CHECKPOINTS: u32 = 20;

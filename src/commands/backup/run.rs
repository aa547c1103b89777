//! `kf backup run`: makes a set.

use super::{Desk, SetDoc, configured};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::did_you_mean;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::commands::gc::waiting;
use crate::config::BackupPlan;
use crate::release::backup::due::is_due;
use crate::release::backup::lock::{Verdict, Worm};
use crate::release::backup::parts;
use crate::release::backup::run::{Progress, Request, run as make, vanished};
use crate::release::backup::sets::Sets;
use crate::store::{Mode, Store};
use serde::Serialize;
use std::collections::BTreeMap;

/// Back up what a plan says
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup run                  every plan, now\n  kf backup run --due            those whose time has come: from cron\n  kf backup run --plan hourly --component state"
)]
pub(crate) struct Args {
    /// Only plans whose time has come; one that was missed is made up for once
    #[arg(long)]
    due: bool,
    /// The plan, a NAME of `[backup.plans.NAME]` (default: all)
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// Only this component of it
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
}

#[derive(Serialize)]
struct Made {
    to: String,
    sets: Vec<SetDoc>,
    not_due: Vec<String>,
    /// Plans of which a set would be made: a dry run makes none.
    would: Vec<String>,
    /// Whether locks hold, by plan that has one.
    worm: BTreeMap<String, Worm>,
    /// So many earlier sets the log tells of that were made there, and none of them is there.
    earlier_gone: usize,
}

impl Report for Made {
    const SCHEMA: &'static str = "kf.backup-run/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["set", "plan", "components", ">stored"]);
        for set in &self.sets {
            t.row([set.set.clone(), set.plan.clone(), set.components.join(", "), Bytes(set.stored_bytes).to_string()]);
        }
        let mut blocks = Block::filled(t);
        let told = |(plan, worm): (&String, &Worm)| Block::from(format!("locks of the plan {plan}: {}", worm.found));
        blocks.extend(self.worm.iter().map(told));
        blocks.extend(gone(self.earlier_gone, &self.to).map(Block::from));
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        if !self.would.is_empty() {
            return format!("would back up {} to {}", self.would.join(", "), self.to);
        }
        match (self.sets.len(), self.not_due.as_slice()) {
            (0, []) => "there was nothing to back up".to_owned(),
            (0, plans) => format!("nothing is due of {}", plans.join(", ")),
            (_, _) => format!("backed up to {}; `kf backup drill` proves that it comes back", self.to),
        }
    }

    fn exit(&self) -> Exit {
        if self.worm.values().all(|worm| worm.verdict == Verdict::Enforced) { Exit::Ok } else { Exit::No }
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        self.sets.last().map(|set| vec![("set", set.set.clone())]).unwrap_or_default()
    }
}

/// What is said of a place that was emptied, or is another than it was.
fn gone(sets: usize, place: &str) -> Option<String> {
    (sets > 0).then(|| {
        let which = if sets == 1 { "the earlier set".to_owned() } else { format!("none of the {sets} earlier sets") };
        let is = if sets == 1 { "is not" } else { "is" };
        format!("{which} that the log tells of {is} in {place}: is what is mounted there the right place?")
    })
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let backup = configured(cx)?;
    let plans: Vec<&BackupPlan> = match &args.plan {
        None => backup.plans.iter().collect(),
        Some(named) => vec![backup.plans.iter().find(|p| p.name.as_str() == named).ok_or_else(|| {
            let names = || backup.plans.iter().map(|p| p.name.as_str());
            let hint = did_you_mean(named, names());
            Error::usage(format!("mlops.toml has no `[backup.plans.{named}]`"))
                .hint(hint.unwrap_or_else(|| format!("there are: {}", names().collect::<Vec<_>>().join(", "))))
        })?],
    };
    let desk = Desk::open(cx, None)?;
    let place = desk.place();
    let store = cx.store(Mode::Write)?;
    warn_of_locked(cx, &store)?;
    let artifacts = cx.objects()?;
    let mut made = Made {
        to: desk.objects.describe(),
        sets: Vec::new(),
        not_due: Vec::new(),
        would: Vec::new(),
        worm: BTreeMap::new(),
        earlier_gone: vanished(&store, &place)?,
    };
    // A report may be read by nobody.
    gone(made.earlier_gone, &made.to).iter().for_each(|why| cx.warn(why));
    let bar = progress::things(&cx.out, "backing up", 0);
    for plan in plans {
        let root = &cx.project()?.root;
        let mut all = parts::of(backup, plan, (root, cx.jobs()), &|reference| cx.secret(reference))?;
        if let Some(only) = &args.component {
            all.retain(|part| part.name.as_str() == only);
            if all.is_empty() {
                return Err(Error::usage(format!("the plan `{}` has no component `{only}`", plan.name)));
            }
        }
        // What is not due is not begun: who holds the lock looks again.
        if args.due && !is_due(&store, &place, plan, &all, &Sets::of(&place)?)? {
            made.not_due.push(plan.name.to_string());
            continue;
        }
        if store.is_dry_run() {
            made.would.push(plan.name.to_string());
            continue;
        }
        let request = Request {
            name: &plan.name,
            plan: Some(plan),
            only_if_due: args.due,
            parts: &all,
            recipients: &backup.recipients,
            artifacts: &artifacts,
        };
        let got = make(&store, &place, &request, &mut waiting(cx), &mut |progress| match progress {
            Progress::Part(name) => bar.set_message(name.to_string()),
            Progress::Objects(done, of) => {
                bar.set_length(of);
                bar.set_position(done);
            }
        })?;
        let Some(got) = got else {
            made.not_due.push(plan.name.to_string());
            continue;
        };
        made.sets.push(SetDoc::of(&got.found, None));
        made.worm.extend(got.worm.map(|worm| (plan.name.to_string(), worm)));
    }
    bar.finish_and_clear();
    cx.out.emit(&made)
}

/// Names and reasons are in a set as they are in the state: sealed with keys that have to be there when it is restored.
fn warn_of_locked(cx: &Cx, store: &Store) -> Result<()> {
    let (keys, locked) = store.read(|view| view.data_keys())?;
    if locked > 0 {
        cx.warn(&format!(
            "this host cannot open {locked} of {keys} data keys, with which names and reasons are encrypted: the set has them as they are, \
             and is of use for them only together with the private key of `artifacts.encrypt`, which no set has"
        ));
    }
    Ok(())
}

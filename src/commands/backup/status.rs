//! `kf backup status`: when each plan was last backed up, and last proven to come back.

use super::{Desk, configured};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::config::Every;
use crate::release::backup::sets;
use crate::store::Mode;
use serde::Serialize;

/// The specification's limits (000 §7.2), and how much of them may be used up before somebody is told.
const RTO_MS: u64 = 4 * 3_600_000;
const RPO_MS: u64 = 24 * 3_600_000;
const USED: u64 = 80;
/// Days without a proof.
const UNPROVEN: i64 = 35;

/// Tell when each plan was last proven to come back, and whether that is long ago
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup status\n\nIt ends with 3 when a plan is overdue, or nothing of it was proven to come back for 35 days."
)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Status {
    place: String,
    plans: Vec<PlanDoc>,
}

#[derive(Serialize)]
struct PlanDoc {
    plan: String,
    sets: usize,
    last_backup: Option<Timestamp>,
    last_proven: Option<Timestamp>,
    rto_ms: Option<u64>,
    wrong: Vec<String>,
}

impl Report for Status {
    const SCHEMA: &'static str = "kf.backup-status/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["plan", "last proven", "last backup", ">sets", "wrong"]);
        let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        for plan in &self.plans {
            let wrong = if plan.wrong.is_empty() { "-".to_owned() } else { plan.wrong.join("; ") };
            t.row([plan.plan.clone(), time(plan.last_proven), time(plan.last_backup), plan.sets.to_string(), wrong]);
        }
        vec![t.into(), self.summary().into()]
    }

    fn summary(&self) -> String {
        match self.plans.iter().filter(|plan| !plan.wrong.is_empty()).count() {
            0 => format!("every plan in {} is proven to come back", self.place),
            n => format!("{n} of {} plans in {} would not be relied on", self.plans.len(), self.place),
        }
    }

    fn exit(&self) -> Exit {
        if self.plans.iter().all(|plan| plan.wrong.is_empty()) { Exit::Ok } else { Exit::No }
    }
}

pub(super) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, None)?;
    let now = cx.store(Mode::Read)?.now();
    let all = sets::all(&desk.place())?;
    let mut status = Status { place: desk.objects.describe(), plans: Vec::new() };
    for plan in &configured(cx)?.plans {
        let of: Vec<_> = all.iter().filter(|set| set.found.as_ref().is_ok_and(|f| f.manifest.plan == plan.name)).collect();
        let last = of.first().and_then(|set| set.found.as_ref().ok()).map(|found| found.manifest.began);
        let proof = of.iter().filter_map(|set| set.proven.as_ref()).max_by_key(|proof| proof.at);
        let hours = |since: Timestamp| (now.micros() - since.micros()) / 3_600_000_000;
        let mut wrong = Vec::new();
        let allowed = match plan.every {
            Every::Hour => Some(2),
            Every::Day => Some(26),
            Every::Week => Some(8 * 24),
            Every::Change => None,
        };
        match last {
            None => wrong.push(format!("there is no backup: `kf backup run --plan {}`", plan.name)),
            Some(at) if allowed.is_some_and(|allowed| hours(at) > allowed) => {
                wrong.push(format!("the last backup is {} hours old", hours(at)));
            }
            Some(_) => {}
        }
        match proof {
            None if last.is_some() => wrong.push("nothing of it was ever proven to come back: `kf backup drill`".to_owned()),
            Some(proof) if hours(proof.at) > UNPROVEN * 24 => {
                wrong.push(format!("proven {} days ago: `kf backup drill`", hours(proof.at) / 24));
            }
            Some(proof) => {
                for (what, ms, limit) in [("recovery time", proof.rto_ms, RTO_MS), ("recovery point", proof.rpo_ms, RPO_MS)] {
                    if ms > limit / 100 * USED {
                        wrong.push(format!("the {what} is {} % of what is allowed", ms * 100 / limit));
                    }
                }
            }
            None => {}
        }
        status.plans.push(PlanDoc {
            plan: plan.name.to_string(),
            sets: of.len(),
            last_backup: last,
            last_proven: proof.map(|proof| proof.at),
            rto_ms: proof.map(|proof| proof.rto_ms),
            wrong,
        });
    }
    cx.out.emit(&status)
}

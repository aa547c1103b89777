//! `kf backup status`: when each plan was last backed up, and last proven to come back.

use super::{Desk, configured, long};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::backup::health::Limits;
use crate::domain::backup::proof::Proof;
use crate::release::backup::health::{Standing, limits, standing};
use crate::release::backup::proofs::Proofs;
use crate::store::Mode;
use serde::Serialize;
use serde_json::Value;

/// Tell when each plan was last proven to come back, and whether that is long ago
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup status\n  kf backup status --history       recovery time and point of every drill\n\nIt ends with 3 when a plan is overdue, when nothing of it was proven to come back for 35 days, and from 80 % of `backup.rto` or `backup.rpo` on."
)]
pub(crate) struct Args {
    /// Print what every drill measured, the oldest first
    #[arg(long)]
    history: bool,
}

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
    locked_until: Option<Timestamp>,
    rpo_ms: Option<u64>,
    wrong: Vec<String>,
}

impl PlanDoc {
    fn of(of: Standing) -> Self {
        Self {
            wrong: of.alarms.iter().map(|alarm| alarm.words(&of.plan)).collect(),
            plan: of.plan.to_string(),
            sets: of.sets,
            last_backup: of.known.last,
            last_proven: of.known.proof.map(|proof| proof.at),
            rto_ms: of.known.proof.map(|proof| proof.rto_ms),
            rpo_ms: of.known.proof.map(|proof| proof.rpo_ms),
            locked_until: of.locked_until,
        }
    }
}

impl Report for Status {
    const SCHEMA: &'static str = "kf.backup-status/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["plan", "last proven", "last backup", ">sets", "locked until", "wrong"]);
        let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        for plan in &self.plans {
            let wrong = if plan.wrong.is_empty() { "-".to_owned() } else { plan.wrong.join("; ") };
            let locked = plan.locked_until.map_or_else(|| "-".to_owned(), |at| at.to_string());
            t.row([plan.plan.clone(), time(plan.last_proven), time(plan.last_backup), plan.sets.to_string(), locked, wrong]);
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

#[derive(Serialize)]
struct Series {
    place: String,
    rto_limit_ms: u64,
    rpo_limit_ms: u64,
    drills: Vec<Drilled>,
}

#[derive(Serialize)]
struct Drilled {
    at: Timestamp,
    set: String,
    passed: bool,
    rto_ms: u64,
    rpo_ms: u64,
    newest_event: Option<Timestamp>,
    lost_events: Option<u64>,
}

impl Drilled {
    fn of(proof: Proof) -> Self {
        let Proof { at, set, passed, rto_ms, rpo_ms, newest_event, lost_events, .. } = proof;
        Self { at, set, passed, rto_ms, rpo_ms, newest_event, lost_events }
    }
}

impl Report for Series {
    const SCHEMA: &'static str = "kf.backup-history/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["drill", "set", "result", ">recovery time", ">recovery point", ">events lost"]);
        for drill in &self.drills {
            let result = if drill.passed { "passed" } else { "failed" };
            let lost = drill.lost_events.map_or_else(|| "-".to_owned(), |n| n.to_string());
            t.row([drill.at.to_string(), drill.set.clone(), result.into(), long(drill.rto_ms), long(drill.rpo_ms), lost]);
        }
        let mut blocks = Block::filled(t);
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let allowed = format!("{} and {} are allowed", long(self.rto_limit_ms), long(self.rpo_limit_ms));
        format!("{} in {}; {allowed}", count(self.drills.len(), "drill"), self.place)
    }

    fn items(&self) -> Option<Vec<Value>> {
        self.drills.iter().map(|drill| serde_json::to_value(drill).ok()).collect()
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let desk = Desk::open(cx, None)?;
    let (place, backup) = (desk.place(), configured(cx)?);
    if args.history {
        let Limits { rto_ms, rpo_ms } = limits(backup);
        let drills = Proofs::of(&place)?.all()?.into_iter().map(Drilled::of).collect();
        return cx.out.emit(&Series { place: desk.objects.describe(), rto_limit_ms: rto_ms, rpo_limit_ms: rpo_ms, drills });
    }
    let now = cx.store(Mode::Read)?.now();
    let plans = standing(&place, backup, now)?.into_iter().map(PlanDoc::of).collect();
    cx.out.emit(&Status { place: desk.objects.describe(), plans })
}

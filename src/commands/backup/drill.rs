//! `kf backup drill`: restores a set where it harms nobody, and tells whether all of it is there.

use super::{Desk, Key, configured};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::domain::backup::proof::Proof;
use crate::release::backup::drill::{Drill, drill};
use crate::release::backup::{parts, sets};
use crate::store::{DbTarget, Mode, Store};
use serde::Serialize;

/// Restore a backup set into a scratch folder, check all of it, and keep a signed report
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup drill\n  kf backup drill 20261121t --identity drill.key\n\nIt ends with 0 when all came back, and with 3 when something did not."
)]
pub(crate) struct Args {
    /// The set, its beginning or end, or `latest`
    #[arg(default_value = "latest")]
    set: String,
    #[command(flatten)]
    key: Key,
}

#[derive(Serialize)]
struct Drilled {
    #[serde(flatten)]
    proof: Proof,
}

/// Milliseconds, for people.
fn long(ms: u64) -> String {
    match ms {
        0..=9_999 => format!("{}.{:03} s", ms / 1000, ms % 1000),
        10_000..=599_999 => format!("{} s", ms / 1000),
        _ => format!("{} min", ms / 60_000),
    }
}

impl Report for Drilled {
    const SCHEMA: &'static str = "kf.backup-drill/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["step", "result", ">took", "found"]);
        for step in &self.proof.steps {
            let result = if step.failed.is_none() { "ok" } else { "failed" };
            let found = step.failed.clone().unwrap_or_else(|| step.found.clone());
            t.row([step.what.clone(), result.to_owned(), long(step.took_ms), found]);
        }
        vec![t.into(), self.summary().into()]
    }

    fn summary(&self) -> String {
        let p = &self.proof;
        let times = format!("recovery time {}, recovery point {} before the drill", long(p.rto_ms), long(p.rpo_ms));
        match p.passed {
            true => format!("{} was restored, and all of it is there: {times}", p.set),
            false => format!("{} does not come back whole: {times}", p.set),
        }
    }

    fn exit(&self) -> Exit {
        if self.proof.passed { Exit::Ok } else { Exit::No }
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
    if cx.global.dry_run {
        return Err(Error::usage("a drill restores a set, and `--dry-run` writes nothing").hint("`kf backup verify` only reads"));
    }
    let desk = Desk::open(cx, Some(&args.key))?;
    let place = desk.place();
    let set = sets::find(&place, &args.set)?;
    let backup = configured(cx)?;
    let store = cx.store(Mode::Write)?;
    let root = &cx.project()?.root;
    let mut all = Vec::new();
    for plan in backup.plans.iter().filter(|plan| plan.name == set.manifest.plan) {
        all = parts::of(backup, plan, (root, cx.jobs()), &|reference| cx.secret(reference))?;
    }
    let open = |file: &std::path::Path| Store::open(cx.settings_for(DbTarget::Sqlite(file.to_owned()))?, Mode::Write);
    let bar = progress::things(&cx.out, "drill", 0);
    let of = Drill { set: &set, parts: &all, open: &open, smoke: backup.smoke.as_deref() };
    let proof = drill(&store, &place, &of, &mut |step| bar.set_message(step.to_owned()))?;
    bar.finish_and_clear();
    cx.out.emit(&Drilled { proof })
}

//! `kf gc`: removes what nothing needs; only tells what it would do unless told otherwise.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::registry::retention::Rules;
use crate::release::gc::{self, GRACE, Options};
use crate::store::Mode;
use serde::Serialize;
use std::time::Duration;

/// Remove objects that nothing needs and versions past their retention; a dry run unless `--apply`
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf gc                     tell what would go, and why the rest stays\n  kf gc --apply\n  kf gc --apply --grace 48h\n\nWhat goes lies in the trash for the grace period first; the next run deletes it."
)]
pub(crate) struct Args {
    /// Do it, instead of telling what would be done
    #[arg(long)]
    apply: bool,
    /// Leave objects younger than this alone, and keep trash this long (default: 14 days)
    #[arg(long, value_name = "TIME", value_parser = crate::config::duration)]
    grace: Option<Duration>,
    /// Allow a grace below one hour: nothing must be registering meanwhile
    #[arg(long, requires = "grace")]
    force: bool,
}

#[derive(Serialize)]
struct Collected {
    #[serde(flatten)]
    report: gc::Report,
}

impl Report for Collected {
    const SCHEMA: &'static str = "kf.gc/1";

    fn blocks(&self) -> Vec<Block> {
        let r = &self.report;
        let mut blocks: Vec<Block> = Vec::new();
        let mut kept = Table::new(&["version", "kept because"]);
        r.kept.iter().for_each(|k| {
            kept.row([k.version.clone(), k.why.clone()]);
        });
        if !kept.is_empty() {
            blocks.push(kept.into());
        }
        if !r.expired.is_empty() {
            let mut t = Table::new(&["version", "archived since", "digest"]);
            for e in &r.expired {
                t.row([e.version.clone(), e.retired.map(|t| t.day()).unwrap_or_default(), e.digest.short()]);
            }
            blocks.push(t.titled("past their retention").into());
        }
        let counted = |n: u64, noun: &str| count(usize::try_from(n).unwrap_or(usize::MAX), noun);
        let mut lines = vec![self.summary()];
        if r.young > 0 {
            lines.push(format!("{} nothing needs are younger than the grace period and stay", counted(r.young, "object")));
        }
        if r.deleted > 0 {
            lines.push(format!("{} deleted from the trash for good", counted(r.deleted, "object")));
        }
        if r.vectors > 0 {
            let (n, verb) = (counted(r.vectors, "kept vector"), if r.applied { "dropped" } else { "would be dropped" });
            lines.push(format!("{n} {verb}: older than the grace period; chunks have their own"));
        }
        let nothing = r.removed.is_empty() && r.expired.is_empty() && r.vectors == 0;
        if !r.applied && !nothing {
            lines.push("hint: `kf gc --apply` does it".into());
        }
        blocks.push(lines.join("\n").into());
        blocks
    }

    fn summary(&self) -> String {
        let r = &self.report;
        let would = if r.applied { "" } else { "would go: " };
        let went = if r.applied { " went to the trash" } else { "" };
        format!(
            "{would}{} ({}){went}; past retention: {}",
            count(r.removed.len(), "object"),
            Bytes(r.bytes),
            count(r.expired.len(), "version")
        )
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let policy = &cx.project()?.project.policy;
    let rules = Rules { retention_days: policy.retention_days, rollback_window: policy.rollback_window };
    let apply = args.apply && !cx.global.dry_run;
    let (store, objects) = (cx.store(if apply { Mode::Write } else { Mode::Read })?, cx.objects()?);
    let options = Options { rules, grace: args.grace.unwrap_or(GRACE), force: args.force, apply };
    let report = gc::run(&store, &objects, options, &mut waiting(cx))?;
    cx.out.emit(&Collected { report })
}

/// Tells a person who waits for whom.
pub(super) fn waiting(cx: &Cx) -> impl FnMut(&str) {
    |holder| cx.out.note(&format!("waiting for {holder}"))
}

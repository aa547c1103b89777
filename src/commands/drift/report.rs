//! `kf drift report`: what a check found, as it was kept.

use super::doc::{CheckDoc, Entry, report_of, write};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::drift::table;
use crate::release::drift::check::found;
use crate::release::evaluate::ReportFile;
use crate::store::Mode;
use serde::Serialize;

/// Show what a check found
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf drift report\n  kf drift report support-bot --report html=drift.html\n  kf drift report 1c0ffee5 --format json"
)]
pub(crate) struct Args {
    /// The check: its id, the end of it, or a name for its newest (default: the newest of all)
    check: Option<String>,
    /// Also write the report to a file: html, markdown or json; again for more
    #[arg(long = "report", value_name = "KIND=PATH", value_parser = report_of)]
    reports: Vec<ReportFile>,
}

#[derive(Serialize)]
struct Reported {
    #[serde(flatten)]
    doc: CheckDoc,
}

impl Report for Reported {
    const SCHEMA: &'static str = "kf.drift-report/1";

    fn blocks(&self) -> Vec<Block> {
        self.doc.blocks()
    }

    fn summary(&self) -> String {
        self.doc.line()
    }
}

/// A check as it is kept.
pub(super) fn kept(cx: &Cx, wanted: Option<&str>) -> Result<CheckDoc> {
    let (store, objects) = (cx.store(Mode::Read)?, cx.objects()?);
    let (check, baseline, actions) = store.read(|view| {
        let check = table::find_check(view, wanted)?;
        let baseline = table::baseline_by_id(view, &check.baseline)?;
        let actions = table::actions_of(view, &check.uid)?;
        Ok((check, baseline, actions))
    })?;
    let lost = || Error::new(format!("the baseline of the check {} is gone", check.uid)).hint("`kf fsck` tells more");
    let (baseline, found) = (baseline.ok_or_else(lost)?, found(&objects, &check)?);
    let entry = Entry { uid: check.uid, report: check.report, event: check.event, at: check.at };
    let mut doc = CheckDoc::new(&store, entry, &baseline, found)?;
    doc.actions = actions;
    Ok(doc)
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let paths = cx.report_paths(&args.reports)?;
    let report = Reported { doc: kept(cx, args.check.as_deref())? };
    write(cx, (&args.reports, &paths), &[&report.doc], &report)?;
    cx.out.emit(&report)
}

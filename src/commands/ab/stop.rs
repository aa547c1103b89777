//! `kf ab stop`: a test ends, with what is decided then.

use super::analyze::Judged;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::cli::arg;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::ab::analyse::Decision;
use crate::domain::ab::{record, table};
use crate::store::Mode;
use serde::Serialize;

/// Stop a test: nothing more is recorded, and what is clear by then is kept
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ab stop greeting\n  kf ab stop greeting --reason \"the campaign is over\" --ticket OPS-7\n\nNo version is promoted: `kf promote` does that."
)]
pub(crate) struct Args {
    /// The test
    name: Name,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Stopped {
    test: Name,
    decision: Decision,
    why: String,
    event: i64,
}

impl Report for Stopped {
    const SCHEMA: &'static str = "kf.ab-stop/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        format!("{} is stopped: {}: {}", self.test, self.decision, self.why)
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let project = &cx.project()?.project;
    let stopped = cx.store(Mode::Write)?.write(|tx| {
        let judged = Judged::of(tx.view(), project, &table::get(tx.view(), &args.name)?)?;
        let event = record::stop(tx, &args.name, &judged.analysis, (args.ticket.as_deref(), args.reason.as_deref()))?;
        Ok(Stopped { test: args.name.clone(), decision: judged.analysis.decision, why: judged.analysis.reason, event })
    })?;
    cx.out.emit(&stopped)
}

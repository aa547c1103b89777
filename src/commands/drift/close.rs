//! `kf drift close`: an action that was dealt with.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::arg;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::drift::record::close;
use crate::domain::drift::table::{ActionRow, find_action};
use crate::store::Mode;
use serde::Serialize;

/// Close an action: a ticket that was dealt with, a freeze that is over
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf drift close 1c0ffee5 --reason \"retrained as 1.3.0\" --ticket OPS-7")]
pub(crate) struct Args {
    /// The action: its id, the end of it, or the name that has one open action
    action: String,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: String,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
}

#[derive(Serialize)]
struct Closed {
    #[serde(flatten)]
    action: ActionRow,
}

impl Report for Closed {
    const SCHEMA: &'static str = "kf.drift-close/1";

    fn blocks(&self) -> Vec<Block> {
        vec![self.summary().into()]
    }

    fn summary(&self) -> String {
        let a = &self.action;
        format!("{} ({}) of {} is closed", a.kind, a.uid, a.name)
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let action = cx.store(Mode::Write)?.write(|tx| {
        let action = find_action(tx.view(), &args.action)?;
        close(tx, &action, &args.reason, args.ticket.as_deref())?;
        find_action(tx.view(), &action.uid)
    })?;
    cx.out.emit(&Closed { action })
}

//! `kf audit log`: who did what to what, newest first.

use crate::base::error::Result;
use crate::base::event::Outcome;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis};
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::audit::entry::Entry;
use crate::domain::audit::query::{self, Filter};
use crate::store::Mode;
use serde::Serialize;

/// List entries, newest first
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit log\n  kf audit log --resource support-bot@1.2.0\n  kf audit log --actor ada@example.com --action version. --since 2026-11-01\n  kf audit log --outcome denied --format jsonl"
)]
pub(crate) struct Args {
    /// Done by this person or job: a name, or a pseudonym
    // `actor` is the id of the global `--as`.
    #[arg(long = "actor", value_name = "NAME")]
    by: Option<String>,
    /// This action, such as version.promoted; with a dot at its end, all that begin so
    #[arg(long)]
    action: Option<String>,
    /// Done to this: NAME, NAME@VERSION or KIND:NAME
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// For this ticket
    #[arg(long, value_name = "ID")]
    ticket: Option<String>,
    /// Not before this time or day
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Before this time or day
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// How it ended: ok, denied or failed
    #[arg(long)]
    outcome: Option<Outcome>,
    /// With this text in the entry or its reason, exactly as written
    #[arg(long)]
    text: Option<String>,
    /// At most this many, the newest
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

#[derive(Serialize)]
struct Listed {
    entries: Vec<Entry>,
    /// Whether there may be more than were asked for.
    limited: bool,
}

impl Report for Listed {
    const SCHEMA: &'static str = "kf.audit-log/1";

    fn blocks(&self) -> Vec<Block> {
        if self.entries.is_empty() {
            return vec!["No entry fits.".into()];
        }
        let mut t = Table::new(&[">entry", "when", "who", "action", "what", "outcome", "ticket", "why"]);
        for e in &self.entries {
            t.row([
                e.index.to_string(),
                e.at.to_string(),
                e.actor.clone(),
                e.action.clone(),
                e.resource.to_string(),
                e.outcome.to_string(),
                e.ticket.clone().unwrap_or_default(),
                ellipsis(why(e), 60),
            ]);
        }
        let mut blocks = vec![t.into()];
        if self.limited {
            blocks.push("There may be older ones: ask for more with `--limit N`.".into());
        }
        blocks
    }

    fn summary(&self) -> String {
        format!("{} listed", count(self.entries.len(), "event"))
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.entries.iter().filter_map(|e| serde_json::to_value(e).ok()).collect())
    }
}

fn why(e: &Entry) -> &str {
    match &e.reason {
        Some(reason) => reason,
        None if e.reason_erased => "(erased)",
        None if e.reason_locked => "(encrypted)",
        None => "",
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let filter = Filter {
        actor: args.by.clone(),
        action: args.action.clone(),
        resource: args.resource.clone(),
        ticket: args.ticket.clone(),
        since: args.since,
        until: args.until,
        outcome: args.outcome,
        text: args.text.clone(),
    };
    let entries = cx.store(Mode::Read)?.read(|view| query::log(view, &filter, args.limit.into()))?;
    let limited = entries.len() as u64 == u64::from(args.limit);
    cx.out.emit(&Listed { entries, limited })
}

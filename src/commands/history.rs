//! `kf history`: who put what where, when, why, and what it replaced.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::{Name, Stage};
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::registry::table;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// Show who put which version where, when and why
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf history support-bot\n  kf history support-bot --format json")]
pub(crate) struct Args {
    /// The model
    #[arg(add = ArgValueCompleter::new(complete::models))]
    name: Name,
    /// At most this many changes, the newest
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
}

#[derive(Serialize)]
struct Change {
    at: Timestamp,
    version: Version,
    how: String,
    from: Option<Stage>,
    to: Stage,
    replaced: Option<Version>,
    actor: String,
    ticket: Option<String>,
    reason: Option<String>,
    event: i64,
}

#[derive(Serialize)]
struct History {
    name: Name,
    changes: Vec<Change>,
}

impl Report for History {
    const SCHEMA: &'static str = "kf.history/1";

    fn blocks(&self) -> Vec<Block> {
        if self.changes.is_empty() {
            return vec![format!("No version of {} has left development yet.", self.name).into()];
        }
        let mut t = Table::new(&["when", "version", "how", "from", "to", "replaced", "who", "ticket", "why", ">event"]);
        for c in &self.changes {
            t.row([
                c.at.to_string(),
                c.version.to_string(),
                c.how.clone(),
                c.from.map(|s| s.to_string()).unwrap_or_default(),
                c.to.to_string(),
                c.replaced.map(|v| v.to_string()).unwrap_or_default(),
                c.actor.clone(),
                c.ticket.clone().unwrap_or_default(),
                c.reason.clone().unwrap_or_default(),
                c.event.to_string(),
            ]);
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        format!("{} of {}", count(self.changes.len(), "change"), self.name)
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.changes.iter().filter_map(|c| serde_json::to_value(c).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let changes = cx.store(Mode::Read)?.read(|view| {
        let model = table::model(view, &args.name)?;
        table::history(view, model.id, args.limit)
    })?;
    let changes = changes
        .into_iter()
        .map(|c| Change {
            at: c.at,
            version: c.version,
            how: c.how,
            from: c.from,
            to: c.to,
            replaced: c.replaced,
            actor: c.actor,
            ticket: c.ticket,
            reason: c.reason,
            event: c.event,
        })
        .collect();
    cx.out.emit(&History { name: args.name.clone(), changes })
}

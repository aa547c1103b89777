//! `kf canary history`: the rollouts that there were.

use super::doc::{RolloutDoc, word};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis};
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::registry::table as registry;
use crate::domain::rollout::table::newest;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// List rollouts, the newest first
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf canary history\n  kf canary history bot --limit 5 --format json")]
pub(crate) struct Args {
    /// Only those of this model
    #[arg(add = ArgValueCompleter::new(complete::models))]
    name: Option<Name>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

#[derive(Serialize)]
struct Listed {
    rollouts: Vec<RolloutDoc>,
}

impl Report for Listed {
    const SCHEMA: &'static str = "kf.canary-history/1";

    fn blocks(&self) -> Vec<Block> {
        if self.rollouts.is_empty() {
            return vec!["There is no rollout yet: `kf canary start NAME@VERSION` starts one.".into()];
        }
        let mut t = Table::new(&["rollout", "version", "phase", "why"]);
        for r in &self.rollouts {
            t.row([r.short().to_owned(), r.reference(), word(&r.phase), ellipsis(r.why(), 80)]);
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        count(self.rollouts.len(), "rollout")
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.rollouts.iter().filter_map(|r| serde_json::to_value(r).ok()).collect())
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let found = cx.store(Mode::Read)?.read(|view| {
        // A name that was mistyped has no rollouts either.
        args.name.as_ref().map(|name| registry::model(view, name)).transpose()?;
        let found = newest(view, args.name.as_ref(), args.limit)?;
        found.iter().map(|r| RolloutDoc::read(view, r)).collect::<Result<Vec<_>>>()
    })?;
    cx.out.emit(&Listed { rollouts: found })
}

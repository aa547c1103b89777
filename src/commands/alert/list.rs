//! `kf alert list`: what waits to be told, and what nobody took.

use super::{DeliveryDoc, items, table};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::alert::DeliveryState;
use crate::domain::alert::table::{newest, unsent};
use crate::store::Mode;
use serde::Serialize;

/// List alerts that wait or failed; with --all also those that were sent
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf alert list\n  kf alert list --all --limit 20\n  kf alert list --format json")]
pub(crate) struct Args {
    /// The newest ones too that were sent, newest first
    #[arg(long)]
    all: bool,
    /// At most this many with --all
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
}

#[derive(Serialize)]
struct Listed {
    deliveries: Vec<DeliveryDoc>,
}

impl Report for Listed {
    const SCHEMA: &'static str = "kf.alert-list/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = table(&self.deliveries).into_iter().collect();
        let failed = self.count(DeliveryState::Failed) > 0;
        let hint = if failed {
            "\nhint: `kf alert test CHANNEL` tries a channel, `kf alert send --all` sends these once more"
        } else {
            ""
        };
        blocks.push(format!("{}{hint}", self.summary()).into());
        blocks
    }

    fn summary(&self) -> String {
        let of = |state| self.count(state);
        let sent = Some(of(DeliveryState::Sent)).filter(|n| *n > 0).map(|n| format!("{} sent, ", count(n, "message")));
        format!("{}{} waiting, {} failed", sent.unwrap_or_default(), of(DeliveryState::Waiting), of(DeliveryState::Failed))
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(items(&self.deliveries))
    }
}

impl Listed {
    fn count(&self, state: DeliveryState) -> usize {
        self.deliveries.iter().filter(|d| d.state == state).count()
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let found = cx.store(Mode::Read)?.read(|view| if args.all { newest(view, args.limit) } else { unsent(view, true) })?;
    cx.out.emit(&Listed { deliveries: found.into_iter().map(DeliveryDoc::from).collect() })
}

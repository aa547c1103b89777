//! `kf alert send`: what waits is sent now.

use super::{DeliveryDoc, items, send_waiting, table};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::alert::DeliveryState;
use crate::domain::alert::table::unsent;
use crate::release::alert::{Which, due};
use crate::store::Mode;
use serde::Serialize;

/// Send alerts that wait and are due
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf alert send --quiet              from cron, every few minutes\n  kf alert send --all                after a channel was mended\n\nExits 5 when some could not be sent, or not to everybody, 1 when none could."
)]
pub(crate) struct Args {
    /// All that wait, whenever they are due, and once more what failed
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Sent {
    /// Those that were tried.
    deliveries: Vec<DeliveryDoc>,
    /// How many wait for later.
    waiting: usize,
    #[serde(skip)]
    dry_run: bool,
}

impl Sent {
    fn sent(&self) -> usize {
        self.deliveries.iter().filter(|d| d.state == DeliveryState::Sent).count()
    }

    /// Of these, those that not everybody got.
    fn in_part(&self) -> usize {
        self.deliveries.iter().filter(|d| d.state == DeliveryState::Sent && d.error.is_some()).count()
    }
}

impl Report for Sent {
    const SCHEMA: &'static str = "kf.alert-send/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = table(&self.deliveries).into_iter().collect();
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let (sent, tried) = (self.sent(), self.deliveries.len());
        if self.dry_run {
            return format!("{} would be sent", count(tried, "message"));
        }
        let later = if self.waiting > 0 { format!(", {} waiting", self.waiting) } else { String::new() };
        let part = if self.in_part() > 0 { format!(", {} of them not to everybody", self.in_part()) } else { String::new() };
        match tried - sent {
            0 if tried == 0 => format!("nothing is due{later}"),
            0 => format!("{} sent{part}{later}", count(sent, "message")),
            lost => format!("{} sent{part}, {lost} not{later}", count(sent, "message")),
        }
    }

    fn exit(&self) -> Exit {
        match (self.sent(), self.deliveries.len()) {
            (sent, tried) if (sent == tried && self.in_part() == 0) || self.dry_run => Exit::Ok,
            (0, _) => Exit::Failed,
            _ => Exit::Partial,
        }
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(items(&self.deliveries))
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let store = cx.store(Mode::Write)?;
    let (which, dry_run) = (if args.all { Which::All } else { Which::Due }, store.is_dry_run());
    let tried = if dry_run { due(&store, which)? } else { send_waiting(cx, &store, which)? };
    let waiting = store.read(|view| unsent(view, false))?.len();
    cx.out.emit(&Sent { deliveries: tried.into_iter().map(DeliveryDoc::from).collect(), waiting, dry_run })
}

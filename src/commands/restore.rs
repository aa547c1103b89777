//! `kf restore`: brings an archived version back to development.

use super::moved;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Stage;
use crate::base::reference::Reference;
use crate::cli::arg;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::domain::registry::change::{Move, Way};
use clap_complete::engine::ArgValueCompleter;

/// Bring an archived version back to development
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf restore support-bot@1.0.0 --reason \"needed for comparison\"")]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let change = Move {
        way: Way::Restore,
        to: Stage::Development,
        ticket: args.ticket.as_deref(),
        reason: args.reason.as_deref(),
        detail: serde_json::Map::new(),
    };
    moved::run(cx, &args.reference, &change, |_, version| {
        if version.stage != Stage::Archived {
            return Err(Error::new(format!("{} is in {}, not archived", version.reference(), version.stage))
                .hint("only archived versions are restored; `kf promote` moves the others"));
        }
        Ok(())
    })
}

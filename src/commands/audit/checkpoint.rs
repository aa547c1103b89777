//! `kf audit checkpoint`: the signed head of the log.

use super::{Output, entries, sign_tail};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::audit::prove;
use crate::store::{Mode, log};
use serde::Serialize;

/// Sign what is not signed yet, if this host has the key, and write the newest checkpoint
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf audit checkpoint\n  kf audit checkpoint -o yesterday.checkpoint")]
pub(crate) struct Args {
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Head {
    origin: String,
    size: u64,
    root: Digest,
    /// Entries that no checkpoint covers yet.
    unsigned: u64,
    signed_now: bool,
    note: String,
    #[serde(skip)]
    output: Output,
}

impl Report for Head {
    const SCHEMA: &'static str = "kf.audit-checkpoint/1";

    fn blocks(&self) -> Vec<Block> {
        self.output.blocks(&self.note, self.summary())
    }

    fn summary(&self) -> String {
        let tail = match self.unsigned {
            0 => String::new(),
            n => format!("; the newest {n} are not signed yet"),
        };
        let file = self.output.place();
        format!("the checkpoint of {} at {}{file}{tail}", self.origin, entries(self.size))
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let store = cx.store(Mode::Write)?;
    let signed_now = sign_tail(cx, &store)?.is_some();
    let report = store.read(|view| {
        let newest = prove::checkpoint(view)?;
        let size = log::head(view.db())?.frontier.size();
        let prove::Stored { checkpoint, note } = newest;
        Ok(Head {
            unsigned: size.saturating_sub(checkpoint.size),
            origin: checkpoint.origin,
            size: checkpoint.size,
            root: Digest::from_bytes(checkpoint.root),
            signed_now,
            note: note.to_string(),
            output: args.output.clone(),
        })
    })?;
    args.output.save(cx, &report.note)?;
    cx.out.emit(&report)
}

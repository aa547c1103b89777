//! `kf audit checkpoint`: the signed head of the log.

use super::{Output, entries, sign_tail};
use crate::base::digest::Digest;
use crate::base::error::{Error, Kind, Result};
use crate::base::event::{Event, Resource};
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::audit::prove;
use crate::domain::audit::seal::LogSigner;
use crate::domain::audit::verify::verify;
use crate::store::{Mode, Store, log};
use serde::Serialize;

/// Sign what is not signed yet, if this host has the key, and write the newest checkpoint
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit checkpoint\n  kf audit checkpoint -o yesterday.checkpoint\n  kf audit checkpoint --yes     sign a log whose signatures are gone, after a full check"
)]
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

/// Signs a log whose signatures are gone: after all of it was read and agrees with itself and with Git, and with an event that
/// says that somebody wanted it.
fn start_anew(cx: &Cx, store: &Store, signer: &LogSigner) -> Result<bool> {
    let anchors = super::anchor::all(cx, store)?;
    // Without a key: what is left of signatures is what is wrong here, and everything else is compared.
    let found = store.read(|view| verify(view, &[], &anchors, cx.jobs()))?;
    if let Some(first) = found.findings.first() {
        return Err(Error::of(Kind::Broken, format!("the audit log is not signed: {}", first.what))
            .hint("run `kf audit verify`: it was altered; restore it from a backup"));
    }
    let event = Event::new("audit.signing-restarted", Resource::new("log-key", &found.origin));
    let root = found.root.map(|root| root.to_string());
    store.write(|tx| Ok(tx.record(event.with("size", found.size).with("root", root))))?;
    Ok(store.sign_head(signer)?.is_some())
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let store = cx.store(Mode::Write)?;
    let signed_now = match cx.log_signer()? {
        Some(signer) if cx.global.yes && !store.goes_on(&signer)? => start_anew(cx, &store, &signer)?,
        _ => sign_tail(cx, &store)?.is_some(),
    };
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

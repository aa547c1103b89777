//! `kf audit show`: one entry with everything in it.

use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::quantity::Bytes;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::audit::entry::{Entry, Reader};
use crate::store::{Mode, log};
use serde::Serialize;

/// Show one entry with everything in it
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit show 17\n  kf audit show 17 --raw > entry.json     the very bytes that are hashed"
)]
pub(crate) struct Args {
    /// The index of the entry, from 0
    index: u64,
    /// Write the bytes that are hashed, and nothing else
    #[arg(long)]
    raw: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    entry: Entry,
    body: String,
}

impl Report for Shown {
    const SCHEMA: &'static str = "kf.audit-entry/1";

    fn blocks(&self) -> Vec<Block> {
        let e = &self.entry;
        let reason = match &e.reason {
            Some(reason) => Some(reason.clone()),
            None if e.reason_locked => Some("(encrypted for others: `artifacts.identity` names no key that reads it)".to_owned()),
            None => e.reason_erased.then(|| "(erased; a commitment to it remains)".to_owned()),
        };
        let mut lines = vec![
            format!("entry    {}  {}", e.index, e.at),
            format!("action   {}: {}", e.action, e.outcome),
            format!("what     {}", e.resource),
            format!("who      {} ({} {}, {}) on {}", e.actor, e.actor_kind, e.actor_id, e.auth, e.host),
        ];
        lines.extend(e.resource.digest.as_ref().map(|digest| format!("digest   {digest}")));
        lines.extend(e.ticket.as_ref().map(|ticket| format!("ticket   {ticket}")));
        lines.extend(reason.map(|reason| format!("why      {reason}")));
        lines.extend(e.detail.iter().map(|(key, value)| format!("         {key} = {value}")));
        lines.push(format!("id       {}", e.id));
        lines.push(format!("hash     {}  (RFC 6962 leaf of {})", e.hash, Bytes(self.body.len() as u64)));
        sentences(lines)
    }

    fn summary(&self) -> String {
        format!("entry {}: {} {}", self.entry.index, self.entry.action, self.entry.resource)
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if args.raw {
        cx.only_formats("the bytes of an entry", &[Format::Table, Format::Json])?;
    }
    let shown = cx.store(Mode::Read)?.read(|view| match Reader::new(view).entry(args.index)? {
        Some((entry, body)) => Ok(Shown { entry, body }),
        None => {
            let size = log::head(view.db())?.frontier.size();
            Err(Error::new(format!("there is no entry {} in the audit log: it has {size}, counted from 0", args.index))
                .hint("list entries with `kf audit log`"))
        }
    })?;
    if args.raw {
        return cx.out.print(&shown.body).map(|()| Exit::Ok);
    }
    cx.out.emit(&shown)
}

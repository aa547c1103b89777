//! `kf rollback`: puts back the last good production version, in one transaction.

use super::version_doc::VersionDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::version::Version;
use crate::cli::arg;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::release::intact::Reader;
use crate::release::rollback::{Request, moving, roll_back};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// Put back the last good production version
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf rollback support-bot --reason \"answers in the wrong language\" --ticket INC-42\n  kf rollback support-bot --to 1.1.0"
)]
pub(crate) struct Args {
    /// The model
    #[arg(add = ArgValueCompleter::new(complete::models))]
    name: Name,
    /// Put back this version instead
    #[arg(long, value_name = "VERSION", add = ArgValueCompleter::new(complete::versions))]
    to: Option<Version>,
    /// Fail unless this version is in production now
    #[arg(long, value_name = "VERSION")]
    expect: Option<Version>,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

#[derive(Serialize)]
struct RolledBack {
    version: VersionDoc,
    replaced: Option<VersionDoc>,
    event: Option<i64>,
    changed: bool,
}

impl Report for RolledBack {
    const SCHEMA: &'static str = "kf.rollback/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let v = self.version.reference();
        match &self.replaced {
            Some(old) => format!("{v} is in production again; {} is archived", old.version),
            None if self.changed => format!("{v} is in production again"),
            None => format!("{v} is in production already"),
        }
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("version", self.version.version.to_string())]
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let objects = cx.objects()?;
    let bar = progress::bytes(&cx.out, "verifying", 0);
    let told = |total, read| {
        bar.set_length(total);
        bar.inc(read);
    };
    let reader = Reader::new(&objects, cx.jobs(), &told);
    let request = Request {
        files: &|version| reader.require(version),
        name: &args.name,
        to: args.to,
        expect: args.expect,
        ticket: args.ticket.as_deref(),
        reason: args.reason.as_deref(),
    };
    let store = cx.store(Mode::Write)?;
    if let Some(version) = store.read(|view| moving(view, &request))? {
        reader.read(&version);
    }
    let done = store.write(|tx| roll_back(tx, &request));
    bar.finish_and_clear();
    let done = done?;
    cx.out.emit(&RolledBack {
        version: (&done.version).into(),
        replaced: done.replaced.as_ref().map(VersionDoc::from),
        event: done.event,
        changed: done.event.is_some(),
    })
}

//! `kf tag`: words by which people find versions again.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::reference::Reference;
use crate::base::text::nearest;
use crate::base::version::Version;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::registry::{change, table};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// Add a tag to a version, or remove it
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf tag support-bot@1.2.0 reviewed\n  kf tag support-bot@1.2.0 reviewed --remove")]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// The tag: letters, digits, `-`, `_`, `.`
    tag: Name,
    /// Remove it
    #[arg(long)]
    remove: bool,
}

#[derive(Serialize)]
struct Tagged {
    name: Name,
    version: Version,
    tag: Name,
    tagged: bool,
    changed: bool,
}

impl Report for Tagged {
    const SCHEMA: &'static str = "kf.tag/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let what = match (self.tagged, self.changed) {
            (true, true) => "is now tagged",
            (true, false) => "was tagged already:",
            (false, true) => "is no longer tagged",
            (false, false) => "was not tagged",
        };
        format!("{}@{} {what} {}", self.name, self.version, self.tag)
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let mut near = None;
    let report = cx.store(Mode::Write)?.write(|tx| {
        let version = table::resolve(tx.view(), &args.reference)?;
        let changed = change::tag(tx, &version, args.tag.as_str(), args.remove)?;
        if args.remove && !changed {
            let tags = table::notes(tx.view(), version.id)?.tags;
            near = nearest(args.tag.as_str(), tags.iter().map(String::as_str)).map(str::to_owned);
        }
        Ok(Tagged { name: version.name, version: version.version, tag: args.tag.clone(), tagged: !args.remove, changed })
    })?;
    if let Some(near) = near {
        cx.out.note(&format!("hint: did you mean `{near}`?"));
    }
    cx.out.emit(&report)
}

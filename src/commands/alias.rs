//! `kf alias`: names of one's own for versions, such as `champion`.

use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::{Name, Stage};
use crate::base::reference::Reference;
use crate::base::version::Version;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::registry::{change, table};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// Point an alias to a version, or remove it
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf alias support-bot@1.2.0 champion\n  kf alias support-bot champion --remove")]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// The alias: letters, digits, `-`, `_`, `.`
    alias: Name,
    /// Remove it
    #[arg(long)]
    remove: bool,
}

#[derive(Serialize)]
struct Aliased {
    name: Name,
    alias: Name,
    version: Option<Version>,
    before: Option<Version>,
}

impl Report for Aliased {
    const SCHEMA: &'static str = "kf.alias/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        match (self.version, self.before) {
            (Some(v), Some(before)) if v != before => format!("{}@{} now means {v}, before {before}", self.name, self.alias),
            (Some(v), Some(_)) => format!("{}@{} means {v} already", self.name, self.alias),
            (Some(v), None) => format!("{}@{} now means {v}", self.name, self.alias),
            (None, _) => format!("{} has no alias {} any more", self.name, self.alias),
        }
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    check(&args.alias)?;
    let report = cx.store(Mode::Write)?.write(|tx| {
        let name = args.reference.name.clone();
        if args.remove {
            let model = table::model(tx.view(), &name)?;
            change::remove_alias(tx, &model, &args.alias)?;
            return Ok(Aliased { name, alias: args.alias.clone(), version: None, before: None });
        }
        let version = table::resolve(tx.view(), &args.reference)?;
        let before = change::set_alias(tx, &version, &args.alias)?;
        Ok(Aliased { name, alias: args.alias.clone(), version: Some(version.version), before })
    })?;
    cx.out.emit(&report)
}

/// An alias must not read as something else after the `@`.
fn check(alias: &Name) -> Result<()> {
    let text = alias.as_str();
    let lower = text.to_ascii_lowercase();
    let taken = lower == "latest" || lower == "none" || lower.parse::<Stage>().is_ok();
    if taken || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Error::usage(format!("`{text}` cannot be an alias: after `@` it means something else"))
            .hint("choose a word that is no stage, no version and not `latest`"));
    }
    Ok(())
}

//! `kf config show`: every value in force, and with `--origin` where it comes from.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use serde::Serialize;

/// Show every value in force, and where it comes from
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf config show --origin\n  kf config show --profile ci --format json")]
pub(crate) struct Args {
    /// Show where each value comes from
    #[arg(long)]
    origin: bool,
}

#[derive(Serialize)]
struct Setting {
    key: String,
    value: String,
    origin: String,
}

#[derive(Serialize)]
struct Settings {
    settings: Vec<Setting>,
    #[serde(skip)]
    with_origin: bool,
}

impl Report for Settings {
    const SCHEMA: &'static str = "kf.config/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = if self.with_origin { Table::new(&["key", "value", "origin"]) } else { Table::new(&["key", "value"]) };
        for s in &self.settings {
            if self.with_origin {
                t.row([&s.key, &s.value, &s.origin].map(Clone::clone));
            } else {
                t.row([&s.key, &s.value].map(Clone::clone));
            }
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        count(self.settings.len(), "setting")
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.settings.iter().filter_map(|s| serde_json::to_value(s).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let settings =
        loaded.origins.iter().map(|o| Setting { key: o.key.clone(), value: o.value.clone(), origin: o.origin.to_string() });
    cx.out.emit(&Settings { settings: settings.collect(), with_origin: args.origin })
}

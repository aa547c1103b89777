//! `kf list`: models, or the versions of one.

use super::version_doc::VersionDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::{Name, Stage};
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::registry::table;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// List models with where their versions stand, or the versions of one model
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf list\n  kf list support-bot\n  kf list --stage production --format json")]
pub(crate) struct Args {
    /// Only this model, with all its versions
    #[arg(add = ArgValueCompleter::new(complete::models))]
    name: Option<Name>,
    /// Only versions in this stage
    #[arg(long)]
    stage: Option<Stage>,
    /// Only versions with this tag
    #[arg(long)]
    tag: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 1000, value_name = "N")]
    limit: u32,
}

#[derive(Serialize)]
struct Listed {
    versions: Vec<VersionDoc>,
}

impl Report for Listed {
    const SCHEMA: &'static str = "kf.list/1";

    fn blocks(&self) -> Vec<Block> {
        if self.versions.is_empty() {
            return vec!["Nothing is registered here yet: `kf register NAME PATH` registers a version.".into()];
        }
        let mut t = Table::new(&["model", "version", "type", "stage", "digest", ">files", ">size", "created", "author"]);
        for v in &self.versions {
            t.row([
                v.name.to_string(),
                v.version.to_string(),
                v.kind.to_string(),
                v.stage.to_string(),
                v.digest.short(),
                v.files.to_string(),
                Bytes(u64::try_from(v.bytes).unwrap_or(0)).to_string(),
                v.created.day(),
                v.author.clone(),
            ]);
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        count(self.versions.len(), "version")
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.versions.iter().filter_map(|v| serde_json::to_value(v).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let store = cx.store(Mode::Read)?;
    let rows = store.read(|view| {
        if args.name.is_none() && args.stage.is_none() && args.tag.is_none() {
            return table::overview(view);
        }
        let model = args.name.as_ref().map(|name| table::model(view, name)).transpose()?;
        table::all_versions(view, model.map(|m| m.id), args.stage, args.tag.as_deref(), args.limit)
    })?;
    cx.out.emit(&Listed { versions: rows.iter().map(VersionDoc::from).collect() })
}

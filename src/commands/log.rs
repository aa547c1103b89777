//! `kf log`: the versions of a model, newest first, as `git log` shows commits.

use super::version_doc::VersionDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::text::count;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::registry::table;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;
use std::collections::BTreeMap;

/// Show the versions of a model, the newest first
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf log support-bot\n  kf log support-bot --limit 3 --format json")]
pub(crate) struct Args {
    /// The model
    #[arg(add = ArgValueCompleter::new(complete::models))]
    name: Name,
    /// At most this many versions
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    version: VersionDoc,
    metrics: BTreeMap<String, f64>,
    meta: BTreeMap<String, String>,
    tags: Vec<String>,
}

#[derive(Serialize)]
struct Log {
    name: Name,
    versions: Vec<Entry>,
}

impl Report for Log {
    const SCHEMA: &'static str = "kf.log/1";

    fn blocks(&self) -> Vec<Block> {
        self.versions.iter().map(|e| Block::Verbatim(e.text())).collect()
    }

    fn summary(&self) -> String {
        format!("{} of {}", count(self.versions.len(), "version"), self.name)
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.versions.iter().filter_map(|v| serde_json::to_value(v).ok()).collect())
    }
}

impl Entry {
    fn text(&self) -> String {
        let v = &self.version;
        let size = Bytes(u64::try_from(v.bytes).unwrap_or(0));
        let mut lines = vec![
            format!("{}  ({})", v.reference(), v.stage),
            format!("  digest   {}", v.digest),
            format!("  author   {}, {}", v.author, v.created),
            format!("  content  {}, {size}", count(usize::try_from(v.files).unwrap_or(0), "file")),
        ];
        if let Some(git) = &v.git {
            let dirty = if git.dirty { ", with uncommitted changes" } else { "" };
            let branch = git.branch.as_deref().unwrap_or("no branch");
            lines.push(format!("  git      {} on {branch}{dirty}", git.commit.get(..12).unwrap_or(&git.commit)));
        }
        let pairs = |label: &str, items: Vec<String>| (!items.is_empty()).then(|| format!("  {label:<8} {}", items.join(", ")));
        lines.extend(pairs("metrics", self.metrics.iter().map(|(k, v)| format!("{k} = {v}")).collect()));
        lines.extend(pairs("meta", self.meta.iter().map(|(k, v)| format!("{k} = {v}")).collect()));
        lines.extend(pairs("tags", self.tags.clone()));
        lines.join("\n")
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let versions = cx.store(Mode::Read)?.read(|view| {
        let model = table::model(view, &args.name)?;
        let rows = table::versions(view, model.id, args.limit)?;
        rows.iter()
            .map(|row| {
                let notes = table::notes(view, row.id)?;
                Ok(Entry {
                    version: row.into(),
                    metrics: notes.metrics.into_iter().collect(),
                    meta: notes.meta.into_iter().collect(),
                    tags: notes.tags,
                })
            })
            .collect::<Result<Vec<_>>>()
    })?;
    cx.out.emit(&Log { name: args.name.clone(), versions })
}

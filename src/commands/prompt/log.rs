//! `kf prompt log`: the versions of a prompt, what each changed, and what came of it.

use super::{prompt, tokens};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::text::count;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::version_doc::VersionDoc;
use crate::domain::eval::record;
use crate::domain::registry::change::PARENT;
use crate::domain::registry::table;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;
use std::collections::BTreeSet;

/// How many evaluations are counted.
const EVALUATIONS: u32 = 1000;

/// Show the versions of a prompt, the newest first: variables and tokens that changed, commit, who uses it
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf prompt log answer\n  kf prompt log support-bot --limit 3 --format json")]
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
    version: VersionDoc,
    /// Missing when its files were removed or cannot be read.
    prompts: Option<usize>,
    tokens: Option<u32>,
    tokens_change: Option<i64>,
    variables: Option<BTreeSet<String>>,
    variables_added: Vec<String>,
    variables_removed: Vec<String>,
    tags: Vec<String>,
    uses: Vec<String>,
    used_by: Vec<String>,
    evaluations: usize,
}

#[derive(Serialize)]
struct Log {
    name: Name,
    versions: Vec<Entry>,
}

impl Report for Log {
    const SCHEMA: &'static str = "kf.prompt-log/1";

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
        let mut lines = vec![format!("{}  ({})", v.reference(), v.stage), format!("  author     {}, {}", v.author, v.created)];
        if let Some(git) = &v.git {
            let dirty = if git.dirty { ", with uncommitted changes" } else { "" };
            lines.push(format!("  commit     {}{dirty}", git.commit.get(..12).unwrap_or(&git.commit)));
        }
        if let (Some(prompts), Some(tokens)) = (self.prompts, self.tokens) {
            let change = self.tokens_change.map(|n| format!(" ({n:+})")).unwrap_or_default();
            lines.push(format!("  prompts    {prompts}, {}{change}", count(tokens as usize, "token")));
        } else {
            lines.push("  prompts    not known: the files were removed, or cannot be read".to_owned());
        }
        let signs =
            self.variables_added.iter().map(|v| format!("+{v}")).chain(self.variables_removed.iter().map(|v| format!("-{v}")));
        let signs: Vec<String> = signs.collect();
        let pairs = |label: &str, items: &[String]| (!items.is_empty()).then(|| format!("  {label:<10} {}", items.join(", ")));
        lines.extend(pairs("variables", &signs));
        lines.extend(pairs("tags", &self.tags));
        lines.extend(pairs("uses", &self.uses));
        lines.extend(pairs("used by", &self.used_by));
        lines.extend((self.evaluations > 0).then(|| format!("  evaluated  {}", count(self.evaluations, "time"))));
        lines.join("\n")
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let layout = prompt::layout(&loaded.project, &args.name)?;
    let objects = cx.objects()?;
    // One more than is shown, to tell what the oldest of them changed.
    let rows = cx.store(Mode::Read)?.read(|view| {
        let model = table::model(view, &args.name)?;
        table::versions(view, model.id, args.limit.saturating_add(1))?
            .into_iter()
            .map(|row| {
                let names = |links: Vec<(String, table::VersionRow)>| {
                    links.iter().filter(|(relation, _)| relation != PARENT).map(|(_, v)| v.reference()).collect()
                };
                let entry = Entry {
                    version: (&row).into(),
                    prompts: None,
                    tokens: None,
                    tokens_change: None,
                    variables: None,
                    variables_added: Vec::new(),
                    variables_removed: Vec::new(),
                    tags: table::notes(view, row.id)?.tags,
                    uses: names(table::links_from(view, row.id)?),
                    used_by: names(table::links_to(view, row.id)?),
                    evaluations: record::of_version(view, row.id, EVALUATIONS)?.len(),
                };
                Ok((row, entry))
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let mut versions: Vec<Entry> = Vec::new();
    for (row, mut entry) in rows {
        let pages = if row.purged.is_none() { prompt::of_version(&objects, &row, &layout)? } else { Vec::new() };
        if row.purged.is_none() && pages.iter().all(|p| p.book.is_ok()) {
            let prompts: Vec<_> = pages.iter().filter_map(|p| p.book.as_ref().ok()).flat_map(|b| &b.prompts).collect();
            entry.prompts = Some(prompts.len());
            entry.tokens = Some(prompts.iter().map(|p| p.tokens(tokens())).sum());
            entry.variables = Some(prompts.iter().flat_map(|p| p.variables()).map(str::to_owned).collect());
        }
        if let Some(newer) = versions.last_mut() {
            newer.tokens_change = newer.tokens.zip(entry.tokens).map(|(a, b)| i64::from(a) - i64::from(b));
            if let (Some(a), Some(b)) = (&newer.variables, &entry.variables) {
                newer.variables_added = a.difference(b).cloned().collect();
                newer.variables_removed = b.difference(a).cloned().collect();
            }
        }
        versions.push(entry);
    }
    versions.truncate(usize::try_from(args.limit).unwrap_or(usize::MAX));
    cx.out.emit(&Log { name: args.name.clone(), versions })
}

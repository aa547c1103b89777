//! `kf prompt list`: the prompts of every model of type `prompt` or `config`.

use super::doc::PromptDoc;
use super::prompt;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::{ModelType, Name};
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::version_doc::VersionDoc;
use crate::domain::registry::table;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// List prompts: those of the highest version of each model, and of what is in staging or production
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf prompt list\n  kf prompt list support-bot --format json")]
pub(crate) struct Args {
    /// Only this model, with all its versions
    #[arg(add = ArgValueCompleter::new(complete::models))]
    name: Option<Name>,
    /// At most this many versions of a model
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

#[derive(Serialize)]
struct Entry {
    version: VersionDoc,
    /// Why its prompts are not known.
    reason: Option<String>,
    prompts: Vec<PromptDoc>,
}

#[derive(Serialize)]
struct Listed {
    versions: Vec<Entry>,
}

impl Report for Listed {
    const SCHEMA: &'static str = "kf.prompt-list/1";

    fn blocks(&self) -> Vec<Block> {
        if self.versions.is_empty() {
            return vec!["No prompt is registered here yet: `kf prompt add PATH` registers one.".into()];
        }
        let mut t = Table::new(&["model", "version", "stage", "prompt", "kind", "variables", ">tokens"]);
        for e in &self.versions {
            let head = [e.version.name.to_string(), e.version.version.to_string(), e.version.stage.to_string()];
            if let Some(reason) = &e.reason {
                t.row(head.iter().cloned().chain([reason.clone(), String::new(), String::new(), String::new()]));
            }
            for p in &e.prompts {
                let rest = [p.prompt.clone(), p.kind().to_owned(), p.variables.join(", "), p.tokens.to_string()];
                t.row(head.iter().cloned().chain(rest));
            }
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        let prompts = self.versions.iter().map(|e| e.prompts.len()).sum();
        format!("{} of {}", count(prompts, "prompt"), count(self.versions.len(), "version"))
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.versions.iter().filter_map(|v| serde_json::to_value(v).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let rows = cx.store(Mode::Read)?.read(|view| match &args.name {
        Some(name) => {
            let model = table::model(view, name)?;
            table::versions(view, model.id, args.limit)
        }
        None => table::overview(view),
    })?;
    let objects = cx.objects()?;
    let mut versions = Vec::new();
    for row in rows.iter().filter(|r| matches!(r.kind, ModelType::Prompt | ModelType::Config)) {
        let (mut prompts, mut reason) = (Vec::new(), None);
        if row.purged.is_some() {
            reason = Some("its files were removed after its retention".to_owned());
        } else {
            let layout = prompt::layout(&loaded.project, &row.name)?;
            for page in prompt::of_version(&objects, row, &layout)? {
                match page.book {
                    Ok(book) => prompts.extend(book.prompts.iter().map(PromptDoc::of)),
                    Err(_) => reason = Some(format!("{} cannot be read: `kf prompt check {}`", page.path, row.reference())),
                }
            }
        }
        if reason.is_some() || !prompts.is_empty() {
            versions.push(Entry { version: row.into(), reason, prompts });
        }
    }
    cx.out.emit(&Listed { versions })
}

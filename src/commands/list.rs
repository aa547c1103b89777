//! `kf list`: models, or the versions of one.

use super::version_doc::VersionDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::{Name, Stage};
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::{count, did_you_mean};
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::registry::table::{self, Filter};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// List models with where their versions stand, or the versions of one
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf list\n  kf list support-bot\n  kf list --stage production --format json\n  kf list --all --limit 20\n\nWithout a filter, the highest version of each model and every version in staging or production is listed; in JSON,\n`not_listed` counts the others."
)]
pub(crate) struct Args {
    /// Only this model, with all its versions
    #[arg(add = ArgValueCompleter::new(complete::models))]
    name: Option<Name>,
    /// All versions of all models
    #[arg(long)]
    all: bool,
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

impl Args {
    fn filtered(&self) -> bool {
        self.name.is_some() || self.stage.is_some() || self.tag.is_some()
    }
}

#[derive(Serialize)]
struct Listed {
    versions: Vec<VersionDoc>,
    /// How many more versions there are: older ones of an overview, or those above the limit.
    not_listed: usize,
    /// True when only some versions were asked for.
    #[serde(skip)]
    filtered: bool,
    /// True for the overview, which leaves out what is neither the highest version nor released.
    #[serde(skip)]
    overview: bool,
    /// What to ask for instead, when nothing was found.
    #[serde(skip)]
    hint: Option<String>,
}

impl Report for Listed {
    const SCHEMA: &'static str = "kf.list/1";

    fn blocks(&self) -> Vec<Block> {
        if self.versions.is_empty() && self.filtered && self.not_listed == 0 {
            let hint = self.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            return vec![format!("No version is like that.{hint}").into()];
        }
        if self.versions.is_empty() && self.not_listed == 0 {
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
        let mut blocks: Vec<Block> = vec![t.into()];
        if self.not_listed > 0 {
            let (more, are) = (count(self.not_listed, "more version"), if self.not_listed == 1 { "is" } else { "are" });
            let how = if self.overview {
                "`kf list --all` lists all, `kf list NAME` those of a model"
            } else {
                "`--limit N` lists more"
            };
            blocks.push(format!("{more} {are} not listed: {how}.").into());
        }
        blocks
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
    let overview = !args.filtered() && !args.all;
    let listed = store.read(|view| {
        let model = args.name.as_ref().map(|name| table::model(view, name)).transpose()?.map(|m| m.id);
        let filter = Filter { model, stage: args.stage, tag: args.tag.as_deref() };
        let mut rows = if overview { table::overview(view)? } else { table::all_versions(view, filter, args.limit)? };
        rows.truncate(usize::try_from(args.limit).unwrap_or(usize::MAX));
        let hint = match &args.tag {
            Some(tag) if rows.is_empty() => did_you_mean(tag, table::tags(view, model)?.iter().map(String::as_str)),
            _ => None,
        };
        let not_listed = table::count_versions(view, filter)?.saturating_sub(rows.len());
        let versions = rows.iter().map(VersionDoc::from).collect();
        Ok(Listed { versions, not_listed, filtered: args.filtered(), overview, hint })
    })?;
    cx.out.emit(&listed)
}

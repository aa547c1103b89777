//! `kf diff`: what differs between two versions.

use super::version_doc::VersionDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::reference::Reference;
use crate::base::text::count;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::registry::bump::{Advice, advise};
use crate::domain::registry::diff::{Difference, text};
use crate::domain::registry::parts::Layout;
use crate::domain::registry::table;
use crate::release::register::{Request, contents, differ};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// Show what differs between two versions: texts by line, structures by key, prompts by variable
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf diff support-bot@production support-bot@latest\n  kf diff support-bot@1.0.0 support-bot@1.1.0 --format json"
)]
pub(crate) struct Args {
    /// The older version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    old: Reference,
    /// The newer version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    new: Reference,
}

#[derive(Serialize)]
struct Differed {
    old: VersionDoc,
    new: VersionDoc,
    same: bool,
    #[serde(flatten)]
    difference: Difference,
    advice: Option<Advice>,
}

impl Report for Differed {
    const SCHEMA: &'static str = "kf.diff/1";

    fn blocks(&self) -> Vec<Block> {
        if self.same {
            return vec![self.summary().into()];
        }
        vec![self.summary().into(), Block::Verbatim(text(&self.difference))]
    }

    fn summary(&self) -> String {
        let (old, new) = (self.old.reference(), self.new.reference());
        if self.same {
            return format!("{old} and {new} have the same files and dependencies");
        }
        let bump = self.advice.as_ref().map(|a| format!(", a {} change", a.bump.word())).unwrap_or_default();
        format!("{old} → {new}: {} differ{bump}", count(self.difference.files.len(), "file"))
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let (store, objects) = (cx.store(Mode::Read)?, cx.objects()?);
    let (old, new, before, after) = store.read(|view| {
        let (old, new) = (table::resolve(view, &args.old)?, table::resolve(view, &args.new)?);
        let (before, after) = (contents(view, &objects, &old)?, contents(view, &objects, &new)?);
        Ok((old, new, before, after))
    })?;
    let layout: Layout = Request::of_model(&loaded.project, &loaded.root, &new.name)?.layout;
    let difference = differ(&objects, &before, &after, &layout)?;
    cx.out.emit(&Differed {
        old: (&old).into(),
        new: (&new).into(),
        same: difference.is_empty(),
        advice: advise(&difference),
        difference,
    })
}

//! `kf prompt diff`: what differs between the prompts of two versions.

use super::{prompt, tokens};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::reference::Reference;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::version_doc::VersionDoc;
use crate::domain::prompt::book::Book;
use crate::domain::prompt::change::{Change, changes};
use crate::domain::registry::diff::{Difference, FileChange, text};
use crate::domain::registry::parts::Part;
use crate::domain::registry::table;
use crate::release::register::{contents, differ};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// Show what differs between the prompts of two versions: text, variables, tokens
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf prompt diff answer@production answer\n  kf prompt diff support-bot@1.0.0 support-bot@1.1.0 --format json"
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
    prompts: Vec<Change>,
    files: Vec<FileChange>,
    #[serde(skip)]
    text: String,
}

impl Report for Differed {
    const SCHEMA: &'static str = "kf.prompt-diff/1";

    fn blocks(&self) -> Vec<Block> {
        if self.same {
            return vec![self.summary().into()];
        }
        let mut blocks = vec![self.summary().into(), Block::Verbatim(self.text.clone())];
        let mut t = Table::new(&["prompt", "is", "variables", ">tokens before", ">after", ">change"]);
        for c in &self.prompts {
            let signs =
                c.variables_added.iter().map(|v| format!("+{v}")).chain(c.variables_removed.iter().map(|v| format!("-{v}")));
            let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
            let change = i64::from(c.tokens_after.unwrap_or(0)) - i64::from(c.tokens_before.unwrap_or(0));
            t.row([
                c.prompt.clone(),
                c.status.to_owned(),
                signs.collect::<Vec<_>>().join(" "),
                number(c.tokens_before),
                number(c.tokens_after),
                format!("{change:+}"),
            ]);
        }
        blocks.extend(Block::filled(t));
        blocks
    }

    fn summary(&self) -> String {
        let (old, new) = (self.old.reference(), self.new.reference());
        match self.same {
            true => format!("{old} and {new} have the same prompts"),
            false => {
                let differ = if self.prompts.len() == 1 { "differs" } else { "differ" };
                format!("{old} → {new}: {} {differ}", count(self.prompts.len(), "prompt"))
            }
        }
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
    let layout = prompt::layout(&loaded.project, &new.name)?;
    let mut difference = differ(&objects, &before, &after, &layout)?;
    difference.files.retain(|f| f.part == Some(Part::Prompts));
    let difference = Difference { depends: Vec::new(), metrics: Vec::new(), ..difference };
    let read = |row| -> Result<Vec<Book>> {
        Ok(prompt::of_version(&objects, row, &layout)?.into_iter().filter_map(|p| p.book.ok()).collect())
    };
    let prompts = changes(&read(&old)?, &read(&new)?, tokens());
    cx.out.emit(&Differed {
        old: (&old).into(),
        new: (&new).into(),
        same: prompts.is_empty() && difference.files.is_empty(),
        prompts,
        text: text(&difference),
        files: difference.files,
    })
}

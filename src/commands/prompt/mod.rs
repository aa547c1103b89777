//! `kf prompt`: prompts as versions, their variables, what they render to, and suites that test them.

mod add;
mod check;
mod diff;
mod doc;
mod list;
mod log;
mod render;
mod show;
mod test;
mod vars;

use super::version_doc::VersionDoc;
use crate::adapters::embedder::builtin::builtin;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::reference::Reference;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::domain::prompt::book::Book;
use crate::domain::registry::table::{self, VersionRow};
use crate::release::prompt;
use crate::seams::embedder::Tokens;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use std::path::PathBuf;

/// Register, check, render, compare and test prompts
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf prompt add prompts/\n  kf prompt check\n  kf prompt render answer@production --var question='Where is my parcel?'\n  kf prompt diff answer@production answer\n  kf prompt test prompts.test.yaml"
)]
pub(crate) enum Command {
    Add(add::Args),
    Check(check::Args),
    Diff(diff::Args),
    List(list::Args),
    Log(log::Args),
    Render(render::Args),
    Show(show::Args),
    Test(test::Args),
    Vars(vars::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Add(args) => add::run(cx, args),
            Self::Check(args) => check::run(cx, args),
            Self::Diff(args) => diff::run(cx, args),
            Self::List(args) => list::run(cx, args),
            Self::Log(args) => log::run(cx, args),
            Self::Render(args) => render::run(cx, args),
            Self::Show(args) => show::run(cx, args),
            Self::Test(args) => test::run(cx, args),
            Self::Vars(args) => vars::run(cx, args),
        }
    }
}

/// Which prompts.
#[derive(clap::Args, Debug)]
struct Which {
    /// The version
    #[arg(required_unless_present = "file", add = ArgValueCompleter::new(complete::references))]
    reference: Option<Reference>,
    /// A file of prompts instead of a registered version
    #[arg(long, value_name = "PATH", conflicts_with = "reference")]
    file: Option<PathBuf>,
    /// Which of several prompts: its file, its key, or FILE#KEY
    #[arg(long, value_name = "PROMPT")]
    prompt: Option<String>,
}

/// Prompts that were read, and the version that they are of.
struct Found {
    version: Option<VersionRow>,
    /// What they are called together.
    of: String,
    books: Vec<Book>,
}

impl Which {
    fn read(&self, cx: &Cx) -> Result<Found> {
        let loaded = cx.project()?;
        if let Some(file) = &self.file {
            let page = prompt::page(&loaded.root, &cx.cwd.join(file))?;
            let of = page.path.clone();
            return Ok(Found { version: None, books: prompt::readable(vec![page], &of)?, of });
        }
        let reference = self.reference.as_ref().ok_or_else(|| Error::usage("no version named"))?;
        let version = cx.store(Mode::Read)?.read(|view| table::resolve(view, reference))?;
        let layout = prompt::layout(&loaded.project, &version.name)?;
        let pages = prompt::of_version(&cx.objects()?, &version, &layout)?;
        let of = version.reference();
        Ok(Found { books: prompt::readable(pages, &of)?, of, version: Some(version) })
    }
}

impl Found {
    fn doc(&self) -> Option<VersionDoc> {
        self.version.as_ref().map(VersionDoc::from)
    }
}

/// What counts tokens of prompts: the built-in tokenizer, so that counts are the same everywhere.
fn tokens() -> &'static dyn Tokens {
    builtin()
}

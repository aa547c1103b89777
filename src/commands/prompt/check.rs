//! `kf prompt check`: everything that can be known to be wrong with prompts before there are values.

use super::prompt::{self, Page};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::ModelType;
use crate::base::reference::Reference;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::registry::parts::{Layout, PartProblem};
use crate::domain::registry::table;
use crate::store::Mode;
use serde::Serialize;

/// Check prompts: templates, declared variables, formats, roles; each fault with file, line and column
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf prompt check                       the prompts of every model of mlops.toml\n  kf prompt check prompts/ config/prompts/answer.txt\n  kf prompt check support-bot@production\n\nExits 2 when something is wrong."
)]
pub(crate) struct Args {
    /// Files, folders or registered versions (default: the prompts of every model of mlops.toml)
    #[arg(value_name = "PATH|REF")]
    targets: Vec<String>,
}

#[derive(Serialize)]
struct Checked {
    files: usize,
    prompts: usize,
    faults: Vec<PartProblem>,
}

impl Report for Checked {
    const SCHEMA: &'static str = "kf.prompt-check/1";

    fn blocks(&self) -> Vec<Block> {
        let mut lines: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
        lines.push(self.summary());
        vec![Block::Text(lines.join("\n"))]
    }

    fn summary(&self) -> String {
        let (prompts, files) = (count(self.prompts, "prompt"), count(self.files, "file"));
        match self.faults.len() {
            0 => format!("{prompts} in {files}: nothing is wrong"),
            n => format!("{prompts} in {files}: {} wrong", count(n, "thing")),
        }
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.faults.iter().filter_map(|v| serde_json::to_value(v).ok()).collect())
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        let one = |f: &PartProblem| (Some(f.path.clone()), "prompt".to_owned(), f.to_string());
        self.faults.iter().map(one).collect()
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let mut pages = Vec::new();
    if args.targets.is_empty() {
        pages = prompt::of_project(&loaded.project, &loaded.root)?;
        if pages.is_empty() {
            return Err(
                Error::usage("mlops.toml names no model with prompts").hint("name files or folders: `kf prompt check prompts/`")
            );
        }
    }
    for target in &args.targets {
        pages.extend(of_target(cx, target)?);
    }
    let mut faults = Vec::new();
    for page in &pages {
        let one = |f: crate::domain::registry::document::Fault| PartProblem {
            path: page.path.clone(),
            line: f.line,
            column: f.column,
            message: f.message,
        };
        faults.extend(prompt::faults(page).into_iter().map(one));
    }
    let prompts = pages.iter().filter_map(|p| p.book.as_ref().ok()).map(|b| b.prompts.len()).sum();
    let report = Checked { files: pages.len(), prompts, faults };
    let exit = cx.out.emit(&report)?;
    match report.faults.len() {
        0 => Ok(exit),
        n => Err(Error::usage(format!("{} wrong with prompts", count(n, "thing"))).hint("mend the lines above")),
    }
}

fn of_target(cx: &Cx, target: &str) -> Result<Vec<Page>> {
    let loaded = cx.project()?;
    let path = cx.cwd.join(target);
    if path.exists() {
        let pages = prompt::of_paths(&loaded.root, &[path], ModelType::Prompt, &Layout::default())?;
        if pages.is_empty() {
            return Err(Error::new(format!("there is no prompt in {target}"))
                .hint("prompts end in .txt, .md, .yaml, .toml or .json; name a file of another kind itself"));
        }
        return Ok(pages);
    }
    let reference: Reference = target.parse().map_err(|e| {
        Error::usage(format!("`{}` is no file, and no reference either: {e}", crate::base::text::visible(target, 80)))
    })?;
    let version = cx.store(Mode::Read)?.read(|view| table::resolve(view, &reference))?;
    let layout = prompt::layout(&loaded.project, &version.name)?;
    prompt::of_version(&cx.objects()?, &version, &layout)
}

//! `kf prompt add`: registers prompts, each file a model of type `prompt`, many at once.

use super::doc::PromptDoc;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::{ModelType, Name};
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::version::{Bump, Version};
use crate::cli::arg;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::gc::waiting;
use crate::commands::version_doc::VersionDoc;
use crate::domain::prompt::book::Book;
use crate::domain::registry::parts::Layout;
use crate::release::gather::gather;
use crate::release::prompt;
use crate::release::register::{Place, Request, Wanted, register};
use crate::store::Mode;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Register prompts: each file becomes a version of a model of its name
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf prompt add prompts/answer.txt\n  kf prompt add prompts/                every prompt in the folder\n  kf prompt add prompts/answer.txt --name support-answer --bump minor --tag reviewed\n\nWhat is wrong with a prompt is found before anything is registered: braces, formats, variables that are declared and not\nused, or used and not declared. A prompt whose bytes are registered already stays as it is."
)]
pub(crate) struct Args {
    /// Files of prompts, and folders of such files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The name of the model, for one file (default: the file's name without its extension)
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// This number, for one file
    #[arg(long, conflicts_with = "bump")]
    version: Option<Version>,
    /// Raise the highest version by this instead of by what the difference advises
    #[arg(long, value_parser = bump_of)]
    bump: Option<Bump>,
    /// Metadata, NAME=TEXT; again for more
    #[arg(long, value_name = "K=V", value_parser = pair_of)]
    meta: Vec<(String, String)>,
    /// A tag; again for more
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Name>,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

fn bump_of(text: &str) -> Result<Bump, String> {
    match text {
        "major" => Ok(Bump::Major),
        "minor" => Ok(Bump::Minor),
        "patch" => Ok(Bump::Patch),
        other => Err(format!("`{other}` is not one of: major, minor, patch")),
    }
}

fn pair_of(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected NAME=TEXT")?;
    let name: Name = key.parse().map_err(|e| format!("{e}"))?;
    Ok((name.to_string(), value.to_owned()))
}

#[derive(Serialize)]
struct Item {
    file: String,
    name: Option<Name>,
    version: Option<VersionDoc>,
    changed: bool,
    bump: Option<Bump>,
    advice: Vec<String>,
    warnings: Vec<String>,
    prompts: Vec<PromptDoc>,
    error: Option<String>,
    #[serde(skip)]
    hints: Vec<String>,
}

#[derive(Serialize)]
struct Added {
    prompts: Vec<Item>,
}

impl Item {
    fn word(&self) -> String {
        match (&self.error, self.changed) {
            (Some(e), _) => format!("failed: {e}"),
            (None, true) => "registered".into(),
            (None, false) => "already registered".into(),
        }
    }

    fn tokens(&self) -> u32 {
        self.prompts.iter().map(|p| p.tokens).sum()
    }

    fn variables(&self) -> String {
        let mut all: Vec<&str> = self.prompts.iter().flat_map(|p| &p.variables).map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all.join(", ")
    }
}

impl Report for Added {
    const SCHEMA: &'static str = "kf.prompt-add/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["prompt", "version", "result", "variables", ">tokens"]);
        for i in &self.prompts {
            t.row([
                i.name.as_ref().map_or_else(|| i.file.clone(), ToString::to_string),
                i.version.as_ref().map(|v| v.version.to_string()).unwrap_or_default(),
                i.word(),
                i.variables(),
                if i.error.is_some() { String::new() } else { i.tokens().to_string() },
            ]);
        }
        let reasons = |i: &Item| -> Vec<String> {
            let Some((v, bump)) = i.version.as_ref().zip(i.bump).filter(|_| !i.advice.is_empty()) else { return Vec::new() };
            let head = format!("{}, a {} version:", v.reference(), bump.word());
            std::iter::once(head).chain(i.advice.iter().map(|a| format!("  - {a}"))).collect()
        };
        let lines: Vec<String> = self.prompts.iter().flat_map(reasons).collect();
        let mut blocks = vec![t.into()];
        if !lines.is_empty() {
            blocks.push(Block::Text(lines.join("\n")));
        }
        blocks
    }

    fn summary(&self) -> String {
        let new = self.prompts.iter().filter(|i| i.changed).count();
        let failed = self.prompts.iter().filter(|i| i.error.is_some()).count();
        format!("{} registered, {failed} failed, {} unchanged", count(new, "prompt"), self.prompts.len() - new - failed)
    }

    fn exit(&self) -> Exit {
        match self.prompts.iter().filter(|i| i.error.is_some()).count() {
            0 => Exit::Ok,
            n if n == self.prompts.len() => Exit::Failed,
            _ => Exit::Partial,
        }
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.prompts.iter().filter_map(|v| serde_json::to_value(v).ok()).collect())
    }
}

/// A file that is to become a version, and the name that it gets.
struct Wish {
    file: PathBuf,
    name: Result<Name>,
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let wishes = wishes(cx, args, &loaded.root)?;
    if wishes.len() > 1 && (args.name.is_some() || args.version.is_some()) {
        return Err(Error::usage(format!("`--name` and `--version` are for one prompt, and these are {}", wishes.len()))
            .hint("name one file, or leave them out"));
    }
    let place = Place { store: cx.store(Mode::Write)?, objects: cx.objects()?, root: loaded.root.clone(), jobs: cx.jobs() };
    let mut items = Vec::new();
    let alone = wishes.len() == 1;
    for wish in wishes {
        match add(cx, args, &place, &wish) {
            Err(e) if alone => return Err(e),
            Ok(item) => items.push(item),
            Err(e) => items.push(Item {
                file: shown(&loaded.root, &wish.file),
                name: wish.name.ok(),
                version: None,
                changed: false,
                bump: None,
                advice: Vec::new(),
                warnings: Vec::new(),
                prompts: Vec::new(),
                error: Some(e.to_string()),
                hints: e.hints().to_vec(),
            }),
        }
    }
    for item in &items {
        item.warnings.iter().for_each(|warning| cx.out.note(&format!("warning: {warning}")));
        item.hints.iter().for_each(|hint| cx.out.warn(&format!("hint: {}: {hint}", item.file)));
    }
    cx.out.emit(&Added { prompts: items })
}

fn shown(root: &Path, file: &Path) -> String {
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    file.strip_prefix(&real).or_else(|_| file.strip_prefix(root)).unwrap_or(file).display().to_string()
}

/// Every file that was named, or is a prompt in a folder that was.
fn wishes(cx: &Cx, args: &Args, root: &Path) -> Result<Vec<Wish>> {
    let mut wishes = Vec::new();
    for path in &args.paths {
        let path = cx.cwd.join(path);
        let folder = path.is_dir();
        let mut any = false;
        for file in gather(root, std::slice::from_ref(&path))? {
            let is_prompt = Layout::default().part_of(ModelType::Prompt, &file.name).is_some();
            if !folder || is_prompt {
                let name = args.name.clone().map_or_else(|| name_of(&file.name), Ok);
                wishes.push(Wish { file: file.source, name });
                any = true;
            }
        }
        if !any {
            return Err(Error::new(format!("there is no prompt in {}", path.display()))
                .hint("prompts end in .txt, .md, .yaml, .toml or .json; name a file of another kind itself"));
        }
    }
    Ok(wishes)
}

/// `support/answer.txt` is `support.answer`.
fn name_of(file: &str) -> Result<Name> {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    stem.replace('/', ".").parse().map_err(|e| {
        Error::usage(format!("`{}` gives no name of a model: {e}", crate::base::text::visible(file, 80)))
            .hint("rename the file, or name it alone with `--name NAME`")
    })
}

fn add(cx: &Cx, args: &Args, place: &Place, wish: &Wish) -> Result<Item> {
    let loaded = cx.project()?;
    let name = match &wish.name {
        Ok(name) => name.clone(),
        Err(e) => return Err(e.hints().iter().fold(Error::usage(e), |new, hint| new.hint(hint.clone()))),
    };
    let page = prompt::page(&loaded.root, &wish.file)?;
    let faults = prompt::faults(&page);
    if !faults.is_empty() {
        let lines: Vec<String> = faults.iter().map(|f| format!("{}:{}:{}: {}", page.path, f.line, f.column, f.message)).collect();
        return Err(Error::new(format!("the prompt {name} is not right:\n{}", lines.join("\n")))
            .hint("mend these lines; `kf prompt check` looks at every prompt of the repository"));
    }
    let mut request = Request::of_model(&loaded.project, &loaded.root, &name)?;
    request.kind = Some(ModelType::Prompt);
    request.paths = vec![wish.file.clone()];
    request.number = match (args.version, args.bump) {
        (Some(version), _) => Wanted::Exactly(version),
        (None, Some(bump)) => Wanted::Bumped(bump),
        (None, None) => Wanted::Advised,
    };
    request.meta.extend(args.meta.iter().cloned());
    request.tags.extend(args.tags.iter().map(ToString::to_string));
    request.ticket.clone_from(&args.ticket);
    request.reason.clone_from(&args.reason);
    let done = register(place, &request, &|_, _| (), &mut waiting(cx))?;
    let prompts = page.book.as_ref().map(|b: &Book| b.prompts.iter().map(PromptDoc::of).collect()).unwrap_or_default();
    Ok(Item {
        file: page.path.clone(),
        name: Some(name),
        version: Some((&done.version).into()),
        changed: done.changed,
        bump: done.bump,
        advice: done.advice,
        warnings: done.warnings,
        prompts,
        error: None,
        hints: Vec::new(),
    })
}

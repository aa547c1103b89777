//! `kf init`: starts a repository: `mlops.toml`, a state, `.gitignore`. Asks nothing, overwrites nothing.

use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::name::{NAME_MAX, Name};
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::config;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Start a repository here: mlops.toml, a state, a line in .gitignore
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf init\n  kf init --name support-bot\n  kf -C services/bot init")]
pub(crate) struct Args {
    /// The project's name (default: the folder's)
    #[arg(long)]
    name: Option<Name>,
}

#[derive(Serialize)]
struct Initialised {
    root: PathBuf,
    wrote: Vec<String>,
    state: String,
    state_created: bool,
    origin: String,
    #[serde(skip)]
    dry_run: bool,
}

impl Report for Initialised {
    const SCHEMA: &'static str = "kf.init/1";

    fn blocks(&self) -> Vec<Block> {
        let verb = if self.dry_run { "would write" } else { "wrote" };
        let mut lines: Vec<String> = self.wrote.iter().map(|w| format!("{verb} {w}")).collect();
        lines.push(if self.dry_run {
            format!("the state would be {}", self.state)
        } else if self.state_created {
            format!("new state: {}", self.state)
        } else {
            format!("the state is there already: {}", self.state)
        });
        lines.push(String::new());
        lines.push("Next: kf register NAME PATH registers a first version; kf demo shows a whole release; kf doctor checks this machine.".into());
        sentences(lines)
    }

    fn summary(&self) -> String {
        format!("repository {}", self.root.display())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let found = config::discover(&cx.cwd);
    let root = found.clone().unwrap_or_else(|| cx.cwd.clone());
    if let (Some(root), Some(name)) = (&found, &args.name) {
        own_name(cx, root, name)?;
    }
    if cx.global.dry_run {
        return cx.out.emit(&would_do(root, found.is_none()));
    }
    let mut wrote = Vec::new();
    if found.is_none() {
        let name = match &args.name {
            Some(name) => name.clone(),
            None => name_of(&root),
        };
        write_new(&root.join(config::FILE_NAME), &config::template(&name))?;
        wrote.push(config::FILE_NAME.to_owned());
    }
    if ignore(&root)? {
        wrote.push(".gitignore".to_owned());
    }
    let (store, state_created) = cx.init_store()?;
    cx.objects()?;
    let origin = crate::store::log::head(&store.db())?.origin;
    cx.out.emit(&Initialised { root, wrote, state: store.describe(), state_created, origin, dry_run: false })
}

/// A repository that is there already keeps its name, also for whoever meant to start another one below it.
fn own_name(cx: &Cx, root: &Path, wanted: &Name) -> Result<()> {
    let name = &cx.project()?.project.project.name;
    if name == wanted {
        return Ok(());
    }
    let e = Error::usage(format!("the repository {} is there already, and its name is `{name}`", root.display()));
    Err(e.hint(format!(
        "leave `--name` out; a repository of its own within this one needs an {} first, with `[project]` and `name = \"{wanted}\"`",
        config::FILE_NAME
    )))
}

/// What would be written; a state is not looked for, as that could make one.
fn would_do(root: PathBuf, fresh: bool) -> Initialised {
    let wrote = if fresh { vec![config::FILE_NAME.to_owned(), ".gitignore".to_owned()] } else { Vec::new() };
    Initialised {
        root,
        wrote,
        state: "where mlops.toml says".to_owned(),
        state_created: false,
        origin: String::new(),
        dry_run: true,
    }
}

/// The folder's name, made into a project name.
fn name_of(root: &Path) -> Name {
    let raw = root.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let mut name: String = raw.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    let name: String = name.trim_matches('-').chars().take(NAME_MAX).collect();
    name.parse().unwrap_or_else(|_| "project".parse().expect("a name"))
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    std::fs::File::create_new(path)
        .and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.sync_all()))
        .context(|| format!("cannot write {}", path.display()))
        .hint(|| "may this user write here? `kf doctor` tells".into())
}

/// Adds `.kf/` to `.gitignore` unless it is there; true when it was added.
fn ignore(root: &Path) -> Result<bool> {
    let path = root.join(".gitignore");
    let old = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).context(|| format!("cannot read {}", path.display())),
    };
    if old.lines().any(|l| matches!(l.trim(), ".kf" | ".kf/" | "/.kf" | "/.kf/")) {
        return Ok(false);
    }
    let gap = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    std::fs::write(&path, format!("{old}{gap}.kf/\n")).context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_folder_gives_a_name() {
        assert_eq!(name_of(Path::new("/x/My Bot 🚀 (v2)")).as_str(), "my-bot-v2");
        assert_eq!(name_of(Path::new("/")).as_str(), "project");
    }

    #[test]
    fn gitignore_gets_one_line_once() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(".gitignore"), "target").expect("written");
        assert!(ignore(dir.path()).expect("added"));
        assert!(!ignore(dir.path()).expect("there"));
        assert_eq!(std::fs::read_to_string(dir.path().join(".gitignore")).expect("read"), "target\n.kf/\n");
    }
}

//! `kf register`: a new version of a model, or of every model in `mlops.toml`.

use super::gc::waiting;
use super::version_doc::VersionDoc;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::{ModelType, Name};
use crate::base::quantity::Bytes;
use crate::base::reference::Reference;
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::version::{Bump, Version};
use crate::cli::arg;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::config::Project;
use crate::release::register::{Outcome, Place, Request, Wanted, register};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Register a version of a model: its files, metrics, metadata and what it depends on
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf register support-bot config/\n  kf register support-bot config/ --version 1.2.0 --metric f1=0.83 --meta license=MIT\n  kf register support-bot config/ --bump minor --depends embedder@1.0.0 --dataset golden@2.0.0\n  kf register --all"
)]
pub(crate) struct Args {
    /// The model
    #[arg(required_unless_present = "all", add = ArgValueCompleter::new(complete::models))]
    name: Option<Name>,
    /// Files and folders that make the version (default: the model's `path` in mlops.toml)
    paths: Vec<PathBuf>,
    /// Register every model of mlops.toml
    #[arg(long, conflicts_with_all = ["name", "version", "metrics", "meta", "depends", "dataset"])]
    all: bool,
    /// This number; must be above the highest of its MAJOR.MINOR line
    #[arg(long, conflicts_with = "bump")]
    version: Option<Version>,
    /// Raise the highest version: auto, major, minor or patch
    #[arg(long, default_value = "auto", value_parser = bump_of)]
    bump: Option<BumpArg>,
    /// What the model is (default: mlops.toml, the earlier versions, or the look of the files)
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<ModelType>,
    /// A metric, NAME=NUMBER; again for more
    #[arg(long = "metric", value_name = "K=V", value_parser = metric_of)]
    metrics: Vec<(String, f64)>,
    /// Metadata, NAME=TEXT; again for more
    #[arg(long, value_name = "K=V", value_parser = pair_of)]
    meta: Vec<(String, String)>,
    /// A tag; again for more
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Name>,
    /// A version that this one needs; again for more
    #[arg(long, value_name = "REF", add = ArgValueCompleter::new(complete::references))]
    depends: Vec<Reference>,
    /// The dataset that this version was made from
    #[arg(long, value_name = "REF", add = ArgValueCompleter::new(complete::references))]
    dataset: Option<Reference>,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum BumpArg {
    Auto,
    By(Bump),
}

fn bump_of(text: &str) -> Result<BumpArg, String> {
    match text {
        "auto" => Ok(BumpArg::Auto),
        "major" => Ok(BumpArg::By(Bump::Major)),
        "minor" => Ok(BumpArg::By(Bump::Minor)),
        "patch" => Ok(BumpArg::By(Bump::Patch)),
        other => Err(format!("`{other}` is not one of: auto, major, minor, patch")),
    }
}

fn pair_of(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let name: Name = key.parse().map_err(|e| format!("{e}"))?;
    Ok((name.to_string(), value.to_owned()))
}

fn metric_of(text: &str) -> Result<(String, f64), String> {
    let (key, value) = pair_of(text)?;
    let number: f64 = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    if !number.is_finite() {
        return Err(format!("`{value}` is not a finite number: leave an unknown metric out"));
    }
    Ok((key, number))
}

#[derive(Serialize)]
struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<VersionDoc>,
    name: Name,
    changed: bool,
    bump: Option<Bump>,
    advice: Vec<String>,
    warnings: Vec<String>,
    error: Option<String>,
    #[serde(skip)]
    hints: Vec<String>,
}

#[derive(Serialize)]
struct Registered {
    models: Vec<Item>,
}

impl Report for Registered {
    const SCHEMA: &'static str = "kf.register/1";

    fn blocks(&self) -> Vec<Block> {
        if let [item] = &self.models[..] {
            return vec![item.text().into()];
        }
        let mut t = Table::new(&["model", "version", "result", "digest", ">files", ">size"]);
        for i in &self.models {
            let v = i.version.as_ref();
            t.row([
                i.name.to_string(),
                v.map(|v| v.version.to_string()).unwrap_or_default(),
                i.word(),
                v.map(|v| v.digest.short()).unwrap_or_default(),
                v.map(|v| v.files.to_string()).unwrap_or_default(),
                v.map(|v| Bytes(u64::try_from(v.bytes).unwrap_or(0)).to_string()).unwrap_or_default(),
            ]);
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        match &self.models[..] {
            [item] => item.text().lines().next().unwrap_or_default().to_owned(),
            items => {
                let new = items.iter().filter(|i| i.changed).count();
                let failed = items.iter().filter(|i| i.error.is_some()).count();
                format!("{} registered, {failed} failed, {} unchanged", count(new, "version"), items.len() - new - failed)
            }
        }
    }

    fn exit(&self) -> Exit {
        match self.models.iter().filter(|i| i.error.is_some()).count() {
            0 => Exit::Ok,
            n if n == self.models.len() => Exit::Failed,
            _ => Exit::Partial,
        }
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        match &self.models[..] {
            [Item { version: Some(v), .. }] => vec![("version", v.version.to_string()), ("digest", v.digest.to_string())],
            _ => Vec::new(),
        }
    }
}

impl Item {
    fn word(&self) -> String {
        match (&self.error, self.changed) {
            (Some(e), _) => format!("failed: {e}"),
            (None, true) => "registered".into(),
            (None, false) => "already registered".into(),
        }
    }

    fn text(&self) -> String {
        let Some(v) = &self.version else { return format!("{}: {}", self.name, self.word()) };
        let size = Bytes(u64::try_from(v.bytes).unwrap_or(0));
        let files = count(usize::try_from(v.files).unwrap_or(0), "file");
        let mut lines = vec![if self.changed {
            format!("registered {} ({}, {files}, {size})", v.reference(), v.digest.short())
        } else {
            format!("{} is already registered ({})", v.reference(), v.digest.short())
        }];
        if let Some(bump) = self.bump {
            let colon = if self.advice.is_empty() { "" } else { ":" };
            lines.push(format!("{} version{colon}", bump.word()));
        }
        lines.extend(self.advice.iter().map(|a| format!("  - {a}")));
        lines.join("\n")
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let place = Place { store: cx.store(Mode::Write)?, objects: cx.objects()?, root: loaded.root.clone(), jobs: cx.jobs() };
    let requests = if args.all {
        all_requests(&loaded.project, &loaded.root)?
    } else {
        vec![one_request(cx, args, &loaded.project, &loaded.root)?]
    };
    let mut models = Vec::new();
    for request in requests {
        let bar = progress::bytes(&cx.out, "registering", 0);
        let progress = |total, done| {
            bar.set_length(total);
            bar.inc(done);
        };
        let done = register(&place, &request, &progress, &mut waiting(cx));
        bar.finish_and_clear();
        match done {
            Err(e) if !args.all => return Err(e),
            done => models.push(item(request.name, done)),
        }
    }
    for warning in models.iter().flat_map(|m| &m.warnings) {
        cx.out.note(&format!("warning: {warning}"));
    }
    for item in models.iter().filter(|m| m.error.is_some()) {
        item.hints.iter().for_each(|hint| cx.out.warn(&format!("hint: {}: {hint}", item.name)));
    }
    cx.out.emit(&Registered { models })
}

fn item(name: Name, done: Result<Outcome>) -> Item {
    match done {
        Ok(o) => Item {
            version: Some((&o.version).into()),
            name,
            changed: o.changed,
            bump: o.bump,
            advice: o.advice,
            warnings: o.warnings,
            error: None,
            hints: Vec::new(),
        },
        Err(e) => Item {
            version: None,
            name,
            changed: false,
            bump: None,
            advice: Vec::new(),
            warnings: Vec::new(),
            error: Some(e.to_string()),
            hints: e.hints().to_vec(),
        },
    }
}

fn one_request(cx: &Cx, args: &Args, project: &Project, root: &Path) -> Result<Request> {
    let name = args.name.clone().ok_or_else(|| Error::usage("no model named"))?;
    let mut request = Request::of_model(project, root, &name)?;
    if !args.paths.is_empty() {
        request.paths = args.paths.iter().map(|p| cx.cwd.join(p)).collect();
    } else if request.paths.is_empty() {
        return Err(Error::usage(format!("no path given, and mlops.toml has no `[model.{name}]` with a path"))
            .hint(format!("name the files: `kf register {name} PATH`")));
    }
    request.number = match (args.version, args.bump) {
        (Some(version), _) => Wanted::Exactly(version),
        (None, Some(BumpArg::By(bump))) => Wanted::Bumped(bump),
        (None, _) => Wanted::Advised,
    };
    request.kind = args.kind.or(request.kind);
    request.metrics.clone_from(&args.metrics);
    request.meta.extend(args.meta.iter().cloned());
    request.tags.extend(args.tags.iter().map(ToString::to_string));
    request.depends.extend(args.depends.iter().cloned());
    request.dataset = args.dataset.clone().or(request.dataset);
    request.ticket.clone_from(&args.ticket);
    request.reason.clone_from(&args.reason);
    Ok(request)
}

fn all_requests(project: &Project, root: &Path) -> Result<Vec<Request>> {
    let requests = project.models.iter().map(|m| Request::of_model(project, root, &m.name)).collect::<Result<Vec<_>>>()?;
    if requests.is_empty() {
        return Err(Error::usage("mlops.toml has no models").hint("add a table: `[model.NAME]` with `type` and `path`"));
    }
    Ok(requests)
}

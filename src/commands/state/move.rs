//! `kf state move`: carries everything to another engine and proves it.

use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::commands::emergency;
use crate::commands::gc::waiting;
use crate::config::{self, Project, Vocabulary};
use crate::release::move_state::{self, Artifacts, Progress, Request};
use crate::store::{self, Mode};
use serde::Serialize;
use std::path::Path;

/// Carry the state, and its artifacts when asked to, to another place; prove the copy; seal the source
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf state move --to postgres://kf@db.example.com/kf --password env:PGPASSWORD --artifacts s3://bucket/kf\n  kf state move --to sqlite --dry-run\n\nAfterwards set `state.url` (and `artifacts.url`) in mlops.toml as the command says."
)]
pub(crate) struct Args {
    /// Where the state goes: sqlite, or postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL")]
    to: String,
    /// The password there, as env:NAME or file:PATH (default: `state.password` in mlops.toml)
    #[arg(long, value_name = "REF")]
    password: Option<String>,
    /// The schema there
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// Where the artifacts go: a folder, s3://BUCKET/PREFIX …; they stay where they are without it
    #[arg(long, value_name = "URL")]
    artifacts: Option<String>,
}

#[derive(Serialize)]
struct Moved {
    #[serde(flatten)]
    report: move_state::Report,
    #[serde(skip)]
    settings: String,
}

impl Report for Moved {
    const SCHEMA: &'static str = "kf.state-move/1";

    fn blocks(&self) -> Vec<Block> {
        let r = &self.report;
        let mut blocks: Vec<Block> = vec![format!("from  {}\nto    {}", r.from, r.to).into()];
        let tables = r.proof.as_ref().map_or(&r.tables, |p| &p.tables);
        let mut t = Table::new(&["table", ">rows", "digest"]);
        tables.iter().for_each(|s| {
            t.row([s.table.to_owned(), s.rows.to_string(), s.digest.short()]);
        });
        if !t.is_empty() {
            blocks.push(t.into());
        }
        let mut lines = Vec::new();
        if let Some(p) = &r.proof {
            lines.push(format!(
                "the same on both sides: every table, and the audit log's {} entries with root {}",
                p.log_size, p.log_root
            ));
        }
        if let Some(a) = &r.artifacts {
            lines.push(format!(
                "{}, {}, read again at the new place ({} copied now)",
                count(usize::try_from(a.objects).unwrap_or(0), "object"),
                Bytes(a.bytes),
                a.copied
            ));
        }
        lines.push(self.summary());
        if r.changed {
            lines.push(format!("Now set this in mlops.toml:\n\n{}", self.settings));
        }
        blocks.push(Block::Verbatim(lines.join("\n")));
        blocks
    }

    fn summary(&self) -> String {
        match (self.report.changed, &self.report.proof) {
            (true, _) => format!("the state is now in {}; the old one is sealed", self.report.to),
            (false, Some(_)) => "the state was moved there before".into(),
            (false, None) => "nothing was moved".into(),
        }
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let wanted = wanted(cx, args)?;
    let (store, objects) = (cx.store(Mode::Write)?, cx.objects()?);
    // A source that is sealed takes nothing in: the move goes on, and what waits is for the new place.
    if store.read(|view| store::meta(view.db(), store::META_MOVED_TO))?.is_none() {
        emergency::nothing_waits(cx)?;
    }
    let target = cx.settings_for(cx.target_of(&wanted.state.place)?)?;
    let new_objects = args.artifacts.as_ref().map(|_| cx.objects_at(&wanted.artifacts.place)).transpose()?;
    let scratch = cx.kf_dir()?.join("cache");
    std::fs::create_dir_all(&scratch).context(|| format!("cannot make {}", scratch.display()))?;
    let artifacts = new_objects.as_ref().map(|to| Artifacts { to, scratch: &scratch, jobs: cx.jobs() });
    let request = Request { target, place: &args.to, artifacts };
    let bar = progress::things(&cx.out, "moving", 0);
    let report = move_state::run(&store, &objects, request, &mut waiting(cx), &mut |p| match p {
        Progress::Copied(done, total) | Progress::Verified(done, total) => {
            bar.set_length(total);
            bar.set_position(done);
        }
        Progress::Rows(_, rows) => bar.set_position(rows),
    })?;
    bar.finish_and_clear();
    if emergency::waiting(cx)? > 0 {
        cx.warn("an emergency rollback came meanwhile: once mlops.toml names the new place, the next command takes it in there");
    }
    cx.out.emit(&Moved { report, settings: settings(args) })
}

/// What mlops.toml would mean with the new places in it: the same checks hold for them.
fn wanted(cx: &Cx, args: &Args) -> Result<Project> {
    let current = &cx.project()?.project;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let password = match (&args.password, &current.state.place) {
        (Some(given), _) => Some(given.clone()),
        (None, config::StatePlace::Postgres { password, .. }) if args.to.starts_with("postgres") => {
            password.as_ref().map(ToString::to_string)
        }
        _ => None,
    };
    let mut text = format!("[project]\nname = \"{}\"\n[state]\nurl = {}\n", current.project.name, quoted(&args.to));
    if let Some(password) = password {
        text += &format!("password = {}\n", quoted(&password));
    }
    if let Some(schema) = &args.schema {
        text += &format!("schema = {}\n", quoted(schema));
    }
    if let Some(url) = &args.artifacts {
        text += &format!("[artifacts]\nurl = {}\n", quoted(url));
        // How the objects' server was reached so far matters only where they go to such a server again.
        if let (true, config::Artifacts::S3(s3)) = (url.starts_with("s3://"), &current.artifacts.place) {
            text += &s3.endpoint.as_ref().map(|e| format!("endpoint = {}\n", quoted(e))).unwrap_or_default();
            text += &s3.region.as_ref().map(|r| format!("region = {}\n", quoted(r))).unwrap_or_default();
            text += &format!("allow-http = {}\ntimeout = \"{}s\"\n", s3.allow_http, s3.timeout.as_secs().max(1));
        }
    }
    let loaded = config::parse(&text, Path::new("the new place"), &config::Env::default(), None, &Vocabulary::default())?;
    Ok(loaded.project)
}

fn settings(args: &Args) -> String {
    let mut text = format!("[state]\nurl = \"{}\"\n", args.to);
    if let Some(password) = &args.password {
        text += &format!("password = \"{password}\"\n");
    }
    if let Some(schema) = &args.schema {
        text += &format!("schema = \"{schema}\"\n");
    }
    if let Some(url) = &args.artifacts {
        text += &format!("\n[artifacts]\nurl = \"{url}\"\n");
    }
    text
}

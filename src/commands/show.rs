//! `kf show`: everything about one version.

use super::version_doc::VersionDoc;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::reference::Reference;
use crate::base::table::Table;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::eval::record::{self, Evaluation};
use crate::domain::registry::manifest::FileEntry;
use crate::domain::registry::table;
use crate::release::attest;
use crate::release::checkout::manifest_of;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;
use std::collections::BTreeMap;

/// Show everything about a version: files, metrics, links, evaluations
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf show support-bot\n  kf show support-bot@production --format json\n  kf show support-bot@sha256:ab12"
)]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
}

#[derive(Serialize)]
struct FileDoc {
    path: String,
    size: u64,
    media: String,
    digest: Digest,
}

#[derive(Serialize)]
struct Link {
    relation: String,
    version: VersionDoc,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    version: VersionDoc,
    metrics: BTreeMap<String, f64>,
    meta: BTreeMap<String, String>,
    tags: Vec<String>,
    aliases: Vec<String>,
    uses: Vec<Link>,
    used_by: Vec<Link>,
    manifest: Option<Vec<FileDoc>>,
    evaluations: Vec<Evaluation>,
    event: i64,
}

impl Report for Shown {
    const SCHEMA: &'static str = "kf.show/1";

    fn blocks(&self) -> Vec<Block> {
        let v = &self.version;
        let mut lines = vec![
            format!("{}  {} ({})", v.reference(), v.kind, v.stage),
            format!("digest   {}", v.digest),
            format!("created  {} by {}, audit event {}", v.created, v.author, self.event),
        ];
        if let Some(g) = &v.git {
            let dirty = if g.dirty { ", with uncommitted changes" } else { "" };
            lines.push(format!("git      {} on {}{dirty}", g.commit, g.branch.as_deref().unwrap_or("no branch")));
        }
        let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(", "));
        let link = |l: &Link| format!("{} {}", l.relation, l.version.reference());
        let rows = [
            ("metrics", list(self.metrics.iter().map(|(k, v)| format!("{k} = {v}")).collect())),
            ("meta", list(self.meta.iter().map(|(k, v)| format!("{k} = {v}")).collect())),
            ("tags", list(self.tags.clone())),
            ("aliases", list(self.aliases.clone())),
            ("uses", list(self.uses.iter().map(link).collect())),
            ("used by", list(self.used_by.iter().map(link).collect())),
        ];
        lines.extend(rows.into_iter().filter_map(|(label, text)| text.map(|t| format!("{label:<8} {t}"))));
        let mut blocks = vec![Block::Verbatim(lines.join("\n"))];
        match &self.manifest {
            Some(files) => {
                let mut t = Table::new(&["file", ">size", "type", "digest"]);
                for f in files {
                    t.row([f.path.clone(), Bytes(f.size).to_string(), f.media.clone(), f.digest.short()]);
                }
                blocks.push(t.into());
            }
            None => blocks.push("Its files were removed after its retention.".into()),
        }
        if !self.evaluations.is_empty() {
            let mut t = Table::new(&["evaluated", "dataset", "metric", ">mean", "95 % interval", ">n", ">of"]);
            for e in &self.evaluations {
                for m in &e.metrics {
                    let interval = m.low.zip(m.high).map(|(l, h)| format!("{l:.4} … {h:.4}")).unwrap_or_default();
                    let mean = m.mean.map_or("unscored".to_owned(), |v| format!("{v:.4}"));
                    t.row([
                        e.at.to_string(),
                        e.dataset.clone(),
                        m.metric.clone(),
                        mean,
                        interval,
                        m.n.to_string(),
                        m.total.to_string(),
                    ]);
                }
            }
            blocks.push(t.into());
        }
        blocks
    }

    fn summary(&self) -> String {
        format!("{} ({})", self.version.reference(), self.version.stage)
    }
}

/// How many evaluations are shown.
const EVALUATIONS: u32 = 5;

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let store = cx.store(Mode::Read)?;
    let (row, mut shown) = store.read(|view| {
        let row = table::resolve(view, &args.reference)?;
        attest::version(view, &row)?;
        let evaluations = record::of_version(view, row.id, EVALUATIONS)?;
        attest::evaluations(view, &row, &evaluations)?;
        let notes = table::notes(view, row.id)?;
        let link = |(relation, version)| Link { relation, version: VersionDoc::from(&version) };
        let aliases = table::aliases(view, row.model)?;
        let shown = Shown {
            version: (&row).into(),
            metrics: notes.metrics.into_iter().collect(),
            meta: notes.meta.into_iter().collect(),
            tags: notes.tags,
            aliases: aliases.into_iter().filter(|(_, _, id)| *id == row.id).map(|(a, _, _)| a.to_string()).collect(),
            uses: table::links_from(view, row.id)?.into_iter().map(link).collect(),
            used_by: table::links_to(view, row.id)?.into_iter().map(link).collect(),
            manifest: None,
            evaluations,
            event: row.event,
        };
        Ok((row, shown))
    })?;
    if row.purged.is_none() {
        let manifest = manifest_of(&cx.objects()?, &row)?;
        let doc = |f: &FileEntry| FileDoc { path: f.path.clone(), size: f.size, media: f.media.clone(), digest: f.digest };
        shown.manifest = Some(manifest.files().iter().map(doc).collect());
    }
    cx.out.emit(&shown)
}

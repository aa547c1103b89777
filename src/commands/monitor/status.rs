//! `kf monitor status`: what is watched, how fresh it is, which episodes are open.

use super::check::since;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::config::{LimitKind, Method};
use crate::domain::drift::why::number;
use crate::domain::monitor::table::{self, Episode};
use crate::domain::monitor::watch::{length, title};
use crate::release::monitor::{Watched, watched};
use crate::store::{Mode, View};
use serde::Serialize;
use std::collections::BTreeMap;

/// Show what is watched, how old its newest values are, and which episodes are open
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf monitor status\n  kf monitor status --format json")]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Line {
    name: Name,
    labels: BTreeMap<String, String>,
    method: Method,
    limit: Option<LimitKind>,
    first: Option<Timestamp>,
    newest: Option<Timestamp>,
    fresh: bool,
    #[serde(skip)]
    title: String,
    #[serde(skip)]
    age: String,
}

#[derive(Serialize)]
struct Status {
    metrics: Vec<Line>,
    episodes: Vec<Episode>,
}

impl Report for Status {
    const SCHEMA: &'static str = "kf.monitor-status/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        if !self.metrics.is_empty() {
            let mut t = Table::new(&["metric", "against", "recorded since", "newest", ">age", "fresh"]);
            for line in &self.metrics {
                let limit = line.limit.map(|limit| limit.word());
                let method = Some(line.method.word()).filter(|_| line.method != Method::None);
                let against: Vec<&str> = method.into_iter().chain(limit).collect();
                let fresh = if line.fresh { "yes" } else { "no" };
                let cells = [
                    line.title.clone(),
                    against.join(", "),
                    since(line.first),
                    line.newest.map_or_else(|| "never".to_owned(), |at| at.to_string()),
                    line.age.clone(),
                    fresh.to_owned(),
                ];
                t.row(cells);
            }
            blocks.push(t.into());
        }
        if !self.episodes.is_empty() {
            let mut t = Table::new(&["episode", "metric", "kind", "severity", "since", ">peak"]);
            for e in &self.episodes {
                let name = title(&e.name, &e.labels);
                t.row([e.uid.clone(), name, e.kind.to_string(), e.severity.to_string(), e.since.to_string(), number(e.peak)]);
            }
            blocks.push(t.into());
        }
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        if self.metrics.is_empty() {
            return "nothing is watched: `kf monitor record NAME=VALUE` records a value".to_owned();
        }
        let stale = self.metrics.iter().filter(|line| !line.fresh).count();
        let watched = count(self.metrics.len(), "metric");
        format!("{watched} watched, {stale} not fresh, {} open", count(self.episodes.len(), "episode"))
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.metrics.iter().filter_map(|line| serde_json::to_value(line).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let config = &cx.project()?.project.monitor;
    let store = cx.store(Mode::Read)?;
    let now = store.now();
    let status = store.read(|view| {
        let metrics = watched(view, config, &[])?.into_iter().map(|w| line(view, w, now)).collect::<Result<_>>()?;
        Ok(Status { metrics, episodes: table::open(view)? })
    })?;
    cx.out.emit(&status)
}

fn line(view: View<'_>, Watched { watch, series }: Watched, now: Timestamp) -> Result<Line> {
    let span = series.as_ref().map(|series| table::span(view, series.id)).transpose()?.flatten();
    let labels = series.map(|series| series.labels).unwrap_or_default();
    let age = span.map(|(_, newest)| now.micros().saturating_sub(newest.micros()));
    let allowed = i64::try_from(watch.fresh.as_micros()).unwrap_or(i64::MAX);
    Ok(Line {
        title: title(&watch.name, &labels),
        labels: labels.map(),
        method: watch.method,
        limit: watch.limit.map(|limit| limit.kind),
        first: span.map(|(first, _)| first),
        newest: span.map(|(_, newest)| newest),
        fresh: age.is_some_and(|age| age <= allowed),
        age: age.map(length).unwrap_or_default(),
        name: watch.name,
    })
}

//! `kf monitor check`: what is unusual, and since when.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::alert::deliver;
use crate::config::FailFrom;
use crate::domain::drift::anomaly::Severity;
use crate::domain::drift::why::number;
use crate::domain::monitor::episode::Kind;
use crate::domain::monitor::table::Episode;
use crate::domain::monitor::watch::{Finding, title};
use crate::release::monitor::{Became, Told, check};
use crate::store::Mode;
use serde::Serialize;
use std::collections::BTreeMap;

/// Check the newest values of metrics against what is usual; opens and closes episodes
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf monitor check\n  kf monitor check latency-p95 --fail-on high\n  kf monitor record && kf monitor check --quiet     from cron, every hour\n\nExits 3 while an episode is open at or above `--fail-on`, 4 when of a metric nothing can be said."
)]
pub(crate) struct Args {
    /// What is checked (default: every `[monitor.metrics.NAME]`; all that was recorded when there is none)
    names: Vec<Name>,
    /// The severity from which on an open episode fails: medium or high (default: `fail-on` in mlops.toml, medium)
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<FailFrom>,
}

#[derive(Serialize)]
struct Line {
    labels: BTreeMap<String, String>,
    #[serde(flatten)]
    finding: Finding,
    became: Option<Became>,
    episode: Option<Episode>,
    #[serde(skip)]
    title: String,
}

#[derive(Serialize)]
struct Checked {
    metrics: Vec<Line>,
    open: usize,
    #[serde(skip)]
    exit: Exit,
}

impl Line {
    fn new(told: Told) -> Self {
        let name = title(&told.finding.name, &told.labels);
        let title = if told.finding.kind == Kind::Anomaly { name } else { format!("{name} ({})", told.finding.kind) };
        Self { labels: told.labels.map(), finding: told.finding, became: told.became, episode: told.episode, title }
    }

    fn usual(&self) -> String {
        let number = |value: f64| number(format!("{value:.2e}").parse().unwrap_or(value));
        match (self.finding.low, self.finding.high) {
            (Some(low), Some(high)) => format!("{} … {}", number(low), number(high)),
            (Some(low), None) => format!("≥ {}", number(low)),
            (None, Some(high)) => format!("≤ {}", number(high)),
            (None, None) => String::new(),
        }
    }

    /// The episode with since when, or that it is over.
    fn since(&self) -> String {
        let Some(episode) = &self.episode else { return String::new() };
        let since = &episode.since;
        match self.became {
            Some(Became::Opened) => format!("{since} (new)"),
            Some(Became::Raised) => format!("{since} (raised)"),
            Some(Became::Closed) => format!("{since} (over)"),
            None => since.to_string(),
        }
    }

    fn open(&self) -> Option<&Episode> {
        self.episode.as_ref().filter(|e| e.closed.is_none())
    }

    fn todo(&self) -> String {
        match self.open() {
            Some(_) => format!("{}: {}", self.finding.kind.advice(), self.finding.why),
            None if self.finding.severity == Severity::Unknown => self.finding.why.clone(),
            None => String::new(),
        }
    }
}

impl Report for Checked {
    const SCHEMA: &'static str = "kf.monitor-check/1";

    fn blocks(&self) -> Vec<Block> {
        if self.metrics.is_empty() {
            return vec!["Nothing was recorded yet: `kf monitor record NAME=VALUE` records a value.".into()];
        }
        let mut t = Table::new(&["metric", ">now", "usual", ">z", "status", "since", "what to do"]);
        for line in &self.metrics {
            let f = &line.finding;
            let z = f
                .score
                .filter(|_| f.kind == Kind::Anomaly)
                .map_or_else(|| "-".to_owned(), |z| format!("{:.1}", (z * 10.0).round() / 10.0 + 0.0));
            let now = f.value.map_or_else(|| "-".to_owned(), number);
            let cells = [line.title.clone(), now, line.usual(), z, f.severity.to_string(), line.since(), line.todo()];
            t.row(cells);
        }
        vec![t.into(), self.summary().into()]
    }

    fn summary(&self) -> String {
        let became = |what: Became| self.metrics.iter().filter(|l| l.became == Some(what)).count();
        let (new, over) = (became(Became::Opened), became(Became::Closed));
        let mut said = match self.open {
            0 => "no episode is open".to_owned(),
            n => format!("{} open", count(n, "episode")),
        };
        for (n, what) in [(new, "new"), (over, "over")] {
            if n > 0 {
                said.push_str(&format!(", {n} {what}"));
            }
        }
        let unknown = self.metrics.iter().filter(|l| l.finding.severity == Severity::Unknown).count();
        if unknown > 0 {
            said.push_str(&format!("; of {unknown} nothing can be said"));
        }
        format!("{}: {said}", count(self.metrics.len(), "finding"))
    }

    fn exit(&self) -> Exit {
        self.exit
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.metrics.iter().filter_map(|l| serde_json::to_value(l).ok()).collect())
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        let open = self.metrics.iter().filter_map(|l| Some((l, l.open()?)));
        open.map(|(l, e)| (None, format!("{} is unusual since {}", l.title, e.since), l.finding.why.clone())).collect()
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let config = &cx.project()?.project.monitor;
    let store = cx.store(Mode::Write)?;
    let told = check(&store, config, &args.names)?;
    deliver(cx, &store);
    let from = args.fail_on.unwrap_or(config.fail_on);
    let exit = told.iter().fold(Exit::Ok, |exit, told| {
        exit.and(match told.finding.severity {
            _ if told.fails(from) => Exit::No,
            Severity::Unknown => Exit::Inconclusive,
            _ => Exit::Ok,
        })
    });
    let metrics: Vec<Line> = told.into_iter().map(Line::new).collect();
    let open = metrics.iter().filter(|line| line.open().is_some()).count();
    cx.out.emit(&Checked { metrics, open, exit })
}

/// The time of something that is open, for lists.
pub(super) fn since(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

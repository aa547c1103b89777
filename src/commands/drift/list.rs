//! `kf drift list`: what is compared, with what, and how it stands.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::drift::policy::Status;
use crate::domain::drift::table;
use crate::store::Mode;
use serde::Serialize;
use std::collections::BTreeSet;

/// List baselines and what their last checks found
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf drift list\n  kf drift list --format json")]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Line {
    name: Name,
    configured: bool,
    version: Option<String>,
    rows: Option<u64>,
    columns: Option<u64>,
    since: Option<Timestamp>,
    checked: Option<Timestamp>,
    verdict: Option<Status>,
    open_actions: usize,
}

#[derive(Serialize)]
struct Listed {
    drifts: Vec<Line>,
}

impl Report for Listed {
    const SCHEMA: &'static str = "kf.drift-list/1";

    fn blocks(&self) -> Vec<Block> {
        if self.drifts.is_empty() {
            return vec![
                "No baseline yet: `kf drift baseline NAME --data FILE` takes one of what a model was accepted on.".into(),
            ];
        }
        let mut t = Table::new(&["name", "baseline", ">rows", ">columns", "since", "checked", "verdict", ">open actions"]);
        for d in &self.drifts {
            let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
            let time = |t: Option<Timestamp>| t.map(|t| t.to_string());
            t.row([
                d.name.to_string(),
                d.version.clone().unwrap_or_else(|| "none".to_owned()),
                number(d.rows),
                number(d.columns),
                time(d.since).unwrap_or_default(),
                time(d.checked).unwrap_or_else(|| "never".to_owned()),
                d.verdict.map(|v| v.to_string()).unwrap_or_default(),
                d.open_actions.to_string(),
            ]);
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        let open: usize = self.drifts.iter().map(|d| d.open_actions).sum();
        format!("{}, {}", count(self.drifts.len(), "name"), count(open, "open action"))
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.drifts.iter().filter_map(|d| serde_json::to_value(d).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let configured: BTreeSet<Name> = cx.project()?.project.drift.iter().map(|d| d.name.clone()).collect();
    let drifts = cx.store(Mode::Read)?.read(|view| {
        let pending = table::pending(view)?;
        let names: BTreeSet<Name> =
            table::baselines(view)?.into_iter().map(|b| b.name).chain(configured.iter().cloned()).collect();
        let line = |name: Name| {
            let baseline = table::newest_baseline(view, &name)?;
            let check = table::checks(view, &name, 1)?.into_iter().next();
            Ok(Line {
                configured: configured.contains(&name),
                version: baseline.as_ref().map(table::BaselineRow::reference),
                rows: baseline.as_ref().map(|b| b.rows),
                columns: baseline.as_ref().map(|b| b.columns),
                since: baseline.as_ref().map(|b| b.at),
                checked: check.as_ref().map(|c| c.at),
                verdict: check.map(|c| c.verdict),
                open_actions: pending.iter().filter(|a| a.name == name).count(),
                name,
            })
        };
        names.into_iter().map(line).collect::<Result<Vec<_>>>()
    })?;
    cx.out.emit(&Listed { drifts })
}

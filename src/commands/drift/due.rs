//! `kf drift due`: what is to be done about drift, and what is overdue.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::drift::table::{ActionRow, pending};
use crate::store::Mode;
use serde::Serialize;

/// List what is to be done about drift; fails when something is overdue
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf drift due\n  kf drift due --quiet || echo overdue\n\nExits 3 when an action is overdue."
)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    action: ActionRow,
    overdue: bool,
}

#[derive(Serialize)]
struct Due {
    overdue: usize,
    actions: Vec<Line>,
}

impl Report for Due {
    const SCHEMA: &'static str = "kf.drift-due/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        if !self.actions.is_empty() {
            let mut t = Table::new(&["action", "kind", "name", "model", "band", "state", "since", "due"]);
            for line in &self.actions {
                let a = &line.action;
                let due = a.due.map(|due| format!("{due}{}", if line.overdue { " (overdue)" } else { "" })).unwrap_or_default();
                let cells = [
                    a.uid.clone(),
                    a.kind.to_string(),
                    a.name.to_string(),
                    a.model.to_string(),
                    a.band.to_string(),
                    a.state.to_string(),
                    a.opened.to_string(),
                    due,
                ];
                t.row(cells);
            }
            blocks.push(t.into());
        }
        let hint = (!self.actions.is_empty()).then(|| "\nhint: `kf drift close ACTION --reason TEXT` closes one".to_owned());
        blocks.push(format!("{}{}", self.summary(), hint.unwrap_or_default()).into());
        blocks
    }

    fn summary(&self) -> String {
        match self.actions.len() {
            0 => "nothing is to be done about drift".to_owned(),
            n => format!("{} to be done, {} overdue", count(n, "action"), self.overdue),
        }
    }

    fn exit(&self) -> Exit {
        if self.overdue > 0 { Exit::No } else { Exit::Ok }
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.actions.iter().filter_map(|a| serde_json::to_value(a).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let store = cx.store(Mode::Read)?;
    let now = store.now();
    let line = |action: ActionRow| Line { overdue: action.due.is_some_and(|due| due < now), action };
    let actions: Vec<Line> = store.read(pending)?.into_iter().map(line).collect();
    cx.out.emit(&Due { overdue: actions.iter().filter(|a| a.overdue).count(), actions })
}

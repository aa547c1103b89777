//! `kf drift explain`: why a column was said to have moved, cell by cell.

use super::doc::{answers, chance, number};
use super::report::kept;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::{did_you_mean, visible};
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::drift::outcome::Outcome;
use crate::domain::drift::page::{self, together};
use crate::domain::drift::policy::Status;
use crate::domain::drift::verdict::Judged;
use serde::Serialize;

/// Tell why columns moved: the cells that changed most, with both shares
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf drift explain support-bot\n  kf drift explain support-bot amount")]
pub(crate) struct Args {
    /// The name, or the id of a check (default: the newest check of all)
    name: Option<String>,
    /// Only this column (default: all that moved)
    column: Option<String>,
}

#[derive(Serialize)]
struct Explained {
    check: String,
    name: String,
    verdict: Status,
    reason: String,
    columns: Vec<Judged>,
    /// What columns say together; of one column, its slices and its series.
    outcome: Option<Box<Outcome>>,
}

impl Report for Explained {
    const SCHEMA: &'static str = "kf.drift-explain/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for c in &self.columns {
            let mut lines = vec![format!("{}: {}: {}", c.name, c.status, c.why)];
            lines.extend(c.moved.iter().cloned());
            blocks.push(lines.join("\n").into());
            if !c.figures.texts.is_empty() {
                blocks.push(page::texts(&c.figures, str::to_owned).titled(format!("{}: texts that moved", c.name)).into());
            }
            if !c.figures.cells.is_empty() {
                blocks.push(cells(c).into());
            }
            if !c.figures.signs.is_empty() {
                blocks.push(signs(c).into());
            }
        }
        if let Some(outcome) = &self.outcome {
            blocks.extend(answers(outcome).map(Block::from));
            blocks.extend(slices(outcome).map(Block::from));
            let lines = together::lines(outcome);
            blocks.extend((!lines.is_empty()).then(|| lines.join("\n").into()));
        }
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        format!("{}: {}: {}", self.name, self.verdict, self.reason)
    }
}

/// The slices that moved most, as a table; `None` without any.
fn slices(outcome: &Outcome) -> Option<Table> {
    let rows = together::slices(outcome);
    let mut t = Table::new(&together::SLICE_HEADINGS);
    rows.iter().for_each(|row| _ = t.row(row.clone()));
    (!rows.is_empty()).then(|| t.titled("slices that moved most"))
}

fn cells(column: &Judged) -> Table {
    let f = &column.figures;
    let mut t = Table::new(&["cell", ">reference", ">share", ">new", ">share", ">term"]);
    let share = |rows: u64, of: u64| match of {
        0 => "-".to_owned(),
        of => format!("{:.1} %", 100.0 * rows as f64 / of as f64),
    };
    for cell in &f.cells {
        t.row([
            cell.label.clone(),
            cell.rows.reference.to_string(),
            share(cell.rows.reference, f.n_ref),
            cell.rows.current.to_string(),
            share(cell.rows.current, f.n_cur),
            number(Some(cell.term)),
        ]);
    }
    t.titled(format!("{} by cell", column.name))
}

/// Further effects, each beside its limit.
fn signs(column: &Judged) -> Table {
    let mut t = Table::new(&["effect", ">is", ">limit", ">chance", "passed"]);
    for sign in &column.figures.signs {
        let passed = if sign.passed { "yes" } else { "no" };
        t.row([sign.name.clone(), number(Some(sign.value)), number(Some(sign.limit)), chance(sign.p), passed.to_owned()]);
    }
    t.titled(format!("{} by effect", column.name))
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let doc = kept(cx, args.name.as_deref())?;
    let (mut columns, mut outcome) = (doc.judgement.columns, doc.judgement.outcome);
    match &args.column {
        None => columns.retain(|c| c.status.moved()),
        Some(wanted) => {
            outcome = outcome.map(|outcome| Box::new(outcome.of(wanted)));
            let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
            columns.retain(|c| c.name == *wanted);
            if columns.is_empty() {
                let e = Error::new(format!("the check {} has no column `{}`", doc.check, visible(wanted, 60)));
                return Err(did_you_mean(wanted, names.iter().map(String::as_str)).into_iter().fold(e, Error::hint));
            }
        }
    }
    let name = doc.name.to_string();
    cx.out.emit(&Explained { check: doc.check, name, verdict: doc.verdict, reason: doc.reason, columns, outcome })
}

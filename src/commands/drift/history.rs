//! `kf drift history`: how the index of each column went from check to check.

use super::doc::number;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::drift::policy::Status;
use crate::domain::drift::table::{self, CheckRow, FigureRow};
use crate::store::Mode;
use serde::Serialize;
use std::num::NonZeroU32;

/// Show how the index of each column went from check to check
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf drift history\n  kf drift history support-bot --limit 50 --format json")]
pub(crate) struct Args {
    /// The name (default: that of the newest check)
    name: Option<Name>,
    /// The newest checks that are shown
    #[arg(long, value_name = "N", default_value = "20")]
    limit: NonZeroU32,
}

#[derive(Serialize)]
struct CheckLine {
    check: String,
    at: Timestamp,
    rows: u64,
    verdict: Status,
}

#[derive(Serialize)]
struct ColumnLine {
    column: String,
    /// One for each check, the oldest first.
    psi: Vec<Option<f64>>,
    status: Status,
    n: i64,
}

#[derive(Serialize)]
struct History {
    name: Name,
    /// The oldest first.
    checks: Vec<CheckLine>,
    columns: Vec<ColumnLine>,
}

impl Report for History {
    const SCHEMA: &'static str = "kf.drift-history/1";

    fn blocks(&self) -> Vec<Block> {
        let mut columns = Table::new(&["column", "psi", ">last", "status", ">n"]);
        for c in &self.columns {
            let last = c.psi.last().copied().flatten();
            columns.row([c.column.clone(), sparkline(&c.psi), number(last), c.status.to_string(), c.n.to_string()]);
        }
        let mut checks = Table::new(&["check", "at", ">rows", "verdict"]).titled("checks, the oldest first");
        for c in &self.checks {
            checks.row([c.check.clone(), c.at.to_string(), c.rows.to_string(), c.verdict.to_string()]);
        }
        vec![columns.into(), checks.into(), self.summary().into()]
    }

    fn summary(&self) -> String {
        let last = self.checks.last().map_or(Status::Inconclusive, |c| c.verdict);
        format!("{}: {}, the last is {last}", self.name, count(self.checks.len(), "check"))
    }
}

/// The index that fills a mark: above it everything is critical by the specification.
const FULL: f64 = 0.4;

/// One mark for each value, on a scale that is the same for all columns; `·` for none.
fn sparkline(values: &[Option<f64>]) -> String {
    const MARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let level = |v: f64| ((v / FULL).clamp(0.0, 1.0) * (MARKS.len() - 1) as f64).round() as usize;
    values.iter().map(|v| v.map_or('·', |v| MARKS[level(v).min(MARKS.len() - 1)])).collect()
}

/// The columns of the newest check, each through all of them.
fn columns(all: &[Vec<FigureRow>]) -> Vec<ColumnLine> {
    let psi = |figures: &Vec<FigureRow>, column: &str| figures.iter().find(|f| f.column == column).and_then(|f| f.psi);
    let line = |f: &FigureRow| ColumnLine {
        column: f.column.clone(),
        psi: all.iter().map(|figures| psi(figures, &f.column)).collect(),
        status: f.status,
        n: f.n,
    };
    all.last().map(|newest| newest.iter().map(line).collect()).unwrap_or_default()
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let report = cx.store(Mode::Read)?.read(|view| {
        let name = match &args.name {
            Some(name) => name.clone(),
            None => table::find_check(view, None)?.name,
        };
        let mut checks = table::checks(view, &name, args.limit.get())?;
        checks.reverse();
        if checks.is_empty() {
            // Says which names there are, and whether there is anything to check with.
            table::required_baseline(view, &name)?;
            return Err(Error::new(format!("`{name}` was not checked yet"))
                .hint(format!("`kf drift check {name} --data FILE` checks new data")));
        }
        let figures = checks.iter().map(|check| table::figures(view, &check.uid)).collect::<Result<Vec<_>>>()?;
        let line = |c: CheckRow| CheckLine { check: c.uid, at: c.at, rows: c.rows, verdict: c.verdict };
        Ok(History { name, columns: columns(&figures), checks: checks.into_iter().map(line).collect() })
    })?;
    cx.out.emit(&report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_for_each_value_on_one_scale() {
        assert_eq!(sparkline(&[Some(0.0), None, Some(0.1), Some(0.2), Some(0.4), Some(9.0), Some(-1.0)]), "▁·▃▅██▁");
    }
}

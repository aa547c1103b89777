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
use crate::domain::drift::concept::ACCURACY;
use crate::domain::drift::outcome::Right;
use crate::domain::drift::page::{INDEX, spark};
use crate::domain::drift::policy::Status;
use crate::domain::drift::table::{self, CheckRow, FigureRow};
use crate::release::drift::check::rights;
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
    /// How often the model was right, or how far it was off; none without labels.
    answers: Vec<AnswersLine>,
}

#[derive(Serialize)]
struct AnswersLine {
    name: String,
    /// One for each check, the oldest first.
    values: Vec<Option<f64>>,
    status: Status,
}

impl Report for History {
    const SCHEMA: &'static str = "kf.drift-history/1";

    fn blocks(&self) -> Vec<Block> {
        let mut columns = Table::new(&["column", "psi", ">last", "status", ">n"]);
        for c in &self.columns {
            let last = c.psi.last().copied().flatten();
            columns.row([
                c.column.clone(),
                spark(c.psi.iter().copied(), INDEX),
                number(last),
                c.status.to_string(),
                c.n.to_string(),
            ]);
        }
        let mut answers = Table::new(&["answers", "history", ">last", "status"]);
        for a in &self.answers {
            let largest = a.values.iter().flatten().copied().fold(0.0, f64::max);
            let full = if a.name == ACCURACY { 1.0 } else { largest };
            let line = spark(a.values.iter().copied(), full);
            answers.row([a.name.clone(), line, number(a.values.last().copied().flatten()), a.status.to_string()]);
        }
        let mut checks = Table::new(&["check", "at", ">rows", "verdict"]).titled("checks, the oldest first");
        for c in &self.checks {
            checks.row([c.check.clone(), c.at.to_string(), c.rows.to_string(), c.verdict.to_string()]);
        }
        let answers = (!self.answers.is_empty()).then(|| answers.into());
        std::iter::once(columns.into()).chain(answers).chain([checks.into(), self.summary().into()]).collect()
    }

    fn summary(&self) -> String {
        let last = self.checks.last().map_or(Status::Inconclusive, |c| c.verdict);
        format!("{}: {}, the last is {last}", self.name, count(self.checks.len(), "check"))
    }
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

/// What of answers the newest check has, each through all checks.
fn answers(all: &[Vec<Right>]) -> Vec<AnswersLine> {
    let value = |rights: &Vec<Right>, name: &str| rights.iter().find(|right| right.name == name).and_then(|right| right.current);
    let line = |right: &Right| AnswersLine {
        name: right.name.clone(),
        values: all.iter().map(|rights| value(rights, &right.name)).collect(),
        status: right.status,
    };
    all.last().map(|newest| newest.iter().map(line).collect()).unwrap_or_default()
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let objects = cx.objects()?;
    let (rows, mut report) = cx.store(Mode::Read)?.read(|view| {
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
        let line = |c: &CheckRow| CheckLine { check: c.uid.clone(), at: c.at, rows: c.rows, verdict: c.verdict };
        let lines = checks.iter().map(line).collect();
        Ok((checks, History { name, columns: columns(&figures), answers: Vec::new(), checks: lines }))
    })?;
    let right = |check: &CheckRow| {
        rights(&objects, check).unwrap_or_else(|e| {
            cx.warn(&e.to_string());
            Vec::new()
        })
    };
    report.answers = answers(&rows.iter().map(right).collect::<Vec<_>>());
    cx.out.emit(&report)
}

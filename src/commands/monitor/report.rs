//! `kf monitor report`: a day of the project.

use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::time::Timestamp;
use crate::cli::arg::report_file;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report, json};
use crate::domain::monitor::daily::Daily;
use crate::release::daily::daily;
use crate::release::evaluate::ReportFile;
use crate::store::Mode;
use serde::Serialize;

/// Report what happened on a day: releases, evaluations, drift, episodes, metrics
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf monitor report --daily\n  kf monitor report --daily --date 2026-11-20 --report html=day.html\n  kf monitor report --daily --format markdown | mail -s kf team@example.com"
)]
pub(crate) struct Args {
    /// The report of one day, from midnight to midnight of UTC
    #[arg(long)]
    daily: bool,
    /// The day (default: today)
    #[arg(long, value_name = "DAY")]
    date: Option<Timestamp>,
    /// Also write the report to a file: html, markdown or json; again for more
    #[arg(long = "report", value_name = "KIND=PATH", value_parser = report_of)]
    reports: Vec<ReportFile>,
}

fn report_of(text: &str) -> Result<ReportFile, String> {
    report_file(text, &["html", "markdown", "json"])
}

#[derive(Serialize)]
struct Day {
    #[serde(flatten)]
    daily: Daily,
}

impl Report for Day {
    const SCHEMA: &'static str = "kf.monitor-report/1";

    fn blocks(&self) -> Vec<Block> {
        let tables = self.daily.tables().into_iter().map(Block::from);
        tables.chain([self.summary().into()]).collect()
    }

    fn summary(&self) -> String {
        self.daily.line()
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if !args.daily {
        return Err(Error::usage("it is not said which report").hint("`kf monitor report --daily` tells of today"));
    }
    let paths = cx.report_paths(&args.reports)?;
    let project = cx.project()?.project.project.name.to_string();
    let store = cx.store(Mode::Read)?;
    let now = store.now();
    let day = Day { daily: store.read(|view| daily(view, &project, args.date.unwrap_or(now), now))? };
    for (file, path) in args.reports.iter().zip(&paths) {
        let text = match file.kind.as_str() {
            "html" => day.daily.html()?,
            "json" => serde_json::to_string_pretty(&json(&day)?).context(|| "cannot write JSON")?,
            _ => day.daily.markdown(),
        };
        cx.write_output(path, &text).context(|| format!("cannot write the report {}", path.display()))?;
    }
    cx.out.emit(&day)
}

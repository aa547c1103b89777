//! `kf monitor`: metrics that are recorded and checked here, and what Prometheus and Grafana need to watch a repository.

mod check;
mod export;
mod metrics;
mod record;
mod report;
mod status;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use std::path::PathBuf;

/// Record and check metrics; print figures for Prometheus, its alert rules and a dashboard for Grafana
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf monitor record latency-p95=0.82\n  kf monitor check\n  kf monitor metrics -o /var/lib/node_exporter/kf.prom     from cron, every hour\n  kf monitor export prometheus-rules -o kf.rules.yml\n  kf monitor export grafana -o kf.json"
)]
pub(crate) enum Command {
    Check(check::Args),
    #[command(subcommand)]
    Export(export::Command),
    Metrics(metrics::Args),
    Record(record::Args),
    Report(report::Args),
    Status(status::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Check(args) => check::run(cx, args),
            Self::Export(command) => command.run(cx),
            Self::Metrics(args) => metrics::run(cx, args),
            Self::Record(args) => record::run(cx, args),
            Self::Report(args) => report::run(cx, args),
            Self::Status(args) => status::run(cx, args),
        }
    }
}

/// Where a text of one form goes.
#[derive(clap::Args, Debug)]
struct Output {
    /// Write it to this file, whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Output {
    /// Writes `text`, which is `what` and printed in none but these formats.
    fn write(&self, cx: &Cx, (what, formats): (&str, &[Format]), text: &str) -> Result<Exit> {
        cx.only_formats(what, formats)?;
        match &self.output {
            Some(path) => cx.write_output(path, text)?,
            None => cx.out.print(text)?,
        }
        Ok(Exit::Ok)
    }
}

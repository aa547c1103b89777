//! `kf monitor`: what Prometheus and Grafana need to watch a repository.

mod dashboard;
mod metrics;
mod rules;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use std::path::PathBuf;

/// Print figures for Prometheus, its alert rules and a dashboard for Grafana
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf monitor metrics -o /var/lib/node_exporter/kf.prom     from cron, every hour\n  kf monitor rules -o kf.rules.yml\n  kf monitor dashboard -o kf.json"
)]
pub(crate) enum Command {
    Dashboard(dashboard::Args),
    Metrics(metrics::Args),
    Rules(rules::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Dashboard(args) => dashboard::run(cx, args),
            Self::Metrics(args) => metrics::run(cx, args),
            Self::Rules(args) => rules::run(cx, args),
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

//! `kf monitor rules`: the alert rules for Prometheus.

use super::Output;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use crate::domain::monitor::rules;

/// Print alert rules for Prometheus on what `kf monitor metrics` prints
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf monitor rules -o kf.rules.yml && promtool check rules kf.rules.yml")]
pub(crate) struct Args {
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    args.output.write(cx, ("the file of alert rules", &[Format::Table]), &rules::file()?)
}

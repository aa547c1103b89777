//! `kf monitor dashboard`: the dashboard for Grafana.

use super::Output;
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use crate::domain::monitor::dashboard;

/// Print a dashboard for Grafana on what `kf monitor metrics` prints
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf monitor dashboard -o kf.json     then import it in Grafana")]
pub(crate) struct Args {
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let text = serde_json::to_string_pretty(&dashboard::file()).context(|| "cannot write the dashboard")?;
    args.output.write(cx, ("a dashboard", &[Format::Table, Format::Json]), &format!("{text}\n"))
}

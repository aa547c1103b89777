//! `kf monitor metrics`: the figures of the state as Prometheus reads them.

use super::Output;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::cli::cx::Cx;
use crate::release::figures;
use crate::store::Mode;

/// Print the figures of the state in the text format of Prometheus and OpenMetrics
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf monitor metrics\n  kf monitor metrics -o /var/lib/node_exporter/kf.prom     from cron"
)]
pub(crate) struct Args {
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let store = cx.store(Mode::Read)?;
    let figures = store.read(|view| figures::figures(view, &loaded.project, &loaded.root, store.now()))?;
    args.output.write(cx, ("the text of figures", &[Format::Table]), &figures.text())
}

//! `kf ab plan`: how many units a test would take.

use super::doc::units;
use super::{Looked, percent};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::weight::Weight;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::ab::size::{self, Size};
use crate::domain::ab::{Design, Metric};
use serde::Serialize;

/// Say how many users a test takes to find a difference
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ab plan --metric solved --base 0.6 --effect 0.05\n  kf ab plan --metric latency-ms:mean:lower --sd 400 --effect 50 --split 20 --power 0.9"
)]
pub(crate) struct Args {
    /// The metric that decides: NAME[:rate|:score|:mean][:higher|:lower]
    #[arg(long, value_name = "METRIC")]
    metric: Metric,
    /// The part of the users that gets the treatment, in percent
    #[arg(long, value_name = "P", default_value = "50", value_parser = percent)]
    split: Weight,
    /// Each unit gets both versions
    #[arg(long, conflicts_with = "split")]
    paired: bool,
    #[command(flatten)]
    looked: Looked,
}

#[derive(Serialize)]
struct Planned {
    metric: Metric,
    design: Design,
    /// The part of the treatment, in percent.
    split: f64,
    effect: f64,
    base: f64,
    power: f64,
    units: Option<Size>,
}

impl Report for Planned {
    const SCHEMA: &'static str = "kf.ab-plan/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        units(self.units, self.effect, self.power, self.design)
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let design = if args.paired { Design::Paired } else { Design::Split };
    let missing = || Error::usage("a plan needs the difference worth finding").hint("say it with `--effect`");
    let aim = args.looked.aim(&args.metric, design)?.ok_or_else(missing)?;
    let units = size::needed(&args.metric, design, args.split, aim);
    cx.out.emit(&Planned {
        metric: args.metric.clone(),
        design,
        split: args.split.percent(),
        effect: aim.effect,
        base: aim.base,
        power: aim.power,
        units,
    })
}

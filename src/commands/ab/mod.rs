//! `kf ab`: two versions side by side, each with a part of the users, and when it may be said which is better.

mod analyze;
mod create;
mod doc;
mod feed;
mod plan;
mod show;
mod stop;

use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::weight::Weight;
use crate::cli::cx::Cx;
use crate::domain::ab::size;
use crate::domain::ab::{Aim, Design, Metric};

/// Compare two versions on real users, and say when it is clear which is better
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ab plan --metric solved --base 0.6 --effect 0.05\n  kf ab create greeting --control bot@1.0.0 --treatment bot@1.1.0 --metric solved --guardrail latency-ms:mean:lower=50\n  kf ab assign greeting --key user-17\n  kf ab record greeting --from results.csv\n  kf ab analyze greeting\n\n`analyze` ends with 0 when it is decided, 4 while it is not, 3 when a guardrail is broken or the split is not the planned one."
)]
pub(crate) enum Command {
    Analyze(analyze::Args),
    Assign(show::AssignArgs),
    Create(create::Args),
    List(show::ListArgs),
    Plan(plan::Args),
    Record(feed::Args),
    Show(show::ShowArgs),
    Stop(stop::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Analyze(args) => analyze::run(cx, args),
            Self::Assign(args) => show::assign(cx, args),
            Self::Create(args) => create::run(cx, args),
            Self::List(args) => show::list(cx, args),
            Self::Plan(args) => plan::run(cx, args),
            Self::Record(args) => feed::run(cx, args),
            Self::Show(args) => show::show(cx, args),
            Self::Stop(args) => stop::run(cx, args),
        }
    }
}

/// What is looked for, and how surely.
#[derive(clap::Args, Debug)]
struct Looked {
    /// The difference worth finding, in the unit of the metric
    #[arg(long, value_name = "D")]
    effect: Option<f64>,
    /// The rate of control, for a metric that is a rate
    #[arg(long, value_name = "RATE", requires = "effect")]
    base: Option<f64>,
    /// The standard deviation between units, for another metric; of pairs, that of the difference
    #[arg(long, value_name = "SD", requires = "effect", conflicts_with = "base")]
    sd: Option<f64>,
    /// The chance of finding it when it is there
    #[arg(long, value_name = "P", default_value_t = crate::stats::power::POWER)]
    power: f64,
}

impl Looked {
    /// The aim; `None` when nothing is looked for.
    fn aim(&self, metric: &Metric, design: Design) -> Result<Option<Aim>> {
        let Some(effect) = self.effect else { return Ok(None) };
        let from_rate = size::of_rates(metric, design);
        let (given, wanted, other) = if from_rate { (self.base, "base", self.sd) } else { (self.sd, "sd", self.base) };
        let Some(base) = given.filter(|_| other.is_none()) else {
            let what = if from_rate { "starts from the rate of control" } else { "starts from a standard deviation" };
            return Err(Error::usage(format!("a plan for `{}` {what}", metric.name)).hint(format!("say it with `--{wanted}`")));
        };
        let aim = Aim { effect, base, power: self.power };
        size::check(metric, design, aim).map_err(Error::usage)?;
        Ok(Some(aim))
    }
}

fn percent(text: &str) -> Result<Weight, String> {
    let weight = text.trim_end_matches('%').trim().parse().ok().and_then(Weight::from_percent);
    let between = weight.filter(|w| *w > Weight::NONE && *w < Weight::FULL);
    between.ok_or_else(|| "a split is a percentage between 0 and 100 with at most two decimals".to_owned())
}

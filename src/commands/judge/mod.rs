//! `kf judge`: whether a language model that judges agrees with people.

mod calibrate;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;

/// Compare the judge of mlops.toml with people's labels
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf judge calibrate labels.jsonl\n  kf judge calibrate labels.csv --metric answer-correctness --threshold 0.7\n\nThe judge is the table `[judge]` of mlops.toml. Gates on judged metrics go by a judge whose kappa is 0.6 or more."
)]
pub(crate) enum Command {
    Calibrate(calibrate::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Calibrate(args) => calibrate::run(cx, args),
        }
    }
}

//! `kf flag eval`: which variant a user gets.

use super::Whose;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::flag::{table, value};
use crate::store::Mode;
use serde::Serialize;
use serde_json::Value;

/// Print the variant that a user gets, the same one every time
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf flag eval new-ranking --key user-17\n  kf flag eval prompt --tenant acme --key user-17 --format json\n\nOpenFeature's clients of flagd give the same variant with the key as their targeting key, see docs/flags.md."
)]
pub(crate) struct Args {
    /// The flag
    name: Name,
    #[command(flatten)]
    whose: Whose,
    /// Who asks: the id of a user or of a session
    #[arg(long)]
    key: String,
}

#[derive(Serialize)]
struct Evaluated {
    tenant: Name,
    flag: Name,
    key: String,
    variant: String,
    value: Value,
}

impl Report for Evaluated {
    const SCHEMA: &'static str = "kf.flag-eval/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        self.variant.clone()
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let tenant = args.whose.name(cx)?;
    let flag = cx.store(Mode::Read)?.read(|view| table::get(view, &tenant, &args.name))?;
    let variant = flag.rule.variant(&flag.name, &args.key).to_owned();
    cx.out.emit(&Evaluated { tenant, flag: flag.name, key: args.key.clone(), value: value(&variant), variant })
}

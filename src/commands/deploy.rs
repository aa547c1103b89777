//! `kf deploy`: a version takes the place of the one in production, in one of several ways.

use super::canary::start::{Release, release};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::domain::rollout::setup::Strategy;

/// Release a version to users: step by step, blue-green, or all at once; or try it on copies of their requests
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf deploy bot@1.1.0                                       the same as `kf canary start`\n  kf deploy bot@1.1.0 --strategy blue-green                 tested beside the old one, then all at once, which stands by\n  kf deploy bot@1.1.0 --strategy all-at-once --reason \"hot fix\"\n  kf deploy bot@1.1.0 --strategy shadow                     on copies of requests, whose answers nobody gets; releases nothing\n\nThe gates of production must pass. `kf canary status|abort|explain` are for every strategy.\nExits 0 when the version is in production or a shadow kept to its limits, 3 when it was taken back or a gate fails, 4 when a gate is inconclusive."
)]
pub(crate) struct Args {
    #[command(flatten)]
    release: Release,
    /// canary, blue-green, shadow or all-at-once
    #[arg(long, default_value = "canary", value_name = "STRATEGY", value_parser = strategy)]
    strategy: Strategy,
}

/// A strategy that versions are released by; a way back is `kf rollback`.
fn strategy(text: &str) -> Result<Strategy, String> {
    let released = Strategy::ALL.iter().filter(|s| **s != Strategy::Rollback);
    released.clone().find(|s| s.word() == text).copied().ok_or_else(|| {
        let words: Vec<&str> = released.map(|s| s.word()).collect();
        format!("it is one of {}; `kf rollback` goes back", words.join(", "))
    })
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    release(cx, &args.release, args.strategy)
}

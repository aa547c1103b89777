//! `kf canary tick` and `kf canary run`: whoever drives a rollout.

use super::drive::{Until, drive, stands};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::domain::rollout::table::select;
use crate::store::Mode;
use std::time::Duration;

/// Do what can be done now for a rollout, for cron and CI
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf canary tick bot --quiet            from cron, at least once in the time of a window of the plan\n\nExits 0 while it goes on and when it is finished, 3 when it was taken back, 4 when it waits for a person or stands still, 11 when another process drives it."
)]
pub(crate) struct Tick {
    /// The model, or the end of the rollout's id; not needed when one rollout is under way
    rollout: Option<String>,
}

/// Drive a rollout to its end, from wherever it is
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf canary run bot\n  kf canary run bot --max-wait 10m      in CI: a person who does not approve within ten minutes ends it with 4\n\nExits 0 when it is finished, 3 when it was taken back, 4 when a person was waited for in vain, 11 when another process drives it."
)]
pub(crate) struct Run {
    /// The model, or the end of the rollout's id; not needed when one rollout is under way
    rollout: Option<String>,
    /// Show where it is all the while
    #[arg(long)]
    watch: bool,
    /// Stop to drive it when a person was waited for for so long
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
    max_wait: Option<Duration>,
}

impl Tick {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        driven(cx, self.rollout.as_deref(), Until::Now, false)
    }
}

impl Run {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        driven(cx, self.rollout.as_deref(), Until::End(self.max_wait), self.watch)
    }
}

fn driven(cx: &Cx, named: Option<&str>, until: Until, watch: bool) -> Result<Exit> {
    let store = cx.store(Mode::Write)?;
    let of = store.read(|view| select(view, named))?;
    if !of.open || store.is_dry_run() {
        return cx.out.emit(&stands(cx, &store, &of.uid, Vec::new())?);
    }
    cx.out.emit(&drive(cx, &store, &of, until, watch)?)
}

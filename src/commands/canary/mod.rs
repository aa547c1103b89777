//! `kf canary`: a version reaches users step by step, is judged while it does, and is taken back when it is worse.

pub(super) mod doc;
pub(super) mod drive;
mod explain;
pub(super) mod glance;
mod history;
pub(super) mod next;
mod ordered;
mod orders;
mod run;
pub(super) mod start;
mod status;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;

/// Give a version traffic step by step, judged against the version in production
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf canary start bot@1.1.0 --watch       to its end, from this terminal\n  kf canary start bot@1.1.0 --detach      and then from cron, every minute:\n  kf canary tick bot\n  kf canary explain bot                   why it was let on or taken back, with numbers\n  kf canary abort bot --reason \"wrong language\"\n\nA rollout is in the state: when its process dies, `kf canary run` goes on. Plans are the tables `[rollout.NAME]` of mlops.toml."
)]
pub(crate) enum Command {
    Abort(orders::Abort),
    Approve(orders::Approve),
    Explain(explain::Args),
    History(history::Args),
    Pause(orders::Pause),
    Promote(orders::Promote),
    Resume(orders::Resume),
    Retry(orders::Retry),
    Run(run::Run),
    Start(start::Args),
    Status(status::Args),
    Tick(run::Tick),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Abort(args) => args.run(cx),
            Self::Approve(args) => args.run(cx),
            Self::Explain(args) => explain::run(cx, args),
            Self::History(args) => history::run(cx, args),
            Self::Pause(args) => args.run(cx),
            Self::Promote(args) => args.run(cx),
            Self::Resume(args) => args.run(cx),
            Self::Retry(args) => args.run(cx),
            Self::Run(args) => args.run(cx),
            Self::Start(args) => start::run(cx, args),
            Self::Status(args) => status::run(cx, args),
            Self::Tick(args) => args.run(cx),
        }
    }
}

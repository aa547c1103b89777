//! What a person orders of a rollout. Whoever drives it goes on from there; only what takes it back is done at once, and waits no
//! longer for a target than it is told.

use super::drive::{BACK_PATIENCE, WayBack, can_go_back, see_back, stands};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::arg;
use crate::cli::cx::Cx;
use crate::commands::alert::deliver;
use crate::domain::rollout::machine::Event;
use crate::domain::rollout::record::Because;
use crate::domain::rollout::table::{Rollout, select};
use crate::release::rollout::again::again;
use crate::release::rollout::order::order;
use crate::store::{Mode, Store};
use std::time::Duration;

/// Of what, and why.
#[derive(clap::Args, Debug)]
struct Order {
    /// The model, or the end of the rollout's id; not needed when one rollout is under way
    rollout: Option<String>,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

impl Order {
    fn of(&self, store: &Store) -> Result<Rollout> {
        store.read(|view| select(view, self.rollout.as_deref()))
    }

    fn because(&self) -> Because<'_> {
        Because { ticket: self.ticket.as_deref(), reason: self.reason.as_deref() }
    }

    /// Records the order; gives the rollout then, and what that changed, in words.
    fn record(&self, store: &Store, of: &Rollout, event: &Event) -> Result<(Rollout, Vec<String>)> {
        let (now, changed) = order(store, &of.uid, event, self.because())?;
        let told = changed.then(|| now.reason.clone()).into_iter().collect();
        Ok((now, told))
    }

    fn give(&self, cx: &Cx, event: &Event) -> Result<Exit> {
        let store = cx.store(Mode::Write)?;
        let (now, told) = self.record(&store, &self.of(&store)?, event)?;
        deliver(cx, &store);
        cx.out.emit(&stands(cx, &store, &now.uid, told)?.done())
    }
}

macro_rules! orders {
    ($($(#[$about:meta])+ $name:ident => $event:expr;)+) => {$(
        #[derive(clap::Args, Debug)]
        $(#[$about])+
        pub(crate) struct $name {
            #[command(flatten)]
            order: Order,
        }

        impl $name {
            pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
                self.order.give(cx, &$event)
            }
        }
    )+};
}

orders! {
    /// Stop the clock of a rollout; a broken limit takes the canary back all the same
    #[command(after_long_help = "Examples:\n  kf canary pause bot --reason \"release freeze\"")]
    Pause => Event::Pause;
    /// Let a rollout go on that was paused or stands still
    #[command(after_long_help = "Examples:\n  kf canary resume bot --ticket OPS-7")]
    Resume => Event::Resume;
    /// Approve the step that waits for it
    #[command(after_long_help = "Examples:\n  kf canary approve bot --reason \"looked at the answers\"")]
    Approve => Event::Approve;
}

/// Start a rollout again from its first step that was taken back or failed
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf canary retry bot && kf canary run bot")]
pub(crate) struct Retry {
    #[command(flatten)]
    order: Order,
}

impl Retry {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        let store = cx.store(Mode::Write)?;
        let of = self.order.of(&store)?;
        let (now, changed) = again(&store, &cx.project()?.project, &of.uid, self.order.because())?;
        deliver(cx, &store);
        let told = changed.then(|| now.reason.clone()).into_iter().collect();
        cx.out.emit(&stands(cx, &store, &now.uid, told)?.done())
    }
}

/// Take a rollout back, now: all traffic to the stable version, and the registry with it
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf canary abort bot --reason \"answers in the wrong language\"\n\nExits 0 once the target shows that no traffic is left, 1 when the target does not do it: the order stays, and\n`kf canary run` goes on with it."
)]
pub(crate) struct Abort {
    #[command(flatten)]
    order: Order,
    /// How long a target that does not do it is tried
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration, default_value = BACK_PATIENCE)]
    max_wait: Duration,
}

impl Abort {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        let store = cx.store(Mode::Write)?;
        let of = self.order.of(&store)?;
        can_go_back(cx, &of)?;
        let (now, told) = self.order.record(&store, &of, &Event::Abort("by order".to_owned()))?;
        if store.is_dry_run() {
            return cx.out.emit(&stands(cx, &store, &now.uid, told)?.dry());
        }
        cx.out.emit(&see_back(cx, &store, &now, WayBack { patience: self.max_wait, fenced: false })?)
    }
}

/// Go on to the next step without waiting for the judge
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf canary promote bot\n  kf canary promote bot --full --reason \"fixes an outage\"")]
pub(crate) struct Promote {
    #[command(flatten)]
    order: Order,
    /// To all of the traffic at once
    #[arg(long)]
    full: bool,
}

impl Promote {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        self.order.give(cx, &Event::Promote { full: self.full })
    }
}

//! `kf alert`: who was told of what, who waits to be, and whether telling works.

pub(crate) mod beside;
mod list;
mod send;
mod test;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::ellipsis;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::Block;
use crate::domain::alert::DeliveryState;
use crate::domain::alert::table::Delivery;
use crate::release::alert::{self, Which, With};
use crate::seams::notifier::{Act, Severity};
use crate::store::Store;
use serde::Serialize;

/// Try a channel of mlops.toml, list what people were told, and send what waits
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf alert test oncall\n  kf alert list\n  kf alert send                      for cron: what could not be sent before\n\nChannels are the tables `[alerts.NAME]` of mlops.toml."
)]
pub(crate) enum Command {
    List(list::Args),
    Send(send::Args),
    Test(test::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::List(args) => list::run(cx, args),
            Self::Send(args) => send::run(cx, args),
            Self::Test(args) => test::run(cx, args),
        }
    }
}

/// Sends what waits, at the end of a command that may have raised something. What cannot be sent is a warning: it waits in the
/// state, and the command has done its work.
pub(super) fn deliver(cx: &Cx, store: &Store) {
    match send_waiting(cx, store, Which::Due) {
        Ok(tried) => tell(cx, &tried),
        Err(e) => cx.warn(&format!("alerts wait and could not be sent: {e}")),
    }
}

/// Warns of what could not be sent.
fn tell(cx: &Cx, tried: &[Delivery]) {
    // Of those that were sent an error says who was left out.
    for d in tried.iter().filter(|d| d.error.is_some()) {
        let next = match (d.state, d.due) {
            (DeliveryState::Sent, _) => "the others were told".to_owned(),
            (_, Some(due)) => format!("`kf alert send` tries again from {due} on"),
            (_, None) => "it is not tried again: `kf alert list` tells more".to_owned(),
        };
        let (title, why) = (ellipsis(&d.of.alert.title, 80), d.error.as_deref().unwrap_or_default());
        let whole = if d.state == DeliveryState::Sent { "told in part" } else { "not told" };
        cx.warn(&format!("`alerts.{}` was {whole} of “{title}”: {why}; {next}", d.channel));
    }
}

fn send_waiting(cx: &Cx, store: &Store, which: Which) -> Result<Vec<Delivery>> {
    let loaded = cx.project()?;
    let with = With { project: &loaded.project, root: &loaded.root, secret: &|reference| cx.secret(reference) };
    alert::deliver(store, with, which)
}

/// A delivery as reports show it.
#[derive(Serialize)]
struct DeliveryDoc {
    alert: String,
    about: String,
    act: Act,
    severity: Severity,
    title: String,
    raised: Timestamp,
    channel: Name,
    state: DeliveryState,
    attempts: i64,
    next_attempt: Option<Timestamp>,
    changed: Timestamp,
    error: Option<String>,
}

impl From<Delivery> for DeliveryDoc {
    fn from(d: Delivery) -> Self {
        Self {
            alert: d.of.uid,
            about: d.of.alert.about,
            act: d.of.alert.act,
            severity: d.of.alert.severity,
            title: d.of.alert.title,
            raised: d.of.at,
            channel: d.channel,
            state: d.state,
            attempts: d.attempts,
            next_attempt: d.due,
            changed: d.changed,
            error: d.error,
        }
    }
}

/// Deliveries as a table; nothing when there are none.
fn table(deliveries: &[DeliveryDoc]) -> Option<Block> {
    let mut t = Table::new(&["raised", "alert", "channel", "state", ">tries", "next try", "title", "why"]);
    for d in deliveries {
        t.row([
            d.raised.to_string(),
            d.about.clone(),
            d.channel.to_string(),
            d.state.to_string(),
            d.attempts.to_string(),
            d.next_attempt.map(|at| at.to_string()).unwrap_or_default(),
            ellipsis(&d.title, 60),
            d.error.clone().unwrap_or_default(),
        ]);
    }
    (!deliveries.is_empty()).then(|| t.into())
}

fn items(deliveries: &[DeliveryDoc]) -> Vec<serde_json::Value> {
    deliveries.iter().filter_map(|d| serde_json::to_value(d).ok()).collect()
}

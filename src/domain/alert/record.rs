//! Changes of the rows of alerts, each with its event, about the condition.
//!
//! What an alert says may quote data, so its event has a digest of it and not the words; why a try failed is what a stranger
//! answered, and its event says only whether it was a refusal.

use super::table::{Delivery, delivery_to, words_of};
use super::{Alert, DeliveryState, next_attempt};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::base::text::ellipsis;
use crate::base::time::Timestamp;
use crate::store::{Tx, values};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// The longest title that is kept, in characters: what PagerDuty takes.
const TITLE_MAX: usize = 1_000;
/// The longest body that is kept, in characters: some hundred lines.
const BODY_MAX: usize = 20_000;
/// The longest fact that is kept, in characters: a table may have thousands of columns.
const FACT_MAX: usize = 2_000;
/// How much of an error is kept, in characters.
const WHY_MAX: usize = 500;

/// Records an alert and whom to tell, each once, and gives its id.
///
/// # Errors
/// When the state cannot be written; as for all below.
pub fn raise(tx: &Tx<'_>, channels: &[Name], alert: &Alert) -> Result<String> {
    let uid = tx.uuid().to_string();
    let channels: BTreeSet<&str> = channels.iter().map(Name::as_str).collect();
    let fact = |(name, value): &(String, String)| (name.clone(), shortened(value, FACT_MAX));
    let words = words_of(&Alert {
        title: ellipsis(&alert.title, TITLE_MAX),
        body: shortened(&alert.body, BODY_MAX),
        facts: alert.facts.iter().map(fact).collect(),
        ..alert.clone()
    })?;
    let event = tx.record(
        Event::new("alert.raised", Resource::new("alert", alert.about.as_str()))
            .with("alert", uid.as_str())
            .with("act", alert.act.word())
            .with("severity", alert.severity.word())
            .with("message", json!(Digest::of(words.as_bytes())))
            .with("channels", json!(channels)),
    );
    let sql =
        "INSERT INTO alert (uid, about, act, severity, message, created, actor, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (act, severity) = (alert.act.word(), alert.severity.word());
    tx.execute(sql, values![&uid, &alert.about, act, severity, words, tx.now(), tx.pseudonym()?, event])?;
    let waiting = DeliveryState::Waiting.word();
    let rows = channels.iter().map(|channel| values![&uid, *channel, waiting, 0, tx.now(), tx.now(), event].to_vec());
    tx.insert_all("alert_delivery", &["alert", "channel", "state", "attempts", "due", "changed", "event"], rows)?;
    Ok(uid)
}

/// Lines are kept.
fn shortened(text: &str, max: usize) -> String {
    let mut cut: String = text.chars().take(max).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Taken,
    /// Some of several people took it and the others will not; says who and why.
    Partly(String),
    /// It will not be taken; says why.
    Refused(String),
    /// It may be tried again, after what was asked for; says why.
    Missed(String, Option<Duration>),
}

/// Records what came of a try; nothing when somebody else changed the delivery since it was read. Gives it as it is now.
pub fn tried(tx: &Tx<'_>, delivery: &Delivery, outcome: &Outcome) -> Result<Option<Delivery>> {
    let (uid, channel) = (&delivery.of.uid, &delivery.channel);
    let now = delivery_to(tx.view(), uid, channel)?;
    let Some(now) = now.filter(|now| (now.state, now.event) == (delivery.state, delivery.event)) else { return Ok(None) };
    let attempts = now.attempts.saturating_add(1);
    let unit = |[a, b, ..]: [u8; 32]| f64::from(u16::from_le_bytes([a, b])) / 65_536.0;
    let (due, why) = match outcome {
        Outcome::Taken => (None, None),
        Outcome::Partly(why) | Outcome::Refused(why) => (None, Some(why)),
        Outcome::Missed(why, asked) => (next_attempt(attempts, tx.now(), *asked, unit(tx.salt())), Some(why)),
    };
    let taken = matches!(outcome, Outcome::Taken | Outcome::Partly(_));
    let state = left(taken, due);
    let about = Resource::new("alert", now.of.alert.about.as_str());
    let event = Event::new(if taken { DELIVERED } else { NOT_DELIVERED }, about)
        .with("alert", uid.as_str())
        .with("channel", channel.as_str())
        .with("refused", matches!(outcome, Outcome::Partly(_) | Outcome::Refused(_)))
        .with("due", json!(due.map(Timestamp::micros)));
    let event = tx.record(event);
    let sql = "UPDATE alert_delivery SET state = ?3, attempts = ?4, due = ?5, error = ?6, changed = ?7, event = ?8 \
         WHERE alert = ?1 AND channel = ?2";
    let due_at = due.map(Timestamp::micros);
    let error = why.map(|why| ellipsis(why, WHY_MAX));
    tx.execute(sql, values![uid, channel.as_str(), state.word(), attempts, due_at, error, tx.now(), event])?;
    delivery_to(tx.view(), uid, channel)
}

/// The action of a try that succeeded.
pub(super) const DELIVERED: &str = "alert.delivered";
/// The action of one that did not.
pub(super) const NOT_DELIVERED: &str = "alert.not-delivered";

/// How far a delivery is after a try.
pub(super) fn left(taken: bool, due: Option<Timestamp>) -> DeliveryState {
    match (taken, due) {
        (true, _) => DeliveryState::Sent,
        (false, Some(_)) => DeliveryState::Waiting,
        (false, None) => DeliveryState::Failed,
    }
}

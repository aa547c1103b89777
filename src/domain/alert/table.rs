//! The rows of alerts and of their deliveries. Nobody else queries them.

use super::{Alert, DeliveryState};
use crate::base::error::{Context, Result};
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::seams::notifier::{Act, Severity};
use crate::store::{Row, View, values};
use serde::{Deserialize, Serialize};

/// An alert as it was raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// Its id.
    pub uid: String,
    /// What it says.
    pub alert: Alert,
    /// When.
    pub at: Timestamp,
    /// The audit event.
    pub event: i64,
}

/// A channel that is to be told of an alert, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Of what.
    pub of: AlertRow,
    /// The name of the `[alerts.<name>]`.
    pub channel: Name,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is to be tried; `None` when it is over.
    pub due: Option<Timestamp>,
    /// Why the last try did not succeed.
    pub error: Option<String>,
    /// When it changed last.
    pub changed: Timestamp,
    /// The audit event of that.
    pub event: i64,
}

/// The parts of an alert that are kept as one text.
#[derive(Serialize, Deserialize)]
struct Words {
    title: String,
    body: String,
    facts: Vec<(String, String)>,
}

/// The text that a row keeps of an alert's words.
pub(super) fn words_of(alert: &Alert) -> Result<String> {
    let words = Words { title: alert.title.clone(), body: alert.body.clone(), facts: alert.facts.clone() };
    serde_json::to_string(&words).context(|| "cannot write what an alert says")
}

const ALERT: &str = "a.uid, a.about, a.act, a.severity, a.message, a.created, a.event";
/// How many columns that are.
const AFTER: usize = 7;

fn alert(row: &Row<'_>) -> Result<AlertRow> {
    let words: Words = serde_json::from_str(row.text(4)?)
        .context(|| format!("cannot read the alert {}", row.text(0).unwrap_or_default()))
        .hint(|| "run `kf fsck`".to_owned())?;
    let alert = Alert {
        about: row.text(1)?.to_owned(),
        act: row.parsed::<Act>(2)?,
        severity: row.parsed::<Severity>(3)?,
        title: words.title,
        body: words.body,
        facts: words.facts,
    };
    Ok(AlertRow { uid: row.text(0)?.to_owned(), alert, at: row.time(5)?, event: row.int(6)? })
}

fn delivery(row: &Row<'_>) -> Result<Delivery> {
    Ok(Delivery {
        of: alert(row)?,
        channel: row.parsed(AFTER)?,
        state: row.parsed(AFTER + 1)?,
        attempts: row.int(AFTER + 2)?,
        due: row.opt_int(AFTER + 3)?.map(Timestamp::from_micros),
        error: row.opt_text(AFTER + 4)?.map(str::to_owned),
        changed: row.time(AFTER + 5)?,
        event: row.int(AFTER + 6)?,
    })
}

fn joined(rest: &str) -> String {
    format!(
        "SELECT {ALERT}, d.channel, d.state, d.attempts, d.due, d.error, d.changed, d.event FROM alert_delivery d \
         JOIN alert a ON a.uid = d.alert {rest}"
    )
}

/// What was said of the same condition to the same channel later, so that it does not matter any more what came of this.
const SUPERSEDED: &str = "EXISTS (SELECT 1 FROM alert la JOIN alert_delivery ld ON ld.alert = la.uid \
     WHERE la.about = a.about AND ld.channel = d.channel AND la.event > a.event)";

/// Deliveries that wait, in the order in which their alerts were raised; with `failed` also those that failed and that nothing
/// later took the place of.
///
/// # Errors
/// When the state cannot be read; as for all below.
pub fn unsent(view: View<'_>, failed: bool) -> Result<Vec<Delivery>> {
    let also = if failed { format!("OR d.state = ?2 AND NOT {SUPERSEDED}") } else { String::new() };
    let sql = joined(&format!("WHERE d.state = ?1 {also} ORDER BY a.event, a.uid, d.channel"));
    let states = values![DeliveryState::Waiting.word(), DeliveryState::Failed.word()];
    view.all(&sql, if failed { states } else { &states[..1] }, delivery)
}

/// The newest deliveries, at most `limit`, whatever came of them.
pub fn newest(view: View<'_>, limit: u32) -> Result<Vec<Delivery>> {
    view.all(&joined("ORDER BY a.event DESC, a.uid, d.channel LIMIT ?1"), values![limit], delivery)
}

/// The delivery of an alert to a channel.
pub fn delivery_to(view: View<'_>, uid: &str, channel: &Name) -> Result<Option<Delivery>> {
    view.first(&joined("WHERE d.alert = ?1 AND d.channel = ?2"), values![uid, channel.as_str()], delivery)
}

/// The newest alert about a condition, and the channels that were to be told of it.
pub fn last_about(view: View<'_>, about: &str) -> Result<Option<(AlertRow, Vec<Name>)>> {
    let sql = format!("SELECT {ALERT} FROM alert a WHERE a.about = ?1 ORDER BY a.event DESC LIMIT 1");
    let Some(last) = view.first(&sql, values![about], alert)? else { return Ok(None) };
    let sql = "SELECT channel FROM alert_delivery WHERE alert = ?1 ORDER BY channel";
    let channels = view.all(sql, values![last.uid.as_str()], |row| row.parsed(0))?;
    Ok(Some((last, channels)))
}

/// How many deliveries wait, and how many failed since then that nothing later took the place of.
pub fn counts(view: View<'_>, since: Timestamp) -> Result<(i64, i64)> {
    let waiting = "SELECT count(*) FROM alert_delivery WHERE state = ?1";
    let failed = format!(
        "SELECT count(*) FROM alert_delivery d JOIN alert a ON a.uid = d.alert \
         WHERE d.state = ?1 AND d.changed >= ?2 AND NOT {SUPERSEDED}"
    );
    Ok((
        view.count(waiting, values![DeliveryState::Waiting.word()])?,
        view.count(&failed, values![DeliveryState::Failed.word(), since])?,
    ))
}

//! Telling people, at least once: [`raise`] writes an alert in the transaction of what caused it, [`deliver`] sends what waits.
//!
//! Invariants: an alert is in the state, with its event and a delivery for each channel, before anything leaves; what came of a try
//! is recorded as soon as it comes back. A kill between the two leads to a second try with the same id and key. One process at a
//! time delivers: who finds another at it leaves the work to it, because it looks again after it has given up the lock. An
//! alert that cannot be sent is a failed [`Delivery`], never an error of the command that raised it.
//!
//! Channels are told at the same time, and of one condition in the order in which it was raised. A channel that cannot be reached is
//! not tried again in the same run.

use crate::adapters::github::Issues;
use crate::adapters::incident_file::IncidentFiles;
use crate::adapters::smtp::Mailer;
use crate::adapters::webhook::Webhook;
use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::base::time::Timestamp;
use crate::config::{Alerts, Channel, EventsUrl, GitHub, Project, Secret, SecretRef};
use crate::domain::alert::record::{self, Outcome as Came};
use crate::domain::alert::table::{self, Delivery};
use crate::domain::alert::{Alert, DeliveryState, key_of, pagerduty};
use crate::seams::notifier::{Message, Notifier, Told};
use crate::store::lock::Matter;
use crate::store::{Store, Tx, log};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// After so long a run begins no further delivery: what is left waits for the next.
const RUN_MAX: Duration = Duration::from_secs(30);

/// What telling needs beside the state.
#[derive(Clone, Copy)]
pub struct With<'a> {
    /// The configuration.
    pub project: &'a Project,
    /// Where the repository is.
    pub root: &'a Path,
    /// Fetches secrets.
    pub secret: &'a dyn Fn(&SecretRef) -> Result<Secret>,
}

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What waits and is due.
    Due,
    /// All that waits, and once more what failed.
    All,
}

/// Writes an alert that the named channels are to be told of, with its event; gives its id. [`deliver`] sends it once the
/// transaction is committed.
///
/// # Errors
/// When the state cannot be written.
pub fn raise(tx: &Tx<'_>, channels: &[Name], alert: &Alert) -> Result<String> {
    record::raise(tx, channels, alert)
}

/// Sends what waits, what earlier commands left too, and gives the deliveries that were tried as they are now. Does nothing in a dry
/// run, or while another process does it.
///
/// # Errors
/// When the state cannot be read or written. A delivery that does not succeed is no error.
pub fn deliver(store: &Store, with: With<'_>, which: Which) -> Result<Vec<Delivery>> {
    let mut run = Run { store, with, started: Instant::now(), passed: Passed::new(), done: Vec::new() };
    while !store.is_dry_run() && !waiting(store, which, &run.passed)?.is_empty() {
        let Some(_alone) = store.try_lock(Matter::Alerts, "alert send")? else { break };
        // Somebody may have sent it before the lock was given up.
        let waiting = waiting(store, which, &run.passed)?;
        run.round(waiting)?;
    }
    run.done.sort_by(|a, b| (a.of.event, &a.of.uid, &a.channel).cmp(&(b.of.event, &b.of.uid, &b.channel)));
    Ok(run.done)
}

/// The message of an alert, as a state with this origin of its log sends it.
pub fn message_of(origin: &str, uid: &str, alert: &Alert, at: Timestamp) -> Message {
    Message {
        id: uid.to_owned(),
        key: key_of(origin, &alert.about),
        about: alert.about.clone(),
        source: origin.rsplit_once('/').map_or(origin, |(source, _)| source).to_owned(),
        act: alert.act,
        severity: alert.severity,
        title: alert.title.clone(),
        body: alert.body.clone(),
        facts: alert.facts.clone(),
        at,
    }
}

/// What tells a channel.
///
/// # Errors
/// When a secret cannot be fetched, or does not hold what it should.
pub fn notifier(alerts: &Alerts, with: With<'_>) -> Result<Box<dyn Notifier>> {
    let secret = with.secret;
    let address = |url: &EventsUrl| match url {
        EventsUrl::Plain(url) => Ok(url.clone()),
        EventsUrl::Secret(url) => secret(url).map(|url| url.expose().to_owned()),
    };
    let (what, limit) = (format!("`alerts.{}`", alerts.name), alerts.timeout);
    Ok(match &alerts.channel {
        Channel::Webhook { url, secret: key } => {
            let key = key.as_ref().map(secret).transpose()?;
            Box::new(Webhook::document(&what, &secret(url)?, key.as_ref(), limit)?)
        }
        Channel::Slack { url } => Box::new(Webhook::slack(&what, &secret(url)?, limit)?),
        Channel::PagerDuty { routing_key, url } => {
            let url = url.as_ref().map_or_else(|| Ok(pagerduty::ENQUEUE.to_owned()), address)?;
            Box::new(Webhook::pagerduty(&what, &url, &secret(routing_key)?, limit)?)
        }
        Channel::Email(email) => {
            let password = email.login.as_ref().map(|(_, password)| secret(password)).transpose()?;
            Box::new(Mailer::new(email, password, limit)?)
        }
        Channel::GitHub(GitHub { url, repository, token, labels }) => {
            Box::new(Issues::new(&what, (&address(url)?, repository), secret(token)?, labels.clone(), limit)?)
        }
        Channel::File { path } => Box::new(IncidentFiles::new(with.root, path.under(with.root))),
    })
}

/// The channel of this name.
///
/// # Errors
/// When `mlops.toml` has none; names the nearest.
pub fn channel<'p>(project: &'p Project, name: &str) -> Result<&'p Alerts> {
    project.channel(name).ok_or_else(|| {
        let hint = did_you_mean(name, project.alerts.iter().map(|a| a.name.as_str()));
        let e = Error::usage(format!("mlops.toml has no `[alerts.{name}]`"));
        e.hint(hint.unwrap_or_else(|| format!("add `[alerts.{name}]` with `url = \"env:NAME\"`")))
    })
}

/// Alerts and channels.
type Passed = BTreeSet<(String, Name)>;

/// What [`deliver`] would send now.
///
/// # Errors
/// When the state cannot be read.
pub fn due(store: &Store, which: Which) -> Result<Vec<Delivery>> {
    waiting(store, which, &Passed::new())
}

/// What is to be tried now: of one condition and channel nothing before what was raised earlier.
fn waiting(store: &Store, which: Which, passed: &Passed) -> Result<Vec<Delivery>> {
    let now = store.now();
    let mut blocked = BTreeSet::new();
    let mut waiting = store.read(|view| table::unsent(view, which == Which::All))?;
    waiting.retain(|d| {
        let due = which == Which::All || d.due.is_some_and(|due| due <= now);
        let condition = (d.of.alert.about.clone(), d.channel.clone());
        let goes = due && !passed.contains(&(d.of.uid.clone(), d.channel.clone())) && !blocked.contains(&condition);
        if !goes && d.state == DeliveryState::Waiting {
            blocked.insert(condition);
        }
        goes
    });
    Ok(waiting)
}

/// One run of [`deliver`].
struct Run<'a> {
    store: &'a Store,
    with: With<'a>,
    started: Instant,
    /// Alerts and channels that this run has tried, or will not.
    passed: Passed,
    done: Vec<Delivery>,
}

/// What the deliveries of one channel need.
struct Queue {
    notifier: Result<Box<dyn Notifier>>,
    deliveries: Vec<(Delivery, Message)>,
}

impl Run<'_> {
    /// Tries these, all channels at once, and records each answer as it comes.
    fn round(&mut self, waiting: Vec<Delivery>) -> Result<()> {
        self.passed.extend(waiting.iter().map(|d| (d.of.uid.clone(), d.channel.clone())));
        let queues = self.queues(waiting)?;
        let (now, started, stop) = (self.store.now(), self.started, AtomicBool::new(false));
        let (answers, answered) = mpsc::channel();
        std::thread::scope(|scope| {
            for queue in queues {
                let (answers, stop) = (answers.clone(), &stop);
                scope.spawn(move || {
                    let goes_on = || !stop.load(Ordering::Relaxed) && started.elapsed() < RUN_MAX;
                    // The next is not sent before this one is recorded: a kill doubles one message of a channel and not all of them.
                    queue.empty(now, &goes_on, &mut |delivery, came| {
                        let (done, recorded) = mpsc::channel::<()>();
                        answers.send((delivery, came, done)).is_ok() && recorded.recv().is_ok()
                    });
                });
            }
            drop(answers);
            let mut answered = answered.into_iter();
            let recorded = answered.try_for_each(|(delivery, came, done)| {
                let now = self.store.write(|tx| record::tried(tx, &delivery, &came))?;
                self.done.extend(now);
                // Who asked may have stopped.
                let _ = done.send(());
                Ok(())
            });
            // What cannot be recorded is not sent.
            stop.store(true, Ordering::Relaxed);
            recorded
        })
    }

    /// The deliveries by channel, with what tells it.
    fn queues(&self, waiting: Vec<Delivery>) -> Result<Vec<Queue>> {
        let origin = self.store.read(|view| Ok(log::head(view.db())?.origin))?;
        let mut queues: BTreeMap<Name, Vec<(Delivery, Message)>> = BTreeMap::new();
        for delivery in waiting {
            let message = message_of(&origin, &delivery.of.uid, &delivery.of.alert, delivery.of.at);
            queues.entry(delivery.channel.clone()).or_default().push((delivery, message));
        }
        let notifier = |name: &Name| notifier(channel(self.with.project, name.as_str())?, self.with);
        Ok(queues.into_iter().map(|(name, deliveries)| Queue { notifier: notifier(&name), deliveries }).collect())
    }
}

impl Queue {
    /// Tells of one after the other until the channel cannot be reached, or `goes_on` or `answer` says no.
    fn empty(self, now: Timestamp, goes_on: &dyn Fn() -> bool, answer: &mut dyn FnMut(Delivery, Came) -> bool) {
        for (delivery, message) in self.deliveries {
            if !goes_on() {
                return;
            }
            let came = match &self.notifier {
                Ok(notifier) => came(notifier.tell(&message, now)),
                Err(e) => Came::Missed(worded(e), None),
            };
            let missed = matches!(came, Came::Missed(..));
            if !answer(delivery, came) || missed {
                return;
            }
        }
    }
}

fn came(told: Told) -> Came {
    match told {
        Told::Taken(_) => Came::Taken,
        Told::Partly(_, e) => Came::Partly(worded(&e)),
        Told::Refused(e) => Came::Refused(worded(&e)),
        Told::Missed(e, asked) => Came::Missed(worded(&e), asked),
    }
}

/// An error with its first hint.
pub(super) fn worded(e: &Error) -> String {
    e.hints().first().map_or_else(|| e.to_string(), |hint| format!("{e} ({hint})"))
}

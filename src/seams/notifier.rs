//! Somebody who is told of something: a channel of `[alerts.<name>]`, a program.

use crate::base::error::Error;
use crate::base::name::words;
use crate::base::time::Timestamp;
use std::time::Duration;

words! {
    /// How soon somebody should look. The words are those of PagerDuty's Common Event Format, which every receiver can map.
    Severity, "severity" {
        /// It can wait.
        Info = "info",
        /// It is for today.
        Warning = "warning",
        /// Something failed.
        Error = "error",
        /// It is for now.
        Critical = "critical",
    }
}

words! {
    /// Whether a condition began or ended.
    Act, "act of an alert" {
        /// It began, or still holds.
        Trigger = "trigger",
        /// It is over.
        Resolve = "resolve",
    }
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same for every try to tell this, and for nothing else: who is told twice can tell by it.
    pub id: String,
    /// The same for all that is told of one condition, its end too; at most 255 characters.
    pub key: String,
    /// The condition, for people: `drift/bot`.
    pub about: String,
    /// Where that is: `kf/PROJECT`.
    pub source: String,
    /// Whether it began or ended.
    pub act: Act,
    /// How soon somebody should look.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What follows it, in lines.
    pub body: String,
    /// Facts for programs: names in small letters with `-`, values.
    pub facts: Vec<(String, String)>,
    /// When it was said.
    pub at: Timestamp,
}

/// What came of telling somebody.
#[derive(Debug)]
pub enum Told {
    /// It was taken; what was answered, on one line.
    Taken(String),
    /// Of several people some were told, with what was answered; the others will not be, and the error says who.
    Partly(String, Error),
    /// It will not be taken, however often it is told.
    Refused(Error),
    /// Not everybody took it, or the answer was lost: it may be told again, at the soonest after the time that was asked for.
    Missed(Error, Option<Duration>),
}

/// Tells somebody.
pub trait Notifier: Send + Sync {
    /// Tells; `now` is when. It comes back within the time that was set for it.
    fn tell(&self, message: &Message, now: Timestamp) -> Told;
}

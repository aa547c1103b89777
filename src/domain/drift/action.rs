//! What is to be done about drift: which actions a verdict opens, raises or holds back.
//!
//! Pure. One action of a kind is open at a time: of a name, and of a model where there is one model to mend. A verdict counts when
//! as many checks in a row as `windows` says were in its band; checks that said nothing are passed over. An action that ended
//! is not begun again within its cool-down, unless the band rose.

use super::policy::Status;
use crate::base::name::words;
use crate::base::time::Timestamp;
use crate::config::{ActionKind as Kind, Actions};

words! {
    /// How far an action is.
    ActionState, "state of an action" {
        /// It is to be done.
        Open = "open",
        /// It was done.
        Done = "done",
        /// It was tried and failed.
        Failed = "failed",
        /// Somebody closed it.
        Closed = "closed",
    }
}

impl ActionState {
    /// Whether nothing more is to be done.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Closed)
    }
}

/// How often an action is tried.
pub const ATTEMPTS_MAX: i64 = 5;

/// An action that there was, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// Its id.
    pub uid: String,
    /// What it is.
    pub kind: Kind,
    /// The band that asked for it.
    pub band: Status,
    /// How far it is.
    pub state: ActionState,
    /// When it is to be done by.
    pub due: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: i64,
    /// Since when it is there.
    pub opened: Timestamp,
    /// When it changed last.
    pub changed: Timestamp,
    /// Whether people were told since that what they were told of is over.
    pub told_over: bool,
    /// The check that it was opened for, when that is another.
    pub by: Option<String>,
}

/// What a verdict leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new action.
    Open {
        /// What it is.
        kind: Kind,
        /// The band that asks for it.
        band: Status,
        /// When it is to be done by.
        due: Option<Timestamp>,
    },
    /// The open one is more urgent now.
    Raise {
        /// Its id.
        uid: String,
        /// What it is.
        kind: Kind,
        /// The band that asks for it now.
        band: Status,
        /// When it is to be done by now.
        due: Option<Timestamp>,
    },
    /// Nothing new, and why.
    Hold {
        /// Of what.
        kind: Kind,
        /// The one that there is.
        uid: String,
        /// In words.
        why: String,
    },
}

/// The band that counts: the lightest of the last `windows` verdicts that said something, this one first; `Ok` when there were not
/// so many, or this one said nothing: what it could not tell begins nothing.
pub fn counts(verdicts: impl IntoIterator<Item = Status>, windows: usize) -> Status {
    let mut verdicts = verdicts.into_iter().map(Status::weight).peekable();
    if verdicts.peek() == Some(&Status::Inconclusive) {
        return Status::Ok;
    }
    let said = verdicts.filter(|status| *status != Status::Inconclusive);
    let last: Vec<Status> = said.take(windows.max(1)).collect();
    if last.len() < windows.max(1) {
        return Status::Ok;
    }
    last.into_iter().min().unwrap_or(Status::Ok)
}

/// Whether what people were told of is over: the last `windows` verdicts that said something were in no band that tells anybody.
pub fn is_over(verdicts: impl IntoIterator<Item = Status>, rules: &Actions) -> bool {
    let windows = usize::try_from(rules.windows).unwrap_or(usize::MAX);
    let said = verdicts.into_iter().map(Status::weight).filter(|status| *status != Status::Inconclusive);
    let last: Vec<Status> = said.take(windows).collect();
    last.len() == windows && last.iter().all(|band| !kinds(*band, rules).contains(&Kind::Notify))
}

/// What is done at a band.
fn kinds(band: Status, rules: &Actions) -> &[Kind] {
    match band.weight() {
        Status::Monitor => &rules.monitor,
        Status::Warning => &rules.warning,
        Status::Critical => &rules.critical,
        _ => &[],
    }
}

/// What a band that counts leads to; `last`: the newest action of each kind.
pub fn plan(band: Status, last: &[Last], rules: &Actions, now: Timestamp) -> Vec<Step> {
    kinds(band, rules).iter().map(|kind| step(*kind, band.weight(), last.iter().find(|l| l.kind == *kind), rules, now)).collect()
}

fn step(kind: Kind, band: Status, last: Option<&Last>, rules: &Actions, now: Timestamp) -> Step {
    let due = due(kind, band, rules, now);
    let Some(last) = last else { return Step::Open { kind, band, due } };
    let (uid, higher) = (last.uid.clone(), band > last.band.weight());
    let sooner = band == last.band.weight() && due.zip(last.due).is_some_and(|(due, before)| due < before);
    let hold = |why: String| Step::Hold { kind, uid: last.uid.clone(), why };
    match last.state {
        ActionState::Open | ActionState::Failed if (higher || sooner) && !kind.is_performed() => {
            Step::Raise { uid, kind, band, due }
        }
        ActionState::Open => {
            let by = last.by.as_ref().map(|name| format!(" because of drift of {name}")).unwrap_or_default();
            hold(format!("open since {}{by}", last.opened))
        }
        ActionState::Failed if last.attempts >= ATTEMPTS_MAX => {
            hold(format!("failed {ATTEMPTS_MAX} times, last on {}; it waits until it is closed", last.changed))
        }
        ActionState::Failed => hold(format!("failed on {}, tried again", last.changed)),
        ActionState::Done | ActionState::Closed => {
            let until = last.changed.plus_micros(i64::try_from(rules.cool_down.as_micros()).unwrap_or(i64::MAX));
            // What was over and is there again is news, whatever was told before.
            if higher || last.told_over || now >= until {
                Step::Open { kind, band, due }
            } else {
                hold(format!("{} on {}, not again before {until}", last.state, last.changed))
            }
        }
    }
}

/// The rules for a check that says this of accuracy: a warning of it has a deadline of its own.
#[must_use]
pub fn rules_for(accuracy: Option<Status>, rules: &Actions) -> Actions {
    let deadline = match accuracy {
        Some(Status::Warning) => rules.deadline.min(rules.accuracy_deadline),
        _ => rules.deadline,
    };
    Actions { deadline, ..rules.clone() }
}

/// What is critical is due at once, a ticket about a warning within its deadline; nobody waits for the rest.
fn due(kind: Kind, band: Status, rules: &Actions, now: Timestamp) -> Option<Timestamp> {
    match (kind, band) {
        (Kind::OpenTicket, Status::Critical) => Some(now),
        (Kind::OpenTicket, Status::Warning) => {
            Some(now.plus_micros(i64::try_from(rules.deadline.as_micros()).unwrap_or(i64::MAX)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Critical, Inconclusive, Monitor, Ok, Warning};
    use std::time::Duration;

    const HOUR: i64 = 3_600_000_000;

    fn rules() -> Actions {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let ticket = vec![Kind::OpenTicket];
        Actions {
            monitor: vec![],
            warning: ticket.clone(),
            critical: vec![Kind::OpenTicket, Kind::Notify],
            command: vec![],
            alerts: vec![],
            deadline: hours(48),
            accuracy_deadline: hours(24),
            cool_down: hours(24),
            windows: 1,
        }
    }

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_micros(hour * HOUR)
    }

    fn last(kind: Kind, band: Status, state: ActionState) -> Last {
        Last {
            uid: "a".to_owned(),
            kind,
            band,
            state,
            due: Some(at(48)),
            attempts: 0,
            opened: at(0),
            changed: at(0),
            told_over: false,
            by: None,
        }
    }

    #[test]
    fn a_band_asks_for_what_is_configured_with_its_deadline() {
        assert_eq!(plan(Ok, &[], &rules(), at(0)), []);
        assert_eq!(plan(Monitor, &[], &rules(), at(0)), []);
        let ticket = |band, hour| Step::Open { kind: Kind::OpenTicket, band, due: Some(at(hour)) };
        assert_eq!(plan(Warning, &[], &rules(), at(1)), [ticket(Warning, 49)]);
        let notify = Step::Open { kind: Kind::Notify, band: Critical, due: None };
        assert_eq!(plan(Critical, &[], &rules(), at(1)), [ticket(Critical, 1), notify]);
    }

    #[test]
    fn a_second_run_opens_nothing_and_a_higher_band_raises() {
        let open = [last(Kind::OpenTicket, Warning, ActionState::Open)];
        let again = plan(Warning, &open, &rules(), at(90));
        assert!(matches!(&again[..], [Step::Hold { why, .. }] if why == "open since 1970-01-01T00:00:00Z"), "{again:?}");
        let theirs = [Last { by: Some("other".to_owned()), ..open[0].clone() }];
        let why = "open since 1970-01-01T00:00:00Z because of drift of other";
        assert!(matches!(&plan(Warning, &theirs, &rules(), at(90))[..], [Step::Hold { why: told, .. }] if told == why));
        let raised = Step::Raise { uid: "a".to_owned(), kind: Kind::OpenTicket, band: Critical, due: Some(at(2)) };
        assert_eq!(plan(Critical, &open, &rules(), at(2))[0], raised);
    }

    /// M2: a warning about accuracy is due within 24 hours, one about data within 48.
    #[test]
    fn a_warning_about_accuracy_is_due_sooner() {
        let due = |accuracy, last: &[Last], hour| plan(Warning, last, &rules_for(accuracy, &rules()), at(hour));
        let ticket = |hour| Step::Open { kind: Kind::OpenTicket, band: Warning, due: Some(at(hour)) };
        assert_eq!(due(Some(Warning), &[], 1), [ticket(25)]);
        for other in [None, Some(Ok), Some(Monitor), Some(Inconclusive)] {
            assert_eq!(due(other, &[], 1), [ticket(49)]);
        }
        let open = [last(Kind::OpenTicket, Warning, ActionState::Open)];
        let sooner = Step::Raise { uid: "a".to_owned(), kind: Kind::OpenTicket, band: Warning, due: Some(at(26)) };
        assert_eq!(due(Some(Warning), &open, 2), [sooner]);
        assert!(matches!(due(Some(Warning), &open, 30)[..], [Step::Hold { .. }]), "24 hours from then are later");
    }

    #[test]
    fn what_failed_too_often_is_not_said_to_be_tried_again() {
        let command = Actions { warning: vec![Kind::Command], ..rules() };
        let failed = |attempts| Last { attempts, ..last(Kind::Command, Warning, ActionState::Failed) };
        let said = |attempts| match &plan(Warning, &[failed(attempts)], &command, at(90))[..] {
            [Step::Hold { why, .. }] => why.clone(),
            other => panic!("{other:?}"),
        };
        assert!(said(4).ends_with(", tried again"), "{}", said(4));
        assert_eq!(said(5), "failed 5 times, last on 1970-01-01T00:00:00Z; it waits until it is closed");
    }

    #[test]
    fn what_ended_cools_down_unless_the_band_rises() {
        let closed = [last(Kind::OpenTicket, Warning, ActionState::Closed)];
        assert!(matches!(plan(Warning, &closed, &rules(), at(23))[..], [Step::Hold { .. }]));
        assert!(matches!(plan(Warning, &closed, &rules(), at(24))[..], [Step::Open { .. }]));
        assert!(matches!(plan(Critical, &closed, &rules(), at(1))[0], Step::Open { .. }));
    }

    #[test]
    fn what_is_over_is_told_again_when_it_comes_back() {
        let done = last(Kind::Notify, Critical, ActionState::Done);
        assert!(matches!(plan(Critical, std::slice::from_ref(&done), &rules(), at(1))[1], Step::Hold { .. }));
        let over = Last { told_over: true, ..done };
        assert!(matches!(plan(Critical, &[over], &rules(), at(1))[1], Step::Open { kind: Kind::Notify, .. }));
    }

    #[test]
    fn it_is_over_after_as_many_checks_in_no_band_that_tells() {
        let twice = Actions { windows: 2, ..rules() };
        assert!(is_over([Ok], &rules()) && is_over([Warning], &rules()), "only `critical` notifies");
        assert!(!is_over([Critical], &rules()) && !is_over([Inconclusive], &rules()));
        assert!(!is_over([Ok], &twice) && !is_over([Ok, Critical], &twice));
        assert!(is_over([Ok, Inconclusive, Monitor, Critical], &twice));
    }

    #[test]
    fn a_band_counts_after_as_many_checks_as_asked_for() {
        assert_eq!(counts([Critical], 1), Critical);
        assert_eq!(counts([Critical], 2), Ok);
        assert_eq!(counts([Critical, Warning, Ok], 2), Warning);
        assert_eq!(counts([Critical, Inconclusive, Critical], 2), Critical);
        assert_eq!(counts([Critical, Ok], 2), Ok);
        assert_eq!(counts([Status::Missing], 1), Critical);
        assert_eq!(counts([Inconclusive], 1), Ok);
        assert_eq!(counts([Inconclusive, Critical, Critical], 1), Ok, "a check that could not tell begins nothing");
    }
}

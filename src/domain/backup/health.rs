//! Whether backups can be relied on: from times and figures alone, without asking anything.
//!
//! A backup counts from when it was last *proven* to come back, not from when it was made.

use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::config::Every;

/// How much of a limit may be used up before somebody is told, in percent.
pub const USED: u64 = 80;
/// So many days may pass without a proof.
pub const UNPROVEN_DAYS: i64 = 35;
/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// How far clocks may be apart.
pub const APART: i64 = 24 * HOUR;

/// Whether a time is one that is yet to come: of a clock that was ahead, unless the one here is behind. It tells nothing of how old
/// something is.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at > now.plus_micros(APART)
}

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds that recovery may take.
    pub rto_ms: u64,
    /// Milliseconds of work that may be lost.
    pub rpo_ms: u64,
}

/// What is known of the sets of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// When the newest was begun.
    pub last: Option<Timestamp>,
    /// The newest drill that found all right.
    pub proof: Option<Measured>,
}

/// What a drill measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// When.
    pub at: Timestamp,
    /// Milliseconds that recovery took.
    pub rto_ms: u64,
    /// Milliseconds of work that would have been lost.
    pub rpo_ms: u64,
}

/// Why a plan cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// There is no set.
    Missing,
    /// The newest is so many hours old, and another is overdue.
    Late(i64),
    /// None was ever proven to come back.
    Unproven,
    /// One was, so many days ago.
    Stale(i64),
    /// So many percent of what recovery may take were used.
    Slow(u64),
    /// So many percent of the work that may be lost would have been.
    Lost(u64),
    /// The newest set is not locked, and the plan says that it is.
    Unlocked,
    /// Somebody deleted or overwrote the manifest of this set, which is locked.
    Deleted(String),
    /// This set, or a drill of it, says that it is of a time yet to come.
    Ahead(String),
    /// The manifest of this set cannot be read.
    Unreadable(String),
}

impl Alarm {
    /// What is wrong, with what to type.
    pub fn words(&self, plan: &Name) -> String {
        match self {
            Self::Missing => format!("there is no backup: `kf backup run --plan {plan}`"),
            Self::Late(hours) => format!("the last backup is {hours} hours old"),
            Self::Unproven => "nothing of it was ever proven to come back: `kf backup drill`".to_owned(),
            Self::Stale(days) => format!("proven {days} days ago: `kf backup drill`"),
            Self::Slow(percent) => format!("the recovery time is {percent} % of what is allowed"),
            Self::Unlocked => "the last backup is not locked".to_owned(),
            Self::Deleted(id) => format!("somebody deleted or overwrote the manifest of {id}"),
            Self::Ahead(id) => {
                format!("{id}, or a drill of it, is of a time yet to come and does not count: is a clock wrong?")
            }
            Self::Unreadable(id) => format!("the manifest of {id} cannot be read: `kf backup verify {id}`"),
            Self::Lost(percent) => format!("the recovery point is {percent} % of what is allowed"),
        }
    }
}

/// After how many hours the next set is overdue; `None` where only a change makes it due.
pub fn overdue_after(every: Every) -> Option<i64> {
    match every {
        Every::Hour => Some(2),
        Every::Day => Some(26),
        Every::Week => Some(8 * 24),
        Every::Change => None,
    }
}

/// What is wrong with a plan now. What is of a time yet to come does not count.
pub fn alarms(every: Every, known: &Known, limits: Limits, now: Timestamp) -> Vec<Alarm> {
    let hours = |since: Timestamp| now.micros().saturating_sub(since.micros()) / HOUR;
    let Some(last) = known.last.filter(|last| !is_ahead(*last, now)) else { return vec![Alarm::Missing] };
    let mut all = Vec::new();
    if overdue_after(every).is_some_and(|allowed| hours(last) > allowed) {
        all.push(Alarm::Late(hours(last)));
    }
    let Some(proof) = known.proof.filter(|proof| !is_ahead(proof.at, now)) else {
        all.push(Alarm::Unproven);
        return all;
    };
    if hours(proof.at) > UNPROVEN_DAYS * 24 {
        all.push(Alarm::Stale(hours(proof.at) / 24));
        return all;
    }
    let percent = |ms: u64, limit: u64| u64::try_from(u128::from(ms) * 100 / u128::from(limit.max(1))).unwrap_or(u64::MAX);
    let (rto, rpo) = (percent(proof.rto_ms, limits.rto_ms), percent(proof.rpo_ms, limits.rpo_ms));
    all.extend((rto >= USED).then_some(Alarm::Slow(rto)));
    all.extend((rpo >= USED).then_some(Alarm::Lost(rpo)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { rto_ms: 4 * 3_600_000, rpo_ms: 24 * 3_600_000 };

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000 + hours * HOUR)
    }

    fn of(every: Every, last: Option<i64>, proof: Option<(i64, u64, u64)>, now: i64) -> Vec<Alarm> {
        let measured = |(hours, rto_ms, rpo_ms)| Measured { at: at(hours), rto_ms, rpo_ms };
        alarms(every, &Known { last: last.map(at), proof: proof.map(measured) }, LIMITS, at(now))
    }

    #[test]
    fn each_alarm_begins_where_it_is_said_to() {
        let fine = Some((0, 1000, 1000));
        assert_eq!(of(Every::Day, None, fine, 0), [Alarm::Missing]);
        assert_eq!(of(Every::Day, Some(0), None, 0), [Alarm::Unproven]);
        for (every, hours) in [(Every::Hour, 2), (Every::Day, 26), (Every::Week, 192)] {
            assert_eq!(of(every, Some(0), fine, hours), [], "{every}");
            assert_eq!(of(every, Some(0), fine, hours + 1), [Alarm::Late(hours + 1)], "{every}");
        }
        assert_eq!(of(Every::Change, Some(0), fine, 35 * 24), []);
        assert_eq!(of(Every::Change, Some(0), fine, 35 * 24 + 1), [Alarm::Stale(35)]);
    }

    #[test]
    fn four_fifths_of_what_is_allowed_are_told() {
        let (rto, rpo) = (LIMITS.rto_ms / 5 * 4, LIMITS.rpo_ms / 5 * 4);
        assert_eq!(of(Every::Day, Some(0), Some((0, rto - 1000, rpo - 10_000)), 1), []);
        assert_eq!(of(Every::Day, Some(0), Some((0, rto, 0)), 1), [Alarm::Slow(80)]);
        assert_eq!(of(Every::Day, Some(0), Some((0, 0, rpo)), 1), [Alarm::Lost(80)]);
        let twice = of(Every::Day, Some(0), Some((0, LIMITS.rto_ms * 2, u64::MAX)), 1);
        assert_eq!(twice[0], Alarm::Slow(200));
        assert!(matches!(twice[1], Alarm::Lost(percent) if percent > 1_000_000), "{twice:?}");
    }

    #[test]
    fn a_clock_that_is_a_day_behind_tells_nothing_wrong_and_what_is_further_ahead_does_not_count() {
        assert_eq!(of(Every::Hour, Some(24), Some((24, 0, 0)), 0), []);
        assert_eq!(of(Every::Hour, Some(25), Some((24, 0, 0)), 0), [Alarm::Missing]);
        assert_eq!(of(Every::Hour, Some(0), Some((25, 0, 0)), 0), [Alarm::Unproven]);
        assert_eq!(of(Every::Hour, Some(87_600), Some((87_600, 0, 0)), 0), [Alarm::Missing], "ten years ahead");
    }

    #[test]
    fn words_tell_what_to_type() {
        let plan: Name = "daily".parse().expect("a name");
        assert_eq!(Alarm::Missing.words(&plan), "there is no backup: `kf backup run --plan daily`");
        assert_eq!(Alarm::Slow(91).words(&plan), "the recovery time is 91 % of what is allowed");
    }
}

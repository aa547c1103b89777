//! Which backup sets are kept: rules joined by "or", each with its reason, over nothing but ids and times.
//!
//! Invariants: the newest set is kept, so is the newest one that a drill proved restorable, whatever the rules say; a rule keeps the
//! newest set of each of its buckets, which are those of UTC (a week begins on Monday, ISO 8601); an age is counted from the newest
//! set and not from the clock, so that a clock that jumped ahead makes nothing old.
//!
//! The words are those of `restic forget`: "last 3" are three sets, "daily 7" the newest of each of seven days that have one,
//! "days 30" all of the last thirty days.

use crate::base::time::Timestamp;
use std::collections::BTreeSet;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// A rule: its word, how many buckets it keeps, and which one a time is in.
type Bucket = (&'static str, u32, fn(Timestamp) -> String);

/// What is kept of a plan's sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// True when nothing ever goes.
    pub forever: bool,
    /// All of the sets that are at most so many days older than the newest; 0 for no such rule.
    pub days: u32,
    /// So many of the newest.
    pub last: u32,
    /// The newest of so many hours that have one.
    pub hourly: u32,
    /// The newest of so many days that have one.
    pub daily: u32,
    /// The newest of so many weeks that have one.
    pub weekly: u32,
    /// The newest of so many months that have one.
    pub monthly: u32,
    /// The newest of so many years that have one.
    pub yearly: u32,
}

/// A set, as far as retention cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// When it was begun.
    pub at: Timestamp,
    /// True when a drill restored it and all was right.
    pub proven: bool,
}

/// What becomes of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The set.
    pub id: String,
    /// Why it is kept, each rule in words; empty when it goes.
    pub because: Vec<String>,
}

impl Fate {
    /// True when no rule keeps it.
    pub fn goes(&self) -> bool {
        self.because.is_empty()
    }
}

impl Keep {
    fn buckets(&self) -> [Bucket; 5] {
        [
            ("hourly", self.hourly, |at| at.micros().div_euclid(HOUR).to_string()),
            ("daily", self.daily, |at| at.day()),
            ("weekly", self.weekly, week),
            ("monthly", self.monthly, |at| at.day()[..7].to_owned()),
            ("yearly", self.yearly, |at| at.day()[..4].to_owned()),
        ]
    }
}

/// Weeks since that of Monday, 29 December 1969.
fn week(at: Timestamp) -> String {
    (at.micros().div_euclid(DAY) + 3).div_euclid(7).to_string()
}

/// What becomes of each set, the newest first.
pub fn decide(sets: &[Kept], keep: &Keep) -> Vec<Fate> {
    let mut newest: Vec<&Kept> = sets.iter().collect();
    newest.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    let mut fates: Vec<Fate> = newest.iter().map(|set| Fate { id: set.id.clone(), because: Vec::new() }).collect();
    let Some(first) = newest.first() else { return fates };
    let mut say = |at: usize, why: String| fates[at].because.push(why);
    say(0, "the newest".to_owned());
    if let Some(at) = newest.iter().position(|set| set.proven) {
        say(at, "the newest that a drill proved".to_owned());
    }
    for (at, set) in newest.iter().enumerate() {
        if keep.forever {
            say(at, "kept for ever".to_owned());
        }
        if (at as u64) < u64::from(keep.last) {
            say(at, format!("last {}", keep.last));
        }
        let age = first.at.micros().saturating_sub(set.at.micros());
        if keep.days > 0 && age <= i64::from(keep.days) * DAY {
            say(at, format!("within {} days", keep.days));
        }
    }
    for (word, most, bucket) in keep.buckets() {
        let mut seen = BTreeSet::new();
        for (at, set) in newest.iter().enumerate() {
            if seen.len() as u64 >= u64::from(most) {
                break;
            }
            if seen.insert(bucket(set.at)) {
                say(at, format!("{word} {} of {most}", seen.len()));
            }
        }
    }
    fates
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;

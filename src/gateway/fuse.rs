//! Takes the canary out at once when it fails most of its requests, before anybody can decide.
//!
//! Counts of the last seconds in a ring of whole seconds. A fuse belongs to one table: it stays blown until the next one.
//! While the version that serves fails most of its own requests too the fuse stays: it would only move users from one failing version
//! to the other, and call what has broken for both (a database, a network) the canary's fault.

use super::settings::FuseRule;
use super::table::Blown;
use crate::base::time::Clock;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// Requests and errors.
#[derive(Clone, Copy, Default)]
struct Sum {
    requests: u64,
    errors: u64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
    }

    /// Whether more than this share of the requests failed; of none none did.
    fn is_over(self, share: f64) -> bool {
        self.errors as f64 > share * self.requests as f64
    }
}

/// What became of the requests of one second.
#[derive(Default)]
struct Second {
    at: u64,
    stable: Sum,
    canary: Sum,
}

/// The fuse of one table.
pub(super) struct Fuse {
    rule: FuseRule,
    clock: Arc<Clock>,
    began: Instant,
    seconds: Mutex<VecDeque<Second>>,
    blown: OnceLock<Blown>,
}

impl Fuse {
    pub(super) fn new(rule: FuseRule, clock: Arc<Clock>) -> Self {
        Self { rule, clock, began: Instant::now(), seconds: Mutex::default(), blown: OnceLock::new() }
    }

    pub(super) fn blown(&self) -> Option<&Blown> {
        self.blown.get()
    }

    /// A request ended.
    pub(super) fn count(&self, of_canary: bool, failed: bool) {
        if self.blown.get().is_none() && self.rule.share < 1.0 {
            self.count_at(self.began.elapsed().as_secs(), of_canary, failed);
        }
    }

    fn count_at(&self, now: u64, of_canary: bool, failed: bool) {
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        while seconds.front().is_some_and(|s| s.at + self.rule.seconds <= now) {
            seconds.pop_front();
        }
        if seconds.back().is_none_or(|s| s.at != now) {
            seconds.push_back(Second { at: now, ..Second::default() });
        }
        if let Some(last) = seconds.back_mut() {
            let arm = if of_canary { &mut last.canary } else { &mut last.stable };
            arm.add(Sum { requests: 1, errors: u64::from(failed) });
        }
        // Only what the canary does blows it, also when the other version is well again.
        if of_canary {
            self.judge(&seconds);
        }
    }

    fn judge(&self, seconds: &VecDeque<Second>) {
        let (mut stable, mut canary) = (Sum::default(), Sum::default());
        for second in seconds {
            stable.add(second.stable);
            canary.add(second.canary);
        }
        let Sum { requests, errors } = canary;
        if requests >= self.rule.least && canary.is_over(self.rule.share) && !stable.is_over(self.rule.share) {
            let why = format!("{errors} of {requests} requests of the canary failed within {} s", self.rule.seconds);
            self.blown.get_or_init(|| Blown { at: self.clock.now(), why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;

    fn fuse() -> Fuse {
        Fuse::new(FuseRule::default(), Arc::new(Clock::stepping(Timestamp::from_micros(0))))
    }

    #[test]
    fn it_blows_on_more_than_half_of_twenty() {
        let fuse = fuse();
        (0..19).for_each(|_| fuse.count(true, true));
        assert!(fuse.blown().is_none(), "19 are too few");
        fuse.count(true, true);
        assert_eq!(fuse.blown().map(|b| b.why.as_str()), Some("20 of 20 requests of the canary failed within 10 s"));
    }

    #[test]
    fn half_is_not_more_than_half() {
        let fuse = fuse();
        (0..1000).for_each(|i| fuse.count(true, i % 2 == 1));
        assert!(fuse.blown().is_none());
        fuse.count(true, true);
        assert!(fuse.blown().is_some());
    }

    #[test]
    fn old_errors_are_forgotten() {
        let fuse = fuse();
        (0..19).for_each(|_| fuse.count_at(0, true, true));
        fuse.count_at(10, true, true);
        assert!(fuse.blown().is_none(), "those of second 0 are ten seconds old");
        (0..19).for_each(|_| fuse.count_at(19, true, true));
        assert!(fuse.blown().is_some(), "second 10 is nine seconds old");
    }

    #[test]
    fn while_both_fail_it_stays() {
        let fuse = fuse();
        (0..10).for_each(|_| fuse.count_at(0, false, true));
        (0..100).for_each(|_| fuse.count_at(0, true, true));
        assert!(fuse.blown().is_none(), "neither is better");
        (0..10).for_each(|_| fuse.count_at(1, false, false));
        assert!(fuse.blown().is_none(), "only the canary's requests blow it");
        fuse.count_at(1, true, true);
        let why = fuse.blown().map(|b| b.why.as_str());
        assert_eq!(why, Some("101 of 101 requests of the canary failed within 10 s"), "half is not more than half");
    }

    #[test]
    fn what_the_other_version_did_is_forgotten_too() {
        let fuse = fuse();
        fuse.count_at(0, false, true);
        (0..20).for_each(|_| fuse.count_at(9, true, true));
        assert!(fuse.blown().is_none());
        fuse.count_at(10, true, true);
        assert!(fuse.blown().is_some(), "second 0 is ten seconds old");
    }
}

//! When to send again, and how long to wait before.

use super::Policy;
use crate::base::random::Random;
use jiff::civil::DateTime;
use std::time::Duration;

/// Statuses that another attempt may change: RFC 9110 §15, RFC 6585 §4, and 529 as Anthropic's API documents it.
pub(super) fn is_temporary(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504 | 529)
}

/// What a `Retry-After` header asks for: seconds, or a date, which is compared with the service's own clock.
pub(super) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = http_date(value)?.duration_since(http_date(date?.trim())?);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

/// An IMF-fixdate (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<DateTime> {
    DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text).ok()
}

/// The attempts of one request and the waits between them.
pub(super) struct Backoff<'a> {
    policy: &'a Policy,
    random: &'a Random,
    attempt: u32,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(policy: &'a Policy, random: &'a Random) -> Self {
        Self { policy, random, attempt: 1 }
    }

    /// The attempt that is being made, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How long to wait before the next attempt; `None` when this was the last one.
    pub(super) fn after(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let limit = self.policy.longest_wait;
        if self.attempt >= self.policy.attempts || asked.is_some_and(|a| a > limit) {
            return None;
        }
        let doubled = self.policy.first_wait.saturating_mul(1_u32.checked_shl(self.attempt - 1).unwrap_or(u32::MAX));
        let drawn = doubled.min(limit).mul_f64(self.unit());
        self.attempt += 1;
        // Those who were told the same time must not all come back at it.
        Some(asked.map_or(drawn, |a| a + drawn.min(self.policy.first_wait)))
    }

    /// Evenly from [0, 1), with 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in a double")]
    fn unit(&self) -> f64 {
        (u64::from_le_bytes(self.random.bytes()) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The dates are those of RFC 9110 §5.6.7 and §10.2.3.
    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let check = |value: &str, date: Option<&str>, seconds: Option<u64>| {
            assert_eq!(retry_after(value, date), seconds.map(Duration::from_secs), "{value}");
        };
        check("120", None, Some(120));
        check(" 0 ", None, Some(0));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some("Sun, 06 Nov 1994 08:49:07 GMT"), Some(30));
        check("Fri, 31 Dec 1999 23:59:59 GMT", Some("Sat, 01 Jan 2000 00:00:00 GMT"), Some(0));
        check("Fri, 31 Dec 1999 23:59:59 GMT", None, None);
        check("soon", Some("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        check("-5", None, None);
    }

    #[test]
    fn temporary_statuses() {
        let temporary: Vec<u16> = (100..600).filter(|s| is_temporary(*s)).collect();
        assert_eq!(temporary, [429, 500, 502, 503, 504, 529]);
    }

    #[test]
    fn the_service_may_ask_for_less_than_the_limit() {
        let (policy, random) = (Policy::default(), Random::seeded(1));
        let wait = Backoff::new(&policy, &random).after(Some(Duration::from_secs(60))).expect("waits");
        assert!((60.0..60.5).contains(&wait.as_secs_f64()), "{wait:?}");
        assert_eq!(Backoff::new(&policy, &random).after(Some(Duration::from_secs(61))), None);
    }

    proptest! {
        #[test]
        fn waits_stay_below_a_limit_that_doubles(seed: u64, attempts in 0u32..80) {
            let policy = Policy { attempts, ..Policy::default() };
            let random = Random::seeded(seed);
            let mut backoff = Backoff::new(&policy, &random);
            let mut n = 1;
            let mut limit = 0.5_f64;
            while let Some(wait) = backoff.after(None) {
                prop_assert!(wait.as_secs_f64() <= limit);
                limit = (limit * 2.0).min(60.0);
                n += 1;
            }
            prop_assert_eq!(n, attempts.max(1));
        }
    }
}

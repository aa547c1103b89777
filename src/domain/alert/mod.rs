//! What people and their systems are told, and how far that is: a row for each alert, a row for each channel that is to be told.
//!
//! Invariants: an alert is written in the transaction of what caused it and never changes; a delivery waits until it was taken, was
//! refused, or was tried [`ATTEMPTS_MAX`] times; each of its changes has an event. Payloads are pure: a channel's published format
//! from a [`Message`](crate::seams::notifier::Message), within its limits.

pub mod check;
pub mod incident;
pub mod mail;
pub mod pagerduty;
pub mod record;
pub mod slack;
pub mod table;
pub mod webhook;

use crate::base::digest::Digest;
use crate::base::name::words;
use crate::base::time::Timestamp;
use crate::seams::notifier::{Act, Severity};
use std::time::Duration;

words! {
    /// How far a delivery is.
    DeliveryState, "state of a delivery" {
        /// It is to be sent.
        Waiting = "waiting",
        /// It was taken.
        Sent = "sent",
        /// It was refused, or tried too often.
        Failed = "failed",
    }
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The condition, the same when it begins and when it ends: `drift/bot`.
    pub about: String,
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
}

/// How often a delivery is tried before it has failed.
pub const ATTEMPTS_MAX: i64 = 5;
/// The longest key, in bytes: PagerDuty takes 255 characters (Events API v2, "dedup_key").
const KEY_MAX: usize = 255;
/// The first wait; each further one is four times as long, so that the five attempts span about 40 minutes.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest that a receiver may ask to wait.
const ASKED_MAX: Duration = Duration::from_secs(24 * 3600);

/// When a delivery that was tried so often is tried next, or `None` when it was the last time. `unit`, evenly from [0, 1), spreads
/// those who failed together; `asked` is what the receiver asked to wait.
pub fn next_attempt(attempts: i64, now: Timestamp, asked: Option<Duration>, unit: f64) -> Option<Timestamp> {
    if attempts >= ATTEMPTS_MAX {
        return None;
    }
    let doublings = u32::try_from(attempts.saturating_sub(1).max(0)).unwrap_or(u32::MAX).saturating_mul(2);
    let longest = FIRST_WAIT.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
    let wait = longest.mul_f64(0.5 + unit / 2.0) + asked.unwrap_or_default().min(ASKED_MAX);
    Some(now.plus_micros(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)))
}

/// What a condition is known by outside of this state: its log's origin, which no other state has, and the condition. Longer ones
/// end with a digest.
pub fn key_of(origin: &str, about: &str) -> String {
    let whole = format!("{origin}/{about}");
    if whole.len() <= KEY_MAX {
        return whole;
    }
    let digest = Digest::of(whole.as_bytes()).to_string();
    let kept = whole.floor_char_boundary(KEY_MAX - digest.len() - 1);
    format!("{}/{digest}", &whole[..kept])
}

/// A text cut to so many UTF-16 units, with `…` when something was cut: receivers count as JavaScript does.
fn cut(text: &str, max: usize) -> String {
    if text.encode_utf16().count() <= max {
        return text.to_owned();
    }
    let mut left = max.saturating_sub(1);
    let kept = text.chars().take_while(|c| {
        let fits = c.len_utf16() <= left;
        left -= if fits { c.len_utf16() } else { left };
        fits
    });
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn five_attempts_with_waits_that_grow_and_what_was_asked_on_top() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let waits: Vec<_> = (1..=5).map(|n| next_attempt(n, at(0), None, 0.0)).collect();
        assert_eq!(waits, [Some(at(15)), Some(at(60)), Some(at(240)), Some(at(960)), None]);
        assert_eq!(next_attempt(1, at(5), Some(Duration::from_secs(120)), 0.0), Some(at(140)));
        assert_eq!(next_attempt(1, at(0), Some(Duration::from_secs(10_000_000)), 0.0), Some(at(15 + 86_400)));
    }

    #[test]
    fn a_key_fits_and_differs_for_conditions_that_begin_alike() {
        assert_eq!(key_of("kf/shop/ab12", "drift/bot"), "kf/shop/ab12/drift/bot");
        let long = "é".repeat(300);
        let (a, b) = (key_of("kf/shop/ab12", &format!("{long}a")), key_of("kf/shop/ab12", &format!("{long}b")));
        assert!(a != b && a.len() <= KEY_MAX && a.starts_with("kf/shop/ab12/é"), "{a}");
    }

    proptest! {
        #[test]
        fn a_cut_text_has_at_most_so_many_units(text in "\\PC{0,40}", max in 1_usize..20) {
            let cut = cut(&text, max);
            prop_assert!(cut.encode_utf16().count() <= max);
            prop_assert!(cut == text || cut.ends_with('…') && text.starts_with(cut.trim_end_matches('…')));
        }

        #[test]
        fn waits_never_overflow(attempts: i64, seconds: u64, unit in 0.0_f64..1.0) {
            let next = next_attempt(attempts, Timestamp::from_micros(0), Some(Duration::from_secs(seconds)), unit);
            prop_assert_eq!(next.is_none(), attempts >= ATTEMPTS_MAX);
        }
    }
}

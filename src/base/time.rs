//! Time is a value. Only [`Clock`] asks the system for it; tests fix it.

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

/// Microseconds since 1970-01-01T00:00:00Z. Prints as RFC 3339 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This instant some microseconds later (or earlier, when negative).
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The time of an HTTP header such as `Date` (RFC 9110 §5.6.7); `None` when it is none.
    pub fn from_http(text: &str) -> Option<Self> {
        jiff::fmt::rfc2822::parse(text).ok().map(|at| Self(at.timestamp().as_microsecond()))
    }

    /// `2026-11-21`, the UTC day.
    pub fn day(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) if self.0 % 1_000_000 == 0 => f.pad(&t.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            Ok(t) => f.pad(&t.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()),
            Err(_) => f.pad(&format!("{} µs", self.0)),
        }
    }
}

/// The text is not a time.
#[derive(Debug, PartialEq, Eq)]
pub struct NotATime(String);

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A year of four digits whose last day no time zone of the library reaches.
        if self.0.parse::<jiff::civil::Date>().is_ok() {
            return write!(f, "`{}` is beyond the times that kf can tell, which end with 9999-12-30", self.0);
        }
        write!(f, "`{}` is not a time: expected RFC 3339 (2026-11-21T08:00:00Z) or a day (2026-11-21)", self.0)
    }
}

impl std::error::Error for NotATime {}

impl FromStr for Timestamp {
    type Err = NotATime;
    fn from_str(s: &str) -> Result<Self, NotATime> {
        let bad = || NotATime(s.chars().take(80).collect());
        if let Ok(t) = s.parse::<jiff::Timestamp>() {
            return Ok(Self(t.as_microsecond()));
        }
        let day: jiff::civil::Date = s.parse().map_err(|_| bad())?;
        let t = day.to_zoned(TimeZone::UTC).map_err(|_| bad())?;
        Ok(Self(t.timestamp().as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the time comes from.
#[derive(Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Starts at a fixed time and goes one millisecond forward each time it is asked; used by tests.
    Stepping(AtomicI64),
}

impl Clock {
    /// A clock that starts at `start` and steps by a millisecond.
    pub fn stepping(start: Timestamp) -> Self {
        Self::Stepping(AtomicI64::new(start.micros()))
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp(jiff::Timestamp::now().as_microsecond()),
            Self::Stepping(next) => Timestamp(next.fetch_add(1_000, Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_of_http_are_read() {
        let at = Timestamp::from_http("Sun, 06 Nov 1994 08:49:37 GMT").expect("a time");
        assert_eq!(at.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(Timestamp::from_http("yesterday"), None);
    }

    #[test]
    fn times_print_as_rfc_3339() {
        let t: Timestamp = "2026-11-21T08:00:00Z".parse().expect("a time");
        assert_eq!(t.to_string(), "2026-11-21T08:00:00Z");
        assert_eq!(t.plus_micros(1_500).to_string(), "2026-11-21T08:00:00.001500Z");
        assert_eq!("2026-11-21T09:00:00+01:00".parse(), Ok(t));
        assert_eq!("2026-11-21".parse::<Timestamp>().expect("a day").to_string(), "2026-11-21T00:00:00Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
        let late = "9999-12-31".parse::<Timestamp>().expect_err("too late").to_string();
        assert_eq!(late, "`9999-12-31` is beyond the times that kf can tell, which end with 9999-12-30");
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(micros in -62_000_000_000_000_000i64..250_000_000_000_000_000) {
            let t = Timestamp::from_micros(micros);
            prop_assert_eq!(t.to_string().parse(), Ok(t));
        }
    }
}

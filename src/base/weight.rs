//! A part of the traffic.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A part of the traffic in hundredths of a percent, as the buckets of sticky sessions have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Weight(u16);

impl Weight {
    /// No traffic.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const FULL: Self = Self(10_000);

    /// From a percentage with at most two decimals; `None` for another, and outside 0 to 100.
    pub fn from_percent(percent: f64) -> Option<Self> {
        let hundredths = (percent * 100.0).round();
        let exact = (0.0..=10_000.0).contains(&hundredths) && (percent * 100.0 - hundredths).abs() < 1e-6;
        exact.then_some(Self(hundredths as u16))
    }

    /// From hundredths of a percent; `None` above 10,000.
    pub fn from_hundredths(hundredths: u16) -> Option<Self> {
        (hundredths <= Self::FULL.0).then_some(Self(hundredths))
    }

    /// In hundredths of a percent, 0 to 10,000.
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// In percent.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// As a share of 1, as windows have it.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let hundredths = u16::deserialize(d)?;
        let weight = Self(hundredths);
        if weight > Self::FULL { Err(serde::de::Error::custom("a weight is at most 10000")) } else { Ok(weight) }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} %", self.percent()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_over_100_are_none() {
        for bad in [100.01, -0.01, 12.345, f64::NAN, f64::INFINITY] {
            assert_eq!(Weight::from_percent(bad), None, "{bad}");
        }
        assert_eq!(Weight::from_percent(0.29).map(Weight::percent), Some(0.29));
        assert_eq!((Weight::from_hundredths(10_001), Weight::from_hundredths(29).map(Weight::percent)), (None, Some(0.29)));
        assert!(serde_json::from_str::<Weight>("10001").is_err());
    }
}

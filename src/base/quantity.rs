//! Quantities with a type, so that no one adds dollars to milliseconds.

use serde::{Serialize, Serializer};
use std::fmt;

/// Money in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroUsd(pub i64);

impl MicroUsd {
    /// From dollars, rounded to the nearest millionth; `None` for what is not finite or too large.
    pub fn from_usd(usd: f64) -> Option<Self> {
        let micros = (usd * 1e6).round();
        #[expect(clippy::cast_possible_truncation, reason = "checked to be within 2^53")]
        (micros.abs() <= 9e15).then_some(Self(micros as i64))
    }

    /// In dollars.
    #[expect(clippy::cast_precision_loss, reason = "within 2^53")]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("${:.6}", self.usd()))
    }
}

impl Serialize for MicroUsd {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.usd())
    }
}

/// A number of bytes; prints with a binary unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
        #[expect(clippy::cast_precision_loss, reason = "only shown to one decimal")]
        let mut n = self.0 as f64;
        let mut unit = 0;
        while n >= 1024.0 && unit + 1 < UNITS.len() {
            n /= 1024.0;
            unit += 1;
        }
        if unit == 0 { f.pad(&format!("{} B", self.0)) } else { f.pad(&format!("{n:.1} {}", UNITS[unit])) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_print_with_their_unit() {
        assert_eq!(Bytes(1023).to_string(), "1023 B");
        assert_eq!(Bytes(1536).to_string(), "1.5 KiB");
        assert_eq!(MicroUsd::from_usd(0.0123456).map(|m| m.to_string()).as_deref(), Some("$0.012346"));
        assert_eq!(MicroUsd::from_usd(f64::NAN), None);
    }
}

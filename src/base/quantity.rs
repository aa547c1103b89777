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

/// Money in trillionths of a US dollar, in which every price of a token is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PicoUsd(pub i64);

impl PicoUsd {
    /// The sum; the largest amount there is (nine million dollars) where it would be more.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// To the nearest millionth of a dollar, halves away from zero.
    pub fn micro(self) -> MicroUsd {
        let half = if self.0 < 0 { -500_000 } else { 500_000 };
        MicroUsd(self.0.saturating_add(half) / 1_000_000)
    }

    /// In dollars.
    #[expect(clippy::cast_precision_loss, reason = "for people and means; sums are made of whole numbers")]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e12
    }
}

impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.micro().fmt(f)
    }
}

impl Serialize for PicoUsd {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.usd())
    }
}

/// What a token costs: trillionths of a dollar for one are millionths of a dollar for a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenPrice(pub u64);

impl TokenPrice {
    /// From US dollars for a million tokens as people write them: `3`, `0.15`; at most six decimals, so that nothing is rounded.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let millionths: u64 = if fraction.len() > 6 { None } else { format!("{fraction:0<6}").parse().ok() }?;
        whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(millionths).map(Self)
    }

    /// What so many tokens cost; the largest amount there is where it would be more.
    pub fn of(self, tokens: u64) -> PicoUsd {
        PicoUsd(self.0.checked_mul(tokens).and_then(|pico| i64::try_from(pico).ok()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for TokenPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1_000_000, format!("{:06}", self.0 % 1_000_000));
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            fraction => write!(f, "{whole}.{fraction}"),
        }
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
    #[test]
    fn prices_are_exact() {
        let check = |text: &str, price: Option<u64>| assert_eq!(TokenPrice::parse(text), price.map(TokenPrice), "{text}");
        check("3", Some(3_000_000));
        check("0.15", Some(150_000));
        check("0.0750000", Some(75_000));
        check("1.0000005", None);
        for bad in ["", "-1", "1e3", ".5", "1,5", "$3", "nan", "99999999999999999999"] {
            check(bad, None);
        }
        // Three tokens at $0.10 a million: a float makes 3.0000000000000004e-7 of it.
        assert_eq!(TokenPrice(100_000).of(3), PicoUsd(300_000));
        assert_eq!(TokenPrice(u64::MAX).of(2), PicoUsd(i64::MAX));
        assert_eq!((PicoUsd(499_999).micro(), PicoUsd(500_000).micro()), (MicroUsd(0), MicroUsd(1)));
        assert_eq!([TokenPrice(3_000_000), TokenPrice(75_000)].map(|p| p.to_string()), ["3", "0.075"]);
        assert_eq!(PicoUsd(1_234_567_890_123).to_string(), "$1.234568");
    }
}

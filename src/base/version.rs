//! Semantic versions `MAJOR.MINOR.PATCH` (<https://semver.org>), without pre-release and build parts: a version of a model
//! is released or it is not.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A version number; orders as numbers, not as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// A new architecture.
    pub major: u32,
    /// A new capability.
    pub minor: u32,
    /// A tweak.
    pub patch: u32,
}

/// Which part of a version a change raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bump {
    /// A tweak: same parts, same interface.
    Patch,
    /// A new capability that takes nothing away.
    Minor,
    /// A new architecture or an interface that callers must follow.
    Major,
}

impl Bump {
    /// The word used in every output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }
}

impl Version {
    /// The version of a first registration.
    pub const FIRST: Self = Self::new(1, 0, 0);

    /// A version from its three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// The next version after raising one part.
    #[must_use]
    pub fn bump(self, by: Bump) -> Self {
        match by {
            Bump::Major => Self::new(self.major.saturating_add(1), 0, 0),
            Bump::Minor => Self::new(self.major, self.minor.saturating_add(1), 0),
            Bump::Patch => Self::new(self.major, self.minor, self.patch.saturating_add(1)),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.major, self.minor, self.patch))
    }
}

/// The text is not a version.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAVersion(String);

impl fmt::Display for NotAVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = self.0.split('.').collect();
        if parts.len() == 3 && parts.iter().all(|p| digits(p)) && parts.iter().any(|p| p.parse::<u32>().is_err()) {
            return write!(f, "`{}` is too large for a version: each part is at most {}", self.0, u32::MAX);
        }
        write!(f, "`{}` is not a version: expected MAJOR.MINOR.PATCH, such as 1.2.0", self.0)
    }
}

impl std::error::Error for NotAVersion {}

impl FromStr for Version {
    type Err = NotAVersion;
    fn from_str(s: &str) -> Result<Self, NotAVersion> {
        let bad = || NotAVersion(s.chars().take(80).collect());
        let part = |p: &str| {
            let canonical = p == "0" || (!p.starts_with('0') && p.bytes().all(|b| b.is_ascii_digit()));
            p.parse::<u32>().ok().filter(|_| canonical).ok_or_else(bad)
        };
        let mut parts = s.split('.');
        let (Some(major), Some(minor), Some(patch), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        Ok(Self::new(part(major)?, part(minor)?, part(patch)?))
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_order_as_numbers() {
        let v = |s: &str| s.parse::<Version>().expect("a version");
        assert!(v("1.10.0") > v("1.9.9"));
        assert_eq!(v("1.9.9").bump(Bump::Minor), v("1.10.0"));
        assert_eq!(v("1.9.9").bump(Bump::Major), v("2.0.0"));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for bad in ["", "1", "1.2", "1.2.3.4", "v1.2.3", "1.02.3", "1.2.x", "-1.0.0", "1.2.3-rc1", "99999999999.0.0", "+1.0.0"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(major: u32, minor: u32, patch: u32) {
            let v = Version::new(major, minor, patch);
            prop_assert_eq!(v.to_string().parse(), Ok(v));
        }
    }
}

//! Why a key, note, checkpoint, proof or tile was not accepted: the *no* of this room, with the reason and the place.
//!
//! A caller that must answer (a broken chain is an answer) looks at [`Refused::why`], also through
//! [`crate::base::error::Error::cause`]; one that cannot go on wraps it with a context like any other error.

use crate::base::merkle::Hash;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::fmt;

/// What is wrong with the thing refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not in its format.
    Malformed,
    /// None of the known keys signed it, or none of those that had to.
    Untrusted,
    /// It carries the name of a known key, and the signature is not that key's.
    Forged,
    /// Its hashes do not lead where they should: it proves nothing, or proves tampering.
    Mismatch,
}

/// A *no* with its reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    why: Why,
    detail: String,
}

impl Refused {
    /// What is wrong.
    pub fn why(&self) -> Why {
        self.why
    }

    pub(super) fn new(why: Why, detail: impl Into<String>) -> Self {
        Self { why, detail: detail.into() }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Why::Malformed, detail)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Refused {}

/// The text of some bytes, which all formats of this room except tiles are.
pub(super) fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Refused> {
    std::str::from_utf8(bytes).map_err(|e| Refused::malformed(format!("the {what} is not UTF-8 at byte {}", e.valid_up_to())))
}

/// Bytes from standard base64, padded, with no bits to spare: one text for one value.
pub(super) fn unbase64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// Standard base64, padded.
pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// A hash in base64.
pub(super) fn hash(text: &str) -> Option<Hash> {
    unbase64(text)?.try_into().ok()
}

/// A decimal number without sign, spaces or leading zeros.
pub(super) fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n: &u64| n.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_one_value() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "18446744073709551616", "1_0", "٣"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
        assert_eq!(unbase64("AQ=="), Some(vec![1]));
        for bad in ["AQ", "AQ=", "AR==", "A Q==", "AQ==\n", "_-==", "AQ==AQ=="] {
            assert_eq!(unbase64(bad), None, "{bad:?}");
        }
        assert_eq!(hash(&base64(&[7; 32])), Some([7; 32]));
        assert_eq!(hash(&base64(&[7; 33])), None);
    }
}

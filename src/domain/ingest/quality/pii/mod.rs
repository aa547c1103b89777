//! Personal data in a text: what kind, where, and whether a check digit proves it. Never what it says.
//!
//! Numbers are looked for in runs of groups (`runs`), because people write `DE89 3704 0044 0532 0130 00` and
//! `12.345.678-Z`; a group that would be glued to another number is left alone. Every number with a check digit must pass it;
//! what has none or a weak one must have the right shape, and where that is not enough a word nearby that names it. All rules
//! apply to every text, whatever its language: an Italian tax code in a German letter is one.
//!
//! Excess is weighed, because a quarter of ordinary manuals hold an e-mail address: bank account, card and national id 1
//! each, phone 0.3, e-mail and address of a machine 0.05. Of 5,261 pages of Debian's manuals none reaches the default limit.
//!
//! The time is linear in the text: every rule looks at most 9 groups or 255 bytes ahead.

mod bank;
mod ids;
mod neighbours;
mod net;
mod phone;
mod runs;

use crate::base::digest::Digest;
use std::collections::BTreeSet;
use std::ops::Range;

/// What kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A bank account: IBAN with the length of its country and its check digits (ISO 13616).
    Iban,
    /// A payment card: a known issuer's range and the Luhn digit (ISO/IEC 7812).
    Card,
    /// A number that a state gave a person.
    NationalId,
    /// A telephone number.
    Phone,
    /// An e-mail address.
    Email,
    /// The address of a machine, IPv4 or IPv6.
    Ip,
}

impl Kind {
    /// Every kind, the heaviest first.
    pub const ALL: &'static [Self] = &[Self::Iban, Self::Card, Self::NationalId, Self::Phone, Self::Email, Self::Ip];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Iban => "iban",
            Self::Card => "card",
            Self::NationalId => "national-id",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Ip => "ip",
        }
    }

    /// How much one value of the kind weighs.
    pub fn weight(self) -> f64 {
        match self {
            Self::Iban | Self::Card | Self::NationalId => 1.0,
            Self::Phone => 0.3,
            Self::Email | Self::Ip => 0.05,
        }
    }
}

/// One place where personal data was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// The rule that found it: `iban`, `es-dni`, `de-steuer-id`, `phone-fr`.
    pub rule: &'static str,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// True when a check digit proves it.
    pub validated: bool,
}

/// More findings than this are not recorded by one rule family; a document that has them is far beyond every limit.
const MOST: usize = 50_000;

/// Bytes before a number in which a word may say what it is.
const LABEL: usize = 40;

/// Finds personal data, in the order of the text and without overlap; of two that overlap the heavier kind stays.
pub fn find(text: &str) -> Vec<Finding> {
    let mut all = runs::scan(text);
    net::emails(text, &mut all);
    net::ipv6(text, &mut all);
    all.sort_by_key(|f| (f.span.start, f.kind));
    let mut kept: Vec<Finding> = Vec::with_capacity(all.len());
    for finding in all {
        match kept.last_mut() {
            Some(last) if finding.span.start < last.span.end => {
                if finding.kind < last.kind {
                    *last = finding;
                }
            }
            _ => kept.push(finding),
        }
    }
    kept
}

/// How much personal data a text holds: the weights of its different values per 1,000 words, a shorter text counting as
/// 1,000, or a tenth of all its weights where that is more, so that no length hides a list of people.
pub fn excess(text: &str, findings: &[Finding]) -> f64 {
    let values: BTreeSet<(Kind, String)> =
        findings.iter().map(|f| (f.kind, normal(f.kind, text.get(f.span.clone()).unwrap_or_default()))).collect();
    let weight: f64 = values.iter().map(|(kind, _)| kind.weight()).sum();
    if weight == 0.0 {
        return 0.0;
    }
    let thousands = text.split_whitespace().count() as f64 / 1_000.0;
    (weight / thousands.max(1.0)).max(weight / 10.0)
}

/// HMAC-SHA-256 (RFC 2104) of a value in its normal form: the same for every way to write it, and nothing to who lacks the key.
pub fn keyed_hash(key: &[u8], kind: Kind, value: &str) -> Digest {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    let mut context = ring::hmac::Context::with_key(&key);
    context.update(kind.word().as_bytes());
    context.update(b"\0");
    context.update(normal(kind, value).as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.sign().as_ref());
    Digest::from_bytes(bytes)
}

/// The form that all ways to write a value share.
fn normal(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Email => value.to_lowercase(),
        Kind::Ip => value.parse::<std::net::IpAddr>().map_or_else(|_| value.to_owned(), |ip| ip.to_string()),
        Kind::Phone => {
            // `+49 (0)30 …` and `0049 30 …` are one number.
            let value = value.replace("(0)", "");
            let digits: String = value.chars().filter_map(runs::fold).collect();
            if value.starts_with('+') { format!("00{digits}") } else { digits }
        }
        Kind::Iban | Kind::Card | Kind::NationalId => value.chars().filter_map(runs::fold).collect(),
    }
}

/// True when a word that begins with one of these stands in so many bytes before a place, in any case.
fn named(text: &str, at: usize, reach: usize, words: &[&str]) -> bool {
    let from = super::prose::floor(text, at.saturating_sub(reach));
    let before = text[from..at].to_lowercase();
    let begins = |at: usize| !before[..at].ends_with(char::is_alphabetic);
    words.iter().any(|word| before.match_indices(word).any(|(at, _)| begins(at)))
}

#[cfg(test)]
mod tests;

//! Which version answers a request: what it asks for, else what its tenant may have, else its session, else the dice.
//!
//! In this order: a tenant that may have only the stable version gets it; a header that names a version; a cookie that does; a tenant
//! that always gets the canary; the bucket of the session. A canary that only gets copies answers none of them. A session's bucket is a hash of its key, salted by the table: it is the
//! canary's when it is below the weight, so raising the weight moves sessions only to the canary, lowering it only back, and nothing
//! is kept of anybody. A session without a key gets one; a client that does not keep cookies so rolls the dice each time.

use super::headers::cookie;
use super::routes::{Arm, Routes};
use super::settings::{Policy, Settings};
use crate::base::error::{Context as _, Error, Kind, Result as Done};
use crate::base::random::{Random, splitmix64};
use crate::base::weight::Weight;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A fast sequence of numbers that nobody has to be unable to guess.
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub(super) fn new(random: &Random) -> Self {
        Self(AtomicU64::new(u64::from_le_bytes(random.bytes())))
    }

    pub(super) fn roll(&self) -> u64 {
        // The step of SplitMix64, so that each roll continues the sequence where the last one left it.
        let mut state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        splitmix64(&mut state)
    }

    /// Whether this part is hit.
    pub(super) fn hits(&self, part: Weight) -> bool {
        part > Weight::NONE && within(self.roll(), part)
    }

    /// The ids of a trace, never zero.
    pub(super) fn trace(&self) -> [u8; 24] {
        let mut ids = [0; 24];
        ids.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&(self.roll() | 1).to_le_bytes()));
        ids
    }
}

/// Whether a number that is equally likely anywhere falls into the first part of the 10,000 buckets.
fn within(number: u64, part: Weight) -> bool {
    let bucket = (u128::from(number) * 10_000) >> 64;
    bucket < u128::from(part.hundredths())
}

/// Whether a session is the canary's.
fn is_canarys(salt: &str, key: &[u8], part: Weight) -> bool {
    let mut hash = blake3::Hasher::new();
    // The length keeps salt and key apart.
    hash.update(&(salt.len() as u64).to_le_bytes()).update(salt.as_bytes()).update(key);
    let first: [u8; 8] = hash.finalize().as_bytes()[..8].try_into().expect("eight bytes of thirty-two");
    within(u64::from_le_bytes(first), part)
}

/// The headers and cookies that choose, ready to be looked up.
pub(super) struct Marks {
    pub(super) version: HeaderName,
    version_cookie: String,
    session_cookie: Option<String>,
    session_age: u64,
    secure: bool,
    sticky: Option<HeaderName>,
    tenant: Option<HeaderName>,
    tenants: BTreeMap<String, Policy>,
}

impl Marks {
    /// From the settings, whose names must be such.
    pub(super) fn new(settings: &Settings) -> Done<Self> {
        let names = &settings.names;
        let header = |name: &String| {
            let parsed = name.parse::<HeaderName>().context(|| format!("`{name}` is not the name of a header"));
            parsed.map_err(|e| e.kind_of(Kind::Usage))
        };
        let cookies = names.session_cookie.iter().chain([&names.version_cookie]);
        if let Some(bad) = cookies.into_iter().find(|name| name.parse::<HeaderName>().is_err()) {
            // Both are tokens of RFC 9110.
            return Err(Error::of(Kind::Usage, format_args!("`{bad}` is not the name of a cookie")));
        }
        Ok(Self {
            version: header(&names.version_header)?,
            version_cookie: names.version_cookie.clone(),
            session_cookie: names.session_cookie.clone(),
            session_age: names.session_age.as_secs(),
            secure: settings.tls.is_some(),
            sticky: names.sticky_header.as_ref().map(header).transpose()?,
            tenant: names.tenant_header.as_ref().map(header).transpose()?,
            tenants: settings.tenants.clone(),
        })
    }

    /// What a client is told to keep of a new session.
    pub(super) fn set_cookie(&self, key: &str) -> Option<HeaderValue> {
        let (name, age) = (self.session_cookie.as_ref()?, self.session_age);
        let secure = if self.secure { "; Secure" } else { "" };
        HeaderValue::from_str(&format!("{name}={key}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")).ok()
    }

    /// What tells this session from others.
    fn key<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        let header = self.sticky.as_ref().and_then(|name| headers.get(name)).map(HeaderValue::as_bytes);
        let session = || self.session_cookie.as_ref().and_then(|name| cookie(headers, name)).map(str::as_bytes);
        header.or_else(session).filter(|key| !key.is_empty())
    }

    /// Of several tenants the one that may least counts: which of them the version believes is not known here.
    fn policy(&self, headers: &HeaderMap) -> Policy {
        let Some(name) = &self.tenant else { return Policy::default() };
        let named = headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim);
        let policies: Vec<Policy> = named.map(|tenant| self.tenants.get(tenant).copied().unwrap_or_default()).collect();
        match policies.as_slice() {
            [one] => *one,
            several if several.contains(&Policy::StableOnly) => Policy::StableOnly,
            _ => Policy::default(),
        }
    }
}

/// Which version answers.
pub(super) struct Choice {
    pub(super) arm: Arc<Arm>,
    /// The request named it, so no other may answer.
    pub(super) forced: bool,
    /// The key of a new session, to be kept by the client.
    pub(super) session: Option<String>,
}

/// Why none does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// Nothing serves yet.
    Nothing,
    /// The request names a version that is not here, or that its tenant may not have.
    Unknown,
}

/// The version that a word names.
fn named<'a>(routes: &'a Routes, word: &str) -> Option<&'a Arc<Arm>> {
    match word {
        "stable" => routes.stable.as_ref(),
        "canary" => routes.canary.as_ref(),
        version => version.parse().ok().and_then(|v| routes.arms().find(|arm| arm.version == v)),
    }
}

/// Chooses.
pub(super) fn choose(
    routes: &Routes,
    marks: &Marks,
    headers: &HeaderMap,
    dice: &Dice,
    new_key: impl FnOnce() -> String,
) -> Result<Choice, NoChoice> {
    let policy = marks.policy(headers);
    let plain = |arm: Option<&Arc<Arm>>, session| {
        arm.map(|arm| Choice { arm: Arc::clone(arm), forced: false, session }).ok_or(NoChoice::Nothing)
    };
    let only_stable = policy == Policy::StableOnly || routes.only_copies();
    let allowed = |arm: &&Arc<Arm>| !only_stable || !routes.is_canary(arm);
    if let Some(word) = headers.get(&marks.version) {
        let arm = word.to_str().ok().and_then(|word| named(routes, word)).filter(allowed);
        return arm.map(|arm| Choice { arm: Arc::clone(arm), forced: true, session: None }).ok_or(NoChoice::Unknown);
    }
    // A browser keeps a cookie for longer than a version is here: one that names none is no reason to refuse.
    if let Some(arm) = cookie(headers, &marks.version_cookie).and_then(|word| named(routes, word)).filter(allowed) {
        return Ok(Choice { arm: Arc::clone(arm), forced: true, session: None });
    }
    let (weight, canary) = (routes.weight(), routes.canary.as_ref());
    match policy {
        _ if only_stable => return plain(routes.stable.as_ref(), None),
        Policy::Canary if canary.is_some() && routes.fuse.blown().is_none() => return plain(canary, None),
        _ if canary.is_none() => return plain(routes.stable.as_ref(), None),
        _ => {}
    }
    let (hit, session) = match marks.key(headers) {
        Some(key) => (is_canarys(&routes.table.salt, key, weight), None),
        None if marks.session_cookie.is_none() => (dice.hits(weight), None),
        None => {
            let key = new_key();
            (is_canarys(&routes.table.salt, key.as_bytes(), weight), Some(key))
        }
    };
    plain(if hit { canary } else { routes.stable.as_ref() }, session)
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;

//! Where a version answers: a URL with the names of model and version in it.

use super::RawTarget;
use crate::base::name::Name;
use crate::base::version::Version;
use crate::config::check::Checker;
use crate::config::shape::At;

/// Where a version answers: `http://bot-{version}.internal:8000`, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

/// What an address may hold of a version; each of them is replaced everywhere.
const WORDS: [&str; 5] = ["{model}", "{version}", "{major}", "{minor}", "{patch}"];

impl Address {
    /// The address of one version.
    pub fn at(&self, model: &Name, version: Version) -> String {
        let [major, minor, patch] = [version.major, version.minor, version.patch].map(|n| n.to_string());
        let values = [model.to_string(), version.to_string(), major, minor, patch];
        WORDS.iter().zip(values).fold(self.0.clone(), |text, (word, value)| text.replace(word, &value))
    }
}

impl RawTarget {
    /// The address that was written, when it is not the same for all versions.
    pub(super) fn address(&self, name: &Name, at: &At<String>, schemes: &[&str], cx: &mut Checker<'_>) -> Option<Address> {
        let (key, address) = (format!("target.{name}.url"), Address(at.value.clone()));
        let model: Name = "model".parse().ok()?;
        let of = |version| address.at(&model, version);
        let one = of(Version::new(1, 2, 3));
        if one.contains(['{', '}']) {
            let help = format!("what is filled in: {}", WORDS.map(|w| format!("`{w}`")).join(", "));
            cx.refuse(&at.spot, format!("`{key}` has braces with something else than a name in them"), help);
            return None;
        }
        if url::Url::parse(&one) == Err(url::ParseError::InvalidIpv4Address) {
            let help = "a name that ends in a number is taken for an address: write `bot-{version}.internal`, or \
                        `bot-{major}-{minor}-{patch}`";
            cx.refuse(&at.spot, format!("`{key}` has a host that is no name"), help);
            return None;
        }
        let help = "headers with secrets are set by whoever asks, not in the address";
        let one = cx.url(&key, &At { value: one, ..at.clone() }, schemes, help)?;
        let more = |url: &url::Url| !matches!(url.path(), "" | "/") || url.query().is_some() || !url.username().is_empty();
        if url::Url::parse(&one).as_ref().is_ok_and(more) {
            cx.refuse(&at.spot, format!("`{key}` must be an address without a path"), "write `http://HOST:PORT`");
            return None;
        }
        let others = [Version::new(2, 2, 3), Version::new(1, 3, 3), Version::new(1, 2, 4)];
        if others.into_iter().all(|version| of(version) == one) {
            let help =
                "put `{version}` into the host, or `{major}`, `{minor}` and `{patch}`: `http://127.{major}.{minor}.{patch}:8000`";
            cx.refuse(&at.spot, format!("`{key}` is the same for all versions"), help);
            return None;
        }
        Some(address)
    }
}

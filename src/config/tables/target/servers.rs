//! What nginx and Envoy both need: where versions answer and how they are started, where users come in, who stays with what.

use super::RawTarget;
use super::address::Address;
use crate::base::name::Name;
use crate::config::check::Checker;
use crate::config::diag::Diagnostic;
use crate::config::shape::{At, Item};

/// How versions run behind a web server, and how users meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Where a version answers.
    pub url: Address,
    /// The program that starts a version, and its arguments; `None` when versions run already.
    pub start: Option<Vec<String>>,
    /// The program that stops one; `None` when they run on.
    pub stop: Option<Vec<String>>,
    /// Where users come in, as a URL that may be asked often.
    pub probe: String,
    /// The header whose value keeps a session at its version; in lower case.
    pub sticky_header: Option<String>,
    /// The cookie that does the same where the header is absent.
    pub session_cookie: Option<String>,
}

impl RawTarget {
    /// The keys of both kinds.
    pub(super) fn behind(&self, name: &Name, schemes: &[&str], cx: &mut Checker<'_>) -> Option<Behind> {
        let url = self.needed(name, "url", self.url.as_ref(), "http://bot-{version}.internal:8000", cx);
        let url = url.and_then(|at| self.address(name, at, schemes, cx));
        let probe = self.needed(name, "probe", self.probe.as_ref(), "http://127.0.0.1:8080/ready", cx);
        let help = "the door of users takes no password: write a path that anybody may ask for";
        let probe = probe.and_then(|at| cx.url(&format!("target.{name}.probe"), at, &["http", "https"], help));
        let start = argv(name, "start", self.start.as_ref(), cx);
        let stop = argv(name, "stop", self.stop.as_ref(), cx);
        let sticky_header = token(name, "sticky-header", self.sticky_header.as_ref(), "x-session", cx);
        let session_cookie = token(name, "session-cookie", self.session_cookie.as_ref(), "session", cx);
        Some(Behind {
            url: url?,
            start: start?,
            stop: stop?,
            probe: probe?,
            sticky_header: sticky_header?.map(|name| name.to_ascii_lowercase()),
            session_cookie: session_cookie?,
        })
    }

    /// A key that this kind cannot do without.
    pub(super) fn needed<'a>(
        &self,
        name: &Name,
        key: &str,
        at: Option<&'a At<String>>,
        example: &str,
        cx: &mut Checker<'_>,
    ) -> Option<&'a At<String>> {
        if at.is_none() {
            let title = format!("`target.{name}` of kind `{}` needs `{key}`", self.kind.value);
            cx.absent(Diagnostic::new(title).at(&self.kind.spot).help(format!("add `{key} = \"{example}\"`")));
        }
        at
    }
}

/// A program and its arguments, when they are given; the outer `None` after a report.
pub(super) fn argv(
    name: &Name,
    key: &str,
    at: Option<&At<Vec<Item<String>>>>,
    cx: &mut Checker<'_>,
) -> Option<Option<Vec<String>>> {
    let Some(at) = at else { return Some(None) };
    if at.value.first().is_none_or(|program| program.value.is_empty()) {
        let title = format!("`target.{name}.{key}` names no program");
        cx.refuse(&at.spot, title, format!("write a program and its arguments: `{key} = [\"PROGRAM\", \"ARGUMENT\"]`"));
        return None;
    }
    Some(Some(at.value.iter().map(|item| item.value.clone()).collect()))
}

/// The name of a header or a cookie, when it is given; the outer `None` after a report.
pub(super) fn token(
    name: &Name,
    key: &str,
    at: Option<&At<String>>,
    example: &str,
    cx: &mut Checker<'_>,
) -> Option<Option<String>> {
    let Some(at) = at else { return Some(None) };
    if at.value.is_empty() || !at.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        let title = format!("`target.{name}.{key}` is not a name of letters, digits, `-` and `_`");
        cx.refuse(&at.spot, title, format!("write it as `{key} = \"{example}\"`"));
        return None;
    }
    Some(Some(at.value.clone()))
}

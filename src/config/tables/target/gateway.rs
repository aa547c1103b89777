//! What the embedded gateway needs.

use super::address::Address;
use super::proxy::ProxyRules;
use super::{RawTarget, socket};
use crate::base::name::Name;
use crate::config::check::Checker;
use crate::config::diag::Diagnostic;
use crate::config::secret::SecretRef;
use std::net::SocketAddr;

/// `kf gateway run`.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayTarget {
    /// Where users' requests come in.
    pub listen: SocketAddr,
    /// Where it is asked and told.
    pub admin: SocketAddr,
    /// What whoever asks it must show.
    pub admin_token: Option<SecretRef>,
    /// How it has a version answer.
    pub serves: Serves,
    /// How it answers requests.
    pub proxy: ProxyRules,
}

/// How a version comes to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serves {
    /// The gateway starts this program, whose first word is it and the rest its arguments; not empty.
    Command(Vec<String>),
    /// It answers there already.
    Url(Address),
}

impl RawTarget {
    pub(super) fn gateway(&self, name: &Name, cx: &mut Checker<'_>) -> Option<GatewayTarget> {
        let (listen, admin) = (socket(name, "listen", &self.listen, cx), socket(name, "admin", &self.admin, cx));
        let proxy = self.proxy(name, cx);
        let (listen, admin) = (listen?, admin?);
        if listen == admin && listen.port() != 0 {
            let title = format!("`target.{name}` has one address for users and for whoever steers it");
            cx.refuse(&self.admin.spot, title, "give `admin` a port of its own: `127.0.0.1:8081`");
        }
        if !admin.ip().is_loopback() && self.admin_token.is_none() {
            let title = format!("`target.{name}.admin` is open to other machines and has no `admin-token`");
            cx.refuse(&self.admin.spot, title, "add `admin-token = \"env:KF_GATEWAY_TOKEN\"`, or use an address of this machine");
        }
        let serves = match (&self.command, &self.url) {
            (Some(command), None) if !command.value.is_empty() => {
                Serves::Command(command.value.iter().map(|item| item.value.clone()).collect())
            }
            (None, Some(at)) => Serves::Url(self.address(name, at, &["http", "https"], cx)?),
            (Some(command), _) => {
                let title = format!("`target.{name}` needs one of `command` and `url`, not both, and no empty one");
                cx.refuse(&command.spot, title, "take one of them out");
                return None;
            }
            (None, None) => {
                let title = format!("`target.{name}` needs `command` or `url`");
                let help = "add `command = [\"python3\", \"serve.py\"]` for a program that the gateway starts, or \
                            `url = \"http://bot-{version}.internal:8000\"` for versions that run already";
                cx.absent(Diagnostic::new(title).at(&self.kind.spot).help(help));
                return None;
            }
        };
        Some(GatewayTarget { listen, admin, admin_token: self.admin_token.as_ref().map(|at| at.value.clone()), serves, proxy })
    }
}

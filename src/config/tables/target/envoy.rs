//! What Envoy needs.

use super::RawTarget;
use super::servers::Behind;
use crate::base::name::Name;
use crate::config::check::Checker;
use std::net::SocketAddr;

/// Envoy, which watches a folder that kf writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyTarget {
    /// How versions run behind it.
    pub behind: Behind,
    /// The folder that it watches for `routes.json` and `clusters.json`, relative to the repository.
    pub dir: String,
    /// Where its administration interface answers.
    pub admin: SocketAddr,
}

impl RawTarget {
    pub(super) fn envoy(&self, name: &Name, cx: &mut Checker<'_>) -> Option<EnvoyTarget> {
        let behind = self.behind(name, &["http"], cx);
        let dir = self.needed(name, "dir", self.dir.as_ref(), "/etc/envoy/kf", cx).map(|at| at.value.clone());
        let admin = super::socket(name, "admin", &self.admin, cx);
        Some(EnvoyTarget { behind: behind?, dir: dir?, admin: admin? })
    }
}

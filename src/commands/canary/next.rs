//! What to type next, of a rollout as it stands: commands that work when they are typed as they are shown, and whether anybody drives it.

use super::doc::RolloutDoc;
use super::ordered::let_on;
use crate::adapters::process::is_alive;
use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::config::Project;
use crate::domain::registry::table as registry;
use crate::domain::rollout::judge::Hold;
use crate::domain::rollout::lease;
use crate::domain::rollout::machine::{Held, Phase};
use crate::domain::rollout::setup::Strategy;
use crate::domain::rollout::table::{self, Rollout};
use crate::release::rollout::again::{Like, Stale, stale, typed};
use crate::store::{Store, View};

/// What the rows of a rollout do not tell: what time it is, which machine this is, and what `mlops.toml` says by now.
pub(crate) struct Here<'a> {
    now: Timestamp,
    host: String,
    project: &'a Project,
}

impl<'a> Here<'a> {
    /// As it is now.
    pub(crate) fn of(cx: &'a Cx, store: &Store) -> Result<Self> {
        Ok(Self { now: store.now(), host: store.identity().host.clone(), project: &cx.project()?.project })
    }

    /// True of a process that is known to be gone: it was on this machine, and is not there.
    pub(super) fn is_gone(&self, host: &str, pid: i64) -> bool {
        host == self.host && !is_alive(pid)
    }

    /// Who drives a rollout now; nobody, from the moment on that their process is known to be gone.
    pub(super) fn driver(&self, view: View<'_>, of: &Rollout) -> Result<Option<String>> {
        let lease = lease::lease(view, &of.uid)?.filter(|l| of.open && l.until > self.now && !self.is_gone(&l.host, l.pid));
        Ok(lease.map(|l| format!("process {} on {}", l.pid, l.host)))
    }
}

/// What there is to type of a rollout.
#[derive(Clone, Debug, Default)]
pub(super) struct Next {
    /// What orders call it: its model, while that means no other one.
    named: String,
    /// Of one that ended without its version: why it cannot be started again, when it cannot.
    stale: Option<Stale>,
    /// Of a shadow that kept to its limits: how its version is given to users.
    release: Option<String>,
}

impl Next {
    /// As things stand.
    pub(super) fn read(view: View<'_>, of: &Rollout, here: &Here<'_>) -> Result<Self> {
        let (setup, phase) = (&of.setup, of.state.phase);
        let meant = table::select(view, Some(setup.model.as_str())).is_ok_and(|meant| meant.uid == of.uid);
        let named = if meant { setup.model.as_str() } else { of.short() };
        let stale = match phase {
            Phase::RolledBack | Phase::Failed => stale(view, here.project, of)?,
            _ => None,
        };
        let release = match phase {
            Phase::Finished if setup.plan.shadow => {
                let model = registry::find_model(view, &setup.model)?;
                let version = model.map(|m| registry::find_version(view, m.id, setup.canary.version)).transpose()?.flatten();
                let like = Like { strategy: Strategy::Canary, target: Some(&setup.target), plan: Some(&setup.named) };
                Some(typed(here.project, (&setup.model, &setup.reference()), version.map(|v| v.stage), like))
            }
            _ => None,
        };
        Ok(Self { named: named.to_owned(), stale, release })
    }

    /// Why a version was taken back, and how it is tried again.
    pub(super) fn after(&self) -> String {
        let again = match &self.stale {
            Some(stale) => stale.instead.clone(),
            None => format!("`kf canary retry {}` starts it again from the first step", self.named),
        };
        format!("{}; {again}", self.explained())
    }

    /// What tells why.
    pub(super) fn explained(&self) -> String {
        format!("`kf canary explain {}` says why", self.named)
    }

    /// What to type of a rollout; `driven` is true when there is nobody to be sent for.
    pub(super) fn told(&self, of: &RolloutDoc, driven: bool) -> Option<String> {
        let named = &self.named;
        let waits = match (of.phase, of.held) {
            (Phase::Finished, _) => {
                if let Some(put_right) = of.put_right() {
                    return Some(put_right);
                }
                return self.release.as_ref().map(|release| format!("{release} gives it to users step by step"));
            }
            (Phase::RolledBack | Phase::Failed, _) => return Some(self.after()),
            // What goes on by itself does so by whoever drives it.
            (_, Some(Held::Judge(_))) if !driven => None,
            (_, Some(Held::Judge(Hold::NoData))) if of.shadow => Some(
                "it goes on by itself when copies arrive: of GET, HEAD and OPTIONS, and of what `proxy.shadow-paths` names"
                    .to_owned(),
            ),
            (_, Some(Held::Judge(_))) => {
                Some(format!("it goes on by itself when that is over; `kf canary explain {named}` says more"))
            }
            (phase, held) => let_on(named, phase, held),
        };
        let nobody =
            (!driven).then(|| format!("nobody drives it: `kf canary run {named}`, or `kf canary tick {named}` from cron"));
        let all: Vec<String> = waits.into_iter().chain(nobody).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

//! Rollouts at a glance, as `kf status` tells of them: those that are under way, and versions that were taken back. All of it is in the
//! state; the target itself is asked by `kf canary status`.

use super::doc::RolloutDoc;
use super::next::{Here, Next};
use crate::base::error::Result;
use crate::base::name::{Name, Stage};
use crate::base::text::ellipsis;
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::domain::registry::table::VersionRow;
use crate::domain::rollout::machine::Phase;
use crate::domain::rollout::outcome::taken_back;
use crate::domain::rollout::setup::Strategy;
use crate::domain::rollout::table::{self, Rollout};
use crate::store::View;
use serde::Serialize;
use std::collections::BTreeSet;

/// How much of a reason is told, in characters: the rest is in `kf canary explain`.
const WHY_MAX: usize = 160;
/// So many rollouts of a model are looked through for what became of its versions.
const LOOKED: u32 = 20;

/// A rollout that has not ended.
#[derive(Serialize)]
pub(crate) struct UnderWay {
    #[serde(flatten)]
    of: RolloutDoc,
    /// Who drives it.
    driven_by: Option<String>,
    /// What to type next.
    next: Option<String>,
}

/// A version that was given traffic and has none any more.
#[derive(Serialize)]
pub(crate) struct TakenBack {
    pub(crate) model: Name,
    pub(crate) version: Version,
    target: Name,
    /// The rollout that decided it.
    rollout: String,
    phase: Phase,
    why: String,
    at: Timestamp,
    /// What to type next.
    next: String,
    /// What became of it, in words.
    #[serde(skip)]
    told: String,
}

impl UnderWay {
    /// All of them, the oldest first.
    pub(crate) fn all(view: View<'_>, here: &Here<'_>) -> Result<Vec<Self>> {
        let one = |r: &Rollout| {
            let (of, driven_by) = (RolloutDoc::read(view, r)?, here.driver(view, r)?);
            let next = Next::read(view, r, here)?.told(&of, driven_by.is_some());
            Ok(Self { of, driven_by, next })
        };
        table::open(view)?.iter().map(one).collect()
    }

    /// Two lines: where it is, and on what it waits.
    pub(crate) fn words(&self) -> [String; 2] {
        let Self { of, driven_by, next } = self;
        let driver = driven_by.as_ref().map(|by| format!("; {by} drives it"));
        let follow = || format!("`kf canary status {}` asks the target", of.model);
        let what = match of.is_back() {
            true => format!("the way back from {} to {} did not arrive yet", of.against(), of.reference()),
            false => format!("{} against {}", of.reference(), of.against()),
        };
        [
            format!("{what}: {}", of.place()),
            format!("{}{}: {}", short(of.why()), driver.unwrap_or_default(), next.clone().unwrap_or_else(follow)),
        ]
    }
}

impl TakenBack {
    /// Of each model the newest version, and what became of older ones that wait in staging: those are not told of any more.
    pub(crate) fn all(view: View<'_>, versions: &[VersionRow], here: &Here<'_>) -> Result<(Vec<Self>, BTreeSet<i64>)> {
        let (mut found, mut ids) = (Vec::new(), BTreeSet::new());
        // By model, the newest first.
        for of_model in versions.chunk_by(|a, b| a.name == b.name) {
            let Some(newest) = of_model.first() else { continue };
            let rollouts = table::newest(view, Some(&newest.name), LOOKED)?;
            for version in of_model.iter().filter(|v| v.stage != Stage::Production) {
                if let Some(r) = taken_back(&rollouts, version.version) {
                    ids.insert(version.id);
                    if version.id == newest.id {
                        found.push(Self::of(view, r, version, here)?);
                    }
                }
            }
        }
        Ok((found, ids))
    }

    fn of(view: View<'_>, r: &Rollout, version: &VersionRow, here: &Here<'_>) -> Result<Self> {
        let doc = RolloutDoc::read(view, r)?;
        let ordered = r.setup.strategy == Strategy::Rollback;
        let (told, why) = match ordered {
            true => {
                let why = table::asked_for(view, &r.uid)?.unwrap_or_else(|| "no reason was given".to_owned());
                (format!("{} was taken back for {}: {}", version.reference(), doc.reference(), short(&why)), why)
            }
            false => (short(&doc.told()), doc.why().to_owned()),
        };
        let next = Next::read(view, r, here)?;
        Ok(Self {
            model: version.name.clone(),
            version: version.version,
            target: r.setup.target.clone(),
            rollout: r.uid.clone(),
            phase: r.state.phase,
            why,
            at: r.changed,
            next: if ordered { next.explained() } else { next.after() },
            told,
        })
    }

    /// Two lines: what became of it, and what to type next.
    pub(crate) fn words(&self) -> [String; 2] {
        [self.told.clone(), format!("on {}: {}", self.at, self.next)]
    }
}

/// The beginning of a reason, in one line.
fn short(why: &str) -> String {
    ellipsis(why.lines().next().unwrap_or_default(), WHY_MAX)
}

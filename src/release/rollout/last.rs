//! The last step: what the registry would refuse of a version that has all of the traffic is told before it gets the last users.

use super::Parts;
use super::start::why;
use crate::base::error::{Kind, Result};
use crate::base::name::Stage;
use crate::base::reference::{Reference, Selector};
use crate::base::weight::Weight;
use crate::domain::registry::table as registry;
use crate::domain::rollout::setup::Strategy;
use crate::domain::rollout::table::Rollout;
use crate::release::promote::{self, Request};

/// Why the registry would not take the version into production as things stand, with what to type; `None` when it would, and for a
/// step that is not the last one.
pub(super) fn refused(parts: &Parts<'_>, of: &Rollout, weight: Weight) -> Result<Option<String>> {
    let released = !of.setup.plan.shadow && of.setup.strategy != Strategy::Rollback;
    if weight < Weight::FULL || of.state.observed == Weight::FULL || !released {
        return Ok(None);
    }
    match said(parts, of) {
        Ok(said) => Ok(said.map(|why| advised(of, &why))),
        Err(e) if matches!(e.kind(), Kind::Failed | Kind::Usage | Kind::Broken) => Ok(Some(advised(of, &e.to_string()))),
        Err(e) => Err(e),
    }
}

fn said(parts: &Parts<'_>, of: &Rollout) -> Result<Option<String>> {
    let Parts { store, project, root, reader, .. } = *parts;
    let setup = &of.setup;
    let reference = Reference { name: setup.model.clone(), selector: Selector::Version(setup.canary.version) };
    let version = store.read(|view| registry::resolve(view, &reference))?;
    if version.stage == Stage::Production {
        return Ok(None);
    }
    if version.stage == Stage::Archived {
        let named = version.reference();
        let back = format!("`kf restore {named}`, then `kf promote {named} --to staging` put that right");
        return Ok(Some(format!("{named} is archived: {back}")));
    }
    let request = Request {
        reference: &reference,
        to: Stage::Production,
        files: &|version| reader.there(version),
        first_release: setup.first_release,
        expect: setup.stable.as_ref().map(|stable| stable.version),
        ticket: setup.ticket.as_deref(),
        reason: None,
    };
    (request.files)(&version)?;
    if store.read(|view| promote::moving(view, project, root, &request))?.is_some() {
        return Ok(None);
    }
    let refused = store.write(|tx| promote::refused(tx, project, root, &request))?;
    Ok(refused.map(|refused| match &refused.broken {
        Some(broken) => broken.to_string(),
        None => format!("the registry does not take it: {}", why(&refused)),
    }))
}

/// The reason with what to type: whoever reads it finds a rollout that stands still.
pub(super) fn advised(of: &Rollout, why: &str) -> String {
    let name = &of.setup.model;
    format!("{why}; `kf canary resume {name}` when that is put right, `kf canary abort {name}` takes it back")
}

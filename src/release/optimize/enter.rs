//! A variant that is better becomes a version: registered, evaluated, promoted, told.
//!
//! Each step is what the command of its name does, with its own event, so a kill between two of them leaves what they left, and the same
//! search goes on from there: the same files are the same version.

use super::lab::{Both, Player};
use crate::base::error::Result;
use crate::base::name::{Name, Stage};
use crate::base::reference::{Reference, Selector};
use crate::config::Project;
use crate::domain::alert::Alert;
use crate::domain::eval::record::Evaluation;
use crate::domain::registry::change::PARENT;
use crate::domain::registry::table::{self, VersionRow};
use crate::release::alert::raise;
use crate::release::evaluate::{self, Loaded};
use crate::release::intact::Reader;
use crate::release::promote::{self, Promotion};
use crate::release::register::{Outcome, Place, Request, register};
use crate::seams::notifier::{Act, Severity};
use std::path::Path;

/// Where a variant comes from.
pub struct Origin<'a> {
    /// What it was made from.
    pub parent: &'a VersionRow,
    /// What differs.
    pub variant: &'a str,
    /// How it was made.
    pub operator: &'a str,
    /// The seed of the search.
    pub seed: u64,
    /// What it gains, in words.
    pub gain: String,
}

fn exactly(version: &VersionRow) -> Reference {
    Reference { name: version.name.clone(), selector: Selector::Version(version.version) }
}

/// Registers the files of a variant.
///
/// # Errors
/// Those of a registration.
pub fn enter(place: &mut Place, project: &Project, root: &Path, player: &Player, origin: &Origin<'_>) -> Result<Outcome> {
    let links = place.store.read(|view| table::links_from(view, origin.parent.id))?;
    let mut request = Request::of_model(project, root, &origin.parent.name)?;
    let of = |relation: &str| links.iter().filter(|(r, _)| r == relation).map(|(_, v)| exactly(v)).collect::<Vec<_>>();
    request.kind = Some(origin.parent.kind);
    request.paths = vec![player.dir().to_owned()];
    request.depends = of("depends");
    request.dataset = of("dataset").pop();
    request.parent = Some(exactly(origin.parent));
    request.reason = Some(format!("kf optimize: {}", origin.gain));
    let facts = [
        (PARENT, origin.parent.reference()),
        ("optimize.variant", origin.variant.to_owned()),
        ("optimize.operator", origin.operator.to_owned()),
        ("optimize.seed", origin.seed.to_string()),
        ("optimize.gain", origin.gain.clone()),
    ];
    request.meta.extend(facts.map(|(key, value)| (key.to_owned(), value)));
    // What is registered lies in a scratch folder, outside of the repository and of its history.
    player.dir().clone_into(&mut place.root);
    register(place, &request, &|_, _| {}, &mut |_| {})
}

/// Keeps what was scored on all rows.
///
/// # Errors
/// When the state cannot be written.
pub fn keep(
    place: &Place,
    version: &VersionRow,
    (loaded, player): (&Loaded, &Player),
    (judge, model): (&str, Option<&str>),
    (computed, judged): &Both,
) -> Result<(Evaluation, Option<Evaluation>)> {
    let system = player.system();
    let evaluation = evaluate::keep(&place.store, version, loaded, (judge, &system), computed)?;
    let judged = match judged.as_ref().zip(model) {
        Some((scores, model)) => Some(evaluate::keep(&place.store, version, loaded, (model, &system), scores)?),
        None => None,
    };
    Ok((evaluation, judged))
}

/// Whom a promotion is told, and why it is made.
pub struct Because<'a> {
    /// Channels.
    pub notify: &'a [Name],
    /// The ticket.
    pub ticket: Option<&'a str>,
    /// Why.
    pub reason: &'a str,
}

/// Promotes a version to staging through its gates; whoever is named is told in the same transaction.
///
/// # Errors
/// Those of a promotion. A gate that says no is no error.
pub fn promote(
    place: &Place,
    project: &Project,
    root: &Path,
    version: &VersionRow,
    (origin, because): (&Origin<'_>, &Because<'_>),
) -> Result<Promotion> {
    let reader = Reader::new(&place.objects, place.jobs, &|_, _| {});
    reader.read(version);
    let request = promote::Request {
        files: &|version| reader.require(version),
        reference: &exactly(version),
        to: Stage::Staging,
        first_release: false,
        expect: None,
        ticket: because.ticket,
        reason: Some(because.reason),
    };
    place.store.write(|tx| {
        let done = promote::promote(tx, project, root, &request)?;
        if done.changed && !because.notify.is_empty() {
            raise(tx, because.notify, &alert(version, origin))?;
        }
        Ok(done)
    })
}

fn alert(version: &VersionRow, origin: &Origin<'_>) -> Alert {
    let (now, before) = (version.reference(), origin.parent.reference());
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Alert {
        about: format!("optimize/{}", version.name),
        act: Act::Trigger,
        severity: Severity::Info,
        title: format!("{now} is in staging: better than {before}"),
        body: format!("{}\nwhat changed: `kf diff {before} {now}`\nits files: `kf checkout {now} DIR`", origin.gain),
        facts: vec![
            fact("model", version.name.as_str()),
            fact("version", &version.version.to_string()),
            fact("parent", &before),
            fact("operator", origin.operator),
        ],
    }
}
